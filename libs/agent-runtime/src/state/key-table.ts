/**
 * Numbers the distinct keys that it has seen, 0, 1, 2, ...: an open-addressing hash table over key
 * bytes that lie one behind the other outside the JavaScript heap.
 *
 * A `Map<string, number>` would do, at about 150 bytes an entry, with a million objects for the
 * garbage collector to visit and a string to be made for every key that is restored. This takes
 * about 25 bytes beside the bytes of the key, restores from the bytes as they were read, and keeps
 * only once what keys have in common: they are lists whose first parts repeat (tenant, path, type)
 * and whose last part does not (id). The head, all up to the last comma, is a number in a table of
 * heads, and of the key only the tail is stored. Where to cut is a matter of memory only: any cut
 * of any key is right.
 *
 *     slots   (hash modulo capacity, then the next ones)  ->  index + 1, or 0 for a free slot
 *     hashes  [index]  ->  hash                  compared first, and used when the table grows
 *     places  [index]  ->  chunk and position    of a key: number of the head + 1, or 0 (2 bytes);
 *                                            length of the tail (4 bytes); the tail
 */
import { randomBytes } from 'node:crypto';

/** Keys come from outside: without a seed a sender could choose ids that all fall into one slot. */
const seed = randomBytes(4).readUInt32LE();

/**
 * murmur3 (32 bits, public domain, Austin Appleby) without its tail handling by words: bytes left
 * over are mixed one by one.
 */
function hashOf(bytes: Uint8Array, start: number, end: number, salt: number): number {
  let hash = seed ^ Math.imul(salt, 0x9e3779b1);
  let at = start;
  for (; at + 4 <= end; at += 4) {
    let word =
      (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
    word = Math.imul(word, 0xcc9e2d51);
    word = (word << 15) | (word >>> 17);
    hash ^= Math.imul(word, 0x1b873593);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  for (; at < end; at += 1) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x5bd1e995);
  hash ^= end - start;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Bytes of a chunk. A place is chunk number times this, plus the position: 4 GiB of keys. */
const chunkBytes = 1 << 20;
const maxChunks = 0x1_0000_0000 / chunkBytes;
/** Many tables stay small: that of an idle partition, and that of the heads. */
const firstChunkBytes = 1 << 16;
const prefixBytes = 6;
/** The table grows before it is fuller than this. */
const maxLoad = 0.7;
/** Ids with commas in them would make as many heads as keys: from here on keys are stored whole. */
const maxHeads = 4096;
const comma = 0x2c;

export class KeyTable {
  #slots = new Uint32Array(1024);
  #hashes = new Uint32Array(512);
  #places = new Uint32Array(512);
  #size = 0;
  readonly #chunks: Buffer[] = [];
  #used = 0;
  /** undefined in the table of heads itself. */
  readonly #heads: KeyTable | undefined;
  /** The head that was looked up last: often the next one as well. */
  #lastHead = -1;

  constructor(shareHeads = true) {
    if (shareHeads) this.#heads = new KeyTable(false);
  }

  /** Keys that have a number. */
  get size(): number {
    return this.#size;
  }

  /** The number of the key in the first `length` bytes; -1 when it has none. */
  find(bytes: Buffer, length: number): number {
    const cut = this.#cut(bytes, length);
    // A head that is missing now was missing when the key was added: the key is stored whole, if at
    // all.
    const head = this.#findHead(bytes, cut);
    const start = head < 0 ? 0 : cut;
    return (this.#slots[this.#slotOf(bytes, start, length, head, hashOf(bytes, start, length, head))] ?? 0) - 1;
  }

  /**
   * The number of the key in the first `length` bytes: its own, or a new one. The bytes are copied.
   * @throws RangeError when there are more than 4 GiB of keys
   */
  add(bytes: Buffer, length: number): number {
    const cut = this.#cut(bytes, length);
    const head = this.#addHead(bytes, cut);
    const start = head < 0 ? 0 : cut;
    const hash = hashOf(bytes, start, length, head);
    let slot = this.#slotOf(bytes, start, length, head, hash);
    const found = this.#slots[slot] ?? 0;
    if (found > 0) return found - 1;
    if (this.#size >= this.#slots.length * maxLoad) {
      this.#grow();
      slot = this.#slotOf(bytes, start, length, head, hash);
    }
    if (this.#size === this.#hashes.length) {
      this.#hashes = grown(this.#hashes);
      this.#places = grown(this.#places);
    }
    const place = this.#store(bytes, start, length, head);
    const index = this.#size;
    this.#size += 1;
    this.#hashes[index] = hash;
    this.#places[index] = place;
    this.#slots[slot] = index + 1;
    return index;
  }

  /** The key of a number, as text. */
  key(index: number): string {
    return this.#bytes(index).toString();
  }

  #bytes(index: number): Buffer {
    const place = this.#places[index] ?? 0;
    const chunk = this.#chunks[Math.floor(place / chunkBytes)];
    if (index >= this.#size || chunk === undefined) throw new RangeError(`no key has the number ${index}`);
    const at = place % chunkBytes;
    const from = at + prefixBytes;
    const tail = chunk.subarray(from, from + chunk.readUInt32LE(at + 2));
    const head = chunk.readUInt16LE(at) - 1;
    return head < 0 || this.#heads === undefined ? tail : Buffer.concat([this.#heads.#bytes(head), tail]);
  }

  /** How many bytes the head has: all up to the last comma; 0 when there is none. */
  #cut(bytes: Buffer, length: number): number {
    if (this.#heads === undefined) return 0;
    let cut = length;
    while (cut > 0 && bytes[cut - 1] !== comma) cut -= 1;
    return cut;
  }

  /** The number of the head in the first `cut` bytes; -1 when it has none. */
  #findHead(bytes: Buffer, cut: number): number {
    if (cut === 0 || this.#heads === undefined) return -1;
    if (this.#lastHead < 0 || !this.#heads.#equals(this.#lastHead, bytes, 0, cut, -1))
      this.#lastHead = this.#heads.find(bytes, cut);
    return this.#lastHead;
  }

  /** The number of the head in the first `cut` bytes, a new one if needed; -1: too many heads. */
  #addHead(bytes: Buffer, cut: number): number {
    const found = this.#findHead(bytes, cut);
    if (found >= 0 || cut === 0 || this.#heads === undefined || this.#heads.size >= maxHeads) return found;
    this.#lastHead = this.#heads.add(bytes, cut);
    return this.#lastHead;
  }

  /**
   * The slot of the key with this head and the tail from `start` to `end`, or a free one for it.
   */
  #slotOf(bytes: Buffer, start: number, end: number, head: number, hash: number): number {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (;;) {
      const index = (this.#slots[slot] ?? 0) - 1;
      if (index < 0 || (this.#hashes[index] === hash && this.#equals(index, bytes, start, end, head))) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #equals(index: number, bytes: Buffer, start: number, end: number, head: number): boolean {
    const place = this.#places[index] ?? 0;
    const chunk = this.#chunks[Math.floor(place / chunkBytes)];
    if (chunk === undefined) return false;
    const at = place % chunkBytes;
    if (chunk.readUInt16LE(at) !== head + 1 || chunk.readUInt32LE(at + 2) !== end - start) return false;
    for (let from = at + prefixBytes, to = start; to < end; from += 1, to += 1) {
      if (chunk[from] !== bytes[to]) return false;
    }
    return true;
  }

  /** @returns the place */
  #store(bytes: Buffer, start: number, end: number, head: number): number {
    const needed = prefixBytes + end - start;
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || this.#used + needed > chunk.length) {
      if (this.#chunks.length === maxChunks) throw new RangeError('more than 4 GiB of keys in one partition');
      // A key longer than a chunk gets a chunk of its own size.
      chunk = Buffer.allocUnsafeSlow(Math.max(this.#chunks.length === 0 ? firstChunkBytes : chunkBytes, needed));
      this.#chunks.push(chunk);
      this.#used = 0;
    }
    const at = this.#used;
    chunk.writeUInt16LE(head + 1, at);
    chunk.writeUInt32LE(end - start, at + 2);
    // Most are too short for a native copy to pay.
    for (let from = start, to = at + prefixBytes; from < end; from += 1, to += 1) chunk[to] = bytes[from] ?? 0;
    this.#used += needed;
    return (this.#chunks.length - 1) * chunkBytes + at;
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
