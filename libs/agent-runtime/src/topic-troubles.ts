/**
 * How long each topic has been in trouble: waited for, or refusing what is written although it
 * looks well. A bounded memory without I/O; it decides when a topic has had its time. Times are in
 * milliseconds of any clock that does not go back.
 */

/** The first time for which a topic that fails is left alone; each further one is twice as long. */
const firstPenaltyMs = 30_000;
const maxPenaltyMs = 600_000;
/**
 * So many single records one after the other, and none that was taken between them: it is the
 * topic.
 */
const refusedInARow = 5;
const maxTroubled = 1000;

interface Trouble {
  /** Since when nothing was answered; undefined: it is not waited for. */
  waitingSince: number | undefined;
  /** Since when writes fail; undefined: they do not. */
  failingSince: number | undefined;
  failures: number;
  /** Single records refused for their contents, since one was taken. */
  refused: number;
  penalties: number;
}

export class TopicTroubles {
  readonly #topics = new Map<string, Trouble>();
  readonly #timeoutMs: number;

  /** @param timeoutMs how long a topic may be in trouble before its records are dead-lettered */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  get isEmpty(): boolean {
    return this.size === 0;
  }

  get size(): number {
    return this.#topics.size;
  }

  /** A lookup had no answer. @returns for how long there was none */
  waited(topic: string, started: number, now: number): number {
    const trouble = this.#of(topic);
    trouble.waitingSince ??= started;
    return now - trouble.waitingSince;
  }

  /** A lookup was answered, or its topic was given up. */
  answered(topic: string): void {
    const trouble = this.#topics.get(topic);
    if (trouble === undefined) return;
    trouble.waitingSince = undefined;
    if (trouble.failingSince === undefined && trouble.refused === 0 && trouble.penalties === 0)
      this.#topics.delete(topic);
  }

  /**
   * A write failed for a reason that may pass. @param since when the transaction began @param
   * hurried nothing is left to wait with
   * @returns for how long its records are dead-lettered now, ms (0: it is tried again), and how
   *   long everything has stood still for it
   */
  failed(
    topic: string,
    since: number,
    now: number,
    hurried: boolean,
  ): { readonly penaltyMs: number; readonly lostMs: number } {
    const trouble = this.#of(topic);
    trouble.failingSince ??= since;
    trouble.failures += 1;
    const lostMs = now - trouble.failingSince;
    const enough = trouble.failures > 1 && lostMs >= this.#timeoutMs;
    // On probation after a penalty, one failure is enough.
    return { lostMs, penaltyMs: enough || hurried || trouble.penalties > 0 ? this.#penalty(trouble) : 0 };
  }

  /**
   * A single record was refused for its contents. @returns for how long all are dead-lettered now,
   * ms; 0: only this one
   */
  refusedContents(topic: string): number {
    const trouble = this.#of(topic);
    trouble.refused += 1;
    if (trouble.refused < refusedInARow) return 0;
    // The first one that is refused after the penalty is enough.
    trouble.refused = refusedInARow - 1;
    return this.#penalty(trouble);
  }

  /** It refuses everything. @returns for how long its records are dead-lettered now, ms */
  condemned(topic: string): number {
    return this.#penalty(this.#of(topic));
  }

  /** Whatever it was, it was not the topics. */
  forgetAll(): void {
    this.#topics.clear();
  }

  /** A record was committed: all is well again. */
  written(topic: string): void {
    this.#topics.delete(topic);
  }

  #penalty(trouble: Trouble): number {
    const penaltyMs = Math.min(maxPenaltyMs, firstPenaltyMs * 2 ** trouble.penalties);
    trouble.penalties += 1;
    trouble.failingSince = undefined;
    trouble.failures = 0;
    return penaltyMs;
  }

  #of(topic: string): Trouble {
    let trouble = this.#topics.get(topic);
    if (trouble === undefined) {
      if (this.#topics.size >= maxTroubled) {
        for (const oldest of this.#topics.keys()) {
          this.#topics.delete(oldest);
          break;
        }
      }
      trouble = { waitingSince: undefined, failingSince: undefined, failures: 0, refused: 0, penalties: 0 };
      this.#topics.set(topic, trouble);
    }
    return trouble;
  }
}
