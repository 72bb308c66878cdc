/**
 * Text to UTF-8 for the producer, which copies what it is given before `produce` returns: so one
 * buffer serves all records, and none is made, measured and collected for each. It grows with the
 * largest record: buffers of a megabyte each, left to the garbage collector, would be a few hundred
 * megabytes before it looks.
 */
import { bytesPerUnit } from '../record-size.js';

const firstBytes = 1 << 16;
/**
 * Room for what a broker of default configuration takes, whatever its characters. Of what is larger
 * each gets its own.
 */
const mostBytes = 1 << 22;

/**
 * Bytes of length 0 that the client writes as such. It takes the address of a Buffer's memory,
 * which is NULL for Buffer.alloc(0) and for the empty values that it hands out itself: the record
 * would get a null value and be a tombstone. This Buffer is a part of memory that there is.
 */
const emptyBytes = Buffer.allocUnsafeSlow(1).subarray(0, 0);

export class Encoder {
  #scratch = Buffer.allocUnsafeSlow(firstBytes);
  #used = 0;

  /** Forgets what was encoded: the buffers given out until now are written over. */
  clear(): void {
    this.#used = 0;
  }

  /**
   * The bytes of a key or value, valid until {@link clear}; what is bytes already, and null, stay
   * what they are.
   */
  bytes(content: string | Buffer | null): Buffer | null {
    if (typeof content !== 'string') return content === null || content.length > 0 ? content : emptyBytes;
    const room = content.length * bytesPerUnit;
    if (this.#used + room > this.#scratch.length) {
      if (room > mostBytes) return Buffer.from(content);
      this.#grow(room);
    }
    const start = this.#used;
    this.#used += this.#scratch.write(content, start);
    return this.#scratch.subarray(start, this.#used);
  }

  /** What was given out stays in the buffer before, which nobody writes to any more. */
  #grow(room: number): void {
    this.#scratch = Buffer.allocUnsafeSlow(Math.max(room, Math.min(this.#scratch.length * 2, mostBytes)));
    this.#used = 0;
  }
}
