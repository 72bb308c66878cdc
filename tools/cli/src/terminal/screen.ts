/** Lines that stay, and below them, on a terminal, lines that are drawn anew. */
import type { TextOutput } from '../command.js';

const UP_AND_CLEAR = '\u001b[1A\u001b[2K';

export class Screen {
  readonly #output: TextOutput;
  #live: readonly string[] = [];

  constructor(output: TextOutput) {
    this.#output = output;
  }

  get live(): boolean {
    return this.#output.isTTY === true;
  }

  /** Of a terminal its own, else one that fits a page; within bounds in which tables can be read. */
  get width(): number {
    return Math.max(60, Math.min(120, this.live ? (this.#output.columns ?? 100) : 100));
  }

  /** Adds lines for good. */
  print(...lines: readonly string[]): void {
    const live = this.#live;
    this.#output.write(`${this.#erased()}${lines.map((line) => `${line}\n`).join('')}`);
    this.draw(live);
  }

  /** Draws the lines in the place of those before; without a terminal it does nothing. */
  draw(lines: readonly string[]): void {
    if (!this.live || (lines.length === 0 && this.#live.length === 0)) return;
    const erased = this.#erased();
    this.#live = lines;
    this.#output.write(`${erased}${lines.map((line) => `${line}\n`).join('')}`);
  }

  #erased(): string {
    const erased = UP_AND_CLEAR.repeat(this.#live.length);
    this.#live = [];
    return erased;
  }
}
