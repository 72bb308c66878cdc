import { describe, expect, test } from '@jest/globals';
import type { InputRecord, RecordHeader, Rejection } from '@kafnus/agent-runtime';
import { deadLetter, fittingDeadLetter } from '../src/dead-letter.js';
import { recordBytes } from '../src/record-size.js';

const record = (changes: Partial<InputRecord> = {}): InputRecord => ({
  topic: 'raw_historic',
  partition: 3,
  offset: 42,
  timestamp: 1_767_225_600_000,
  key: Buffer.from('Room:1'),
  value: Buffer.from([0xff, 0xfe, 0]),
  headers: [{ 'fiware-service': Buffer.from('town') }],
  ...changes,
});
const rejection = (code: string, message: string): Rejection => ({ code, message, stage: 'VALUE_CONVERTER' });
const texts = (headers: readonly RecordHeader[]): string[] =>
  headers.flatMap((header) => Object.entries(header).map(([name, value]) => `${name}: ${String(value)}`));

describe('a dead letter', () => {
  test('is the record unchanged, byte by byte, with its time; its partition is that of its key', () => {
    const refused = record();
    const deadRecord = deadLetter('raw_errors', refused, [rejection('not-json', 'it ends too early')]);
    expect(deadRecord).toMatchObject({ topic: 'raw_errors', partition: null, timestamp: refused.timestamp });
    expect(deadRecord.key).toBe(refused.key);
    expect(deadRecord.value).toBe(refused.value);
  });

  test("has the record's headers first, repeated ones too, and Kafka Connect's context behind them", () => {
    const headers = [{ a: '1' }, { a: Buffer.from('2') }, { '__connect.errors.topic': 'of an earlier failure' }];
    const deadRecord = deadLetter('raw_errors', record({ headers }), [rejection('not-json', 'it ends too early')]);
    expect(texts(deadRecord.headers)).toEqual([
      'a: 1',
      'a: 2',
      '__connect.errors.topic: of an earlier failure',
      '__connect.errors.topic: raw_historic',
      '__connect.errors.partition: 3',
      '__connect.errors.offset: 42',
      '__connect.errors.stage: VALUE_CONVERTER',
      '__connect.errors.exception.class.name: kafnus.rejected.not-json',
      '__connect.errors.exception.message: it ends too early',
    ]);
  });

  test('is one for all problems: the first gives the class, the message tells them all', () => {
    const deadRecord = deadLetter('raw_errors', record(), [
      rejection('bad-date', 'no date'),
      rejection('bad-geometry', 'no ring'),
    ]);
    expect(texts(deadRecord.headers).slice(-2)).toEqual([
      '__connect.errors.exception.class.name: kafnus.rejected.bad-date',
      '__connect.errors.exception.message: 2 problems: no date; no ring',
    ]);
  });

  test('of a record without key, value or headers is possible', () => {
    const deadRecord = deadLetter('raw_errors', record({ key: null, value: null, headers: [] }), [
      rejection('empty', 'nothing'),
    ]);
    expect(deadRecord).toMatchObject({ key: null, value: null });
    expect(deadRecord.headers).toHaveLength(6);
  });

  test('has an empty header for a null one, which the client cannot write', () => {
    // The wire allows what the type does not.
    const headers = [{ correlator: null }] as unknown as RecordHeader[];
    expect(texts(deadLetter('raw_errors', record({ headers }), [rejection('x', 'y')]).headers)[0]).toBe('correlator: ');
  });

  test('has the text of length 0 for an empty header: a Buffer of length 0 would be written as null', () => {
    const headers = [{ correlator: Buffer.alloc(0) }];
    expect(deadLetter('raw_errors', record({ headers }), [rejection('x', 'y')]).headers[0]).toEqual({ correlator: '' });
  });

  test('says why in bounds, however many problems there are', () => {
    const problems = Array.from({ length: 10_000 }, (_, index) =>
      rejection('bad-date', `attribute ${index} is no date`),
    );
    const deadRecord = deadLetter('raw_errors', record(), [rejection('bad-date', 'the first'), ...problems]);
    const message = texts(deadRecord.headers).at(-1) ?? '';
    expect(message).toMatch(
      /^__connect.errors.exception.message: 10001 problems: the first; attribute 0 is no date; .*; and \d+ more$/,
    );
    expect(message.length).toBeLessThan(10_100);
  });
});

describe('a dead letter of many headers', () => {
  const named = (count: number): RecordHeader[] => Array.from({ length: count }, () => ({ h: '' }));
  const letterOf = (headers: RecordHeader[]): ReturnType<typeof deadLetter> => {
    const refused = record({ headers });
    return fittingDeadLetter(deadLetter('raw_errors', refused, [rejection('x', 'y')]), refused, 1_000_000);
  };

  test('keeps all that its reader can read', () => {
    expect(letterOf(named(99_000)).headers).toHaveLength(99_006);
  });

  test('keeps none of 100,000, which no reader would get with the context behind them', () => {
    const { headers } = letterOf(named(100_000));
    expect(headers).toHaveLength(7);
    expect(texts(headers).at(-1)).toContain('kafnus.value.omitted: ');
  });
});

describe('a dead letter that would be too large', () => {
  const fitted = (changes: Partial<InputRecord>, maxBytes: number): ReturnType<typeof deadLetter> => {
    const refused = record(changes);
    return fittingDeadLetter(deadLetter('raw_errors', refused, [rejection('x', 'y')]), refused, maxBytes);
  };

  test('is whole up to the last byte that fits', () => {
    const whole = deadLetter('raw_errors', record(), [rejection('x', 'y')]);
    const bytes = recordBytes(whole);
    expect(fitted({}, bytes)).toEqual(whole);
    expect(fitted({}, bytes - 1).value).toBeNull();
  });

  test('goes without its value, and says where that is', () => {
    const deadRecord = fitted({ value: Buffer.alloc(1_000_001) }, 1_000_000);
    expect(deadRecord.value).toBeNull();
    expect(deadRecord.key).toEqual(Buffer.from('Room:1'));
    expect(texts(deadRecord.headers)[0]).toBe('fiware-service: town');
    expect(texts(deadRecord.headers).at(-1)).toBe(
      'kafnus.value.omitted: 1000001 bytes, too large for raw_errors: read them from raw_historic-3 at offset 42',
    );
  });

  test.each([
    ['headers', { headers: [{ huge: Buffer.alloc(1_000_000) }] }],
    ['key', { key: Buffer.alloc(1_000_000) }],
  ])('because of its %s goes with the context alone', (_what, changes) => {
    const deadRecord = fitted(changes, 1_000_000);
    expect(deadRecord).toMatchObject({ key: null, value: null });
    expect(texts(deadRecord.headers)).toEqual([
      '__connect.errors.topic: raw_historic',
      '__connect.errors.partition: 3',
      '__connect.errors.offset: 42',
      '__connect.errors.stage: VALUE_CONVERTER',
      '__connect.errors.exception.class.name: kafnus.rejected.x',
      '__connect.errors.exception.message: y',
      'kafnus.value.omitted: 3 bytes, and key and headers, too large for raw_errors: read them from raw_historic-3 at offset 42',
    ]);
    expect(recordBytes(deadRecord)).toBeLessThan(1000);
  });
});
