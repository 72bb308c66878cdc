import { describe, expect, test } from '@jest/globals';
import {
  hasEntityWithoutTimeInstant,
  hasFilters,
  defaultReplayName,
  classify,
  type ReplaySelection,
} from '../src/replay/replay-selection.js';
import { partitionFor, partitionerOf, type Destination } from '../src/replay/destination-partition.js';
import type { DeadLetterRecord } from '../src/replay/dead-letter-record.js';
import { reportText, ReplayScan } from '../src/replay/replay-report.js';
import { partitionOf } from '../src/state/state-placement.js';
import { styleOf } from '../src/terminal/style.js';
import { kafnus } from './io.js';

const deadLetter: DeadLetterRecord = {
  kind: 'dead-letter',
  position: { topic: 'raw_errors', partition: 0, offset: 1 },
  origin: { topic: 'raw_lastdata', partition: 2, offset: 5 },
  reason: 'topic-unwritable',
  message: 'no right',
  tenant: 'harbour',
  replays: 0,
  omitted: undefined,
  timestamp: 1000,
  key: Buffer.from('sensor'),
  value: Buffer.from('{"data":[{"id":"sensor","type":"T"}]}'),
  headers: [],
};
const all: ReplaySelection = {
  topic: 'raw_errors',
  tenants: [],
  originTopics: [],
  reasons: [],
  entities: [],
  since: undefined,
  until: undefined,
  onlyReplayed: false,
  destination: undefined,
  rawTopics: new Set(['raw_historic', 'raw_lastdata', 'raw_mutable', 'raw_errors']),
};

describe('which dead letters are sent', () => {
  test.each<[string, Partial<ReplaySelection>, Partial<DeadLetterRecord>, object]>([
    ['all', {}, {}, { kind: 'send', topic: 'raw_lastdata' }],
    ['of the tenant', { tenants: ['oldtown', 'harbour'] }, {}, { kind: 'send' }],
    ['not of another', { tenants: ['oldtown'] }, {}, { kind: 'not-selected' }],
    ['of the reason', { reasons: ['topic-unwritable'] }, {}, { kind: 'send' }],
    ['not of another', { reasons: ['not-json'] }, {}, { kind: 'not-selected' }],
    ['about the entity', { entities: ['sensor'] }, {}, { kind: 'send' }],
    ['not about another', { entities: ['sens'] }, {}, { kind: 'not-selected' }],
    ['from since on', { since: 1000 }, {}, { kind: 'send' }],
    ['not from before since', { since: 1001 }, {}, { kind: 'not-selected' }],
    ['not from until on', { until: 1000 }, {}, { kind: 'not-selected' }],
    ['not twice', {}, { replays: 1 }, { kind: 'skip', why: 'came-back' }],
    ['again', { onlyReplayed: true }, { replays: 1 }, { kind: 'send' }],
    ['again, and no others', { onlyReplayed: true }, {}, { kind: 'not-selected' }],
    ['not without a value', {}, { omitted: '9 bytes' }, { kind: 'skip', why: 'no-value' }],
    ['to another topic', { destination: 'elsewhere' }, {}, { kind: 'send', topic: 'elsewhere' }],
    [
      'not to a topic that is no raw topic',
      {},
      { origin: { ...deadLetter.origin, topic: 'payments' } },
      { kind: 'skip', why: 'no-raw-topic' },
    ],
    [
      'to any topic that --to names',
      { destination: 'payments' },
      { origin: { ...deadLetter.origin, topic: 'payments' } },
      { kind: 'send', topic: 'payments' },
    ],
    [
      'not to the dead-letter topic itself',
      {},
      { origin: { ...deadLetter.origin, topic: 'raw_errors' } },
      { kind: 'skip', why: 'no-raw-topic' },
    ],
    [
      'from the dead letters of the errors agent to its input',
      { topic: 'raw_errors_dead' },
      { origin: { ...deadLetter.origin, topic: 'raw_errors' } },
      { kind: 'send', topic: 'raw_errors' },
    ],
  ])('%s: %j', (_, options, more, classification) => {
    expect(classify({ ...deadLetter, ...more }, { ...all, ...options })).toMatchObject(classification);
  });

  test('a selection knows whether it has filters', () => {
    expect(hasFilters(all)).toBe(false);
    for (const options of [{ tenants: ['a'] }, { since: 0 }, { onlyReplayed: true }])
      expect(hasFilters({ ...all, ...options })).toBe(true);
  });

  test('the name depends on the options, and not on their order', () => {
    const name = defaultReplayName({ tenants: ['a', 'b'], since: '12h', to: undefined });
    expect(defaultReplayName({ to: undefined, since: '12h', tenants: ['b', 'a', 'a'] })).toBe(name);
    expect(name).toMatch(/^[0-9a-f]{8}$/);
    for (const other of [
      { tenants: ['a'], since: '12h' },
      { tenants: ['a', 'b'] },
      { tenants: ['a', 'b'], since: '12h', to: 'x' },
    ]) {
      expect(defaultReplayName({ to: undefined, since: undefined, ...other })).not.toBe(name);
    }
  });

  test.each([
    ['{"data":[{"id":"a","TimeInstant":{"type":"DateTime","value":"2026-01-01T00:00:00Z"}}]}', false],
    ['{"data":[{"id":"a","TimeInstant":{"type":"DateTime","value":"2026-01-01T00:00:00Z"}},{"id":"b"}]}', true],
    ['{"data":[{"id":"a","timeinstant":{"value":null}}]}', true],
    ['{"data":[7]}', false],
    ['no json', false],
  ])('%s has an entity that lastdata cannot order: %s', (value, undated) => {
    expect(hasEntityWithoutTimeInstant({ value: Buffer.from(value) })).toBe(undated);
  });
});

describe('the partition', () => {
  const keys = Array.from({ length: 100 }, (_, index) => `key-${index}`);
  const samples = (rule: 'murmur2' | 'crc32', partitions: number) =>
    keys.map((key) => ({ key: Buffer.from(key), partition: partitionOf(rule, key, partitions), timestamp: 1 }));
  const to = (rule: Destination['partitioner'], partitions = 8): Destination => ({
    topic: 'raw_lastdata',
    partitions,
    partitioner: rule,
  });

  test('the partitioner is the one that explains the partitions of the newest records', () => {
    expect(partitionerOf(samples('murmur2', 8), 8)).toBe('murmur2');
    expect(partitionerOf(samples('crc32', 8), 8)).toBe('crc32');
    // Only a few keys have no record since partitions were added to the topic.
    const older = samples('crc32', 4).map((sample) => ({ ...sample, timestamp: 0 }));
    expect(partitionerOf([...older, ...samples('crc32', 8).slice(5)], 8)).toBe('crc32');
  });

  test('the partitioner is unknown without records, when both explain them, and when none does', () => {
    expect(partitionerOf([], 8)).toBeUndefined();
    expect(partitionerOf(samples('murmur2', 1), 1)).toBeUndefined();
    expect(partitionerOf([{ key: null, partition: 3, timestamp: 1 }], 8)).toBeUndefined();
    expect(
      partitionerOf(
        keys.map((key, index) => ({ key: Buffer.from(key), partition: index % 8, timestamp: 1 })),
        8,
      ),
    ).toBeUndefined();
  });

  test('a record goes to the partition of its key; with an unknown partitioner it goes to its old partition', () => {
    const { key } = deadLetter;
    expect(partitionFor(deadLetter, to('crc32'))).toBe(partitionOf('crc32', 'sensor', 8));
    expect(partitionFor(deadLetter, to('murmur2'))).toBe(partitionOf('murmur2', 'sensor', 8));
    expect(partitionFor(deadLetter, to(undefined))).toBe(2);
    // The topic was recreated with fewer partitions, or is another one: as a Java producer chooses.
    expect(partitionFor(deadLetter, to(undefined, 2))).toBe(partitionOf('murmur2', 'sensor', 2));
    expect(partitionFor(deadLetter, { ...to(undefined), topic: 'elsewhere' })).toBe(
      partitionOf('murmur2', 'sensor', 8),
    );
    for (const other of [null, Buffer.alloc(0), Buffer.from([0xff, 0xfe])]) {
      expect(partitionFor({ ...deadLetter, key: other }, to('murmur2'))).toBe(2);
      expect(partitionFor({ ...deadLetter, key: other }, { ...to('murmur2'), topic: 'elsewhere' })).toBeUndefined();
    }
    expect(key).toEqual(Buffer.from('sensor'));
  });
});

describe('the report', () => {
  const run = {
    action: 'plan',
    topic: 'raw_errors',
    name: 'n',
    group: 'g',
    sent: 0,
    refused: false,
    complete: true,
  } as const;

  test('counts by topic, tenant and reason, with a bound on the number of rows', () => {
    const scan = new ReplayScan();
    for (let index = 0; index < 700; index += 1) scan.add({ ...deadLetter, tenant: `t${index}` }, index === 0);
    for (let index = 0; index < 700; index += 1) scan.addSkipped('no-raw-topic', `topic${index}`, 'x');
    const report = scan.report(run);
    expect(report).toMatchObject({ fit: 700, undated: 1 });
    expect(report.counts.length).toBeLessThanOrEqual(501);
    expect(report.counts[0]).toEqual({ from: '(others)', tenant: '', reason: '', count: 200 });
    expect(report.leftOut.length).toBeLessThanOrEqual(501);
    expect(report.samples).toHaveLength(5);
    const text = reportText(report, 'kafnus replay apply', [], 100, styleOf(false));
    expect(text).toContain('700 of 0 dead letters');
    expect(text).toContain('1 records for lastdata have an entity without TimeInstant');
    expect(text).toContain('Nothing was sent. This command sends them: kafnus replay apply');
  });

  test('shows whole messages, and says why there is nothing to send', () => {
    const textOf = (scan: ReplayScan): string => reportText(scan.report(run), 'x', [], 60, styleOf(false));
    const scan = new ReplayScan();
    scan.add(
      { ...deadLetter, message: `${'It has no TimeInstant. '.repeat(5)}Set KAFNUS_MISSING_TIME_INSTANT` },
      false,
    );
    expect(textOf(scan)).toContain('KAFNUS_MISSING_TIME_INSTANT');
    expect(textOf(new ReplayScan())).toContain('this replay (n) has read all');
    const unmatched = new ReplayScan();
    unmatched.read = 3;
    expect(textOf(unmatched)).toContain('none of them matches');
  });
});

describe('kafnus replay', () => {
  test.each([
    [[], 'the action is missing: kafnus replay plan, or kafnus replay apply'],
    [['aply'], "unknown action 'aply': kafnus replay plan, or kafnus replay apply"],
    [['plan', 'now'], "unexpected argument 'now'"],
    [['plan', '--tenent', 'a'], "unknown option '--tenent'; did you mean --tenant?"],
    [['plan', '--agent', 'historical'], "--agent must be of historic, lastdata, mutable, errors, not 'historical'"],
    [
      ['plan', '--agent', 'historic', '--from', 'x'],
      '--agent and --from name different topics: the input of the agent is raw_historic',
    ],
    [['plan', '--to', 'raw/x'], "--to 'raw/x' is no legal topic name: letters, digits, dots, dashes and underscores"],
    [
      ['plan', '--to', 'raw_errors'],
      "--to 'raw_errors' is the dead-letter topic: its records would be replayed in a loop",
    ],
    [['plan', '--to', '__consumer_offsets'], "--to '__consumer_offsets' is an internal topic of Kafka"],
    [
      ['plan', '--since', 'noon'],
      "--since must be a date such as 2026-05-01T08:00:00Z or an age such as 30m, not 'noon'",
    ],
    [['plan', '--limit', '0'], "--limit must be a whole number of at least 1, not '0'"],
    [['plan', '--rate', '0'], "--rate must be a number above 0, not '0'"],
    [
      ['plan', '--name', 'my replay'],
      "--name 'my replay' must be 1 to 100 letters, digits, dots, dashes and underscores",
    ],
  ])('refuses %j', async (argv, message) => {
    const { code, stdout, stderr } = await kafnus(['replay', ...argv, '--brokers', 'localhost:1']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toBe(`kafnus replay: ${message}\n'kafnus replay --help' shows the usage.\n`);
  });
});
