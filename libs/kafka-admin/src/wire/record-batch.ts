/**
 * Record batches of format 2, as brokers store and send them (kafka.apache.org/documentation,
 * "Record Batch"), read without an object per record:
 *
 *     0  base offset (8)   8  length of what follows (4)   16  format (1)
 *     17 CRC-32C of all from 21 on (4)   21  attributes (2)   23 last offset, less the base (4)
 *     43 producer's id (8)   57  records (4)   61  the records
 */
import { gunzipSync } from 'node:zlib';
import { crc32c } from './crc32c.js';
import { decompressLz4 } from './lz4.js';

const formatAt = 16;
const crcAt = 17;
const attributesAt = 21;
const lastOffsetAt = 23;
const producerAt = 43;
const countAt = 57;
const recordsAt = 61;
/** Bytes of a batch that its length does not count: base offset and length. */
const uncounted = 12;
const format2 = 2;
const compressionBits = 0b111;
const transactionalBit = 0b1_0000;
const controlBit = 0b10_0000;
const abortMarker = 0;
/** More than brokers take in a batch, and less than would end the process. */
const maxBatchBytes = 128 << 20;

/** By the number in a batch's attributes, as far as they can be read here. */
const decompressors: Readonly<Record<number, (bytes: Buffer) => Buffer>> = {
  0: (bytes) => bytes,
  1: (bytes) => gunzipSync(bytes, { maxOutputLength: maxBatchBytes }),
  3: (bytes) => decompressLz4(bytes, maxBatchBytes),
};
const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

/** A transaction that was aborted: of this producer, from this offset to its abort marker. */
export interface AbortedTransaction {
  readonly producer: number;
  readonly firstOffset: number;
}

/** What of an answer can be read here. */
export interface Extent {
  /** The offset behind the last of these batches. */
  readonly next: number;
  /** Their length in bytes. */
  readonly length: number;
  /** Why the next batch cannot be read here; undefined when there is no whole one. */
  readonly obstacle: string | undefined;
  /** The base offset of the next batch, when its checksum is wrong: it is not read. */
  readonly damagedAt: number | undefined;
}

/**
 * How far the batches of an answer can be read: an answer may end in the middle of a batch.
 * @param from what was asked for
 */
export function extentOf(batches: Buffer, from: number): Extent {
  let next = from;
  let at = 0;
  while (at + recordsAt <= batches.length) {
    const end = at + uncounted + batches.readInt32BE(at + 8);
    const obstacle = obstacleIn(batches, at, end);
    if (obstacle !== undefined) return { next, length: at, obstacle, damagedAt: undefined };
    if (end > batches.length) break;
    if (crc32c(batches, at + attributesAt, end) !== batches.readUInt32BE(at + crcAt)) {
      return { next, length: at, obstacle: undefined, damagedAt: offsetAt(batches, at) };
    }
    next = offsetAt(batches, at) + batches.readInt32BE(at + lastOffsetAt) + 1;
    at = end;
  }
  // The first batch is sent whole, however large it is (KIP-74), and ends behind `from`.
  const obstacle = batches.length > 0 && next <= from ? 'an answer without a whole batch that is new' : undefined;
  return { next, length: at, obstacle, damagedAt: undefined };
}

function obstacleIn(batches: Buffer, at: number, end: number): string | undefined {
  const format = batches.readInt8(at + formatAt);
  if (format !== format2) return `records of format ${format}`;
  if (end < at + recordsAt) return 'a batch that is shorter than its own head';
  const codec = batches.readInt16BE(at + attributesAt) & compressionBits;
  return codec in decompressors ? undefined : `records that are compressed with ${codecs[codec] ?? codec}`;
}

/**
 * Hands out the committed records of whole batches, in order, as a `read_committed` reader sees
 * them: no markers, and nothing of `aborted`, which the broker tells with them (KIP-98).
 * @param onRecord gets views of `batches`: copy what is to be kept
 * @returns how many there were
 * @throws Error when a record goes beyond its batch, or when what is compressed is damaged
 */
export function readCommitted(
  batches: Buffer,
  from: number,
  aborted: readonly AbortedTransaction[],
  onRecord: (key: Buffer | null, value: Buffer | null) => void,
): number {
  const waiting = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset);
  const inAborted = new Set<number>();
  let count = 0;
  for (let at = 0, end = 0; at < batches.length; at = end) {
    end = at + uncounted + batches.readInt32BE(at + 8);
    const base = offsetAt(batches, at);
    const last = base + batches.readInt32BE(at + lastOffsetAt);
    const attributes = batches.readInt16BE(at + attributesAt);
    const producer = offsetAt(batches, at + producerAt);
    for (let first = waiting[0]; first !== undefined && first.firstOffset <= last; first = waiting[0]) {
      inAborted.add(first.producer);
      waiting.shift();
    }
    const records = batches.subarray(at + recordsAt, end);
    const recordCount = batches.readInt32BE(at + countAt);
    if ((attributes & controlBit) !== 0) {
      if (recordCount > 0 && new Cursor(records).markerType() === abortMarker) inAborted.delete(producer);
    } else if ((attributes & transactionalBit) === 0 || !inAborted.has(producer)) {
      const whole = decompressors[attributes & compressionBits]?.(records) ?? records;
      count += new Cursor(whole).records(recordCount, from - base, onRecord);
    }
  }
  return count;
}

/** Offsets and producers' ids are far below 2^53. */
function offsetAt(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
}

/** A place in the records of one batch. */
class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** @param first records before this one are left out: their offsets less the batch's */
  records(count: number, first: number, onRecord: (key: Buffer | null, value: Buffer | null) => void): number {
    let handed = 0;
    for (let record = 0; record < count; record += 1) {
      const end = this.#headOfRecord();
      const offset = this.#number();
      const key = this.#text();
      const value = this.#text();
      if (this.#at > end) throw new RangeError('a record is longer than it says');
      this.#at = end;
      if (offset < first) continue;
      onRecord(key, value);
      handed += 1;
    }
    if (this.#at < this.#bytes.length) throw new RangeError('a batch has more records than it says');
    return handed;
  }

  /** The type of a control record: the second half of its key. */
  markerType(): number {
    this.#headOfRecord();
    this.#number();
    const key = this.#text();
    if (key === null) throw new RangeError('a control record without a type');
    return key.readInt16BE(2);
  }

  /** Length, attributes, time. @returns where the record ends */
  #headOfRecord(): number {
    const length = this.#number();
    const end = this.#at + length;
    if (length < 0 || end > this.#bytes.length) throw new RangeError('a record is longer than its batch');
    this.#at += 1;
    // The time may be wider than a number of 32 bits, and nobody asks for it.
    while ((this.#bytes[this.#at] ?? 0) >= 0x80) this.#at += 1;
    this.#at += 1;
    return end;
  }

  /** A zigzag number of variable length (protobuf's sint32). */
  #number(): number {
    let zigzag = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) throw new RangeError('a record ends too early');
      this.#at += 1;
      zigzag |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (zigzag >>> 1) ^ -(zigzag & 1);
    }
    throw new RangeError('a number of more than 32 bits');
  }

  /** null for a length of -1. */
  #text(): Buffer | null {
    const length = this.#number();
    if (length < 0) return null;
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError('a record ends too early');
    const text = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return text;
  }
}
