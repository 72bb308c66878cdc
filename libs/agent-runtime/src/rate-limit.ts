/**
 * Lets some events of a kind through per interval and counts the others: for repeated log lines.
 */
export class RateLimit {
  readonly #seen = new Map<string, { since: number; taken: number; held: number }>();

  /**
   * @param intervalMs between two events of a kind
   * @param now milliseconds; any clock that does not go back
   * @param maxKinds kinds may come from outside; when there are more, the oldest is forgotten
   */
  constructor(
    readonly intervalMs: number,
    readonly now: () => number,
    readonly maxKinds = 1000,
  ) {}

  /**
   * @param most events of an interval that are let through
   * @returns how many were held back in the interval before, for its first event; null when this
   *   one is held back too
   */
  take(kind: string, most = 1): number | null {
    const now = this.now();
    const last = this.#seen.get(kind);
    if (last !== undefined && now - last.since < this.intervalMs) {
      if (last.taken < most) {
        last.taken++;
        return 0;
      }
      last.held++;
      return null;
    }
    this.#seen.delete(kind);
    if (this.#seen.size >= this.maxKinds) {
      for (const oldest of this.#seen.keys()) {
        this.#seen.delete(oldest);
        break;
      }
    }
    this.#seen.set(kind, { since: now, taken: 1, held: 0 });
    return last?.held ?? 0;
  }

  /** Forgets a kind: its next event is let through. @returns how many were held back */
  reset(kind: string): number {
    const held = this.#seen.get(kind)?.held ?? 0;
    this.#seen.delete(kind);
    return held;
  }
}
