/** Lets one event of a kind through per interval, and counts those it holds back: for log lines about what repeats. */
export class RateLimit {
  readonly #seen = new Map<string, { since: number; held: number }>();

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

  /** @returns how many were held back before this one; null when this one is held back too */
  take(kind: string): number | null {
    const now = this.now();
    const last = this.#seen.get(kind);
    if (last !== undefined && now - last.since < this.intervalMs) {
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
    this.#seen.set(kind, { since: now, held: 0 });
    return last?.held ?? 0;
  }

  /** Forgets a kind: its next event is let through. @returns how many were held back */
  reset(kind: string): number {
    const held = this.#seen.get(kind)?.held ?? 0;
    this.#seen.delete(kind);
    return held;
  }
}
