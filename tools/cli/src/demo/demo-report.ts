/** The report of the demo as text. Pure. */
import type { InputRecord } from '@kafnus/agent-runtime';
import type { Style } from '../terminal/style.js';
import { table, type Cell } from '../terminal/table.js';
import { grouped, printable, wrapped } from '../terminal/text.js';
import { counterLines, type AgentCounters } from './agent-counters.js';
import {
  agentNames,
  type AgentName,
  type DemoTopicNames,
  type NgsiAgent,
  type PublishedNotification,
} from './demo-expectations.js';
import { scenarioSteps } from './demo-scenario.js';
import { headersOf, logOf, readRecord, type Observation, type ReadRecord, type Comparison } from './compare.js';

export interface DemoReport {
  readonly kind: 'embedded' | 'real';
  readonly brokers: string;
  readonly names: DemoTopicNames;
  readonly published: readonly PublishedNotification[];
  readonly seen: Observation;
  readonly counters: readonly AgentCounters[];
}

const purposes: Readonly<Record<AgentName, string>> = {
  historic: 'every version of every entity; the TimeInstant is part of the key',
  lastdata: 'the latest version of each entity, by TimeInstant',
  mutable: 'versions that may be overwritten; the TimeInstant is part of the key',
  errors: 'records that could not be processed or stored, as a log per tenant',
};

/** The output of each agent. */
export function reportLines(report: DemoReport, width: number, style: Style): string[] {
  const writer = new ReportWriter(report, width, style);
  return [...writer.historic(), ...writer.lastdata(), ...writer.mutable(), ...writer.refusals(), ...writer.errors()];
}

/** The counters, and the result of the comparison. */
export function comparisonLines(
  { kind, counters, seen }: DemoReport,
  { checks, problems }: Comparison,
  width: number,
  style: Style,
): string[] {
  const lines = ['', ...counterLines(counters, width, style), ''];
  if (problems.length > 0) {
    return [...lines, `  ${style.red('✘')} ${grouped(problems.length)} of ${grouped(checks)} comparisons failed`, ''];
  }
  lines.push(
    `  ${style.green('✔')} ${grouped(checks)} comparisons: all ${grouped(seen.records.length)} records are as expected, and none is missing or unexpected`,
  );
  if (kind === 'embedded') {
    const limitation =
      'This broker is a mock: it shows what the agents do, and proves nothing about exactly-once. The tests on a real ' +
      'Kafka do (make test). KAFNUS_KAFKA_BROKERS=host:port runs this demo on your cluster.';
    lines.push('', ...wrapped(limitation, width - 4).map((line) => `  ${style.dim(line)}`));
  }
  return [...lines, ''];
}

/** The differences, with what was expected and what was received. */
export function problemLines({ problems }: Comparison, most = 10): string[] {
  const lines = problems
    .slice(0, most)
    .flatMap(({ agent, what, expected, came }) => [
      `${agent}: ${what}`,
      `  expected  ${printable(expected)}`,
      `  received  ${printable(came)}`,
    ]);
  return problems.length > most ? [...lines, `and ${problems.length - most} more`] : lines;
}

/** The addresses of agents that keep running. */
export function keepLines(
  { brokers, names }: Pick<DemoReport, 'brokers' | 'names'>,
  agents: readonly { readonly name: AgentName; readonly http: string | undefined }[],
  style: Style,
): string[] {
  return [
    `  ${style.bold('The agents keep running.')} Ctrl-C stops them.`,
    '',
    ...agents.map(
      ({ name, http }) => `  ${name.padEnd(9)} http://${http ?? '(unknown)'}/health  /ready  /live  /metrics  /config`,
    ),
    '',
    `  ./kafnus send --brokers ${brokers} --topic ${names.raw('historic')} --count 10`,
    '',
  ];
}

class ReportWriter {
  readonly #report: DemoReport;
  readonly #width: number;
  readonly #style: Style;

  constructor(report: DemoReport, width: number, style: Style) {
    this.#report = report;
    this.#width = width;
    this.#style = style;
  }

  historic(): string[] {
    const lines = this.#heading('historic');
    for (const id of ['station', 'spot', 'lamp']) lines.push(...this.#sample('historic', id));
    const lamp = this.#recordOf('historic', 'lamp');
    if (lamp) lines.push(...this.#raw(lamp.record));
    return lines;
  }

  lastdata(): string[] {
    const { seen } = this.#report;
    const lines = [...this.#heading('lastdata'), ...this.#sample('lastdata', 'newest')];
    const stale = this.#recordOf('lastdata', 'stale');
    const held = timeInstantOf('stale');
    const newest = timeInstantOf('newest');
    const skipped = seen.agents.lastdata?.ledger.skipped['stale'] ?? 0;
    if (stale === undefined && skipped > 0) {
      lines.push(...this.#note(`${titleOf('stale')}: it is skipped, and counted as stale`));
      lines.push(
        ...this.#facts([
          ['received', held],
          ['known', `${newest}, which is newer and stays`],
        ]),
      );
    }
    const deletion = this.#recordOf('lastdata', 'deletion');
    if (deletion && deletion.columns === null) {
      lines.push(...this.#note(`${titleOf('deletion')}: a tombstone, which removes the row`));
      lines.push(...this.#facts([...this.#address(deletion), ['value', 'null']]));
    }
    return lines;
  }

  mutable(): string[] {
    return [...this.#heading('mutable'), ...this.#sample('mutable', 'newest')];
  }

  /** One dead letter of each kind, with all topics that it came from. */
  refusals(): string[] {
    const { names, seen } = this.#report;
    const lines = this.#title(
      'no record is lost',
      `records that cannot be processed go to ${names.raw('errors')}, unchanged, with the reason`,
    );
    const deadLetters = seen.records
      .filter(({ topic }) => topic === names.raw('errors'))
      .map((record) => ({ record, headers: headersOf(record) }));
    for (const id of ['malformed', 'bad-date']) {
      const value = this.#publicationOf(id)?.value;
      const same = deadLetters.filter(({ record }) => record.value?.toString() === value);
      const [deadLetter] = same;
      if (deadLetter === undefined) continue;
      const context = (name: string): string => deadLetter.headers[`__connect.errors.${name}`] ?? '';
      const origins = same
        .map(({ headers }) => headers['__connect.errors.topic'] ?? '')
        .sort()
        .join(', ');
      lines.push(
        ...this.#note(
          `${titleOf(id)}: ${id === 'malformed' ? 'rejected' : 'the row is written, the column is null, and a report has the reason'}`,
        ),
        ...this.#facts([
          ['from', origins],
          ['code', context('exception.class.name')],
          ['reason', context('exception.message')],
          ['value', deadLetter.record.value?.toString() ?? 'null'],
        ]),
      );
    }
    const row = this.#recordOf('historic', 'bad-date');
    if (row) lines.push('', ...this.#columns(row));
    const unkeyed = agentNames.flatMap((name) => {
      const count = seen.agents[name]?.unkeyed ?? 0;
      return count > 0 ? [`${name} ${count}`] : [];
    });
    if (unkeyed.length > 0) {
      lines.push(
        ...this.#note(
          `${titleOf('unkeyed')}: it is processed, and counted in a metric; lastdata and mutable process it in the partition of its entity`,
        ),
      );
      lines.push(...this.#facts([['metric', `kafnus_unkeyed_records_total: ${unkeyed.join(', ')}`]]));
    }
    return lines;
  }

  errors(): string[] {
    const { names, seen } = this.#report;
    const lines = this.#heading('errors');
    const services = new Set(this.#report.published.map(({ service }) => names.errorLog(service)));
    const logs = seen.records.filter(({ topic }) => services.has(topic));
    const failure = logs.find((record) => logOf(record).query !== null);
    if (failure) {
      const read = this.#read(failure);
      lines.push(...this.#note('a sink could not write a row, and Kafka Connect reported it'));
      if (read) lines.push(...this.#facts(this.#address(read)), '', ...this.#columns(read));
    }
    const others = logs.filter((record) => record !== failure);
    if (others.length > 0) {
      lines.push(...this.#note('and the records that the agents refused'));
      const texts = others.map((record) => `${record.topic} ${logOf(record).error}`);
      const rows = [...new Set(texts)].map((text): Cell[] => {
        const at = text.indexOf(' ');
        const times = texts.filter((other) => other === text).length;
        return [{ text: text.slice(0, at) }, { text: `${times} ×` }, { text: printable(text.slice(at + 1)) }];
      });
      const titles = [{ title: 'topic' }, { title: '', align: 'right' }, { title: 'error', shrinks: 'wrap' }] as const;
      lines.push(...this.#indented(table(titles, rows, this.#width - 4, this.#style), 4));
    }
    return lines;
  }

  #heading(agent: AgentName): string[] {
    return this.#title(agent, purposes[agent]);
  }

  #title(name: string, what: string): string[] {
    const { bold, dim } = this.#style;
    const rest = '─'.repeat(Math.max(0, this.#width - name.length - 7));
    return [
      '',
      `  ${dim('──')} ${bold(name)} ${dim(rest)}`,
      ...wrapped(what, this.#width - 4).map((line) => `  ${line}`),
    ];
  }

  #note(text: string): string[] {
    return ['', ...wrapped(text, this.#width - 4).map((line) => `  ${this.#style.yellow(line)}`)];
  }

  /** The record of a step: its position and its columns. */
  #sample(agent: NgsiAgent, id: string): string[] {
    const read = this.#recordOf(agent, id);
    if (read === undefined || read.columns === null) return [];
    return [...this.#note(titleOf(id)), ...this.#facts(this.#address(read)), '', ...this.#columns(read)];
  }

  #address({ record, key, headers }: ReadRecord): (readonly [string, string])[] {
    const keyText =
      key === null
        ? 'null'
        : Object.entries(key)
            .map(([name, value]) => `${name}=${String(value)}`)
            .join('  ');
    return [
      ['topic', `${record.topic}, partition ${record.partition}, offset ${record.offset}`],
      ['key', keyText],
      ['table', headers['target_table'] ?? 'none'],
    ];
  }

  #facts(facts: readonly (readonly [name: string, value: string])[]): string[] {
    const room = this.#width - 13;
    return facts.flatMap(([name, value]) =>
      wrapped(printable(value), room).map(
        (line, index) => `  ${this.#style.dim((index === 0 ? name : '').padEnd(9))}  ${line}`,
      ),
    );
  }

  #columns({ columns }: ReadRecord): string[] {
    const { cyan, dim } = this.#style;
    const rows = (columns ?? []).map(({ name, type, optional, value }): Cell[] => [
      { text: printable(name) },
      { text: optional ? `${type}?` : type, paint: cyan },
      value === null
        ? { text: 'null', paint: dim }
        : { text: printable(typeof value === 'string' ? value : JSON.stringify(value)) },
    ]);
    const titles = [{ title: 'column' }, { title: 'Connect type' }, { title: 'value', shrinks: 'wrap' }] as const;
    return this.#indented(table(titles, rows, this.#width - 4, this.#style), 4);
  }

  /** The record as it is in Kafka. */
  #raw({ key, value, headers }: InputRecord): string[] {
    const block = (name: string, text: string): string[] =>
      chunks(printable(text), this.#width - 13).map(
        (chunk, index) => `  ${this.#style.dim((index === 0 ? name : '').padEnd(9))}  ${chunk}`,
      );
    const headerTexts = headers.flatMap((header) =>
      Object.entries(header).map(([name, text]) => `${name}=${text.toString()}`),
    );
    return [
      ...this.#note('the same record as it is in Kafka'),
      ...block('headers', headerTexts.join('  ')),
      ...block('key', key?.toString() ?? 'null'),
      ...block('value', value?.toString() ?? 'null'),
    ];
  }

  #indented(lines: readonly string[], by: number): string[] {
    return lines.map((line) => ' '.repeat(by) + line);
  }

  #publicationOf(id: string): PublishedNotification | undefined {
    return this.#report.published.find(({ source }) => 'step' in source && source.step.id === id);
  }

  /** The output record of a step, found by its fiware-correlator. */
  #recordOf(agent: NgsiAgent, id: string): ReadRecord | undefined {
    const publication = this.#publicationOf(id);
    if (publication === undefined) return undefined;
    const topic = this.#report.names.output(agent, publication.service);
    const found = this.#report.seen.records.find(
      (record) => record.topic === topic && headersOf(record)['fiware-correlator'] === publication.correlator,
    );
    return found && this.#read(found);
  }

  /** Undefined when it is not Connect JSON, which the comparison reports. */
  #read(record: InputRecord): ReadRecord | undefined {
    try {
      return readRecord(record);
    } catch {
      return undefined;
    }
  }
}

function stepOf(id: string): (typeof scenarioSteps)[number] | undefined {
  return scenarioSteps.find((step) => step.id === id);
}

function titleOf(id: string): string {
  return stepOf(id)?.title ?? id;
}

function timeInstantOf(id: string): string {
  const body = stepOf(id)?.body;
  const attribute = typeof body === 'object' ? body['TimeInstant'] : undefined;
  const value =
    typeof attribute === 'object' && attribute !== null && 'value' in attribute ? attribute.value : undefined;
  return typeof value === 'string' ? value : 'none';
}

function chunks(text: string, width: number): string[] {
  const all = [...text];
  const lines: string[] = [];
  for (let at = 0; at < all.length; at += width) lines.push(all.slice(at, at + width).join(''));
  return lines;
}
