/** Resident memory over time, and whether it is flat. */

/** Resident memory of one process: megabytes, at equal intervals. */
export class MemoryCurve {
  readonly samples: number[] = [];

  add(bytes: number): void {
    this.samples.push(Math.round((bytes / 2 ** 20) * 10) / 10);
  }

  get last(): number {
    return this.samples.at(-1) ?? 0;
  }

  /** A median, because garbage collection makes single samples vary. */
  get secondThird(): number {
    return median(this.samples.slice(this.#third, 2 * this.#third));
  }

  get lastThird(): number {
    return median(this.samples.slice(2 * this.#third));
  }

  /** Allows for the variation that garbage collection causes. */
  get flat(): boolean {
    return this.lastThird <= this.secondThird * 1.1 + 8;
  }

  get #third(): number {
    return Math.floor(this.samples.length / 3);
  }

  /** A chart of `width` bars, from 0 to the peak. */
  chart(width: number): string {
    const peak = Math.max(...this.samples, 1);
    const columns = Math.min(width, this.samples.length);
    return Array.from({ length: columns }, (_, column) => {
      const from = Math.floor((column * this.samples.length) / columns);
      const to = Math.max(from + 1, Math.floor(((column + 1) * this.samples.length) / columns));
      const height = Math.max(...this.samples.slice(from, to)) / peak;
      return bars[Math.max(0, Math.ceil(height * bars.length) - 1)] ?? '';
    }).join('');
  }
}

const bars = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
