/**
 * LZ4 frames, as Kafka compresses record batches (KIP-57): github.com/lz4/lz4,
 * doc/lz4_Frame_format.md and doc/lz4_Block_format.md. Checksums are not looked at, nor does the
 * client look at those of batches when it reads a changelog (check.crcs).
 */

const magic = 0x184d2204;
const versionBits = 0b1100_0000;
const version1 = 0b0100_0000;
const blockChecksumBit = 0b1_0000;
const contentSizeBit = 0b1000;
const dictionaryBit = 0b1;
const storedBit = 0x8000_0000;
/** Of a block that is compressed, a match is at least so long. */
const minMatch = 4;
/** A byte of this length says that another one follows. */
const more = 255;
/** Shorter copies are made faster byte by byte than by a call. */
const shortCopy = 24;

/** @throws RangeError when it is no such frame, or when there is more than `maxBytes` in it */
export function decompressLz4(frame: Buffer, maxBytes: number): Buffer {
  const flags = frame.readUInt8(4);
  if (frame.readUInt32LE(0) !== magic || (flags & versionBits) !== version1) throw new RangeError('no LZ4 frame');
  const blockChecksum = (flags & blockChecksumBit) === 0 ? 0 : 4;
  const out = new Output(Math.min(maxBytes, frame.length * 4), maxBytes);
  let at = 7 + ((flags & contentSizeBit) === 0 ? 0 : 8) + ((flags & dictionaryBit) === 0 ? 0 : 4);
  for (;;) {
    const size = frame.readUInt32LE(at);
    if (size === 0) return out.whole();
    const start = at + 4;
    const end = start + (size & ~storedBit);
    if (end > frame.length) throw new RangeError('an LZ4 block ends too early');
    if ((size & storedBit) === 0) decompressBlock(frame, start, end, out);
    else out.literals(frame, start, end);
    at = end + blockChecksum;
  }
}

/** Sequences of literals and a match each; the last one has no match. */
function decompressBlock(block: Buffer, start: number, end: number, out: Output): void {
  let at = start;
  while (at < end) {
    const token = block[at] ?? 0;
    at += 1;
    let literals = token >>> 4;
    for (let byte = literals === 15 ? more : 0; byte === more; literals += byte) {
      byte = block[at] ?? 0;
      at += 1;
    }
    if (at + literals > end) throw new RangeError('an LZ4 block ends too early');
    out.literals(block, at, at + literals);
    at += literals;
    if (at >= end) return;
    const distance = (block[at] ?? 0) | ((block[at + 1] ?? 0) << 8);
    at += 2;
    let match = token & 15;
    for (let byte = match === 15 ? more : 0; byte === more; match += byte) {
      byte = block[at] ?? 0;
      at += 1;
    }
    if (at > end) throw new RangeError('an LZ4 block ends too early');
    out.match(distance, match + minMatch);
  }
}

/** What came out so far: blocks may refer to those before. */
class Output {
  #bytes: Buffer;
  #length = 0;
  readonly #maxBytes: number;

  constructor(expected: number, maxBytes: number) {
    this.#bytes = Buffer.allocUnsafe(expected);
    this.#maxBytes = maxBytes;
  }

  literals(from: Buffer, start: number, end: number): void {
    const to = this.#room(end - start);
    if (end - start > shortCopy) from.copy(this.#bytes, to, start, end);
    else for (let at = start; at < end; at += 1) this.#bytes[to + at - start] = from[at] ?? 0;
  }

  /** Repeats earlier output. Source and target may overlap, and then the output repeats itself. */
  match(distance: number, length: number): void {
    if (distance === 0 || distance > this.#length) throw new RangeError('an LZ4 match of what is not there');
    const to = this.#room(length);
    const bytes = this.#bytes;
    if (length > shortCopy && distance >= length) bytes.copyWithin(to, to - distance, to - distance + length);
    else for (let at = to; at < to + length; at += 1) bytes[at] = bytes[at - distance] ?? 0;
  }

  whole(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** @returns where the next bytes go */
  #room(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#maxBytes)
      throw new RangeError(`more than ${this.#maxBytes} bytes are compressed in a batch`);
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.min(this.#maxBytes, Math.max(this.#length, this.#bytes.length * 2)));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    return at;
  }
}
