/** The rates of the last minutes, for the status page: sampled by time, at no cost per record. */
import type { RecentActivity } from '../status.js';

/** Seconds from a sample to the next. */
export const sampleSeconds = 3;
/** Ten minutes. */
const capacity = 200;

/** Counters since the start of the process, and the lag as it is. */
export interface ActivitySample {
  readonly read: number;
  readonly outputs: number;
  readonly rejected: number;
  readonly lag: number;
}

export class Activity {
  /** With rates per second in the place of the counters. */
  readonly #points: ActivitySample[] = [];
  readonly #now: () => number;
  #before: Omit<ActivitySample, 'lag'> & { readonly at: number };

  /** @param now milliseconds of a clock that does not go back; the counters are 0 now */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#before = { read: 0, outputs: 0, rejected: 0, at: now() };
  }

  sample(sample: ActivitySample): void {
    const at = this.#now();
    const before = this.#before;
    const seconds = (at - before.at) / 1000;
    // A timer that fired late may fire again soon: a rate over so short a time says nothing.
    if (seconds < sampleSeconds / 2) return;
    const rate = (name: 'read' | 'outputs' | 'rejected'): number =>
      Math.round(((sample[name] - before[name]) / seconds) * 10) / 10;
    this.#points.push({ read: rate('read'), outputs: rate('outputs'), rejected: rate('rejected'), lag: sample.lag });
    if (this.#points.length > capacity) this.#points.shift();
    this.#before = { ...sample, at };
  }

  recent(): RecentActivity {
    const of = (name: keyof ActivitySample): number[] => this.#points.map((point) => point[name]);
    return {
      everySeconds: sampleSeconds,
      capacity,
      readPerSecond: of('read'),
      outputsPerSecond: of('outputs'),
      rejectedPerSecond: of('rejected'),
      lag: of('lag'),
    };
  }
}
