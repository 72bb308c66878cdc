/**
 * Numbers the distinct keys that it has seen, 0, 1, 2, ...: an open-addressing hash table over key bytes that lie one behind the
 * other outside the JavaScript heap.
 *
 * A `Map<string, number>` would do, at about 150 bytes an entry, with a million objects for the garbage collector to visit and a
 * string to be made for every key that is restored. This takes about 30 bytes beside the key itself, and restores from the
 * bytes as they were read.
 *
 *     slots   (hash modulo capacity, then the next ones)  ->  index + 1, or 0 for a free slot
 *     hashes  [index]  ->  hash                  compared first, and used when the table grows
 *     places  [index]  ->  chunk and position    of the length (4 bytes, little-endian) and the bytes of the key
 */
import { randomBytes } from 'node:crypto';

/** Keys may come from outside: without a seed somebody could choose ids that all fall into one slot. */
const seed = randomBytes(4).readUInt32LE();

/** murmur3 (32 bits, public domain, Austin Appleby) without its tail handling by words: bytes left over are mixed one by one. */
function hashOf(bytes: Uint8Array, length: number): number {
  let hash = seed;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    let word =
      (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
    word = Math.imul(word, 0xcc9e2d51);
    word = (word << 15) | (word >>> 17);
    hash ^= Math.imul(word, 0x1b873593);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  for (; at < length; at += 1) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x5bd1e995);
  hash ^= length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A chunk of keys. A place is chunk number times this, plus the position: 4 GiB of keys at most. */
const chunkBytes = 1 << 20;
const lengthBytes = 4;
/** The table grows before it is fuller than this. */
const maxLoad = 0.7;

export class KeyTable {
  #slots = new Uint32Array(1024);
  #hashes = new Uint32Array(512);
  #places = new Uint32Array(512);
  #size = 0;
  readonly #chunks: Buffer[] = [];
  #used = chunkBytes;

  /** Keys that have a number. */
  get size(): number {
    return this.#size;
  }

  /** The number of the key in the first `length` bytes; -1 when it has none. */
  find(bytes: Buffer, length: number): number {
    return (this.#slots[this.#slotOf(bytes, length, hashOf(bytes, length))] ?? 0) - 1;
  }

  /** The number of the key in the first `length` bytes: its own, or a new one. The bytes are copied. */
  add(bytes: Buffer, length: number): number {
    const hash = hashOf(bytes, length);
    let slot = this.#slotOf(bytes, length, hash);
    const found = this.#slots[slot] ?? 0;
    if (found > 0) return found - 1;
    if (this.#size >= this.#slots.length * maxLoad) {
      this.#grow();
      slot = this.#slotOf(bytes, length, hash);
    }
    if (this.#size === this.#hashes.length) {
      this.#hashes = grown(this.#hashes);
      this.#places = grown(this.#places);
    }
    const index = this.#size;
    this.#size += 1;
    this.#hashes[index] = hash;
    this.#places[index] = this.#store(bytes, length);
    this.#slots[slot] = index + 1;
    return index;
  }

  /** The key of a number, as text. */
  key(index: number): string {
    const place = this.#places[index] ?? 0;
    const chunk = this.#chunks[Math.floor(place / chunkBytes)];
    if (index >= this.#size || chunk === undefined) throw new RangeError(`no key has the number ${index}`);
    const at = place % chunkBytes;
    return chunk.toString('utf8', at + lengthBytes, at + lengthBytes + chunk.readUInt32LE(at));
  }

  /** The slot where the key is, or where it would be put. */
  #slotOf(bytes: Buffer, length: number, hash: number): number {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (;;) {
      const index = (this.#slots[slot] ?? 0) - 1;
      if (index < 0 || (this.#hashes[index] === hash && this.#equals(index, bytes, length))) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #equals(index: number, bytes: Buffer, length: number): boolean {
    const place = this.#places[index] ?? 0;
    const chunk = this.#chunks[Math.floor(place / chunkBytes)];
    if (chunk === undefined) return false;
    const at = place % chunkBytes;
    if (chunk.readUInt32LE(at) !== length) return false;
    return chunk.compare(bytes, 0, length, at + lengthBytes, at + lengthBytes + length) === 0;
  }

  #store(bytes: Buffer, length: number): number {
    const needed = lengthBytes + length;
    if (this.#used + needed > chunkBytes) {
      // A key longer than a chunk gets a chunk of its own size.
      this.#chunks.push(Buffer.allocUnsafeSlow(Math.max(chunkBytes, needed)));
      this.#used = 0;
      if (this.#chunks.length * chunkBytes > 0x1_0000_0000)
        throw new RangeError('more than 4 GiB of keys in one partition');
    }
    const last = this.#chunks.length - 1;
    const chunk = this.#chunks[last];
    if (chunk === undefined) throw new Error('unreachable: a chunk was just made');
    const at = this.#used;
    chunk.writeUInt32LE(length, at);
    bytes.copy(chunk, at + lengthBytes, 0, length);
    this.#used += needed;
    return last * chunkBytes + at;
  }

  #grow(): void {
    const slots = new Uint32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let index = 0; index < this.#size; index += 1) {
      let slot = (this.#hashes[index] ?? 0) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = index + 1;
    }
    this.#slots = slots;
  }
}

function grown(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(array.length * 2);
  larger.set(array);
  return larger;
}
