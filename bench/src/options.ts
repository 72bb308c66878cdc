/** Parses the command line. */
import { parseArgs } from 'node:util';

const sections = ['pipeline', 'peers', 'latency', 'restore', 'growth', 'postgis', 'pure'] as const;
export type Section = (typeof sections)[number];

export interface Options {
  readonly sections: readonly Section[];
  readonly quick: boolean;
  readonly json: boolean;
  /** How often each contender runs. */
  readonly rounds: number;
  /** The same for backlogs, of which all rounds together count. */
  readonly backlogRounds: number;
  /** The same for the sections that set no target: growth and postgis. */
  readonly comparisonRounds: number;
  /** Notifications in a backlog. */
  readonly records: number;
}

export const help = `Measures the agents on a real Kafka, which it starts, and what else could do their work beside them.

  make bench                      everything (25 minutes on two cores)
  make bench ARGS=--quick         historic on a backlog: records/s, CPU a record, memory (a minute)
  make bench ARGS="--only peers"  some sections

  --only a,b      of: ${sections.join(', ')}
    pipeline      throughput, CPU and memory of each agent on a backlog
    peers         historic beside Kafka Streams and a bare pass-through
    latency       from the producer to a read_committed reader, at 200, 1,000 and 5,000 notifications/s
    restore       start-up; entities restored per second, and bytes of memory an entity
    growth        cost of a record by entities, tenants, partitions and entities of a notification
    postgis       rows a second that Kafka Connect's stock sink writes, by agent and variant
    pure          the decision alone: time and bytes allocated, without Kafka
  --rounds N      rounds of each contender, in turn; see bench/README.md (default: backlogs 7, with --quick 3;
                  latency and restore 5; growth and postgis 1)
  --records N     notifications in a backlog (default 150000; with --quick 60000)
  --quick         only the first of all figures
  --json          results as JSON on standard output, instead of tables
  --help          this text

Results go to bench/results/<section>.json and, drawn, to docs/bench.svg. It needs Linux, a JDK >= 17 and Maven.
Figures of a machine that does other work at the same time are only indicative.
`;

/**
 * @returns undefined when help is asked for. @throws Error that names the argument that is wrong
 */
export function parseOptions(argv: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string' },
      rounds: { type: 'string' },
      records: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const { quick, json, only } = values;
  if (quick && only !== undefined) throw new Error('--quick has no sections: leave out --only');
  return {
    sections: quick ? ['pipeline'] : only === undefined ? sections : [...new Set(only.split(',').map(section))],
    quick,
    json,
    rounds: positive('--rounds', values.rounds ?? '5', 1),
    backlogRounds: positive('--rounds', values.rounds ?? (quick ? '3' : '7'), 1),
    comparisonRounds: positive('--rounds', values.rounds ?? '1', 1),
    // Fewer would be done in a few transactions; a Java virtual machine needs some seconds of load
    // before its compiler rests.
    records: positive('--records', values.records ?? (quick ? '60000' : '150000'), 50_000),
  };
}

function section(text: string): Section {
  const found = sections.find((name) => name === text.trim());
  if (found === undefined) throw new Error(`--only takes ${sections.join(', ')}; not '${text}'`);
  return found;
}

function positive(option: string, text: string, least: number): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= least) return number;
  throw new Error(`${option} must be a whole number of at least ${least}, not '${text}'`);
}
