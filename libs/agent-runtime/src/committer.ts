/**
 * Commits, and what follows from a commit that fails. One transaction is open or being committed at
 * any time. While one is being committed, the next records are decided already and their outputs
 * buffered:
 *
 *     session    |-- open A ----|==== commit A ====|-- open B ---------------|== commit B ==|
 *     loop       | decide a1 a2 | decide b1 b2     | send b1 b2, decide b3   |
 *     state      | puts a1 a2   | puts b1 b2       | a1 a2 are committed     |
 *
 * If A is aborted, b1 and b2 go too: they were decided on A's state. Everything since the last
 * commit is rolled back (state, counters, buffered outputs), and every partition goes back to its
 * first uncommitted offset.
 *
 * If the outcome of A is unknown, the next producer under the same transactional id ends A one way
 * or the other; then the committed offsets are read again and the state is restored again, because
 * nothing else shows what A has become.
 */
import type { Batch } from './batch.js';
import type { RuntimeConfig } from './config.js';
import type { Ledger } from './ledger.js';
import type { Lifecycle } from './lifecycle.js';
import type { LoopStatus } from './loop-status.js';
import type { Partitions } from './partitions.js';
import type { StateRestorer } from './state-restorer.js';
import type { Problems } from './problems.js';
import type { Refusals } from './refusals.js';
import type { CommitOutcome, Session } from './session.js';
import type { Telemetry } from './telemetry.js';
import type { TransactionWriter } from './transaction-writer.js';
import { pause } from './until-aborted.js';

/** Two of the same within this time: another process has our identity, and one of us must go. */
const fencedTwiceMs = 60_000;
/** Before what would have the same end at once is tried again. */
export const retryPauseMs = 500;

export interface CommitterOptions {
  readonly config: RuntimeConfig;
  readonly session: Session;
  readonly telemetry: Telemetry;
  readonly lifecycle: Lifecycle;
  readonly ledger: Ledger;
  readonly partitions: Partitions;
  readonly restorer: Pick<StateRestorer, 'prepare'>;
  readonly refusals: Refusals;
  readonly problems: Problems;
  readonly status: LoopStatus;
  readonly writer: TransactionWriter;
  /** Aborted when the agent is to stop: ends what waits for the cluster. */
  readonly stop: AbortSignal;
  /** Aborted by `fail`, with the error that ends the loop. */
  readonly failed: AbortSignal;
  readonly fail: (error: unknown) => void;
}

export class Committer {
  readonly #options: CommitterOptions;
  #inFlight: { readonly batch: Batch; readonly settled: Promise<void>; outcome?: CommitOutcome } | undefined;
  #lastCommitMs = 0;
  #lastFenced = Number.NEGATIVE_INFINITY;
  #rollbacks = 0;

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  get isCommitting(): boolean {
    return this.#inFlight !== undefined;
  }

  /** How often everything since the last commit was rolled back. */
  get rollbacks(): number {
    return this.#rollbacks;
  }

  /** Milliseconds until a commit is due by age; undefined when there is none to start. */
  get untilDueMs(): number | undefined {
    const { writer } = this.#options;
    return writer.hasRecords && !this.isCommitting ? Math.max(0, this.#maxAgeMs - writer.ageMs) : undefined;
  }

  /**
   * The age at which a transaction is committed: the configured interval, or what the last commit
   * took when that is more. A commit pays for each partition that it touches: with a thousand
   * tenants, for thousands.
   */
  get #maxAgeMs(): number {
    const { commitIntervalMs, transactionTimeoutMs } = this.#options.config;
    return Math.max(commitIntervalMs, Math.min(this.#lastCommitMs, transactionTimeoutMs / 4));
  }

  /** @param drained the input had no more when it was last asked */
  isDue(drained: boolean): boolean {
    const { writer, config } = this.#options;
    if (this.isCommitting || !writer.hasRecords) return false;
    // Without a transaction, outputs are visible before the commit: it can wait for more.
    const awaited = drained && config.delivery === 'exactly-once';
    return awaited || writer.ageMs >= this.#maxAgeMs || writer.isFull;
  }

  async start(): Promise<void> {
    const { session, partitions, writer, fail } = this.#options;
    const batch = await writer.begin();
    await writer.sendBuffered();
    const offsets = partitions.startCommit();
    writer.commitStarted();
    const started = performance.now();
    const settled = session
      .commit(offsets)
      .then((outcome) => {
        if (this.#inFlight) this.#inFlight.outcome = outcome;
        batch.ended(outcome);
        if (outcome.kind === 'committed') this.#committed(batch, performance.now() - started);
        session.wake();
      })
      .catch((error: unknown) => fail(error));
    this.#inFlight = { batch, settled };
  }

  /** Runs as soon as the outcome is there, and changes nothing that a step reads. */
  #committed(batch: Batch, durationMs: number): void {
    const { partitions, ledger, refusals, problems, status, telemetry } = this.#options;
    const { counts, outputs, since } = batch;
    partitions.committed();
    counts.commitInto(ledger);
    refusals.committed(batch, ({ topic, partition }) => partitions.find(topic, partition)?.committed);
    problems.clear('refusals');
    problems.clearCommitted(partitions);
    // The coordinators have answered; what else is wrong is not known to be over.
    problems.clear('cluster');
    status.lastCommit = new Date();
    this.#lastCommitMs = durationMs;
    status.progress.advance();
    const batchMs = performance.now() - since;
    telemetry.transactionCommitted({ records: counts.records, outputs, durationMs, batchMs }, counts);
  }

  /** Acts on the outcome of the commit in flight, if it is there. */
  async settle(): Promise<void> {
    const { outcome, batch } = this.#inFlight ?? {};
    if (outcome === undefined) return;
    const { writer } = this.#options;
    this.#inFlight = undefined;
    writer.commitEnded();
    if (outcome.kind !== 'committed') await this.#rollback(outcome, batch);
    else if (writer.batch !== undefined) {
      await writer.begin();
      await writer.sendBuffered();
    }
  }

  /**
   * Waits for the commit in flight, if there is one, and acts on its outcome.
   * @returns false when it was not committed
   */
  async finish(): Promise<boolean> {
    const inFlight = this.#inFlight;
    await inFlight?.settled;
    this.#options.failed.throwIfAborted();
    await this.settle();
    return inFlight === undefined || inFlight.outcome?.kind === 'committed';
  }

  /** Leaves nothing uncommitted, one way or the other. */
  async commitAll(): Promise<void> {
    await this.finish();
    if (!this.#options.writer.hasRecords) return;
    await this.start();
    await this.finish();
  }

  /** Ends the open transaction without a commit, and goes back to the committed offsets. */
  async abandon(): Promise<void> {
    if (this.#options.writer.isOpen) await this.#rollback(await this.#options.session.abort());
  }

  /**
   * Everything since the last commit is as if it had never been.
   * @param batch what was to be committed, if it was
   */
  async #rollback(outcome: CommitOutcome, batch?: Batch): Promise<void> {
    if (outcome.kind === 'committed') return;
    const { config, session, telemetry, partitions, refusals, problems, writer, stop } = this.#options;
    telemetry.transactionAborted(outcome.cause, { error: outcome.error.message });
    this.#rollbacks += 1;
    writer.discard(outcome);
    partitions.rollback();
    if (outcome.kind === 'unknown') {
      await this.#recover(outcome);
      return;
    }
    const consequence = batch && refusals.aborted(outcome, batch);
    // Without transactions, what was sent behind the commit is on its way: the next one must not be
    // blamed for what is refused of it.
    if (batch && config.delivery === 'at-least-once') await session.abort();
    await session.rewind(partitions.rewindPositions());
    if (consequence === undefined) return;
    if (consequence.record) problems.setWaiting(consequence.record, consequence.problem);
    else problems.set('refusals', consequence.problem);
    await pause(retryPauseMs, stop);
  }

  /** A new producer; offsets and state read again. */
  async #recover({ cause, fenced, error }: CommitOutcome & { kind: 'unknown' }): Promise<void> {
    const { session, telemetry, lifecycle, partitions, restorer, problems, status, stop } = this.#options;
    // The successor under our transactional id ends the transaction.
    if (stop.aborted) return;
    if (fenced) this.#fenced();
    const report = (waiting: string | null): void =>
      problems.set('recovery', `recovering: ${waiting ?? error.message}`);
    report(null);
    lifecycle.to('recovering');
    telemetry.recovering(cause, error);
    try {
      const isBlocked = await session.reset(stop);
      const owned = [...partitions].map(({ topic, partition }) => ({ topic, partition }));
      partitions.assign(await restorer.prepare(owned, stop, report));
      // Behind the restore, which may take minutes: topics are doubted for a time.
      if (isBlocked) this.#options.refusals.blocked();
    } catch (thrown) {
      // There is nothing to finish: what is not committed was rolled back, and the next process
      // goes on from there.
      if (stop.aborted) return;
      throw thrown;
    }
    await session.rewind(partitions.rewindPositions());
    status.reportOutOfRange();
    problems.clearCommitted(partitions);
    this.forgetRefusals();
    problems.clear('recovery');
    lifecycle.to('running');
  }

  /** Two processes with one identity fence each other in turn: the one fenced twice gives way. */
  #fenced(): void {
    const { telemetry, config } = this.#options;
    telemetry.fenced();
    const now = performance.now();
    if (now - this.#lastFenced < fencedTwiceMs) {
      throw new Error(
        `fenced twice within a minute: another process runs with the instance id "${config.instanceId}" in group "${config.groupId}". ` +
          'Give each process an id of its own (KAFNUS_INSTANCE_ID)',
      );
    }
    this.#lastFenced = now;
  }

  /**
   * The records of the aborted transactions may be another process's now, and without records no
   * commit would ever end the problem. What is still refused is found out again.
   */
  forgetRefusals(): void {
    this.#options.refusals.forgetAborted();
    this.#options.problems.clear('refusals');
  }
}
