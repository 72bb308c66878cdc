/** Compares the output of the agents with what is expected. Pure. */
import type { InputRecord, LedgerTotals } from '@kafnus/agent-runtime';
import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '@kafnus/kafka-admin';
import { decodeStruct, type DecodedColumn } from '../connect/decode.js';
import {
  agentNames,
  ngsiAgents,
  type AgentName,
  type Expectations,
  type ExpectedRecord,
  type DemoTopicNames,
} from './demo-expectations.js';

/** The counters of one agent, from its HTTP interface. */
export interface AgentObservation {
  readonly ledger: LedgerTotals;
  /** kafnus_unkeyed_records_total. */
  readonly unkeyed: number;
  /** Entries of its state; null when the agent has no state. */
  readonly stateEntries: number | null;
}

/** The output of the agents. */
export interface Observation {
  /** All topics of the run without the changelog. */
  readonly topics: readonly string[];
  /** All records of these topics, including raw ones. */
  readonly records: readonly InputRecord[];
  readonly agents: Readonly<Partial<Record<AgentName, AgentObservation>>>;
}

/** A difference. The fields are part of the JSON output. */
export interface Problem {
  /** The agent that may have caused it. */
  readonly agent: AgentName;
  readonly what: string;
  readonly expected: string;
  readonly came: string;
}

export interface Comparison {
  /** The number of comparisons. */
  readonly checks: number;
  readonly problems: readonly Problem[];
}

const nothing = 'nothing';

export function compare(names: DemoTopicNames, expected: Expectations, seen: Observation): Comparison {
  const comparer = new Comparer();
  for (const agent of agentNames) checkAgent(comparer, agent, expected, seen);
  checkRecords(comparer, names, expected, seen.records);
  checkDeadLetters(comparer, names, expected, seen.records);
  checkLogs(comparer, names, expected, seen.records);
  checkTopics(comparer, names, expected, seen);
  return comparer;
}

class Comparer implements Comparison {
  checks = 0;
  readonly problems: Problem[] = [];

  equal(agent: AgentName, what: string, expected: unknown, came: unknown): void {
    this.checks += 1;
    if (!isDeepStrictEqual(expected, came))
      this.problems.push({ agent, what, expected: shown(expected), came: shown(came) });
  }
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? nothing);
}

function checkAgent(comparer: Comparer, agent: AgentName, expected: Expectations, seen: Observation): void {
  const came = seen.agents[agent];
  const { read, emitted, rekeyed = 0, skipped, rejected } = came?.ledger ?? {};
  const counts = expected.counts[agent];
  // A record without a key is written back to the partition of its entity, and read again there.
  const strays = agent === 'lastdata' || agent === 'mutable' ? Math.min(rekeyed, expected.unkeyed) : 0;
  comparer.equal(agent, 'records read', counts.read + strays, read);
  comparer.equal(agent, 'records re-keyed', strays, rekeyed);
  comparer.equal(agent, 'records emitted', counts.emitted, emitted);
  comparer.equal(agent, 'records skipped, by reason', sorted(counts.skipped), sorted(skipped));
  comparer.equal(agent, 'records rejected, by reason', sorted(counts.rejected), sorted(rejected));
  if (agent !== 'errors') comparer.equal(agent, 'records without key', expected.unkeyed, came?.unkeyed);
  if (agent === 'lastdata') comparer.equal(agent, 'entities remembered', expected.remembered, came?.stateEntries);
}

function sorted(counts: Readonly<Record<string, number>> | undefined): unknown {
  return counts && Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A decoded record. */
export interface ReadRecord {
  readonly record: InputRecord;
  /** The payload of the key; null when the record has no key. */
  readonly key: Readonly<Record<string, unknown>> | null;
  /** Null for a tombstone. */
  readonly columns: readonly DecodedColumn[] | null;
  /** By name; of a repeated header the last one. */
  readonly headers: Readonly<Record<string, string>>;
}

/** @throws Error when key or value is not Connect JSON */
export function readRecord(record: InputRecord): ReadRecord {
  const key = record.key && decodeStruct(record.key.toString());
  return {
    record,
    key: key && Object.fromEntries(key.map(({ name, value }) => [name, value])),
    columns: record.value && decodeStruct(record.value.toString()),
    headers: headersOf(record),
  };
}

/** By name; of a repeated header the last one. */
export function headersOf({ headers }: InputRecord): Record<string, string> {
  return Object.fromEntries(
    headers.flatMap((header) => Object.entries(header).map(([name, value]) => [name, value.toString()])),
  );
}

/** The output records of each entity must be equal, in the same order and in one partition. */
function checkRecords(
  comparer: Comparer,
  names: DemoTopicNames,
  expected: Expectations,
  records: readonly InputRecord[],
): void {
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
      comparer.equal(agent, `a record of ${record.topic}`, 'Connect JSON', messageOf(error));
    }
  }
  for (const name of new Set([...wanted.keys(), ...came.keys()])) {
    const agent = topics.get(name.slice(0, name.indexOf(' '))) ?? 'historic';
    checkEntity(comparer, agent, name, wanted.get(name) ?? [], came.get(name) ?? []);
  }
}

function checkEntity(
  comparer: Comparer,
  agent: AgentName,
  name: string,
  wanted: readonly ExpectedRecord[],
  came: readonly ReadRecord[],
): void {
  comparer.equal(
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
      comparer.equal(agent, what, one ? shown(one.key) : nothing, other ? shown(other.key) : nothing);
      continue;
    }
    comparer.equal(agent, `key of ${what}`, one.key, other.key);
    comparer.equal(agent, `timestamp of ${what}`, one.timestamp, other.record.timestamp);
    const headers = Object.fromEntries(Object.keys(one.headers).map((header) => [header, other.headers[header]]));
    comparer.equal(agent, `headers of ${what}`, one.headers, headers);
    if (one.columns === undefined)
      comparer.equal(agent, `value of ${what}`, 'a row', other.columns === null ? 'a tombstone' : 'a row');
    else
      comparer.equal(
        agent,
        `columns of ${what}`,
        one.columns,
        other.columns && other.columns.map(({ name: column, type, value }) => [column, type, value]),
      );
  }
}

/** In any order: three agents write them. */
function checkDeadLetters(
  comparer: Comparer,
  names: DemoTopicNames,
  expected: Expectations,
  records: readonly InputRecord[],
): void {
  const deadLetters = records
    .filter(({ topic }) => topic === names.raw('errors'))
    .map((record) => ({ record, headers: headersOf(record) }))
    .filter(({ headers }) => headers['__connect.errors.exception.class.name']?.startsWith('kafnus.rejected.') === true);
  for (const { from, key, value, code, says } of expected.deadLetters) {
    const agent = ngsiAgents.find((name) => names.raw(name) === from) ?? 'historic';
    const at = deadLetters.findIndex(
      ({ record, headers }) =>
        headers['__connect.errors.topic'] === from &&
        headers['__connect.errors.exception.class.name'] === `kafnus.rejected.${code}` &&
        headers['__connect.errors.exception.message']?.includes(says) === true &&
        record.value?.toString() === value &&
        (record.key?.toString() ?? null) === key,
    );
    const found = at < 0 ? undefined : deadLetters.splice(at, 1)[0];
    comparer.equal(
      agent,
      `dead letter of ${from}`,
      `${code}: ...${says}...`,
      found ? `${code}: ...${says}...` : nothing,
    );
  }
  for (const { headers } of deadLetters) {
    comparer.equal(
      'errors',
      'dead letters',
      nothing,
      headers['__connect.errors.exception.message'] ?? 'one without a reason',
    );
  }
}

/** In any order, because the dead letters are. */
function checkLogs(
  comparer: Comparer,
  names: DemoTopicNames,
  expected: Expectations,
  records: readonly InputRecord[],
): void {
  const topics = new Set(expected.records.map(({ headers }) => names.errorLog(headers['fiware-service'] ?? '')));
  const logs = records
    .filter(({ topic }) => topics.has(topic))
    .map((record) => ({ topic: record.topic, ...logOf(record) }));
  for (const { topic, error, query } of expected.logs) {
    const at = logs.findIndex((log) => log.topic === topic && log.error.includes(error) && log.query === query);
    if (at >= 0) logs.splice(at, 1);
    comparer.equal('errors', `record of ${topic}`, error, at < 0 ? nothing : error);
  }
  for (const { topic, error } of logs) comparer.equal('errors', `record of ${topic}`, nothing, error);
}

/**
 * No other topic may have records, such as one of an unknown tenant or of rejects of the errors
 * agent.
 */
function checkTopics(
  comparer: Comparer,
  names: DemoTopicNames,
  expected: Expectations,
  { topics, records }: Observation,
): void {
  const known = new Set([
    ...agentNames.map((agent) => names.raw(agent)),
    ...expected.records.map(({ topic }) => topic),
    ...expected.logs.map(({ topic }) => topic),
  ]);
  const used = new Set(records.map(({ topic }) => topic));
  const surplus = topics.filter((topic) => !known.has(topic) && used.has(topic));
  comparer.equal('errors', 'topics beyond the expected', [], surplus);
}

/** The error and the query of a log record. For any other record, the error is its value. */
export function logOf(record: InputRecord): { readonly error: string; readonly query: string | null } {
  try {
    const { columns } = readRecord(record);
    const value = (name: string): unknown => columns?.find((column) => column.name === name)?.value;
    const [error, query] = [value('error'), value('query')];
    if (typeof error === 'string') return { error, query: typeof query === 'string' ? query : null };
  } catch {
    // Returned below.
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
