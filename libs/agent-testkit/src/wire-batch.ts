/**
 * Encodes and decodes record batches of format 2 (kafka.apache.org/documentation, "Record Batch").
 * The Kafka client cannot do this for every record: header names that are not UTF-8, null header
 * values, and names such as `__proto__`.
 */
import { crc32c } from './crc32c.js';

/** A header, as bytes. */
export interface WireHeader {
  readonly name: Buffer;
  readonly value: Buffer | null;
}

/** A record, as bytes. */
export interface WireRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly WireHeader[];
  /** Milliseconds since the epoch, any number of 64 bits; -1 for none. */
  readonly timestamp: bigint;
}

/** A record that was read, with its offset. */
export interface PlacedRecord extends WireRecord {
  readonly offset: number;
}

const format2 = 2;
/** Bytes of a batch before its records. */
const headBytes = 61;
/** The offset of the attributes, where the checksummed part begins. */
const checkedFrom = 21;
/** The base offset and the length itself, which the length does not count. */
const uncounted = 12;
const compressionBits = 0b111;
const transactionalBit = 0b1_0000;
const controlBit = 0b10_0000;
const none = -1n;

/** The largest size of a record in a batch, in bytes. */
export function wireBytes({ key, value, headers }: WireRecord): number {
  // The longest encodings of length, attributes, time, offset, and the lengths of key, value and
  // headers.
  let bytes = 40 + (key?.length ?? 0) + (value?.length ?? 0);
  for (const header of headers) bytes += 10 + header.name.length + (header.value?.length ?? 0);
  return bytes;
}

/** Writes an uncompressed batch of a producer that is neither idempotent nor transactional. */
export function encodeBatch(records: readonly WireRecord[]): Buffer {
  const base = records[0]?.timestamp ?? none;
  const most = records.reduce((all, { timestamp }) => (timestamp > all ? timestamp : all), base);
  const out = new VarintWriter(records.reduce((all, record) => all + wireBytes(record), headBytes));
  out.skip(headBytes);
  records.forEach((record, index) => out.record(record, record.timestamp - base, index));
  const batch = out.bytes();
  batch.writeBigInt64BE(0n, 0); // base offset: the broker's choice
  batch.writeInt32BE(batch.length - uncounted, 8);
  batch.writeInt32BE(-1, 12); // leader epoch
  batch.writeInt8(format2, 16);
  batch.writeInt16BE(0, 21); // attributes: not compressed, time of creation
  batch.writeInt32BE(records.length - 1, 23);
  batch.writeBigInt64BE(base, 27);
  batch.writeBigInt64BE(most, 35);
  batch.writeBigInt64BE(none, 43); // producer
  batch.writeInt16BE(-1, 51); // its epoch
  batch.writeInt32BE(-1, 53); // its sequence
  batch.writeInt32BE(records.length, 57);
  batch.writeUInt32BE(crc32c(batch, checkedFrom), 17);
  return batch;
}

/** An aborted transaction: of this producer, from this offset to its marker. */
interface AbortedTransaction {
  readonly producer: number;
  readonly firstOffset: number;
}

/**
 * Decodes the committed records of a response to Fetch, from an offset on, without markers and
 * aborted transactions. A batch that the response contains only in part is ignored.
 * @returns the records, and the offset after the last whole batch
 * @throws Error when a batch is compressed, which no test needs
 */
export function decodeCommitted(
  batches: Buffer,
  from: number,
  aborted: readonly AbortedTransaction[],
): { readonly records: PlacedRecord[]; readonly next: number } {
  const waiting = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  const inAborted = new Set<number>();
  const records: PlacedRecord[] = [];
  let next = from;
  for (let at = 0; at + headBytes <= batches.length;) {
    const end = at + uncounted + batches.readInt32BE(at + 8);
    if (end > batches.length) break;
    const base = Number(batches.readBigInt64BE(at));
    const last = base + batches.readInt32BE(at + 23);
    const attributes = batches.readInt16BE(at + 21);
    const producer = Number(batches.readBigInt64BE(at + 43));
    const time = batches.readBigInt64BE(at + 27);
    const count = batches.readInt32BE(at + 57);
    if ((attributes & compressionBits) !== 0) throw new Error('a batch is compressed');
    for (let first = waiting[0]; first !== undefined && first.firstOffset <= last; first = waiting[0]) {
      inAborted.add(first.producer);
      waiting.shift();
    }
    const reader = new VarintReader(batches.subarray(at + headBytes, end));
    if ((attributes & controlBit) !== 0) {
      const [marker] = reader.records(count, base, time);
      if (marker?.key?.readInt16BE(2) === 0) inAborted.delete(producer);
    } else if ((attributes & transactionalBit) === 0 || !inAborted.has(producer)) {
      for (const record of reader.records(count, base, time)) if (record.offset >= from) records.push(record);
    }
    next = last + 1;
    at = end;
  }
  return { records, next };
}

/** Numbers of variable length are zigzag varints (protobuf's sint32 and sint64). */
class VarintWriter {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(capacity: number) {
    this.#buffer = Buffer.allocUnsafe(capacity);
  }

  skip(bytes: number): void {
    this.#at += bytes;
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  record(record: WireRecord, timestampDelta: bigint, offsetDelta: number): void {
    const { key, value, headers } = record;
    const delta = BigInt.asIntN(64, timestampDelta);
    let length = 1 + longSize(delta) + intSize(offsetDelta) + textSize(key) + textSize(value) + intSize(headers.length);
    for (const header of headers) length += textSize(header.name) + textSize(header.value);
    this.#int(length);
    this.#buffer[this.#at++] = 0; // attributes
    this.#long(delta);
    this.#int(offsetDelta);
    this.#text(key);
    this.#text(value);
    this.#int(headers.length);
    for (const header of headers) {
      this.#text(header.name);
      this.#text(header.value);
    }
  }

  #text(bytes: Buffer | null): void {
    this.#int(bytes === null ? -1 : bytes.length);
    if (bytes !== null) this.#at += bytes.copy(this.#buffer, this.#at);
  }

  #int(value: number): void {
    let left = ((value << 1) ^ (value >> 31)) >>> 0;
    for (; left > 0x7f; left >>>= 7) this.#buffer[this.#at++] = (left & 0x7f) | 0x80;
    this.#buffer[this.#at++] = left;
  }

  #long(value: bigint): void {
    let left = zigzag(value);
    for (; left > 0x7fn; left >>= 7n) this.#buffer[this.#at++] = Number(left & 0x7fn) | 0x80;
    this.#buffer[this.#at++] = Number(left);
  }
}

function zigzag(value: bigint): bigint {
  return BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
}

function intSize(value: number): number {
  let size = 1;
  for (let left = ((value << 1) ^ (value >> 31)) >>> 0; left > 0x7f; left >>>= 7) size += 1;
  return size;
}

function longSize(value: bigint): number {
  let size = 1;
  for (let left = zigzag(value); left > 0x7fn; left >>= 7n) size += 1;
  return size;
}

function textSize(bytes: Buffer | null): number {
  return bytes === null ? 1 : intSize(bytes.length) + bytes.length;
}

class VarintReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  records(count: number, base: number, time: bigint): PlacedRecord[] {
    const records: PlacedRecord[] = [];
    for (let index = 0; index < count; index += 1) {
      this.#long(); // length
      this.#at += 1; // attributes
      const timestamp = BigInt.asIntN(64, time + this.#long());
      const offset = base + this.#int();
      const key = this.#text();
      const value = this.#text();
      const headers: WireHeader[] = [];
      for (let left = this.#int(); left > 0; left -= 1)
        headers.push({ name: this.#text() ?? Buffer.alloc(0), value: this.#text() });
      records.push({ key, value, headers, timestamp, offset });
    }
    return records;
  }

  #int(): number {
    return Number(this.#long());
  }

  #long(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new RangeError('a record ends too early');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
    }
  }

  /** null for a length of -1. */
  #text(): Buffer | null {
    const length = this.#int();
    if (length < 0) return null;
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return bytes;
  }
}
