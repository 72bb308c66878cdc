/**
 * Text to UTF-8 for the producer, which copies what it is given before `produce` returns: so one buffer serves all records, and
 * none is made, measured and collected for each.
 */
import { bytesPerUnit } from '../record-size.js';

const scratchBytes = 1 << 16;

export class Encoder {
  readonly #scratch = Buffer.allocUnsafeSlow(scratchBytes);
  #used = 0;

  /** Forgets what was encoded: the buffers given out until now are written over. */
  clear(): void {
    this.#used = 0;
  }

  /** The bytes of a key or value, valid until {@link clear}; what is bytes already, and null, stay what they are. */
  bytes(content: string | Buffer | null): Buffer | null {
    if (typeof content !== 'string') return content;
    const start = this.#used;
    if (start + content.length * bytesPerUnit > scratchBytes) return Buffer.from(content);
    this.#used += this.#scratch.write(content, start);
    return this.#scratch.subarray(start, this.#used);
  }
}
