/**
 * For how long the loop may stand still because of single topics, over all of them: each made-up
 * service could have it wait for a topic of its own, one after the other. A bucket of milliseconds
 * that is refilled slowly. Times are of any clock that does not go back.
 */

/** Of the time that passes, so much may be spent in the long run. */
const refillShare = 0.05;

export class WaitBudget {
  readonly #capacityMs: number;
  #left: number;
  #at: number;

  /** @param capacityMs what one topic may take when nothing was spent for long */
  constructor(capacityMs: number, now: number) {
    this.#capacityMs = capacityMs;
    this.#left = capacityMs;
    this.#at = now;
  }

  /** Milliseconds that are left. */
  left(now: number): number {
    this.#left = Math.min(this.#capacityMs, this.#left + (now - this.#at) * refillShare);
    this.#at = now;
    return this.#left;
  }

  spend(ms: number, now: number): void {
    this.#left = Math.max(0, this.left(now) - ms);
  }
}
