/** Prints lines, and on a terminal keeps updated lines below them. */
import type { TextOutput } from '../command.js';

const upAndClear = '\u001b[1A\u001b[2K';

export class Screen {
  readonly #output: TextOutput;
  #live: readonly string[] = [];

  constructor(output: TextOutput) {
    this.#output = output;
  }

  /** Whether the output is a terminal. */
  get live(): boolean {
    return this.#output.isTTY === true;
  }

  /** The width of the terminal, else 100; between 60 and 120, so that tables are readable. */
  get width(): number {
    return Math.max(60, Math.min(120, this.live ? (this.#output.columns ?? 100) : 100));
  }

  /** Prints lines above the updated ones. */
  print(...lines: readonly string[]): void {
    const live = this.#live;
    this.#output.write(`${this.#erased()}${lines.map((line) => `${line}\n`).join('')}`);
    this.draw(live);
  }

  /** Replaces the updated lines. Does nothing without a terminal. */
  draw(lines: readonly string[]): void {
    if (!this.live || (lines.length === 0 && this.#live.length === 0)) return;
    const erased = this.#erased();
    this.#live = lines;
    this.#output.write(`${erased}${lines.map((line) => `${line}\n`).join('')}`);
  }

  #erased(): string {
    const erased = upAndClear.repeat(this.#live.length);
    this.#live = [];
    return erased;
  }
}
