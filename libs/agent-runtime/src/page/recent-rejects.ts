/** The last records that were refused, for the status page: where and why, not their contents. */
import type { InputRecord, RejectStep } from '@kafnus/agent-contract';
import type { RecentReject } from '../status.js';

/** How many are kept. */
const keptRejects = 50;

/**
 * Follows the transactions: a record counts as refused when that is committed. Records are decided
 * in order, and those of the next transaction while one is being committed; so the rejects of a
 * commit are the oldest that wait for one, and an abort undoes all that wait. They are as many as
 * two transactions can hold.
 */
export class RecentRejects {
  #waiting: Omit<RecentReject, 'time'>[] = [];
  #last: RecentReject[] = [];

  decided({ topic, partition, offset }: InputRecord, { tenant, rejections }: RejectStep): void {
    this.#waiting.push({ tenant, reason: rejections[0].code, topic, partition, offset });
  }

  /**
   * @param count rejects of the transaction
   * @param now milliseconds since the epoch
   */
  committed(count: number, now: number): void {
    if (count === 0) return;
    const time = new Date(now).toISOString();
    const final = this.#waiting.splice(0, count).slice(-keptRejects);
    this.#last = [...this.#last, ...final.map((reject) => ({ time, ...reject }))].slice(-keptRejects);
  }

  /** They are read again, and decided again. */
  aborted(): void {
    this.#waiting = [];
  }

  newestFirst(): readonly RecentReject[] {
    return [...this.#last].reverse();
  }
}
