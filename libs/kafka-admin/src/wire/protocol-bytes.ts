/**
 * The primitive types of Kafka's protocol (kafka.apache.org/protocol: "Protocol Primitive Types").
 * Those of its flexible form (KIP-482) are called compact: a length is a varint, and one more than
 * it is. Tagged fields are skipped, and none are written.
 */

/** Builds the body of a request. */
export class ByteWriter {
  readonly #parts: Buffer[] = [];

  int8(value: number): this {
    const bytes = Buffer.alloc(1);
    bytes.writeInt8(value);
    return this.#add(bytes);
  }

  int16(value: number): this {
    const bytes = Buffer.alloc(2);
    bytes.writeInt16BE(value);
    return this.#add(bytes);
  }

  int32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    return this.#add(bytes);
  }

  /** @param value a whole number that a double holds exactly */
  int64(value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(BigInt(value));
    return this.#add(bytes);
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0);
  }

  string(value: string): this {
    const bytes = Buffer.from(value);
    return this.int16(bytes.length).#add(bytes);
  }

  bytes(value: Buffer): this {
    return this.int32(value.length).#add(value);
  }

  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.int32(items.length);
    items.forEach(write);
    return this;
  }

  compactString(value: string): this {
    const bytes = Buffer.from(value);
    return this.#varint(bytes.length + 1).#add(bytes);
  }

  compactArray<T>(items: readonly T[], write: (item: T) => void): this {
    this.#varint(items.length + 1);
    items.forEach(write);
    return this;
  }

  noTags(): this {
    return this.#varint(0);
  }

  toBuffer(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #varint(value: number): this {
    const bytes: number[] = [];
    let left = value;
    for (; left > 0x7f; left >>>= 7) bytes.push((left & 0x7f) | 0x80);
    return this.#add(Buffer.from([...bytes, left]));
  }

  #add(bytes: Buffer): this {
    this.#parts.push(bytes);
    return this;
  }
}

/** Reads a response. Every method throws RangeError when the bytes end too early. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int8(): number {
    return this.#take(1).readInt8();
  }

  int16(): number {
    return this.#take(2).readInt16BE();
  }

  int32(): number {
    return this.#take(4).readInt32BE();
  }

  /** Offsets and ids are far below 2^53. */
  int64(): number {
    return Number(this.#take(8).readBigInt64BE());
  }

  boolean(): boolean {
    return this.int8() !== 0;
  }

  string(): string {
    return this.nullableString() ?? '';
  }

  nullableString(): string | null {
    const length = this.int16();
    return length < 0 ? null : this.#take(length).toString();
  }

  bytes(): Buffer {
    return this.#take(Math.max(0, this.int32()));
  }

  array<T>(read: () => T): T[] {
    const items: T[] = [];
    for (let left = this.int32(); left > 0; left -= 1) items.push(read());
    return items;
  }

  compactString(): string {
    return this.compactNullableString() ?? '';
  }

  compactNullableString(): string | null {
    const length = this.#varint();
    return length === 0 ? null : this.#take(length - 1).toString();
  }

  compactArray<T>(read: () => T): T[] {
    const items: T[] = [];
    for (let left = this.#varint(); left > 1; left -= 1) items.push(read());
    return items;
  }

  uuid(): Buffer {
    return this.#take(16);
  }

  tags(): void {
    for (let left = this.#varint(); left > 0; left -= 1) {
      this.#varint(); // which one
      this.#take(this.#varint());
    }
  }

  #varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#take(1).readUInt8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new RangeError('the answer of the broker holds a number that is too long');
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError('the answer of the broker ends too early');
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }
}
