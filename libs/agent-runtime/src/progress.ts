/**
 * Since when nothing has come forward. Progress is a commit, entries of a restore, partitions that
 * were accepted; and that there is nothing to do, which no event says: {@link Progress.look} is to
 * be called now and then (the watchdog does, once a second).
 */
import type { PartitionStatus } from './status.js';

export class Progress {
  #last = performance.now();

  advance(): void {
    this.#last = performance.now();
  }

  /**
   * Counts as progress when no partition has a lag. Not known (null) counts as none: while
   * partitions are prepared, those that are there stand still, as librdkafka hands out nothing
   * before its answer. Out of range counts as none either: it waits for a decision, and a restart,
   * which a stall leads to, is none.
   */
  look(partitions: readonly Pick<PartitionStatus, 'lag' | 'state'>[]): void {
    const waits = ({ lag, state }: Pick<PartitionStatus, 'lag' | 'state'>): boolean =>
      state !== 'out-of-range' && lag !== null && lag > 0;
    if (!partitions.some(waits)) this.advance();
  }

  /** Milliseconds since the last progress. Reading it changes nothing. */
  get stuckMs(): number {
    return performance.now() - this.#last;
  }
}
