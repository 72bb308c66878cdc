/**
 * Section "latency": from the moment at which a notification is due at the producer to its arrival at a `read_committed`
 * reader of the output topic. Producer, agent and reader are processes of their own; the producer keeps to its rate whatever
 * happens (an open loop), so that a pause counts for every notification that waited in it.
 */
import { createTopics, type LocalKafka } from '@kafnus/local-stack';
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { agentContender, outputTopic, type Contender } from '../contender.js';
import { tenantName } from '../notification.js';
import { observe } from '../observer.js';
import type { Options } from '../options.js';
import { kafkaStreams } from '../peers/contenders.js';
import { buildStreamsApplication } from '../peers/kafka-streams.js';
import { progress } from '../progress.js';
import { nextRun } from '../rounds.js';
import { median, rounded } from '../statistics.js';
import { shown, table } from '../table.js';
import { typicalPartitions } from './write-backlog.js';

/** What the reader tells at its end, by phase. Milliseconds. */
export interface ReaderReport {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** What the producer tells, by phase: how late it was itself, which is a part of every latency. Milliseconds. */
export interface ProducerReport {
  readonly lateP99: number;
}

/** A while at a steady rate. */
interface Phase {
  readonly rate: number;
  readonly notifications: number;
  /** The first of them, which do not count: just-in-time compilers, first fetches, what the last rate has left. */
  readonly warmUp: number;
  /** Of the producer, a part of every latency. */
  readonly lingerMs: number;
}

/** The plan of one measurement, as the two programs get it. */
export interface LatencyPlan {
  readonly brokers: string;
  readonly topic: string;
  readonly partitions: number;
  readonly phases: readonly Phase[];
}

/** What one round found at one rate. */
interface LatencyRound extends ReaderReport, ProducerReport {
  readonly rate: number;
}

/** Medians of the rounds, and the rounds. */
export interface LatencyFigures extends LatencyRound {
  readonly name: string;
  readonly rounds: readonly LatencyRound[];
}

export interface LatencyResult {
  readonly figures: readonly LatencyFigures[];
}

export const exactlyOnce = 'historic, exactly once';
export const atLeastOnce = 'historic, at least once';
/** The producer and the reader on one topic, without anything in between: what the others cannot be faster than. */
const nobody = 'nobody in between';

/**
 * One after the other, with one start: notifications/s. Single records are sent at once at the low rates, for the latency is
 * to be the agent's. At the high one that would be 5,000 requests/s for one broker to answer, which alone took 30 ms.
 */
const steps = [
  { rate: 200, lingerMs: 0 },
  { rate: 1000, lingerMs: 0 },
  { rate: 5000, lingerMs: 1 },
];
const countedSeconds = 5;
const startSeconds = 4;
const settlingSeconds = 1;

const phases: readonly Phase[] = steps.map(({ rate, lingerMs }, place) => {
  const warmUpSeconds = place === 0 ? startSeconds : settlingSeconds;
  return { rate, notifications: rate * (warmUpSeconds + countedSeconds), warmUp: rate * warmUpSeconds, lingerMs };
});

export async function measureLatency(kafka: LocalKafka, { rounds }: Options): Promise<LatencyResult> {
  const contenders: (Contender | undefined)[] = [
    agentContender('historic', exactlyOnce),
    agentContender('historic', atLeastOnce, { KAFNUS_DELIVERY: 'at-least-once' }),
    kafkaStreams(await buildStreamsApplication()),
    undefined,
  ];
  progress('a first run that does not count: it warms the broker up');
  await measure(kafka.bootstrapServers, contenders[0]);
  const entries = contenders.map((contender) => ({
    contender,
    name: contender?.name ?? nobody,
    /** For each round, figures of each phase. */
    found: [] as LatencyRound[][],
  }));
  for (let round = 1; round <= rounds; round++) {
    for (const { contender, name, found } of entries) {
      const figures = await measure(kafka.bootstrapServers, contender);
      found.push(figures);
      const texts = figures.map(({ rate, p50, p99 }) => `${shown(rate)}/s: p50 ${shown(p50)}, p99 ${shown(p99)} ms`);
      progress(`round ${round}/${rounds}  ${name}  ${texts.join('; ')}`);
    }
  }
  return {
    figures: entries.flatMap(({ name, found }) =>
      phases.map(({ rate }) => ({ name, rate, ...medians(found.flat().filter((round) => round.rate === rate)) })),
    ),
  };
}

function medians(rounds: readonly LatencyRound[]): Omit<LatencyFigures, 'name' | 'rate'> {
  const of = (figure: keyof ReaderReport | keyof ProducerReport): number =>
    rounded(median(rounds.map((round) => round[figure])), 3);
  return { p50: of('p50'), p99: of('p99'), max: of('max'), lateP99: of('lateP99'), rounds };
}

/** @returns figures for each phase */
async function measure(brokers: string, contender: Contender | undefined): Promise<LatencyRound[]> {
  const run = nextRun();
  const inputTopic = `${run}_raw`;
  const partitions = typicalPartitions;
  await createTopics(brokers, [{ topic: inputTopic, partitions }]);
  const output = contender === undefined ? inputTopic : outputTopic(run, tenantName(0));
  const plan: LatencyPlan = { brokers, topic: inputTopic, partitions, phases };
  const job = { brokers, inputTopic, run };
  if (contender?.prepare) await contender.prepare({ ...job, partitions });
  else if (contender) await createTopics(brokers, [{ topic: output, partitions }]);
  const running = contender?.start(job);
  const reader = startProgram<readonly ReaderReport[]>('latency-reader.js', { ...plan, topic: output });
  let producer: Program<readonly ProducerReport[]> | undefined;
  try {
    await reader.ready();
    producer = startProgram<readonly ProducerReport[]>('latency-producer.js', plan);
    const lost = running?.ended.then((how): never => {
      throw new Error(`${contender?.name} ended: ${how}`);
    });
    // It ends in any case, later, when nobody waits for it.
    lost?.catch(() => undefined);
    const both = Promise.all([reader.report(), producer.report()]);
    const [read, produced] = await (lost === undefined ? both : Promise.race([both, lost]));
    return phases.map(({ rate }, place) => {
      const [reader, producer] = [read[place], produced[place]];
      if (reader === undefined || producer === undefined) throw new Error(`no report of the phase with ${rate}/s`);
      return {
        rate,
        p50: rounded(reader.p50, 3),
        p99: rounded(reader.p99, 3),
        max: rounded(reader.max, 3),
        lateP99: rounded(producer.lateP99, 3),
      };
    });
  } finally {
    reader.child.kill();
    producer?.child.kill();
    await running?.stop();
    const observer = await observe(brokers, run);
    await observer.deleteTopics([...new Set([inputTopic, output])]);
    await observer.close();
  }
}

interface Program<R> {
  readonly child: ChildProcess;
  /** Resolves when it says so; rejects when it ends before. */
  ready(): Promise<void>;
  /** What it reports when it is done; rejects when it ends before. */
  report(): Promise<R>;
}

/** A program of this folder: it may say `ready`, sends its report when it is done, and ends when it is let go. */
function startProgram<R>(script: string, plan: LatencyPlan): Program<R> {
  const child = fork(fileURLToPath(new URL(script, import.meta.url)), [JSON.stringify(plan)]);
  let reported: R | undefined;
  let ready = false;
  let end: string | undefined;
  const changes = new Set<() => void>();
  const changed = (): void => changes.forEach((change) => change());
  child.on('message', (message) => {
    if (message === 'ready') ready = true;
    else reported = message as R;
    changed();
  });
  child.once('exit', (code, signal) => {
    end = `${code ?? signal}`;
    changed();
  });
  const until = async <T>(found: () => T | undefined): Promise<T> => {
    for (;;) {
      const value = found();
      if (value !== undefined) return value;
      if (end !== undefined) throw new Error(`${script} ended with ${end} and no report`);
      await new Promise<void>((resolve) => changes.add(resolve));
    }
  };
  return {
    child,
    ready: () => until(() => ready || undefined).then(() => undefined),
    report: () => until(() => reported),
  };
}

export function latencyTable({ figures }: LatencyResult): string {
  const rows = figures.map(({ name, rate, p50, p99, max, lateP99 }) => [
    name,
    shown(rate),
    shown(p50),
    shown(p99),
    shown(max),
    shown(lateP99),
  ]);
  const title = 'Latency from producer to read_committed reader, milliseconds';
  return table(title, ['', 'notifications/s', 'p50', 'p99', 'max', 'p99 of the producer’s own delay'], rows);
}
