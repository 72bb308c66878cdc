/** Record batches made after Kafka's documentation; test/integration has real ones. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { crc32c } from '../src/wire/crc32c.js';
import { extentOf, readCommitted, type AbortedTransaction } from '../src/wire/record-batch.js';

interface TestRecord {
  readonly key: string | null;
  readonly value: string | null;
  /** Less than that of the batch; behind the record before it, where it is left out. */
  readonly offset?: number;
  readonly timestamp?: number;
  readonly headers?: number;
}

interface TestBatch {
  readonly base: number;
  readonly records: readonly TestRecord[];
  /** Less than the base; that of the last record, where it is left out: compaction leaves more. */
  readonly last?: number;
  readonly producer?: number;
  readonly transactional?: boolean;
  readonly control?: boolean;
  readonly compression?: number;
  readonly format?: number;
}

/** Zigzag, seven bits a byte, the least first. */
function varint(value: number): Buffer {
  let rest = value < 0 ? -2n * BigInt(value) - 1n : 2n * BigInt(value);
  const bytes: number[] = [];
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(bytes);
}

function text(value: string | Buffer | null): Buffer {
  if (value === null) return varint(-1);
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(bytes.length), bytes]);
}

function recordBytes({ offset = 0, timestamp = 0, key, value, headers = 0 }: TestRecord, rawKey?: Buffer): Buffer {
  const head = Buffer.concat([
    Buffer.from([0]),
    varint(timestamp),
    varint(offset),
    text(rawKey ?? key),
    text(value),
    varint(headers),
    ...Array.from({ length: headers }, () => Buffer.concat([text('name'), text('content')])),
  ]);
  return Buffer.concat([varint(head.length), head]);
}

function batchBytes(batch: TestBatch, marker?: 'abort' | 'commit'): Buffer {
  const { base, records, producer = -1, transactional, control, compression = 0, format = 2 } = batch;
  const placed = records.map((record, place) => ({ offset: place, ...record }));
  const rawKey = marker && Buffer.from([0, 0, 0, marker === 'abort' ? 0 : 1]);
  const body = Buffer.concat(placed.map((record) => recordBytes(record, rawKey)));
  const head = Buffer.alloc(61);
  head.writeBigInt64BE(BigInt(base));
  head.writeInt32BE(head.length + body.length - 12, 8);
  head.writeInt8(format, 16);
  head.writeInt16BE(compression | (transactional ? 16 : 0) | (control ? 32 : 0), 21);
  head.writeInt32BE(batch.last ?? placed.at(-1)?.offset ?? 0, 23);
  head.writeBigInt64BE(BigInt(producer), 43);
  head.writeInt32BE(records.length, 57);
  head.writeUInt32BE(bitwiseCrc(Buffer.concat([head.subarray(21), body])), 17);
  return Buffer.concat([head, body]);
}

/** CRC-32C by its definition, bit by bit. */
function bitwiseCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f63b78;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

const markerBytes = (base: number, producer: number, type: 'abort' | 'commit'): Buffer =>
  batchBytes({ base, producer, transactional: true, control: true, records: [{ key: '', value: '' }] }, type);

/** `key=value` of what is handed out. */
function read(bytes: Buffer, aborted: readonly AbortedTransaction[] = [], from = 0): string[] {
  const found: string[] = [];
  const count = readCommitted(bytes, from, aborted, (key, value) => found.push(`${String(key)}=${String(value)}`));
  expect(count).toBe(found.length);
  return found;
}

const entry = (name: string): TestRecord => ({ key: name, value: '1' });

describe('records', () => {
  const anyRecord = fc.record({
    key: fc.option(fc.string({ unit: 'binary', maxLength: 300 })),
    value: fc.option(fc.string({ unit: 'binary', maxLength: 300 })),
    timestamp: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    headers: fc.nat(3),
  });
  const anyBatches = fc.array(fc.array(anyRecord, { minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 6 });

  test('of all batches are handed out in order, whatever is in them', () => {
    fc.assert(
      fc.property(anyBatches, fc.nat(2 ** 40), (batches, start) => {
        let next = start;
        const written = batches.map((records) => {
          const bytes = batchBytes({ base: next, records });
          next += records.length;
          return bytes;
        });
        const bytes = Buffer.concat(written);
        expect(extentOf(bytes, start)).toEqual({ next, length: bytes.length, obstacle: undefined });
        const expected = batches.flat().map(({ key, value }) => {
          const shown = (given: string | null): string => (given === null ? 'null' : Buffer.from(given).toString());
          return `${shown(key)}=${shown(value)}`;
        });
        expect(read(bytes, [], start)).toEqual(expected);
      }),
    );
  });

  test('before the offset that was asked for are left out: the first batch may begin earlier', () => {
    const bytes = batchBytes({ base: 10, records: ['a', 'b', 'c'].map(entry) });
    expect(read(bytes, [], 11)).toEqual(['b=1', 'c=1']);
  });

  test('that compaction has left: gaps within and behind', () => {
    const bytes = batchBytes({ base: 10, last: 9, records: [{ key: 'a', value: '1', offset: 4 }] });
    expect(extentOf(bytes, 3)).toEqual({ next: 20, length: bytes.length, obstacle: undefined });
    expect(read(bytes)).toEqual(['a=1']);
    const empty = batchBytes({ base: 20, last: 5, records: [] });
    expect(extentOf(empty, 20).next).toBe(26);
    expect(read(empty)).toEqual([]);
  });
});

describe('an answer', () => {
  const first = batchBytes({ base: 0, records: [entry('a')] });
  const second = batchBytes({ base: 1, records: [entry('b'), entry('c')] });

  test('that ends in the middle of a batch is read up to there', () => {
    for (let cut = 1; cut < second.length; cut += 1) {
      const extent = extentOf(Buffer.concat([first, second.subarray(0, cut)]), 0);
      expect(extent).toEqual({ next: 1, length: first.length, obstacle: undefined });
    }
  });

  test('without anything leads nowhere; without a whole batch it is an obstacle', () => {
    expect(extentOf(Buffer.alloc(0), 7)).toEqual({ next: 7, length: 0, obstacle: undefined });
    const obstacle = 'an answer without a whole batch that is new';
    expect(extentOf(first.subarray(0, 65), 7)).toEqual({ next: 7, length: 0, obstacle });
    expect(extentOf(first, 7)).toMatchObject({ obstacle });
  });

  test.each([
    ['records compressed with zstd', { compression: 4 }, 'compressed with zstd'],
    ['records of an old format', { format: 1 }, 'format 1'],
  ])('with %s is read up to them', (_, how, obstacle) => {
    const bytes = Buffer.concat([first, batchBytes({ base: 1, records: [entry('b')], ...how }), second]);
    expect(extentOf(bytes, 0)).toMatchObject({ next: 1, length: first.length });
    expect(extentOf(bytes, 0).obstacle).toContain(obstacle);
  });

  test('with a batch of which any bit behind its checksum is wrong is read up to it', () => {
    const whole = Buffer.concat([first, second, first]);
    for (let at = first.length + 21; at < first.length + second.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const bytes = Buffer.from(whole);
        bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at);
        const extent = extentOf(bytes, 0);
        // Bits that name the compression may name one that is not known here.
        if (extent.obstacle === undefined) expect(extent.damagedAt).toBe(1);
        expect(extent).toMatchObject({ next: 1, length: first.length });
      }
    }
  });

  test('of which the checksum itself is wrong is read up to it', () => {
    for (let at = 17; at < 21; at += 1) {
      const bytes = Buffer.from(first);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      expect(extentOf(bytes, 0)).toEqual({ next: 0, length: 0, obstacle: undefined, damagedAt: 0 });
    }
  });

  test('with a batch that is not as it says is refused', () => {
    const two = batchBytes({ base: 0, records: [entry('a'), entry('b')] });
    two.writeInt32BE(1, 57);
    expect(() => read(two)).toThrow('more records than it says');
    const nameless = batchBytes({ base: 0, control: true, records: [{ key: null, value: '' }] });
    expect(() => read(nameless)).toThrow('without a type');
  });

  test('of any bytes ends, in an error at worst', () => {
    const corrupt = fc.tuple(fc.nat(first.length + second.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(corrupt, { minLength: 1, maxLength: 8 }), (changes) => {
        const bytes = Buffer.concat([first, second]);
        for (const [at, byte] of changes) bytes[at] = byte;
        const { length } = extentOf(bytes, 0);
        try {
          read(bytes.subarray(0, length));
        } catch (error) {
          // Of bytes that end too early, or of zlib. The classes are of another realm than this
          // test.
          expect(error).toMatchObject({ name: expect.stringMatching(/^(Range)?Error$/) });
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('CRC-32C', () => {
  // RFC 3720, appendix B.4.
  test.each([
    ['123456789', Buffer.from('123456789'), 0xe3069283],
    ['32 bytes of 0', Buffer.alloc(32), 0x8a9136aa],
    ['32 bytes of 255', Buffer.alloc(32, 255), 0x62a8ab43],
    ['0 to 31', Buffer.from(Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e],
    ['nothing', Buffer.alloc(0), 0],
  ])('of %s', (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });

  test('of a part, of any bytes, is what the definition says', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(20), fc.nat(20), (bytes, before, behind) => {
        const end = Math.max(before, bytes.length - behind);
        const start = Math.min(before, bytes.length);
        expect(crc32c(bytes, start, Math.min(end, bytes.length))).toBe(bitwiseCrc(bytes.slice(start, end)));
      }),
    );
  });
});

describe('transactions', () => {
  const of = (producer: number, base: number, ...names: string[]): Buffer =>
    batchBytes({ base, producer, transactional: true, records: names.map(entry) });

  test('that were aborted are left out, up to their markers', () => {
    const bytes = Buffer.concat([
      of(1, 0, 'a'),
      of(2, 1, 'never'),
      of(1, 2, 'b'),
      of(2, 3, 'never'),
      markerBytes(4, 2, 'abort'),
      of(2, 5, 'c'),
      markerBytes(6, 1, 'commit'),
      markerBytes(7, 2, 'commit'),
      batchBytes({ base: 8, producer: 2, records: [entry('d')] }),
    ]);
    expect(read(bytes, [{ producer: 2, firstOffset: 1 }])).toEqual(['a=1', 'b=1', 'c=1', 'd=1']);
  });

  test('as a model has it, however they are mixed and wherever the answers are cut', () => {
    const producers = 3;
    const step = fc.record({
      producer: fc.nat(producers - 1),
      what: fc.constantFrom('write', 'write', 'write', 'abort', 'commit'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(59), (steps, cut) => {
        const open = new Map<number, { first: number; names: string[] }>();
        const aborted: (AbortedTransaction & { readonly last: number })[] = [];
        const fates = new Map<string, boolean>();
        const written: Buffer[] = [];
        const all = [...steps, ...Array.from({ length: producers }, (_, producer) => ({ producer, what: 'abort' }))];
        for (const { producer, what } of all) {
          const offset = written.length;
          const transaction = open.get(producer);
          if (what === 'write') {
            const name = `r${offset}`;
            open.set(producer, { first: transaction?.first ?? offset, names: [...(transaction?.names ?? []), name] });
            written.push(of(producer, offset, name));
          } else if (transaction !== undefined) {
            open.delete(producer);
            for (const name of transaction.names) fates.set(name, what === 'commit');
            if (what === 'abort') aborted.push({ producer, firstOffset: transaction.first, last: offset });
            written.push(markerBytes(offset, producer, what === 'abort' ? 'abort' : 'commit'));
          }
        }
        // A broker tells those that overlap with what it sends.
        const answer = (from: number, to: number): string[] =>
          read(
            Buffer.concat(written.slice(from, to)),
            aborted.filter(({ firstOffset, last }) => firstOffset < to && last >= from),
            from,
          );
        const middle = Math.min(cut, written.length);
        const expected = [...fates].filter(([, committed]) => committed).map(([name]) => `${name}=1`);
        const found = [...answer(0, middle), ...answer(middle, written.length)];
        expect(found.sort()).toEqual(expected.sort());
      }),
    );
  });
});
