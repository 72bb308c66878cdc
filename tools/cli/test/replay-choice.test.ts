import { describe, expect, test } from '@jest/globals';
import { hasUndatedEntity, isNarrowed, nameOfReplay, verdictOn, type Choice } from '../src/replay/choice.js';
import { partitionFor, ruleOf, type Destination } from '../src/replay/destination.js';
import type { Letter } from '../src/replay/letter.js';
import { reportText, Survey } from '../src/replay/survey.js';
import { partitionOf } from '../src/state/placement.js';
import { styleOf } from '../src/terminal/style.js';
import { kafnus } from './io.js';

const letter: Letter = {
  kind: 'letter',
  place: { topic: 'raw_errors', partition: 0, offset: 1 },
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
const all: Choice = {
  topic: 'raw_errors',
  tenants: [],
  from: [],
  reasons: [],
  entities: [],
  since: undefined,
  until: undefined,
  again: false,
  to: undefined,
  inputs: new Set(['raw_historic', 'raw_lastdata', 'raw_mutable', 'raw_errors']),
};

describe('which letters are sent', () => {
  test.each<[string, Partial<Choice>, Partial<Letter>, object]>([
    ['all', {}, {}, { kind: 'send', topic: 'raw_lastdata' }],
    ['of the tenant', { tenants: ['oldtown', 'harbour'] }, {}, { kind: 'send' }],
    ['not of another', { tenants: ['oldtown'] }, {}, { kind: 'pass' }],
    ['of the reason', { reasons: ['topic-unwritable'] }, {}, { kind: 'send' }],
    ['not of another', { reasons: ['not-json'] }, {}, { kind: 'pass' }],
    ['about the entity', { entities: ['sensor'] }, {}, { kind: 'send' }],
    ['not about another', { entities: ['sens'] }, {}, { kind: 'pass' }],
    ['from its time on', { since: 1000 }, {}, { kind: 'send' }],
    ['not from later on', { since: 1001 }, {}, { kind: 'pass' }],
    ['not to its time', { until: 1000 }, {}, { kind: 'pass' }],
    ['not twice', {}, { replays: 1 }, { kind: 'leave', why: 'came-back' }],
    ['again', { again: true }, { replays: 1 }, { kind: 'send' }],
    ['again, and no others', { again: true }, {}, { kind: 'pass' }],
    ['not without a value', {}, { omitted: '9 bytes' }, { kind: 'leave', why: 'no-value' }],
    ['to another topic', { to: 'elsewhere' }, {}, { kind: 'send', topic: 'elsewhere' }],
    [
      'not to what is no raw topic',
      {},
      { origin: { ...letter.origin, topic: 'payments' } },
      { kind: 'leave', why: 'no-raw-topic' },
    ],
    [
      'unless told to',
      { to: 'payments' },
      { origin: { ...letter.origin, topic: 'payments' } },
      { kind: 'send', topic: 'payments' },
    ],
    [
      'not to where the letters are',
      {},
      { origin: { ...letter.origin, topic: 'raw_errors' } },
      { kind: 'leave', why: 'no-raw-topic' },
    ],
    [
      'from the letters of the errors agent to its input',
      { topic: 'raw_errors_dead' },
      { origin: { ...letter.origin, topic: 'raw_errors' } },
      { kind: 'send', topic: 'raw_errors' },
    ],
  ])('%s: %j', (_, choice, more, verdict) => {
    expect(verdictOn({ ...letter, ...more }, { ...all, ...choice })).toMatchObject(verdict);
  });

  test('without a filter what is no letter is told of', () => {
    expect(isNarrowed(all)).toBe(false);
    for (const choice of [{ tenants: ['a'] }, { since: 0 }, { again: true }])
      expect(isNarrowed({ ...all, ...choice })).toBe(true);
  });

  test('the name is the same for the same words, in any order, and another for others', () => {
    const name = nameOfReplay({ tenants: ['a', 'b'], since: '12h', to: undefined });
    expect(nameOfReplay({ to: undefined, since: '12h', tenants: ['b', 'a', 'a'] })).toBe(name);
    expect(name).toMatch(/^[0-9a-f]{8}$/);
    for (const other of [
      { tenants: ['a'], since: '12h' },
      { tenants: ['a', 'b'] },
      { tenants: ['a', 'b'], since: '12h', to: 'x' },
    ]) {
      expect(nameOfReplay({ to: undefined, since: undefined, ...other })).not.toBe(name);
    }
  });

  test.each([
    ['{"data":[{"id":"a","TimeInstant":{"type":"DateTime","value":"2026-01-01T00:00:00Z"}}]}', false],
    ['{"data":[{"id":"a","TimeInstant":{"type":"DateTime","value":"2026-01-01T00:00:00Z"}},{"id":"b"}]}', true],
    ['{"data":[{"id":"a","timeinstant":{"value":null}}]}', true],
    ['{"data":[7]}', false],
    ['no json', false],
  ])('%s has an entity that lastdata cannot order: %s', (value, undated) => {
    expect(hasUndatedEntity({ value: Buffer.from(value) })).toBe(undated);
  });
});

describe('the partition', () => {
  const keys = Array.from({ length: 100 }, (_, index) => `key-${index}`);
  const samples = (rule: 'murmur2' | 'crc32', partitions: number) =>
    keys.map((key) => ({ key: Buffer.from(key), partition: partitionOf(rule, key, partitions), timestamp: 1 }));
  const to = (rule: Destination['rule'], partitions = 8): Destination => ({ topic: 'raw_lastdata', partitions, rule });

  test('the rule is the one that explains where the newest records are', () => {
    expect(ruleOf(samples('murmur2', 8), 8)).toBe('murmur2');
    expect(ruleOf(samples('crc32', 8), 8)).toBe('crc32');
    // Since the topic was given more partitions, only a few keys did not come again.
    const older = samples('crc32', 4).map((sample) => ({ ...sample, timestamp: 0 }));
    expect(ruleOf([...older, ...samples('crc32', 8).slice(5)], 8)).toBe('crc32');
  });

  test('nothing is concluded from nothing, from both, or from records that follow no rule', () => {
    expect(ruleOf([], 8)).toBeUndefined();
    expect(ruleOf(samples('murmur2', 1), 1)).toBeUndefined();
    expect(ruleOf([{ key: null, partition: 3, timestamp: 1 }], 8)).toBeUndefined();
    expect(
      ruleOf(
        keys.map((key, index) => ({ key: Buffer.from(key), partition: index % 8, timestamp: 1 })),
        8,
      ),
    ).toBeUndefined();
  });

  test('a record joins the others of its key; without a rule it goes where it was', () => {
    const { key } = letter;
    expect(partitionFor(letter, to('crc32'))).toBe(partitionOf('crc32', 'sensor', 8));
    expect(partitionFor(letter, to('murmur2'))).toBe(partitionOf('murmur2', 'sensor', 8));
    expect(partitionFor(letter, to(undefined))).toBe(2);
    // Made anew with fewer partitions, or another topic: as a Java producer would.
    expect(partitionFor(letter, to(undefined, 2))).toBe(partitionOf('murmur2', 'sensor', 2));
    expect(partitionFor(letter, { ...to(undefined), topic: 'elsewhere' })).toBe(partitionOf('murmur2', 'sensor', 8));
    for (const other of [null, Buffer.alloc(0), Buffer.from([0xff, 0xfe])]) {
      expect(partitionFor({ ...letter, key: other }, to('murmur2'))).toBe(2);
      expect(partitionFor({ ...letter, key: other }, { ...to('murmur2'), topic: 'elsewhere' })).toBeUndefined();
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

  test('counts by topic, tenant and reason, and bounds what hostile names could grow', () => {
    const survey = new Survey();
    for (let index = 0; index < 700; index += 1) survey.add({ ...letter, tenant: `t${index}` }, index === 0);
    for (let index = 0; index < 700; index += 1) survey.leave('no-raw-topic', `topic${index}`, 'x');
    const report = survey.report(run);
    expect(report).toMatchObject({ fit: 700, undated: 1 });
    expect(report.counts.length).toBeLessThanOrEqual(501);
    expect(report.counts[0]).toEqual({ from: '(others)', tenant: '', reason: '', count: 200 });
    expect(report.leftOut.length).toBeLessThanOrEqual(501);
    expect(report.samples).toHaveLength(5);
    const text = reportText(report, 'kafnus replay apply', [], 100, styleOf(false));
    expect(text).toContain('700 of 0 dead letters');
    expect(text).toContain('1 records for lastdata hold an entity without TimeInstant');
    expect(text).toContain('Nothing was sent. This sends them: kafnus replay apply');
  });

  test('shows the whole of a message, and says why there is nothing to send', () => {
    const textOf = (survey: Survey): string => reportText(survey.report(run), 'x', [], 60, styleOf(false));
    const survey = new Survey();
    survey.add({ ...letter, message: `${'It has no TimeInstant. '.repeat(5)}Set KAFNUS_MISSING_TIME_INSTANT` }, false);
    expect(textOf(survey)).toContain('KAFNUS_MISSING_TIME_INSTANT');
    expect(textOf(new Survey())).toContain('this replay (n) has been through all');
    const misfit = new Survey();
    misfit.read = 3;
    expect(textOf(misfit)).toContain('none of them fits');
  });
});

describe('kafnus replay', () => {
  test.each([
    [[], 'what to do is missing: kafnus replay plan, or kafnus replay apply'],
    [['aply'], "unknown action 'aply': kafnus replay plan, or kafnus replay apply"],
    [['plan', 'now'], "unexpected argument 'now'"],
    [['plan', '--tenent', 'a'], "unknown option '--tenent'; did you mean --tenant?"],
    [['plan', '--agent', 'historical'], "--agent must be of historic, lastdata, mutable, errors, not 'historical'"],
    [
      ['plan', '--agent', 'historic', '--from', 'x'],
      "--agent and --from name different topics: raw_historic is the agent's",
    ],
    [['plan', '--to', 'raw/x'], "'raw/x' is no legal topic name: letters, digits, dots, dashes and underscores"],
    [['plan', '--to', 'raw_errors'], "--to 'raw_errors' is the dead-letter topic: letters would turn in circles"],
    [['plan', '--to', '__consumer_offsets'], "--to '__consumer_offsets' is a topic of Kafka itself"],
    [
      ['plan', '--since', 'noon'],
      "--since must be a date such as 2026-05-01T08:00:00Z or a time ago such as 30m, not 'noon'",
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
    expect(stderr).toBe(`kafnus replay: ${message}\n'kafnus replay --help' tells how to call it.\n`);
  });

  test('says so when there is no broker', async () => {
    const { code, stderr } = await kafnus(['replay', 'plan', '--brokers', '127.0.0.1:1']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^kafnus replay: No Kafka answers at 127\.0\.0\.1:1/);
  }, 30_000);
});
