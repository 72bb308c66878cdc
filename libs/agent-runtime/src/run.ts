/**
 * The loop: poll, step, commit. The whole delivery guarantee is on this page.
 *
 *     next() --> records ---> decide each, in order ---> outputs, puts and dead letters into the open transaction
 *                assigned --> prepare (committed offsets, state) beside the loop, then accept
 *                revoked ---> commit what is open; when the partitions are lost, abort it; then release
 *                woken, idle  a commit or a preparation has ended, or it is time to commit
 *
 * A commit begins between two events, or between two records of a poll when these become too much for memory.
 *
 * One transaction is open or being committed at any time. While one is being committed, the next records are decided
 * already and their outputs held:
 *
 *     session    |-- open A ----|== commit A ==|-- open B (held, then more) --|== commit B ==|
 *     loop       | decide a1 a2 | decide b1 b2 |  send b1 b2, decide b3       |
 *     state      | puts a1 a2   | puts b1 b2   |  a1 a2 are committed         |
 *
 * If A is aborted, b1 and b2 go too: they were decided on A's state. Everything since the last commit is undone (state,
 * counters, held outputs), and every partition goes back to its first uncommitted offset. Only a step moves an offset, and
 * only a commit makes that final: nothing is skipped because of an exception.
 *
 * If the outcome of A is unknown, the next producer under the same transactional id ends A one way or the other; then the
 * committed offsets are read again and the state is built anew, because nobody else knows what A has become.
 *
 * A consumer group fences generations, not partitions: a commit that passes the coordinator's check may still carry offsets
 * of a partition that is being taken away. Hence partitions are released only when nothing of theirs is in flight.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Agent, ConfiguredAgent, Decide, InputRecord, OutputRecord, Step } from '@kafnus/agent-contract';
import { Batch } from './batch.js';
import type { RuntimeConfig } from './config.js';
import { deadLetter, fittingDeadLetter } from './dead-letter.js';
import { boundInput, guardDecision } from './decision-guard.js';
import { Ledger } from './ledger.js';
import { Lifecycle } from './lifecycle.js';
import { DeletedRecords, outOfRangeText } from './log-range.js';
import { OutputTopics } from './output-topics.js';
import { Partitions, type OwnedPartition, type Prepared } from './partitions.js';
import { Preparation } from './preparation.js';
import { Problems } from './problems.js';
import { Progress } from './progress.js';
import { Refusals } from './refusals.js';
import { deadLetterOfRefused, stepOfRefused, type RefusedRecord } from './refused-records.js';
import { maxRecordBytes, recordBytes } from './record-size.js';
import type { CommitOutcome, LogJump, OutgoingRecord, Session, SessionEvent, TopicPartition } from './session.js';
import { changelogRecord, changelogTopic } from './state/changelog.js';
import { noState } from './state/partition-store.js';
import type { PartitionStatus } from './status.js';
import type { Telemetry } from './telemetry.js';
import { carrying, type Tracing } from './tracing.js';
import { untilAborted } from './until-aborted.js';

/** How much is in memory at once, in records: see {@link Batch.size}. One record more than that, with all that it makes, may be. */
export interface Limits {
  /** A transaction is committed at this size, however young it is. */
  readonly transaction: number;
  /** So much is decided while the transaction before is being committed. */
  readonly ahead: number;
}

const defaultLimits: Limits = { transaction: 10_000, ahead: 2000 };
/** Two of the same within this time: another process has our identity, and one of us must go. */
const fencedTwiceMs = 60_000;
const idleMs = 1000;
/** How long a process that must end anyway tries to leave its group. */
const failedCloseMs = 2000;
const waitMs = 500;

export interface RunOptions {
  readonly agent: Pick<Agent<never>, 'name' | 'store'>;
  readonly configured: ConfiguredAgent;
  readonly config: RuntimeConfig;
  readonly session: Session;
  readonly telemetry: Telemetry;
  /** Left out where nobody traces. */
  readonly tracing?: Tracing | undefined;
  /** Left out but in tests. */
  readonly limits?: Limits;
}

/** One agent at work. {@link run} resolves when it has stopped, and rejects when the process must end with an error. */
export class AgentLoop {
  readonly lifecycle = new Lifecycle();
  readonly ledger: Ledger;
  readonly #options: RunOptions;
  readonly #session: Session;
  readonly #decide: Decide;
  readonly #changelog: string | undefined;
  readonly #maxBytes: number;
  readonly #limits: Limits;
  readonly #partitions = new Partitions();
  readonly #topics: OutputTopics;
  readonly #refusals: Refusals;
  readonly #preparation: Preparation;

  /** Whether the session has an open transaction. */
  #open = false;
  /** What was decided since the last commit began. */
  #batch: Batch | undefined;
  /** Outputs of `#batch` that wait: for the end of the commit in flight, or for room in the producer's queue. */
  #held: OutgoingRecord[] = [];
  #committing: { readonly batch: Batch; readonly settled: Promise<void>; outcome?: CommitOutcome } | undefined;
  /** The input had no more when it was last asked. */
  #drained = false;

  #preparing:
    | { readonly partitions: readonly TopicPartition[]; readonly abort: AbortController; readonly done: Promise<void> }
    | undefined;
  #prepared: Prepared | undefined;

  /** Aborted by {@link stop}: ends what waits for the cluster. */
  readonly #stop = new AbortController();
  /** The first failure of what runs beside the loop: the loop ends with it. */
  #failure: Error | undefined;
  readonly #problems = new Problems();
  readonly #deleted = new DeletedRecords();
  /** How often everything since the last commit was undone. */
  #undone = 0;
  #probing = false;
  #joined = false;
  #lastFenced = Number.NEGATIVE_INFINITY;
  #lastCommit: Date | null = null;
  /** What the last commit took, in milliseconds. */
  #commitMs = 0;
  readonly #progress = new Progress();

  constructor(options: RunOptions) {
    const { agent, config, configured, session, telemetry } = options;
    this.#options = options;
    this.#session = session;
    const bounded = boundInput(configured.decide, config.maxInputBytes);
    this.#decide = guardDecision(bounded, (record, error) => telemetry.decisionFailed(record, error));
    this.#changelog = agent.store === undefined ? undefined : changelogTopic(config.groupId, agent.store);
    this.#maxBytes = maxRecordBytes(config);
    this.#limits = options.limits ?? defaultLimits;
    this.#topics = new OutputTopics({ ...options, changelog: this.#changelog });
    const { deadLetterTopic } = options.configured;
    this.#refusals = new Refusals({ topics: this.#topics, deadLetterTopic, telemetry, full: this.#limits.transaction });
    this.#preparation = new Preparation({
      ...options,
      changelog: this.#changelog,
      onProgress: () => this.#progress.advance(),
    });
    this.ledger = new Ledger(config.maxTenantLabels);
  }

  /** Runs until {@link stop}. @throws Error when only a new process can go on; the message says why */
  async run(): Promise<void> {
    try {
      await this.#start();
      while (!this.#stopping) {
        await this.#handle(await this.#session.next(this.#patience(), this.#wantsRecords()));
        await this.#settle();
        await this.#acceptPrepared();
        if (this.#commitIsDue()) await this.#startCommit();
      }
      this.lifecycle.to('stopping');
      await this.#commitAll();
      await this.#session.close();
      this.lifecycle.to('stopped');
    } catch (error) {
      this.lifecycle.to('failed');
      // The others need not wait for our session to time out. What we left open is undecided to them until our successor ends it.
      const closed = this.#session.close().catch(() => undefined);
      await Promise.race([closed, sleep(failedCloseMs, undefined, { ref: false })]);
      throw error;
    }
  }

  async #start(): Promise<void> {
    try {
      await this.#session.start();
      if (!this.#stopping) this.lifecycle.to('running');
    } catch (error) {
      if (!this.#stopping) throw error;
    }
  }

  /** Asks the loop to finish: it commits or aborts what is open, leaves the group and returns. */
  stop(): void {
    this.#stop.abort(new Error('the agent is told to stop'));
    this.#session.stopping();
    if (this.lifecycle.state === 'starting') this.#session.cancel();
    else this.#session.wake();
  }

  get #stopping(): boolean {
    return this.#stop.signal.aborted;
  }

  async #handle(event: SessionEvent): Promise<void> {
    switch (event.kind) {
      case 'records':
        this.#drained = event.drained;
        await this.#process(event.records);
        return;
      case 'assigned':
        this.#joined = true;
        this.#prepare(event.partitions);
        return;
      case 'revoked':
        await this.#revoke(event.partitions, event.lost);
        return;
      case 'out-of-range':
        await this.#leaveRange(event.jump);
        return;
      case 'deleted':
        this.#options.telemetry.recordsDeleted(event.jump, this.#deleted.count(event.jump));
        return;
      case 'failed':
        throw event.error;
      case 'idle':
        this.#drained = true;
        return;
      case 'woken':
        return;
    }
  }

  // --- records -------------------------------------------------------------------------------------------------------

  #wantsRecords(): boolean {
    if (this.#committing === undefined) return true;
    // What is decided behind a commit in flight is bounded, and so is memory while a broker is slow.
    return !this.#refusals.isNarrowing && (this.#batch === undefined || !this.#isFull(this.#batch));
  }

  async #process(records: readonly InputRecord[]): Promise<void> {
    const { tracing } = this.#options;
    let batch: Batch | undefined;
    this.#topics.tick();
    for (const record of records) {
      const owned = this.#partitions.find(record.topic, record.partition);
      if (owned === undefined || (owned.next !== null && record.offset < owned.next)) continue;
      owned.first ??= record.offset;
      let step = this.#decide(record, owned.store ?? noState);
      const trace = tracing?.traceOf(record);
      if (trace) step = carrying(step, trace);
      const refused = this.#refusals.find(record);
      if (refused) step = stepOfRefused(step, refused);
      // Between the last look at the step's topics and its outputs nothing is waited for: what was
      // found holds.
      for (;;) {
        const checked = this.#topics.check(step);
        if (typeof checked === 'string') {
          const problem = await this.#lookUp(checked);
          // Told to stop: the record is left to the next process.
          if (this.#stopping) return;
          if (problem === undefined) continue;
          await this.#backOff(record, problem);
          return;
        }
        // With the first record that counts, not before: a batch is as old as that.
        if (batch === undefined) {
          batch = await this.#begin();
          continue;
        }
        step = checked;
        break;
      }
      batch.span?.add(record, step, trace);
      if (!this.#apply(record, step, owned, batch, refused)) await this.#sendHeld();
      owned.next = record.offset + 1;
      if (this.#isFull(batch) || this.#isOld()) {
        if (!(await this.#makeRoom(batch))) return;
        batch = this.#batch;
      }
    }
  }

  async #lookUp(topic: string): Promise<string | undefined> {
    try {
      return await untilAborted(this.#topics.lookUp(topic), this.#stop.signal);
    } catch (error) {
      if (this.#stopping) return undefined;
      throw error;
    }
  }

  #isFull({ size, counts }: Batch): boolean {
    if (counts.records >= this.#refusals.limit) return true;
    return size >= (this.#committing === undefined ? this.#limits.transaction : this.#limits.ahead);
  }

  /**
   * Within a poll: a thousand notifications can become millions of records, and memory must hold. Waits for the commit in flight, which
   * sends what waits for it, and begins the next one if it is due by size, or by age: where
   * decisions are slow, a poll may take longer than the broker lets a transaction be open.
   * @returns false when the rest of the poll is to be left: the commit has failed and all since is read again, or the process stops
   */
  async #makeRoom(batch: Batch): Promise<boolean> {
    await this.#finishCommit();
    if (this.#batch !== batch || this.#stopping) return false;
    if (!this.#isFull(batch) && !this.#isOld()) return true;
    await this.#startCommit();
    // How many records the next transaction may have, its outcome tells.
    return !this.#refusals.isNarrowing || ((await this.#finishCommit()) && !this.#stopping);
  }

  /** Puts what a step says into the transaction. @returns false when the queue is full, and {@link #sendHeld} must come next */
  #apply(
    record: InputRecord,
    step: Step,
    owned: OwnedPartition,
    batch: Batch,
    refused: RefusedRecord | undefined,
  ): boolean {
    batch.counts.count(step, record);
    batch.last = record;
    if (step.kind === 'skip') return true;
    let room = true;
    if (step.kind === 'emit') {
      for (const output of step.outputs) room = this.#send(this.#addressed(output), batch) && room;
      if (step.puts !== undefined && this.#changelog !== undefined) {
        for (const put of step.puts) {
          owned.store?.put(put);
          room = this.#send(changelogRecord(this.#changelog, record.partition, put, record.timestamp), batch) && room;
        }
      }
    }
    const problems = step.kind === 'reject' ? step.rejections : step.reports;
    if (hasSome(problems)) {
      const whole = deadLetter(this.#options.configured.deadLetterTopic, record, problems);
      const fitting = fittingDeadLetter(whole, record, this.#maxBytes);
      const letter = refused ? deadLetterOfRefused(fitting, record, refused, Date.now()) : fitting;
      // With its headers: they are those of the input, of any size.
      room = this.#send(letter, batch, recordBytes(letter)) && room;
      this.#options.telemetry.recordRejected(record, step);
    }
    return room;
  }

  /**
   * @throws Error when nobody has looked at the topic: its records would be spread over other
   * partitions than those before
   */
  #addressed({ topic, partitionHash, key, value, headers, timestamp }: OutputRecord): OutgoingRecord {
    const partitions = this.#topics.partitions(topic);
    return {
      topic,
      partition: partitionHash === undefined ? null : partitionHash % partitions,
      key,
      value,
      headers,
      timestamp,
    };
  }

  #send(record: OutgoingRecord, batch: Batch, text = lengthOf(record.key) + lengthOf(record.value)): boolean {
    batch.add(record, text);
    if (this.#holds()) {
      this.#held.push(record);
      return true;
    }
    if (this.#held.length === 0 && this.#session.send(record) === 'queued') return true;
    this.#held.push(record);
    return false;
  }

  /** Whether outputs wait for the commit in flight: where it is a transaction, they would become part of it. */
  #holds(): boolean {
    return this.#committing !== undefined && this.#options.config.delivery === 'exactly-once';
  }

  async #sendHeld(): Promise<void> {
    for (const record of this.#held) {
      for (let result = this.#session.send(record); result !== 'queued'; result = this.#session.send(record)) {
        // It was measured before: to wait for room would be to wait for ever.
        if (result === 'too-large') throw new Error(`a record for ${record.topic} is larger than the producer takes`);
        await this.#session.sendable();
      }
    }
    this.#held = [];
  }

  /** The batch for the next records, and a transaction for it as soon as none is being committed. */
  async #begin(): Promise<Batch> {
    this.#batch ??= new Batch(this.#options.tracing?.batch(), this.#refusals.isNarrowing || this.#topics.isWatching);
    if (!this.#open && this.#committing === undefined) {
      await this.#session.begin();
      this.#open = true;
    }
    return this.#batch;
  }

  /**
   * Something outside is not there. What was decided before is committed, as it needs nothing of
   * it; the rest of the poll is read again.
   */
  async #backOff(record: InputRecord, problem: string): Promise<void> {
    this.#problems.setWaiting(record, problem);
    await this.#commitAll();
    // Nothing stays open meanwhile.
    if (this.#open) await this.#abandon();
    else await this.#session.rewind(this.#partitions.rewindPositions());
    await this.#pause();
  }

  /** Before what would have the same end at once is tried again. */
  async #pause(): Promise<void> {
    await sleep(waitMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }

  // --- commit --------------------------------------------------------------------------------------------------------

  /** How long to wait for the next event, in milliseconds. */
  #patience(): number {
    if (!this.#hasWork() || this.#committing !== undefined) return idleMs;
    return Math.max(0, this.#longest() - this.#age());
  }

  /**
   * The age at which a transaction is committed, in milliseconds: the configured interval, or what the last commit took when
   * that is more. A commit pays for each partition that it touches: with a thousand tenants, for thousands.
   */
  #longest(): number {
    const { commitIntervalMs, transactionTimeoutMs } = this.#options.config;
    return Math.max(commitIntervalMs, Math.min(this.#commitMs, transactionTimeoutMs / 4));
  }

  #hasWork(): boolean {
    return this.#batch !== undefined && this.#batch.counts.records > 0;
  }

  #age(): number {
    return this.#batch === undefined ? 0 : performance.now() - this.#batch.since;
  }

  /** Whether the transaction must be committed within a poll, long before the broker aborts it. */
  #isOld(): boolean {
    return this.#age() > this.#options.config.transactionTimeoutMs / 4;
  }

  #commitIsDue(): boolean {
    if (this.#committing !== undefined || this.#batch === undefined || !this.#hasWork()) return false;
    // Without a transaction, outputs are visible before the commit: it can wait for more.
    const awaited = this.#drained && this.#options.config.delivery === 'exactly-once';
    return awaited || this.#age() >= this.#longest() || this.#isFull(this.#batch);
  }

  async #startCommit(): Promise<void> {
    const batch = await this.#begin();
    await this.#sendHeld();
    const offsets = this.#partitions.startCommit();
    this.#batch = undefined;
    this.#open = false;
    const started = performance.now();
    const settled = this.#session
      .commit(offsets)
      .then((outcome) => {
        if (this.#committing) this.#committing.outcome = outcome;
        batch.ended(outcome);
        if (outcome.kind === 'committed') this.#committed(batch, performance.now() - started);
        this.#session.wake();
      })
      .catch((error: unknown) => this.#fail(error));
    this.#committing = { batch, settled };
  }

  /** What became final. It runs as soon as the outcome is there, and touches nothing that a step reads. */
  #committed(batch: Batch, durationMs: number): void {
    const { counts, outputs, since } = batch;
    this.#partitions.committed();
    counts.commitInto(this.ledger);
    this.#refusals.committed(batch, ({ topic, partition }) => this.#partitions.find(topic, partition)?.committed);
    this.#problems.clear('refusals');
    this.#problems.clearCommitted(this.#partitions);
    // The coordinators have answered; what else is wrong is not known to be over.
    this.#problems.clear('cluster');
    this.#lastCommit = new Date();
    this.#commitMs = durationMs;
    this.#progress.advance();
    const batchMs = performance.now() - since;
    this.#options.telemetry.transactionCommitted({ records: counts.records, outputs, durationMs, batchMs }, counts);
  }

  /** Acts on the outcome of the commit in flight, if it is there. */
  async #settle(): Promise<void> {
    const { outcome, batch } = this.#committing ?? {};
    if (outcome === undefined) return;
    this.#committing = undefined;
    if (outcome.kind !== 'committed') await this.#undo(outcome, batch);
    else if (this.#batch !== undefined) {
      await this.#begin();
      await this.#sendHeld();
    }
  }

  /**
   * Waits for the commit in flight, if there is one, and acts on its outcome. @returns false when
   * it was not committed
   */
  async #finishCommit(): Promise<boolean> {
    const inFlight = this.#committing;
    await inFlight?.settled;
    if (this.#failure) throw this.#failure;
    await this.#settle();
    return inFlight === undefined || inFlight.outcome?.kind === 'committed';
  }

  /** Leaves nothing uncommitted, one way or the other. */
  async #commitAll(): Promise<void> {
    await this.#finishCommit();
    if (!this.#hasWork()) return;
    await this.#startCommit();
    await this.#finishCommit();
  }

  /** Ends the open transaction without a commit, and goes back to the committed offsets. */
  async #abandon(): Promise<void> {
    if (this.#open) await this.#undo(await this.#session.abort());
  }

  /**
   * Everything since the last commit is as if it had never been. @param batch what was to be
   * committed, if it was
   */
  async #undo(outcome: CommitOutcome, batch?: Batch): Promise<void> {
    if (outcome.kind === 'committed') return;
    this.#options.telemetry.transactionAborted(outcome.cause, { error: outcome.error.message });
    this.#open = false;
    this.#undone += 1;
    this.#held = [];
    this.#batch?.ended(outcome);
    this.#batch = undefined;
    this.#partitions.undo();
    if (outcome.kind === 'unknown') {
      await this.#recover(outcome);
      return;
    }
    const learnt = batch && this.#refusals.aborted(outcome, batch);
    // Without transactions, what was sent behind the commit is on its way: the next one must not be
    // blamed for what is refused of it.
    if (batch && this.#options.config.delivery === 'at-least-once') await this.#session.abort();
    await this.#session.rewind(this.#partitions.rewindPositions());
    if (learnt === undefined) return;
    if (learnt.record) this.#problems.setWaiting(learnt.record, learnt.problem);
    else this.#problems.set('refusals', learnt.problem);
    await this.#pause();
  }

  /** A new producer; offsets and state read again. */
  async #recover({ cause, fenced, error }: CommitOutcome & { kind: 'unknown' }): Promise<void> {
    // The successor under our transactional id ends the transaction.
    if (this.#stopping) return;
    const { telemetry } = this.#options;
    if (fenced) this.#fenced();
    const report = (waiting: string | null): void =>
      this.#problems.set('recovery', `recovering: ${waiting ?? error.message}`);
    report(null);
    this.lifecycle.to('recovering');
    telemetry.recovering(cause, error);
    try {
      await this.#session.reset(this.#stop.signal);
      const partitions = [...this.#partitions].map(({ topic, partition }) => ({ topic, partition }));
      this.#partitions.own(await this.#preparation.prepare(partitions, this.#stop.signal, report));
    } catch (thrown) {
      // There is nothing to finish: what is not committed has been taken back, and the next process
      // goes on from there.
      if (this.#stopping) return;
      throw thrown;
    }
    await this.#session.rewind(this.#partitions.rewindPositions());
    this.#reportOutOfRange();
    this.#problems.clearCommitted(this.#partitions);
    this.#forgetRefusals();
    this.#problems.clear('recovery');
    this.lifecycle.to('running');
  }

  /** Two processes with one identity fence each other in turn: the one that is fenced twice gives way. */
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

  // --- partitions ----------------------------------------------------------------------------------------------------

  /** Reads offsets and state beside the loop, which goes on committing and answers a revocation at once. */
  #prepare(partitions: readonly TopicPartition[]): void {
    const abort = new AbortController();
    const report = (waiting: string | null): void =>
      waiting === null ? this.#problems.clear('preparation') : this.#problems.set('preparation', waiting);
    const signal = AbortSignal.any([abort.signal, this.#stop.signal]);
    const done = this.#preparation.prepare(partitions, signal, report).then(
      (prepared) => {
        this.#prepared = prepared;
        this.#session.wake();
      },
      (error: unknown) => {
        if (!signal.aborted) this.#fail(error);
      },
    );
    this.#preparing = { partitions, abort, done };
    this.#options.telemetry.partitionsAssigned(partitions);
  }

  /** Ends the loop with this error, from beside it. */
  #fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
    this.#session.wake();
  }

  async #acceptPrepared(): Promise<void> {
    if (this.#failure) throw this.#failure;
    const prepared = this.#prepared;
    if (prepared === undefined) return;
    this.#prepared = undefined;
    await this.#session.accept(prepared.positions);
    // Not before: between the two nobody would tell of these partitions, and a group that is behind would look as if it were not.
    this.#preparing = undefined;
    this.#partitions.own(prepared);
    this.#problems.clear('preparation');
    // The group has answered, and the coordinator with the offsets.
    this.#problems.clear('cluster');
    this.#progress.advance();
  }

  async #revoke(partitions: readonly TopicPartition[], lost: boolean): Promise<void> {
    const { telemetry } = this.#options;
    if (this.#preparing) {
      // Taken away before they were ready: nothing of them was processed.
      this.#preparing.abort.abort();
      await this.#preparing.done;
      this.#preparing = undefined;
      this.#prepared = undefined;
      this.#problems.clear('preparation');
    }
    if (lost) {
      telemetry.partitionsLost(partitions);
      // Without partitions because none are due, or because nobody answers: only the latter is a reason not to be ready.
      this.#waitForCluster('partitions were lost, and the cluster has not answered since');
    } else telemetry.partitionsRevoked(partitions);
    // About a commit that is under way the coordinator decides: it knows the generation that it was sent in.
    await this.#finishCommit();
    if (lost) await this.#abandon();
    else await this.#commitAll();
    this.#partitions.disown(partitions);
    this.#deleted.forget(partitions);
    this.#reportOutOfRange();
    this.#session.release(partitions);
    this.#problems.clearPartitions(partitions);
    this.#forgetRefusals();
  }

  /**
   * The records of the aborted transactions may be another process's now, and without records no
   * commit would ever end the problem. What is still refused is found out again.
   */
  #forgetRefusals(): void {
    this.#refusals.forgetAborted();
    this.#problems.clear('refusals');
  }

  /**
   * The log of a partition ends before its position. By `stop` the partition stands until somebody
   * has looked, and all others go on. By `resume` it goes on with what its log holds.
   */
  async #leaveRange(jump: LogJump): Promise<void> {
    const { config, telemetry } = this.#options;
    const owned = this.#partitions.find(jump.topic, jump.partition);
    if (owned === undefined) return;
    telemetry.offsetOutOfRange(jump, config.onOffsetOutOfRange);
    if (config.onOffsetOutOfRange === 'stop') {
      owned.outOfRange = jump;
      this.#reportOutOfRange();
      return;
    }
    // What was read of the old log becomes final with the new position. If that fails, or the
    // commit before it, all partitions are rewound to their committed offsets; the session then
    // finds this one out of range again, and there is another event.
    const undone = this.#undone;
    await this.#finishCommit();
    if (this.#undone !== undone) return;
    owned.next = jump.found;
    owned.first = jump.found;
    this.#deleted.forget([owned]);
    // At once, also without a record: a successor shall not find the old offset.
    await this.#startCommit();
    await this.#finishCommit();
    if (this.#undone === undone) await this.#session.rewind([{ ...owned, offset: jump.found }]);
  }

  #reportOutOfRange(): void {
    const texts = [...this.#partitions].flatMap(({ outOfRange }) =>
      outOfRange === null ? [] : [outOfRangeText(outOfRange)],
    );
    const [first] = texts;
    if (first === undefined) this.#problems.clear('out-of-range');
    else this.#problems.set('out-of-range', texts.length === 1 ? first : `${first}; and ${texts.length - 1} more such`);
  }

  // --- status --------------------------------------------------------------------------------------------------------

  /** The partitions of this process, those being prepared included. */
  partitions(): readonly PartitionStatus[] {
    const running = [...this.#partitions].map((owned): PartitionStatus => {
      const { topic, partition, committed, next, first, outOfRange } = owned;
      const known = this.#session.watermarks(owned);
      const end = known?.high ?? null;
      if (outOfRange) {
        // Nothing of this log was read.
        const lag = end === null ? null : Math.max(0, end - outOfRange.found);
        return { topic, partition, state: 'out-of-range', position: next, committed, end, lag };
      }
      // What was deleted unread does not wait any more.
      const from = Math.max(committed ?? first ?? 0, known?.low ?? 0);
      const lag = known === null ? null : Math.max(0, known.high - from);
      return { topic, partition, state: 'running', position: next, committed, end, lag };
    });
    const restoring = (this.#preparing?.partitions ?? []).map((partition): PartitionStatus => {
      const restore = this.#preparation.progress(partition);
      const base = { ...partition, state: 'restoring', position: null, committed: null, end: null, lag: null } as const;
      return restore === undefined ? base : { ...base, restore };
    });
    return [...running, ...restoring];
  }

  /** What keeps the agent from working, in words for an operator, the most severe first. */
  get problem(): string | null {
    return this.#problems.text;
  }

  get lastCommit(): Date | null {
    return this.#lastCommit;
  }

  /** Whether the group has answered: from then on, no partition may also mean that none is due. */
  get joined(): boolean {
    return this.#joined;
  }

  /** Entries of the keyed state; null for an agent that keeps none. */
  get stateEntries(): number | null {
    if (this.#changelog === undefined) return null;
    let entries = 0;
    for (const { store } of this.#partitions) entries += store?.size ?? 0;
    return entries;
  }

  /** Milliseconds for which there was something to do, and nothing was committed or restored. */
  get stuckMs(): number {
    return this.#progress.stuckMs;
  }

  /** To be called now and then, see {@link Progress}. */
  lookForProgress(): void {
    this.#progress.look(this.partitions());
  }

  /** The cluster does not answer: not ready, until it answers again. The client reconnects by itself. */
  clusterAway(error: Error): void {
    this.#waitForCluster(`the cluster does not answer: ${error.message}`);
  }

  #waitForCluster(problem: string): void {
    this.#problems.set('cluster', problem);
    if (this.#probing || this.#stopping) return;
    this.#probing = true;
    this.#session.partitionCount(this.#options.configured.inputTopic).then(
      () => {
        this.#probing = false;
        this.#problems.clear('cluster');
        this.#options.telemetry.brokerBack();
      },
      () => {
        this.#probing = false;
      },
    );
  }
}

/** Characters, or bytes. */
function lengthOf(content: string | Buffer | null): number {
  return content?.length ?? 0;
}

function hasSome<T>(list: readonly T[] | undefined): list is readonly [T, ...T[]] {
  return list !== undefined && list.length > 0;
}
