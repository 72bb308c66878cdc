/**
 * Partitions that the group has assigned and that are being prepared: their offsets and state are
 * read beside the loop, which goes on committing and answers a revocation at once.
 */
import type { Partitions, Prepared } from './partitions.js';
import type { StateRestorer, RestoreProgress } from './state-restorer.js';
import type { Problems } from './problems.js';
import type { Session, TopicPartition } from './session.js';

export interface PendingAssignmentOptions {
  readonly session: Pick<Session, 'accept' | 'wake'>;
  readonly restorer: Pick<StateRestorer, 'prepare' | 'progress'>;
  readonly partitions: Pick<Partitions, 'assign'>;
  readonly problems: Problems;
  readonly stop: AbortSignal;
  /** Ends the loop with an error. */
  readonly fail: (error: unknown) => void;
}

export class PendingAssignment {
  readonly #options: PendingAssignmentOptions;
  #pending:
    | { readonly partitions: readonly TopicPartition[]; readonly abort: AbortController; readonly done: Promise<void> }
    | undefined;
  #prepared: Prepared | undefined;

  constructor(options: PendingAssignmentOptions) {
    this.#options = options;
  }

  get partitions(): readonly TopicPartition[] {
    return this.#pending?.partitions ?? [];
  }

  /** Of the restore of one of them. */
  progress(partition: TopicPartition): RestoreProgress | undefined {
    return this.#options.restorer.progress(partition);
  }

  start(partitions: readonly TopicPartition[]): void {
    const { session, restorer, problems, stop, fail } = this.#options;
    const abort = new AbortController();
    const report = (waiting: string | null): void =>
      waiting === null ? problems.clear('preparation') : problems.set('preparation', waiting);
    const signal = AbortSignal.any([abort.signal, stop]);
    const done = restorer.prepare(partitions, signal, report).then(
      (prepared) => {
        this.#prepared = prepared;
        session.wake();
      },
      (error: unknown) => {
        if (!signal.aborted) fail(error);
      },
    );
    this.#pending = { partitions, abort, done };
  }

  /** Takes the partitions if they are ready. @returns whether they were */
  async accept(): Promise<boolean> {
    const { session, partitions, problems } = this.#options;
    const prepared = this.#prepared;
    if (prepared === undefined) return false;
    this.#prepared = undefined;
    await session.accept(prepared.positions);
    // Not before: meanwhile the partitions would be in no status, and a group with a lag would look
    // as if it had none.
    this.#pending = undefined;
    partitions.assign(prepared);
    problems.clear('preparation');
    return true;
  }

  /** They were taken away before they were ready: nothing of them was processed. */
  async cancel(): Promise<void> {
    if (this.#pending === undefined) return;
    this.#pending.abort.abort();
    await this.#pending.done;
    this.#pending = undefined;
    this.#prepared = undefined;
    this.#options.problems.clear('preparation');
  }
}
