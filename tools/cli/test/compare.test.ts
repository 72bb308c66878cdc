import type { InputRecord } from '@kafnus/agent-runtime';
import { describe, expect, test } from '@jest/globals';
import { compare, type Observation, type Problem } from '../src/demo/compare.js';
import { simulatedDemo } from './simulation.js';

const { names, expected, seen } = simulatedDemo();
const station = 'urn:ngsi-ld:AirQualityObserved:quay-7';

/** The problems when the records are these instead. */
function problemsOf(change: (records: readonly InputRecord[]) => readonly InputRecord[]): readonly Problem[] {
  return compare(names, expected, { ...seen, records: change(seen.records) }).problems;
}

function isOf(topic: string, id: string): (record: InputRecord) => boolean {
  return (record) => record.topic === topic && record.key?.toString().includes(id) === true;
}

/** Changes the nth record for which it holds. */
function changed(holds: (record: InputRecord) => boolean, n: number, change: (record: InputRecord) => InputRecord[]) {
  return (records: readonly InputRecord[]): InputRecord[] => {
    const target = records.filter(holds)[n];
    if (target === undefined) throw new Error('nothing to change');
    return records.flatMap((record) => (record === target ? change(record) : [record]));
  };
}

describe('verify', () => {
  test('is content with what the agents decide', () => {
    const verdict = compare(names, expected, seen);
    expect(verdict.problems).toEqual([]);
    expect(verdict.checks).toBeGreaterThan(300);
  });

  test('misses a record', () => {
    expect(problemsOf(changed(isOf('harbour', station), 1, () => []))).toContainEqual({
      agent: 'historic',
      what: `record 3 of harbour ${station}`,
      expected: expect.stringContaining('08:05:00'),
      came: 'nothing',
    });
  });

  test('notices a stale record that came through', () => {
    const stale = seen.records.filter(isOf('harbour', station))[2]!;
    const through = { ...stale, topic: 'harbour_lastdata', offset: 999 };
    expect(problemsOf((records) => [...records, through])).toContainEqual(
      expect.objectContaining({
        agent: 'lastdata',
        what: `record 3 of harbour_lastdata ${station}`,
        expected: 'nothing',
      }),
    );
  });

  test('notices two records of an entity in the wrong order, and in two partitions', () => {
    const [one, two] = seen.records.filter(isOf('harbour', station));
    const swapped = changed(
      (record) => record === one,
      0,
      (record) => [{ ...record, offset: two!.offset + 0.5 }],
    );
    expect(problemsOf(swapped).map(({ what }) => what)).toContain(`key of record 1 of harbour ${station}`);
    const moved = changed(
      (record) => record === one,
      0,
      (record) => [{ ...record, partition: 77 }],
    );
    expect(problemsOf(moved)).toContainEqual({
      agent: 'historic',
      what: `partitions of harbour ${station}`,
      expected: '1',
      came: '2',
    });
  });

  test.each<[string, (record: InputRecord) => Partial<InputRecord>]>([
    ['columns', ({ value }) => ({ value: Buffer.from(value!.toString().replace('38.5', '38.51')) })],
    ['columns', ({ value }) => ({ value: Buffer.from(value!.toString().replace('"double"', '"float"')) })],
    ['columns', () => ({ value: null })],
    ['headers', ({ headers }) => ({ headers: headers.filter((header) => !('target_table' in header)) })],
    ['timestamp', ({ timestamp }) => ({ timestamp: timestamp + 1 })],
  ])('notices other %s', (part, change) => {
    const problems = problemsOf(changed(isOf('harbour', station), 0, (record) => [{ ...record, ...change(record) }]));
    expect(problems.map(({ what }) => what)).toEqual([`${part} of record 1 of harbour ${station}`]);
  });

  test('notices a tombstone that is a row', () => {
    const tombstone = (record: InputRecord): boolean => record.topic === 'harbour_lastdata' && record.value === null;
    const row = seen.records.find(isOf('harbour_lastdata', station))!.value;
    expect(problemsOf(changed(tombstone, 0, (record) => [{ ...record, value: row }]))).toHaveLength(1);
  });

  test('notices what is no Connect JSON', () => {
    const broken = changed(isOf('oldtown', 'mill-lane'), 0, (record) => [{ ...record, value: Buffer.from('{') }]);
    expect(problemsOf(broken)).toContainEqual(
      expect.objectContaining({ what: 'a record of oldtown', expected: 'Connect JSON' }),
    );
  });

  test('misses a dead letter and a log record, and notices one too many', () => {
    const deadLetter = (record: InputRecord): boolean =>
      record.topic === 'raw_errors' &&
      record.headers.some((header) => String(header['__connect.errors.topic']) === 'raw_mutable');
    expect(problemsOf(changed(deadLetter, 0, () => []))).toEqual([
      { agent: 'mutable', what: 'dead letter of raw_mutable', expected: 'not-json: ...JSON...', came: 'nothing' },
    ]);
    expect(problemsOf(changed(deadLetter, 0, (record) => [record, record]))).toHaveLength(1);
    const log = (record: InputRecord): boolean => record.topic === 'harbour_error_log';
    expect(problemsOf(changed(log, 0, () => []))).toEqual([
      expect.objectContaining({ agent: 'errors', what: 'record of harbour_error_log', came: 'nothing' }),
    ]);
    expect(problemsOf(changed(log, 0, (record) => [record, record]))).toHaveLength(1);
  });

  test('notices a dead letter whose value is not what was published', () => {
    const deadLetter = (record: InputRecord): boolean =>
      record.topic === 'raw_errors' && record.value?.includes('last Tuesday') === true;
    expect(problemsOf(changed(deadLetter, 0, (record) => [{ ...record, value: Buffer.from('{}') }]))).toHaveLength(2);
  });

  test('notices a topic that nobody expects', () => {
    const stray = { ...seen.records[0]!, topic: 'raw_errors_dead' };
    const observation = { ...seen, topics: [...seen.topics, stray.topic], records: [...seen.records, stray] };
    expect(compare(names, expected, observation).problems).toEqual([
      { agent: 'errors', what: 'topics beyond the expected', expected: '[]', came: '["raw_errors_dead"]' },
    ]);
  });

  test('compares the counters of every agent', () => {
    const { lastdata, ...others } = seen.agents;
    const ledger = { ...lastdata!.ledger, skipped: {}, emitted: lastdata!.ledger.emitted + 1 };
    const agents: Observation['agents'] = { ...others, lastdata: { ledger, unkeyed: 0, stateEntries: 1 } };
    expect(compare(names, expected, { ...seen, agents }).problems.map(({ what }) => what)).toEqual([
      'records emitted',
      'records skipped, by reason',
      'records without key',
      'entities remembered',
    ]);
    const silent = compare(names, expected, { ...seen, agents: others }).problems;
    expect(silent).toHaveLength(6);
    expect(silent[0]).toEqual({
      agent: 'lastdata',
      what: 'records read',
      expected: expect.any(String),
      came: 'nothing',
    });
  });
});
