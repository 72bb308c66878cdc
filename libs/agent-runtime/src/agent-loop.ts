/**
 * The loop: poll, step, commit. What is committed when, and what happens when it fails, is in
 * committer.ts; the rest of the delivery guarantee is on this page.
 *
 *     next() -> records      decide each, in order; outputs, puts and dead letters go into the
 *                            open transaction
 *               assigned     prepare (committed offsets, state) beside the loop, then accept
 *               revoked      commit what is open, or abort it when the partitions are lost;
 *                            then release
 *               woken, idle  a commit or a preparation has ended, or it is time to commit
 *
 * A commit begins between two events, or between two records of a poll when these become too much
 * for memory. Only a step moves an offset, and only a commit makes that final: nothing is skipped
 * because of an exception.
 *
 * A consumer group fences generations, not partitions: a commit that passes the coordinator's check
 * may still carry offsets of a partition that is being taken away. Hence partitions are released
 * only when no commit in flight has offsets of theirs.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Agent, ConfiguredAgent, Decide, InputRecord, Step } from '@kafnus/agent-contract';
import type { Batch } from './batch.js';
import { Committer, retryPauseMs } from './committer.js';
import type { RuntimeConfig } from './config.js';
import { boundInput, guardDecision } from './decision-guard.js';
import { InputTopic } from './input-topic.js';
import { Ledger } from './ledger.js';
import { Lifecycle } from './lifecycle.js';
import { DeletedRecords } from './log-range.js';
import { LoopStatus } from './loop-status.js';
import { OutputTopics } from './output-topics.js';
import { Partitions } from './partitions.js';
import { PendingAssignment } from './pending-assignment.js';
import { StateRestorer } from './state-restorer.js';
import { Problems } from './problems.js';
import { Refusals } from './refusals.js';
import { stepOfRefused } from './refused-records.js';
import type { LogJump, Session, SessionEvent, TopicPartition } from './session.js';
import { changelogTopic } from './state/changelog.js';
import { noState } from './state/partition-store.js';
import type { Telemetry } from './telemetry.js';
import { carrying, type Tracing } from './tracing.js';
import { defaultLimits, TransactionWriter, type Limits } from './transaction-writer.js';
import { pause, untilAborted } from './until-aborted.js';

const idleMs = 1000;
/** How long a process that must end anyway tries to leave its group. */
const failedCloseMs = 2000;
/** Stands for the step of a record until it is known whether it may be re-keyed. */
const undecided: Step = { kind: 'skip', tenant: '', reason: '' };

export interface RunOptions {
  readonly agent: Pick<Agent<never>, 'name' | 'store'>;
  readonly configured: ConfiguredAgent;
  readonly config: RuntimeConfig;
  readonly session: Session;
  readonly telemetry: Telemetry;
  /** Undefined when tracing is off. */
  readonly tracing?: Tracing | undefined;
  /** For tests. */
  readonly limits?: Limits;
}

/** One running agent. {@link run} resolves after a stop, and rejects when the process must end. */
export class AgentLoop {
  readonly lifecycle = new Lifecycle();
  readonly ledger: Ledger;
  readonly status: LoopStatus;
  readonly #options: RunOptions;
  readonly #session: Session;
  readonly #decide: Decide;
  readonly #partitions = new Partitions();
  readonly #input: InputTopic;
  readonly #topics: OutputTopics;
  readonly #refusals: Refusals;
  readonly #problems = new Problems();
  readonly #deleted = new DeletedRecords();
  readonly #assignment: PendingAssignment;
  readonly #writer: TransactionWriter;
  readonly #committer: Committer;
  /** Aborted by {@link stop}: ends what waits for the cluster. */
  readonly #stop = new AbortController();
  /** Aborted with the first failure of what runs beside the loop: the loop ends with it. */
  readonly #failed = new AbortController();
  /** The input had no more when it was last asked. */
  #drained = false;

  constructor(options: RunOptions) {
    const { agent, config, configured, session, telemetry, limits = defaultLimits } = options;
    this.#options = options;
    this.#session = session;
    const bounded = boundInput(configured.decide, config.maxInputBytes);
    this.#decide = guardDecision(bounded, (record, error) => telemetry.decisionFailed(record, error));
    this.ledger = new Ledger(config.maxTenantLabels);
    const shared = {
      ...options,
      limits,
      changelog: agent.store === undefined ? undefined : changelogTopic(config.groupId, agent.store),
      lifecycle: this.lifecycle,
      ledger: this.ledger,
      partitions: this.#partitions,
      problems: this.#problems,
      stop: this.#stop.signal,
      failed: this.#failed.signal,
      fail: (error: unknown) => this.#fail(error),
    };
    const { deadLetterTopic, inputTopic } = configured;
    const input = new InputTopic({ topic: inputTopic, session, telemetry });
    const topics = new OutputTopics({ ...shared, input });
    const refusals = new Refusals({ topics, deadLetterTopic, telemetry, full: limits.transaction });
    const restorer = new StateRestorer({ ...shared, onProgress: () => this.status.progress.advance() });
    this.#input = input;
    this.#topics = topics;
    this.#refusals = refusals;
    this.#assignment = new PendingAssignment({ ...shared, restorer });
    this.status = new LoopStatus({ ...shared, assignment: this.#assignment });
    this.#writer = new TransactionWriter({ ...shared, topics, refusals });
    this.#committer = new Committer({ ...shared, restorer, refusals, status: this.status, writer: this.#writer });
  }

  /**
   * Runs until {@link stop}.
   * @throws Error when only a new process can go on; the message says why
   */
  async run(): Promise<void> {
    try {
      await this.#start();
      while (!this.#stopping) {
        await this.#handle(await this.#session.next(this.#committer.untilDueMs ?? idleMs, this.#wantsRecords));
        await this.#committer.settle();
        await this.#acceptPrepared();
        if (this.#committer.isDue(this.#drained)) await this.#committer.start();
      }
      this.lifecycle.to('stopping');
      await this.#committer.commitAll();
      await this.#session.close();
      this.lifecycle.to('stopped');
    } catch (error) {
      this.lifecycle.to('failed');
      // The others need not wait for our session to time out. Our successor ends the open
      // transaction.
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
    this.#stop.abort(new Error('the agent is to stop'));
    this.#session.stopping();
    if (this.lifecycle.state === 'starting') this.#session.cancel();
    else this.#session.wake();
  }

  get #stopping(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Ends the loop with this error, from beside it. */
  #fail(error: unknown): void {
    this.#failed.abort(error instanceof Error ? error : new Error(String(error)));
    this.#session.wake();
  }

  async #handle(event: SessionEvent): Promise<void> {
    switch (event.kind) {
      case 'records':
        this.#drained = event.drained;
        await this.#process(event.records);
        return;
      case 'assigned':
        this.status.joined = true;
        this.#input.refresh();
        this.#assignment.start(event.partitions);
        this.#options.telemetry.partitionsAssigned(event.partitions);
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

  // --- records -----------------------------------------------------------------------------------

  get #wantsRecords(): boolean {
    if (!this.#committer.isCommitting) return true;
    // Bounds the memory for records decided during a commit, while a broker is slow.
    return !this.#refusals.isNarrowing && !this.#writer.isFull;
  }

  async #process(records: readonly InputRecord[]): Promise<void> {
    const { tracing } = this.#options;
    const writer = this.#writer;
    let batch: Batch | undefined;
    this.#topics.tick();
    for (const record of records) {
      const owned = this.#partitions.find(record.topic, record.partition);
      if (owned === undefined || (owned.next !== null && record.offset < owned.next)) continue;
      owned.first ??= record.offset;
      const trace = tracing?.traceOf(record);
      const refused = this.#refusals.find(record);
      let inputPartitions: number | undefined;
      let step: Step = undecided;
      // Between the last look at the step's topics and its outputs nothing is waited for: what was
      // found holds.
      for (;;) {
        const found = this.#options.configured.rekeys === true ? this.#input.partitions : undefined;
        if (found !== 'unknown' && (step === undecided || found !== inputPartitions)) {
          inputPartitions = found;
          step = this.#decide(record, owned.store ?? noState, inputPartitions);
          if (trace) step = carrying(step, trace);
          if (refused) step = stepOfRefused(step, refused);
        }
        const checked = found === 'unknown' ? found : this.#topics.check(step);
        if (typeof checked === 'string') {
          const problem = await this.#lookUp(found === 'unknown' ? this.#input.lookUp() : this.#topics.lookUp(checked));
          // On stop, the record is left to the next process.
          if (this.#stopping) return;
          if (problem === undefined) continue;
          await this.#backOff(record, problem);
          return;
        }
        // With the first record that counts, not before: a batch is as old as that.
        if (batch === undefined) {
          batch = await writer.begin();
          continue;
        }
        step = checked;
        break;
      }
      batch.span?.add(record, step, trace);
      if (!writer.add(record, step, owned, batch, refused)) await writer.sendBuffered();
      owned.next = record.offset + 1;
      if (writer.isFull || writer.isOld) {
        if (!(await this.#makeRoom(batch))) return;
        batch = writer.batch;
      }
    }
  }

  async #lookUp(lookup: Promise<string | undefined>): Promise<string | undefined> {
    try {
      return await untilAborted(lookup, this.#stop.signal);
    } catch (error) {
      if (this.#stopping) return undefined;
      throw error;
    }
  }

  /**
   * Within a poll: a thousand notifications can become millions of records, and memory must hold.
   * Waits for the commit in flight, which sends what waits for it, and begins the next one if it is
   * due by size, or by age: where decisions are slow, a poll may take longer than the broker lets a
   * transaction be open.
   * @returns false when the rest of the poll is to be left: the commit has failed and all since is
   *   read again, or the process stops
   */
  async #makeRoom(batch: Batch): Promise<boolean> {
    await this.#committer.finish();
    if (this.#writer.batch !== batch || this.#stopping) return false;
    if (!this.#writer.isFull && !this.#writer.isOld) return true;
    await this.#committer.start();
    // How many records the next transaction may have depends on the outcome.
    return !this.#refusals.isNarrowing || ((await this.#committer.finish()) && !this.#stopping);
  }

  /**
   * Something outside is not there. What was decided before is committed, as it needs nothing of
   * it; the rest of the poll is read again.
   */
  async #backOff(record: InputRecord, problem: string): Promise<void> {
    this.#problems.setWaiting(record, problem);
    await this.#committer.commitAll();
    // Nothing stays open meanwhile.
    if (this.#writer.isOpen) await this.#committer.abandon();
    else await this.#session.rewind(this.#partitions.rewindPositions());
    await pause(retryPauseMs, this.#stop.signal);
  }

  // --- partitions --------------------------------------------------------------------------------

  async #acceptPrepared(): Promise<void> {
    this.#failed.signal.throwIfAborted();
    if (!(await this.#assignment.accept())) return;
    // The group has answered, and the coordinator with the offsets.
    this.#problems.clear('cluster');
    this.status.progress.advance();
  }

  async #revoke(partitions: readonly TopicPartition[], lost: boolean): Promise<void> {
    const { telemetry } = this.#options;
    await this.#assignment.cancel();
    if (lost) {
      telemetry.partitionsLost(partitions);
      // Without partitions because none are due, or because nobody answers: only the latter is a
      // reason not to be ready.
      this.status.waitForCluster('partitions were lost, and the cluster has not answered since');
    } else telemetry.partitionsRevoked(partitions);
    // About a commit that is under way the coordinator decides: it knows the generation that it was
    // sent in.
    await this.#committer.finish();
    if (lost) await this.#committer.abandon();
    else await this.#committer.commitAll();
    this.#partitions.unassign(partitions);
    this.#deleted.forget(partitions);
    this.status.reportOutOfRange();
    this.#session.release(partitions);
    this.#problems.clearPartitions(partitions);
    this.#committer.forgetRefusals();
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
      this.status.reportOutOfRange();
      return;
    }
    // What was read of the old log becomes final with the new position. If that fails, or the
    // commit before it, all partitions are rewound to their committed offsets; the session then
    // finds this one out of range again, and there is another event.
    const { rollbacks } = this.#committer;
    await this.#committer.finish();
    if (this.#committer.rollbacks !== rollbacks) return;
    owned.next = jump.found;
    owned.first = jump.found;
    this.#deleted.forget([owned]);
    // At once, also without a record: a successor shall not find the old offset.
    await this.#committer.start();
    await this.#committer.finish();
    if (this.#committer.rollbacks === rollbacks) await this.#session.rewind([{ ...owned, offset: jump.found }]);
  }
}
