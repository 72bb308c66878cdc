/**
 * The checks of a fuzz run must fail where something is wrong: each is given what a faulty agent
 * would leave.
 */
import { expect, test } from '@jest/globals';
import type { PlacedRecord, WireHeader, WireRecord } from '@kafnus/agent-testkit';
import { checkDeadLetters, checkLedger, type Sent } from '../checks.js';
import { header } from '../generator.js';
import { narrowed } from '../narrow.js';

const counts = { read: 10, emitted: 6, skipped: 1, rejected: 3, deadLetters: 4 };

test('a ledger that adds up is no finding', () => {
  expect(checkLedger(counts, 10)).toEqual([]);
});

test.each([
  ['a record was lost', { ...counts, read: 9, emitted: 5 }],
  ['a record was read twice', { ...counts, read: 11, emitted: 7 }],
  ['a record ended as nothing', { ...counts, emitted: 5 }],
  ['a rejected record has no dead letter', { ...counts, deadLetters: 2 }],
  ['a record has two dead letters', { ...counts, deadLetters: 10 }],
])('the ledger: %s', (_, doctored) => {
  expect(checkLedger(doctored, 10)).toHaveLength(1);
});

const original: WireRecord = {
  key: Buffer.from('key'),
  value: Buffer.from([0xff, 0x00]),
  headers: [header('__proto__', 'x'), header('a', null), header('', Buffer.from([0xfe]))],
  timestamp: 5n,
};
const sent: Sent[] = [{ record: original, partition: 1, offset: 7 }];

function context(partition = '1', offset = '7', topic = 'in'): WireHeader[] {
  const values = {
    topic,
    partition,
    offset,
    stage: 'TRANSFORMATION',
    'exception.class.name': 'c',
    'exception.message': 'm',
  };
  return Object.entries(values).map(([name, value]) => header(`__connect.errors.${name}`, value));
}

const deadLetter: PlacedRecord = {
  ...original,
  headers: [header('__proto__', 'x'), header('a', ''), header('', Buffer.from([0xfe])), ...context()],
  offset: 0,
};

test('a dead letter with the record unchanged is no finding; a null header is empty there', () => {
  expect(checkDeadLetters([deadLetter], sent, 'in', 1)).toEqual([]);
});

test.each<[string, Partial<PlacedRecord>]>([
  ['its value is changed', { value: Buffer.from([0xef, 0xbf, 0xbd, 0x00]) }],
  ['its value is gone', { value: null }],
  ['its key is gone', { key: null }],
  ['its key is empty', { key: Buffer.alloc(0) }],
  ['its timestamp is changed', { timestamp: 6n }],
  ['a header is gone', { headers: deadLetter.headers.slice(1) }],
  ['a header has another name', { headers: [header('proto', 'x'), ...deadLetter.headers.slice(1)] }],
  ['a header has another value', { headers: [header('__proto__', 'y'), ...deadLetter.headers.slice(1)] }],
  [
    'headers changed places',
    { headers: [...deadLetter.headers.slice(1, 3), ...deadLetter.headers.slice(0, 1), ...context()] },
  ],
  ['it has no context', { headers: deadLetter.headers.slice(0, 3) }],
  ['it is of another record', { headers: [...deadLetter.headers.slice(0, 3), ...context('1', '8')] }],
  ['it is of another topic', { headers: [...deadLetter.headers.slice(0, 3), ...context('1', '7', 'other')] }],
  [
    'it leaves out a value that is small',
    { value: null, headers: [...deadLetter.headers, header('kafnus.value.omitted', 'x')] },
  ],
])('a dead letter: %s', (_, doctored) => {
  expect(checkDeadLetters([{ ...deadLetter, ...doctored }], sent, 'in', 1)).toHaveLength(1);
});

test('a dead letter that is missing, and one that comes twice', () => {
  expect(checkDeadLetters([], sent, 'in', 1)).toHaveLength(1);
  expect(checkDeadLetters([deadLetter, { ...deadLetter, offset: 1 }], sent, 'in', 1)).toHaveLength(2);
});

test('the name of a header is text to the client: it ends at NUL, and what is no UTF-8 is replaced', () => {
  const named = (name: Buffer): Sent[] => [{ ...sent[0]!, record: { ...original, headers: [header(name, 'x')] } }];
  const lettered = (name: string): PlacedRecord => ({ ...deadLetter, headers: [header(name, 'x'), ...context()] });
  expect(checkDeadLetters([lettered('a')], named(Buffer.from('a\0b')), 'in', 1)).toEqual([]);
  expect(checkDeadLetters([lettered('\ufffd')], named(Buffer.from([0xff])), 'in', 1)).toEqual([]);
});

test.each([
  [0n, 1n, 0],
  [0n, 0n, 1],
  [-2n, -1n, 0],
  [-1n, 1n, 1],
  [2n ** 60n, BigInt(Date.now()), 0],
  [2n ** 60n, BigInt(Date.now() - 3_600_000), 1],
  [2n ** 60n, 5n, 1],
])('a dead letter of time %d with the time %d: %d findings', (timestamp, written, findings) => {
  const of: Sent[] = [{ ...sent[0]!, record: { ...original, timestamp } }];
  expect(checkDeadLetters([{ ...deadLetter, timestamp: written }], of, 'in', 1)).toHaveLength(findings);
});

test('what is too large may be left out of a dead letter: its value, or all of it', () => {
  const large = { ...original, value: Buffer.alloc(1_000_000) };
  const omitted = header('kafnus.value.omitted', 'x');
  const bare = { ...deadLetter, key: null, value: null, headers: [...context(), omitted] };
  const withoutValue = { ...deadLetter, value: null, headers: [...deadLetter.headers, omitted] };
  for (const each of [bare, withoutValue])
    expect(checkDeadLetters([each], [{ ...sent[0]!, record: large }], 'in', 1)).toEqual([]);
});

test('a finding is narrowed down to its record; one that takes two records to those', async () => {
  const records = Array.from({ length: 1000 }, (_, index) => index);
  expect(await narrowed(records, async (some) => some.includes(637))).toEqual([637]);
  const both = await narrowed(records, async (some) => some.includes(500) && some.includes(700));
  expect(both.length).toBeLessThanOrEqual(500);
  expect(both).toEqual(expect.arrayContaining([500, 700]));
  expect(
    await narrowed(
      records,
      async () => true,
      () => false,
    ),
  ).toBe(records);
});
