/**
 * How long each topic has been in trouble: waited for, or refusing what is written although it
 * looks well. A bounded memory without I/O; it decides when a topic has had its time. Times are in
 * milliseconds of any clock that does not go back.
 */

/** The first time for which a topic that fails is left alone; each further one is twice as long. */
const firstPenaltyMs = 30_000;
const maxPenaltyMs = 600_000;
/** After so many refused single records, and none that was taken, it is the topic. */
const refusedInARow = 5;
const maxTroubled = 1000;
/**
 * The least time without an attempt after which a trouble is over. Attempts of the loop are about a
 * second apart: with a shorter time, a topic with a short timeout would be waited for without end.
 */
const minQuietMs = 10_000;
/**
 * A topic that had no trouble for so long is forgotten. It is longer than any transaction may take,
 * because one that fails at its end is still to be counted.
 */
const keptMs = 3_600_000;

interface Trouble {
  /** Since when nothing was answered; undefined: it is not waited for. */
  waitingSince: number | undefined;
  /** Since when writes fail; undefined: they do not. */
  failingSince: number | undefined;
  failures: number;
  /** Single records refused for their contents, since one was taken. */
  refused: number;
  penalties: number;
  /** When it was waited for the last time, and when a write failed the last time. */
  waitedAt: number;
  failedAt: number;
}

export class TopicTroubles {
  readonly #topics = new Map<string, Trouble>();
  readonly #timeoutMs: number;
  /**
   * So long without an attempt is the end of a trouble. The loop repeats at once what waits or has
   * failed: without an attempt, the partition was taken away, and this process does not know what
   * its next owner has found.
   */
  readonly #quietMs: number;
  #sweptAt = Number.NEGATIVE_INFINITY;

  /** @param timeoutMs how long a topic may be in trouble before its records are dead-lettered */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#quietMs = Math.max(2 * timeoutMs, minQuietMs);
  }

  get isEmpty(): boolean {
    return this.size === 0;
  }

  get size(): number {
    return this.#topics.size;
  }

  /**
   * A lookup had no answer. @param started when it began
   * @returns for how long there was none, ms
   */
  waited(topic: string, started: number, now: number): number {
    const trouble = this.#of(topic);
    if (started - trouble.waitedAt > this.#quietMs) trouble.waitingSince = undefined;
    trouble.waitedAt = now;
    trouble.waitingSince ??= started;
    return now - trouble.waitingSince;
  }

  /** Nothing else was answered either: the time since the last lookup is not counted as waited. */
  outage(topic: string, now: number): void {
    const trouble = this.#topics.get(topic);
    if (trouble?.waitingSince === undefined) return;
    trouble.waitingSince += now - trouble.waitedAt;
    trouble.waitedAt = now;
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
    // Not up to now: a transaction may take longer than that until its writes have failed.
    if (since - trouble.failedAt > this.#quietMs) {
      trouble.failingSince = undefined;
      trouble.failures = 0;
    }
    trouble.failedAt = now;
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

  /** The topic refuses all records. @returns for how long its records are dead-lettered, ms */
  refusedEverything(topic: string): number {
    return this.#penalty(this.#of(topic));
  }

  /**
   * Forgets topics not tried for long. One given up, or that has refused records, stays: only a
   * success ends that.
   */
  forgetOld(now: number): void {
    if (this.isEmpty || now - this.#sweptAt < this.#quietMs) return;
    this.#sweptAt = now;
    for (const [topic, { waitedAt, failedAt, refused, penalties }] of this.#topics) {
      const isOld = now - Math.max(waitedAt, failedAt) > keptMs;
      if (isOld && refused === 0 && penalties === 0) this.#topics.delete(topic);
    }
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
      const never = Number.NEGATIVE_INFINITY;
      trouble = {
        waitingSince: undefined,
        failingSince: undefined,
        failures: 0,
        refused: 0,
        penalties: 0,
        waitedAt: never,
        failedAt: never,
      };
      this.#topics.set(topic, trouble);
    }
    return trouble;
  }
}
