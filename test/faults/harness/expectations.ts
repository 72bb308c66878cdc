/** The checks at the end of every fault test: the delivery guarantee, for one workload. */
import { expect } from '@jest/globals';
import { checkExactlyOnce, expectNoViolations, type DeliveryReport, type SeenRecord } from '@kafnus/agent-testkit';
import {
  awaitStable,
  committedOffsets,
  endOffsets,
  readAll,
  type AgentProcess,
  type LocalKafka,
} from '@kafnus/local-stack';
import type { AgentStatus, InputRecord } from '@kafnus/agent-runtime';
import { outputId, type Tally, type Workload } from './workload.js';

export interface Expectations {
  /** Running agents: their ledgers must add up, and agree with their metrics. */
  readonly alive?: readonly AgentProcess[];
  /**
   * True when the running agents have read everything and no outcome was unknown: their ledgers
   * must then equal the workload's tallies.
   */
  readonly complete?: boolean;
}

/**
 * Expects each output once and in order, each dead letter once and unchanged, committed offsets at
 * the end, and correct ledgers.
 */
export async function expectExactlyOnce(
  workload: Workload,
  kafka: LocalKafka,
  { alive = [], complete = false }: Expectations = {},
): Promise<void> {
  await expectOffsets(workload, kafka);
  const outputs = await readOutputs(workload, kafka);
  expectNoViolations(checkExactlyOnce(workload.expected, outputs), workload.name);
  await expectDeadLetters(workload, kafka, 'once');
  if (workload.agent === 'lastdata') {
    expect(tableOf(outputs)).toEqual(workload.table);
    expect(await readState(workload, kafka)).toEqual(workload.newest);
  }
  await expectLedgers(workload, alive, complete);
}

/**
 * Expects that no output is missing or unexpected. Duplicates are counted, and the first
 * occurrences must be in order.
 * @returns the number of duplicates
 */
export async function expectAtLeastOnce(
  workload: Workload,
  kafka: LocalKafka,
  { alive = [] }: Expectations = {},
): Promise<number> {
  await expectOffsets(workload, kafka);
  const report = checkExactlyOnce(workload.expected, await readOutputs(workload, kafka));
  const violations = report.violations.filter(({ kind }) => kind !== 'duplicated');
  expectNoViolations({ ...report, violations }, workload.name);
  const deadLetters = await expectDeadLetters(workload, kafka, 'at least once');
  await expectLedgers(workload, alive, false);
  return again(report) + deadLetters;
}

function again({ violations }: DeliveryReport): number {
  return violations.find(({ kind }) => kind === 'duplicated')?.count ?? 0;
}

async function expectOffsets(workload: Workload, kafka: LocalKafka): Promise<void> {
  const ends = workload.ends;
  expect(await endOffsets(kafka.internalServers, workload.inputTopic)).toEqual(ends);
  const committed = await committedOffsets(kafka.internalServers, workload.group, workload.inputTopic);
  expect(ends.map((_, partition) => committed.get(partition) ?? 0)).toEqual(ends);
}

/** The checked fields of an output record. */
interface Output extends SeenRecord {
  readonly entity: string;
  /** null is a tombstone. */
  readonly sequence: number | null;
}

/** One topic at a time: the records of a long run do not fit into memory together. */
async function readOutputs(workload: Workload, kafka: LocalKafka): Promise<Output[]> {
  const outputs: Output[] = [];
  for (const tenant of workload.tenants.filter((name) => !workload.forbidden.has(name))) {
    for (const record of await readStable(kafka, workload.outputTopic(tenant))) outputs.push(outputOf(record));
  }
  return outputs;
}

function outputOf(record: InputRecord): Output {
  const { topic, partition, offset, value } = record;
  const entity = header(record, 'entityId');
  const id = outputId(header(record, 'fiware-correlator'), entity);
  const sequence = value && (JSON.parse(value.toString()) as { payload: { sequence: number } }).payload.sequence;
  return { id, topic, partition, offset, entity, sequence };
}

/** Waits until no transaction is open, and reads topics to their end with read_committed. */
export async function readStable({ internalServers }: LocalKafka, ...topics: string[]): Promise<InputRecord[]> {
  for (const topic of topics) await awaitStable(internalServers, topic);
  return readAll(internalServers, topics, { timeoutMs: 120_000 });
}

/** @returns the number of duplicates */
async function expectDeadLetters(
  workload: Workload,
  kafka: LocalKafka,
  times: 'once' | 'at least once',
): Promise<number> {
  const all = await readStable(kafka, workload.deadLetterTopic);
  const deadLetters = all.filter((deadLetter) => workload.owns(header(deadLetter, 'fiware-correlator')));
  const found = new Map<string, InputRecord>();
  for (const deadLetter of deadLetters) found.set(header(deadLetter, 'fiware-correlator'), deadLetter);
  const missing = [...workload.deadLetters.keys()].filter((correlator) => !found.has(correlator));
  expect({ missing, surplus: [...found.keys()].filter((correlator) => !workload.deadLetters.has(correlator)) }).toEqual(
    {
      missing: [],
      surplus: [],
    },
  );
  for (const [correlator, original] of workload.deadLetters) {
    const deadLetter = found.get(correlator);
    const shown = {
      key: deadLetter?.key?.toString(),
      value: deadLetter?.value?.toString('latin1'),
      headers: deadLetter?.headers.slice(0, original.headers.length).map(asText),
    };
    const { key, value, headers } = original;
    const wanted = { key, value: value === null ? undefined : Buffer.from(value).toString('latin1'), headers };
    expect(shown).toEqual(wanted);
  }
  if (times === 'once') expect(deadLetters).toHaveLength(workload.deadLetters.size);
  return deadLetters.length - workload.deadLetters.size;
}

/** The newest value of each key in the changelog: the state that the next owner would restore. */
async function readState(workload: Workload, kafka: LocalKafka): Promise<Map<string, number>> {
  const entries = await readStable(kafka, workload.changelogTopic);
  return new Map(entries.map(({ key, value }) => [String(key), Number(value)]));
}

/** Expects that the ledger of each running process adds up and equals its metrics. */
export async function expectLedgers(
  workload: Workload,
  alive: readonly AgentProcess[],
  complete: boolean,
): Promise<void> {
  const all: Record<string, Tally> = {};
  for (const agent of alive) {
    const { ledger } = await agent.health();
    const metrics = await talliesOf(agent);
    expect(balanced(ledger)).toBe(true);
    for (const [tenant, totals] of Object.entries(ledger.tenants)) {
      expect(balanced(totals)).toBe(true);
      const tally = tallyOf(totals);
      expect(metrics.get(tenant)).toEqual(tally);
      const sum = (all[tenant] ??= { read: 0, emitted: 0, skipped: 0, rejected: 0 });
      for (const end of ['read', 'emitted', 'skipped', 'rejected'] as const) sum[end] += tally[end];
    }
  }
  if (complete) expect(all).toEqual(Object.fromEntries(workload.tallies));
}

type Totals = AgentStatus['ledger']['tenants'][string];

function balanced(totals: Totals): boolean {
  const { read, emitted, skipped, rejected } = tallyOf(totals);
  return read === emitted + skipped + rejected;
}

function tallyOf({ read, emitted, skipped, rejected }: Totals): Tally {
  return { read, emitted, skipped: sum(skipped), rejected: sum(rejected) };
}

/** The same counts, read from the metrics. */
async function talliesOf(agent: AgentProcess): Promise<Map<string, Tally>> {
  const tallies = new Map<string, Tally>();
  const { body } = await agent.get('/metrics');
  for (const line of body.split('\n')) {
    const [, end, labels = '', value] =
      /^kafnus_records_(read|emitted|skipped|rejected)_total\{(.*)\} (\d+)$/.exec(line) ?? [];
    const tenant = /tenant="([^"]*)"/.exec(labels)?.[1];
    if (end === undefined || tenant === undefined) continue;
    const tally = tallies.get(tenant) ?? { read: 0, emitted: 0, skipped: 0, rejected: 0 };
    tally[end as keyof Tally] += Number(value);
    tallies.set(tenant, tally);
  }
  return tallies;
}

/**
 * The sum of a metric over its series, or over those that contain `label`; 0 when there is none.
 */
export async function metric(agent: AgentProcess, name: string, label = ''): Promise<number> {
  const { body } = await agent.get('/metrics');
  const lines = body.split('\n').filter((line) => line.startsWith(name) && /[ {]/.test(line.charAt(name.length)));
  return lines.filter((line) => line.includes(label)).reduce((all, line) => all + Number(line.split(' ').at(-1)), 0);
}

function tableOf(outputs: readonly Output[]): Map<string, number> {
  const table = new Map<string, number>();
  for (const { entity, sequence } of outputs) {
    if (sequence === null) table.delete(entity);
    else table.set(entity, sequence);
  }
  return table;
}

export function header(record: InputRecord, name: string): string {
  return String(record.headers.find((entry) => name in entry)?.[name] ?? '');
}

function asText(entry: Readonly<Record<string, string | Buffer>>): Record<string, string> {
  return Object.fromEntries(Object.entries(entry).map(([name, value]) => [name, value.toString()]));
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((all, count) => all + count, 0);
}
