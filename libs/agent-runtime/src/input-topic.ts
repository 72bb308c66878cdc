/**
 * The input as a topic to which records are written back: how many partitions it has, and whether
 * the agent may write to it (SPEC 2).
 *
 *     unknown ---- lookup ----> n partitions            records are re-keyed
 *        |                         |      ^
 *        +---------+               |      | looked up again beside the loop
 *                  v               v      |
 *               may not be written (no right)         records are decided where they are
 *
 * Only a missing right leads to deciding in place: without re-keying an older version may overwrite
 * a newer one. No answer, no leader and a description without the topic change nothing that is
 * known, because the records that are at home need nothing of it.
 */
import type { TopicAdmin, TopicState } from './session.js';
import type { Telemetry } from './telemetry.js';
import { topicAnswer } from './topic-answer.js';
import { within } from './until-aborted.js';

export interface InputTopicOptions {
  readonly topic: string;
  readonly session: Pick<TopicAdmin, 'ensureTopic'>;
  readonly telemetry: Pick<Telemetry, 'rekeyRefused'>;
}

/** How long the loop waits for an answer at a time, ms. */
const answerMs = 1000;
/** How soon it is looked up again, ms. */
const lookAgainMs = { writable: 60_000, otherwise: 10_000, refusedByWrite: 60_000 } as const;

export class InputTopic {
  readonly #options: InputTopicOptions;
  #partitions: number | undefined | 'unknown' = 'unknown';
  #problem = 'no answer';
  #lookAgainAt = 0;
  #lookup: Promise<void> | undefined;

  constructor(options: InputTopicOptions) {
    this.#options = options;
  }

  /** undefined: it may not be written. `unknown`: {@link lookUp} comes first. */
  get partitions(): number | undefined | 'unknown' {
    if (this.#partitions !== 'unknown' && performance.now() >= this.#lookAgainAt) void this.#ask();
    return this.#partitions;
  }

  /** Partitions were added, perhaps: looks beside the loop. */
  refresh(): void {
    this.#lookAgainAt = 0;
  }

  /** A write was refused for a missing right. */
  refused(error: Error): void {
    this.#partitions = undefined;
    this.#lookAgainAt = performance.now() + lookAgainMs.refusedByWrite;
    this.#options.telemetry.rekeyRefused(error);
  }

  /**
   * Waits for an answer, for a bounded time.
   * @returns undefined when {@link partitions} is known; else what is waited for
   */
  async lookUp(): Promise<string | undefined> {
    await within(this.#ask(), answerMs);
    if (this.#partitions !== 'unknown') return undefined;
    return `waiting for the input topic ${this.#options.topic}: ${this.#problem}`;
  }

  #ask(): Promise<void> {
    const { topic, session } = this.#options;
    this.#lookup ??= topicAnswer(session, topic, null)
      .then((state) => this.#answered(state))
      .finally(() => (this.#lookup = undefined));
    return this.#lookup;
  }

  #answered(state: TopicState): void {
    const { telemetry } = this.#options;
    const waitMs = state.kind === 'writable' ? lookAgainMs.writable : lookAgainMs.otherwise;
    this.#lookAgainAt = performance.now() + waitMs;
    if (state.kind === 'writable') {
      this.#partitions = state.partitions;
      telemetry.rekeyRefused(undefined);
    } else if (state.kind === 'unwritable') {
      this.#partitions = undefined;
      telemetry.rekeyRefused(state.error);
    } else {
      this.#problem = state.error.message;
      // Without a leader of one partition the others go on.
      if (state.kind === 'unavailable' && this.#partitions === 'unknown') {
        this.#partitions = state.partitions ?? 'unknown';
      }
    }
  }
}
