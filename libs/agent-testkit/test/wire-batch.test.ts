/**
 * Record batches, byte by byte. The fuzz run shows that brokers and the Kafka client accept them.
 */
import { describe, expect, test } from '@jest/globals';
import { crc32c } from '../src/crc32c.js';
import { decodeCommitted, encodeBatch, wireBytes, type WireRecord } from '../src/wire-batch.js';

test('the checksum is that of RFC 3720, appendix B.4', () => {
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
});

const plain: WireRecord = { key: null, value: null, headers: [], timestamp: -1n };
const records: WireRecord[] = [
  plain,
  { ...plain, key: Buffer.alloc(0), value: Buffer.alloc(0) },
  {
    key: Buffer.from([0xff]),
    value: Buffer.alloc(100_000, 1),
    headers: [
      { name: Buffer.from('__proto__'), value: null },
      { name: Buffer.alloc(0), value: Buffer.alloc(0) },
      { name: Buffer.from([0xff, 0x00]), value: Buffer.from([0x00]) },
      { name: Buffer.from('__proto__'), value: Buffer.from('again') },
    ],
    timestamp: 2n ** 63n - 1n,
  },
  { ...plain, timestamp: -(2n ** 63n) },
  { ...plain, timestamp: 1_767_225_600_000n },
];

describe('record batches', () => {
  test('what is written is read again', () => {
    const { records: found, next } = decodeCommitted(encodeBatch(records), 0, []);
    expect(found).toEqual(records.map((record, offset) => ({ ...record, offset })));
    expect(next).toBe(records.length);
  });

  test('of a batch that begins before, only what was asked for; of one that is cut, nothing', () => {
    const batch = encodeBatch(records);
    expect(decodeCommitted(batch, 3, []).records.map(({ offset }) => offset)).toEqual([3, 4]);
    expect(decodeCommitted(batch.subarray(0, -1), 0, [])).toEqual({ records: [], next: 0 });
  });

  test('no record is larger than it is said to be', () => {
    for (const record of records) expect(encodeBatch([record]).length - 61).toBeLessThanOrEqual(wireBytes(record));
  });
});
