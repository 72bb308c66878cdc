/** Compares what came with what must come. Pure: the demo is a test, and says what it missed. */
import type { InputRecord, LedgerTotals } from '@kafnus/agent-runtime';
import { isDeepStrictEqual } from 'node:util';
import { decodeStruct, type DecodedColumn } from '../connect/decode.js';
import {
  agentNames,
  ngsiAgents,
  type AgentName,
  type Expectations,
  type ExpectedRecord,
  type Names,
} from './expectations.js';
import { messageOf } from '../error-text.js';

/** What was seen of one agent over HTTP. */
export interface AgentObservation {
  readonly ledger: LedgerTotals;
  /** kafnus_unkeyed_records_total. */
  readonly unkeyed: number;
  /** Entries of its state; null when it has none. */
  readonly stateEntries: number | null;
}

/** Everything that was seen. */
export interface Observation {
  /** Every topic of the run but the changelog. */
  readonly topics: readonly string[];
  /** All records of these, the raw ones included. */
  readonly records: readonly InputRecord[];
  readonly agents: Readonly<Partial<Record<AgentName, AgentObservation>>>;
}

/** Something that is not as it must be. */
export interface Problem {
  /** Whose fault it may be. */
  readonly agent: AgentName;
  readonly what: string;
  readonly expected: string;
  readonly came: string;
}

export interface Verdict {
  /** How many things were compared. */
  readonly checks: number;
  readonly problems: readonly Problem[];
}

const NOTHING = 'nothing';

export function verify(names: Names, expected: Expectations, seen: Observation): Verdict {
  const judge = new Judge();
  for (const agent of agentNames) checkAgent(judge, agent, expected, seen);
  checkRecords(judge, names, expected, seen.records);
  checkDeadLetters(judge, names, expected, seen.records);
  checkLogs(judge, names, expected, seen.records);
  checkTopics(judge, names, expected, seen);
  return judge;
}

class Judge implements Verdict {
  checks = 0;
  readonly problems: Problem[] = [];

  equal(agent: AgentName, what: string, expected: unknown, came: unknown): void {
    this.checks += 1;
    if (!isDeepStrictEqual(expected, came))
      this.problems.push({ agent, what, expected: shown(expected), came: shown(came) });
  }
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? NOTHING);
}

function checkAgent(judge: Judge, agent: AgentName, expected: Expectations, seen: Observation): void {
  const came = seen.agents[agent];
  const { read, emitted, skipped, rejected } = came?.ledger ?? {};
  const counts = expected.counts[agent];
  judge.equal(agent, 'records read', counts.read, read);
  judge.equal(agent, 'records emitted', counts.emitted, emitted);
  judge.equal(agent, 'records skipped, by reason', sorted(counts.skipped), sorted(skipped));
  judge.equal(agent, 'records rejected, by reason', sorted(counts.rejected), sorted(rejected));
  if (agent !== 'errors') judge.equal(agent, 'records without key', expected.unkeyed, came?.unkeyed);
  if (agent === 'lastdata') judge.equal(agent, 'entities remembered', expected.remembered, came?.stateEntries);
}

function sorted(counts: Readonly<Record<string, number>> | undefined): unknown {
  return counts && Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A record with its parts read. */
export interface ReadRecord {
  readonly record: InputRecord;
  /** The payload of the key; null: no key, or one that is no Connect struct. */
  readonly key: Readonly<Record<string, unknown>> | null;
  /** null: a tombstone. */
  readonly columns: readonly DecodedColumn[] | null;
  /** Header texts by name; of a repeated one the last. */
  readonly headers: Readonly<Record<string, string>>;
}

/** @throws Error when key or value is no Connect JSON */
export function readRecord(record: InputRecord): ReadRecord {
  const key = record.key && decodeStruct(record.key.toString());
  return {
    record,
    key: key && Object.fromEntries(key.map(({ name, value }) => [name, value])),
    columns: record.value && decodeStruct(record.value.toString()),
    headers: headersOf(record),
  };
}

/** Header texts by name; of a repeated one the last. */
export function headersOf({ headers }: InputRecord): Record<string, string> {
  return Object.fromEntries(
    headers.flatMap((header) => Object.entries(header).map(([name, value]) => [name, value.toString()])),
  );
}

/** Output records, entity by entity: the same ones, in the same order, in one partition. */
function checkRecords(judge: Judge, names: Names, expected: Expectations, records: readonly InputRecord[]): void {
  const wanted = grouped(expected.records, ({ topic, key }) => `${topic} ${key['entityid'] ?? ''}`);
  const topics = new Map<string, AgentName>();
  for (const service of new Set(expected.records.map(({ headers }) => headers['fiware-service'] ?? ''))) {
    for (const agent of ngsiAgents) topics.set(names.output(agent, service), agent);
  }
  const came = new Map<string, ReadRecord[]>();
  for (const record of [...records].sort((a, b) => a.offset - b.offset)) {
    const agent = topics.get(record.topic);
    if (agent === undefined) continue;
    try {
      const read = readRecord(record);
      addTo(came, `${record.topic} ${shown(read.key?.['entityid'] ?? 'without key')}`, read);
    } catch (error) {
      judge.equal(agent, `a record of ${record.topic}`, 'Connect JSON', messageOf(error));
    }
  }
  for (const name of new Set([...wanted.keys(), ...came.keys()])) {
    const agent = topics.get(name.slice(0, name.indexOf(' '))) ?? 'historic';
    checkEntity(judge, agent, name, wanted.get(name) ?? [], came.get(name) ?? []);
  }
}

function checkEntity(
  judge: Judge,
  agent: AgentName,
  name: string,
  wanted: readonly ExpectedRecord[],
  came: readonly ReadRecord[],
): void {
  judge.equal(
    agent,
    `partitions of ${name}`,
    wanted.length === 0 ? 0 : 1,
    new Set(came.map(({ record }) => record.partition)).size,
  );
  for (let index = 0; index < Math.max(wanted.length, came.length); index += 1) {
    const what = `record ${index + 1} of ${name}`;
    const one = wanted[index];
    const other = came[index];
    if (one === undefined || other === undefined) {
      judge.equal(agent, what, one ? shown(one.key) : NOTHING, other ? shown(other.key) : NOTHING);
      continue;
    }
    judge.equal(agent, `key of ${what}`, one.key, other.key);
    judge.equal(agent, `timestamp of ${what}`, one.timestamp, other.record.timestamp);
    const headers = Object.fromEntries(Object.keys(one.headers).map((header) => [header, other.headers[header]]));
    judge.equal(agent, `headers of ${what}`, one.headers, headers);
    if (one.columns === undefined)
      judge.equal(agent, `value of ${what}`, 'a row', other.columns === null ? 'a tombstone' : 'a row');
    else
      judge.equal(
        agent,
        `columns of ${what}`,
        one.columns,
        other.columns && other.columns.map(({ name: column, type, value }) => [column, type, value]),
      );
  }
}

/** In any order: they come from three agents. */
function checkDeadLetters(judge: Judge, names: Names, expected: Expectations, records: readonly InputRecord[]): void {
  const letters = records
    .filter(({ topic }) => topic === names.raw('errors'))
    .map((record) => ({ record, headers: headersOf(record) }))
    .filter(({ headers }) => headers['__connect.errors.exception.class.name']?.startsWith('kafnus.rejected.') === true);
  for (const { from, key, value, code, says } of expected.deadLetters) {
    const agent = ngsiAgents.find((name) => names.raw(name) === from) ?? 'historic';
    const at = letters.findIndex(
      ({ record, headers }) =>
        headers['__connect.errors.topic'] === from &&
        headers['__connect.errors.exception.class.name'] === `kafnus.rejected.${code}` &&
        headers['__connect.errors.exception.message']?.includes(says) === true &&
        record.value?.toString() === value &&
        (record.key?.toString() ?? null) === key,
    );
    const found = at < 0 ? undefined : letters.splice(at, 1)[0];
    judge.equal(agent, `dead letter of ${from}`, `${code}: ...${says}...`, found ? `${code}: ...${says}...` : NOTHING);
  }
  for (const { headers } of letters) {
    judge.equal(
      'errors',
      'dead letters',
      NOTHING,
      headers['__connect.errors.exception.message'] ?? 'one without a reason',
    );
  }
}

/** In any order, for the same reason. */
function checkLogs(judge: Judge, names: Names, expected: Expectations, records: readonly InputRecord[]): void {
  const topics = new Set(expected.records.map(({ headers }) => names.errorLog(headers['fiware-service'] ?? '')));
  const logs = records
    .filter(({ topic }) => topics.has(topic))
    .map((record) => ({ topic: record.topic, ...logOf(record) }));
  for (const { topic, error, query } of expected.logs) {
    const at = logs.findIndex((log) => log.topic === topic && log.error.includes(error) && log.query === query);
    if (at >= 0) logs.splice(at, 1);
    judge.equal('errors', `record of ${topic}`, error, at < 0 ? NOTHING : error);
  }
  for (const { topic, error } of logs) judge.equal('errors', `record of ${topic}`, NOTHING, error);
}

/** A tenant that nobody has, or rejects of the errors agent: topics that must not be there. */
function checkTopics(judge: Judge, names: Names, expected: Expectations, { topics, records }: Observation): void {
  const known = new Set([
    ...agentNames.map((agent) => names.raw(agent)),
    ...expected.records.map(({ topic }) => topic),
    ...expected.logs.map(({ topic }) => topic),
  ]);
  const used = new Set(records.map(({ topic }) => topic));
  const surplus = topics.filter((topic) => !known.has(topic) && used.has(topic));
  judge.equal('errors', 'topics beyond the expected', [], surplus);
}

/** The parts of an error log's record; whatever is no such record has its bytes for an error. */
export function logOf(record: InputRecord): { readonly error: string; readonly query: string | null } {
  try {
    const { columns } = readRecord(record);
    const value = (name: string): unknown => columns?.find((column) => column.name === name)?.value;
    const [error, query] = [value('error'), value('query')];
    if (typeof error === 'string') return { error, query: typeof query === 'string' ? query : null };
  } catch {
    // Shown below.
  }
  return { error: record.value?.toString() ?? 'a tombstone', query: null };
}

function grouped<T>(items: readonly T[], nameOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) addTo(groups, nameOf(item), item);
  return groups;
}

function addTo<T>(groups: Map<string, T[]>, name: string, item: T): void {
  const group = groups.get(name);
  if (group) group.push(item);
  else groups.set(name, [item]);
}
