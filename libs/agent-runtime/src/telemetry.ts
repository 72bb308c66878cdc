/**
 * The events of an agent, one method each, which writes the log line and counts the metrics (SPEC
 * 12). Other code calls an event, never a logger or a counter: the vocabulary is complete here. The
 * gauges are in status-gauges.ts.
 *
 * ERROR means that an operator must act. What passes by itself is WARN; per-record lines are DEBUG.
 * Metrics of records are counted once per committed transaction, from its ledger batch.
 */
import { isNativeError } from 'node:util/types';
import type { Logger } from 'pino';
import { Registry } from 'prom-client';
import type { EmitStep, InputRecord, RejectStep } from '@kafnus/agent-contract';
import { logLevels, type LogLevel, type OutOfRangePolicy } from './config.js';
import type { LedgerBatch } from './ledger.js';
import { createLogger, described, headerText, type LoggerOptions } from './logger.js';
import { createMetrics, type Metrics } from './metrics.js';
import { RecentRejects } from './page/recent-rejects.js';
import { RateLimit } from './rate-limit.js';
import type { LogJump, TopicPartition } from './session.js';
import { slashed, StatusGauges, type StatusSource } from './status-gauges.js';
import type { RecentReject } from './status.js';
import { TenantLabels } from './tenant-labels.js';

export { metricsReference } from './metrics.js';

export interface TelemetryOptions extends LoggerOptions {
  readonly version: string;
  /** Tenants with counters of their own; see {@link TenantLabels}. */
  readonly maxTenantLabels: number;
  readonly registry?: Registry;
  /** Metrics of the process and Node (default true). */
  readonly processMetrics?: boolean;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** The restore of one input partition's state. */
export interface RestoreEvent extends TopicPartition {
  /** Read of the changelog so far. */
  readonly entries: number;
}

/** Lines about what repeats (a broker that is away) are at most one per this time, with a count. */
const repeatMs = 10_000;
const maxStack = 4000;
/** Lines of 10 s about unwritable topics; the first of the next 10 s has the number left out. */
const maxTopicLines = 20;
/** Of a record with a hundred thousand bad attributes, a line has the first. */
const maxRejections = 20;

export class Telemetry {
  readonly logger: Logger;
  /** The registry of this agent, not prom-client's global one: one process may run many agents. */
  readonly metrics: Registry;
  readonly #metrics: Metrics;
  readonly #tenants: TenantLabels;
  readonly #now: () => number;
  readonly #repeats: RateLimit;
  readonly #gauges: StatusGauges;
  readonly #rejects = new RecentRejects();
  #outputs = 0;
  #source: StatusSource | undefined;
  #brokerProblem: { readonly since: number; count: number } | undefined;

  constructor(options: TelemetryOptions) {
    this.#now = options.now ?? Date.now;
    this.#repeats = new RateLimit(repeatMs, this.#now);
    this.#tenants = new TenantLabels(options.maxTenantLabels);
    this.logger = createLogger(options);
    this.metrics = options.registry ?? new Registry();
    this.#metrics = createMetrics(this.metrics, options.agent, options.processMetrics ?? true);
    this.#gauges = new StatusGauges(this.#metrics, this.#now);
    this.#metrics.buildInfo.set({ version: options.version }, 1);
  }

  /** Records written to output topics by committed transactions. */
  get outputs(): number {
    return this.#outputs;
  }

  /** The last rejects of committed transactions, newest first. */
  get lastRejects(): readonly RecentReject[] {
    return this.#rejects.newestFirst();
  }

  /** Gives the gauges their source. Before this they have no values. */
  observe(source: StatusSource): void {
    this.#source = source;
  }

  /** The Prometheus text, with gauges as of now. */
  async scrape(): Promise<{ readonly contentType: string; readonly body: string }> {
    if (this.#source !== undefined) this.#gauges.fill(this.#source);
    return { contentType: this.metrics.contentType, body: await this.metrics.metrics() };
  }

  /** @throws Error for a level that does not exist */
  setLevel(level: LogLevel): void {
    if (!logLevels.includes(level))
      throw new Error(`unknown log level ${JSON.stringify(level)}: ${logLevels.join(', ')}`);
    const before = this.logger.level;
    if (before === level) return;
    // The line is written on the more verbose of the two levels, so that a change to `error` is
    // seen as well.
    if (this.logger.isLevelEnabled('info')) this.logger.info({ before, level }, 'log level changed');
    this.logger.level = level;
  }

  starting(details: Readonly<Record<string, unknown>>): void {
    this.logger.info(details, 'starting');
  }

  /**
   * @param commit records and outputs of the transaction; milliseconds that the commit took, and
   *   that the transaction was open before it
   * @param batch its counts
   */
  transactionCommitted(
    commit: {
      readonly records: number;
      readonly outputs: number;
      readonly durationMs: number;
      readonly batchMs: number;
    },
    batch: LedgerBatch,
  ): void {
    const metrics = this.#metrics;
    metrics.transactionsCommitted.inc();
    metrics.transactionDuration.observe(commit.durationMs / 1000);
    metrics.batchDuration.observe(commit.batchMs / 1000);
    if (batch.unkeyed > 0) metrics.unkeyedRecords.inc(batch.unkeyed);
    if (batch.hopsExceeded > 0) this.#hopsExceeded(batch.hopsExceeded);
    let rejected = 0;
    for (const [name, counts] of batch.tenants) {
      this.#outputs += counts.outputs;
      const tenant = this.#tenants.labelOf(name);
      metrics.recordsRead.inc({ tenant }, counts.read);
      // A tenant has its series from its first record on: rate() misses what a series is born with.
      metrics.recordsEmitted.inc({ tenant }, counts.emitted);
      if (counts.rekeyed > 0) metrics.recordsRekeyed.inc({ tenant }, counts.rekeyed);
      metrics.outputs.inc({ tenant }, counts.outputs);
      metrics.deadLetters.inc({ tenant }, counts.deadLetters);
      for (const [reason, count] of counts.skipped) metrics.recordsSkipped.inc({ tenant, reason }, count);
      for (const [reason, count] of counts.rejected) {
        rejected += count;
        metrics.recordsRejected.inc({ tenant, reason }, count);
      }
      for (const [reason, count] of counts.partsSkipped) metrics.partsSkipped.inc({ reason }, count);
      for (const [code, count] of counts.reports) metrics.reports.inc({ tenant, code }, count);
    }
    this.#gauges.committed(batch.partitions);
    this.#rejects.committed(rejected, this.#now());
    if (this.logger.isLevelEnabled('debug')) this.logger.debug(commit, 'transaction committed');
  }

  /** @param cause of a closed vocabulary: it is a label */
  transactionAborted(cause: string, details: Readonly<Record<string, unknown>> = {}): void {
    this.#metrics.transactionsAborted.inc({ cause });
    this.#rejects.aborted();
    this.logger.warn({ ...details, cause }, 'transaction aborted; its records are read again');
  }

  /** An error that may pass made the commit fail; it is tried again. */
  commitRetry(error: unknown): void {
    this.#metrics.commitRetries.inc();
    this.#repeating('commit-retry', (repeated) =>
      this.logger.warn({ ...described(error), repeated }, 'commit failed and is tried again'),
    );
  }

  partitionsAssigned(partitions: readonly TopicPartition[]): void {
    this.#metrics.rebalances.inc({ kind: 'assigned' });
    // A commit may be acted on after its partition was revoked: its time is old by now.
    this.#gauges.forget(partitions);
    this.logger.info({ partitions: partitions.map(slashed) }, 'partitions assigned');
  }

  partitionsRevoked(partitions: readonly TopicPartition[]): void {
    this.#metrics.rebalances.inc({ kind: 'revoked' });
    this.#gauges.forget(partitions);
    this.logger.info({ partitions: partitions.map(slashed) }, 'partitions revoked');
  }

  /** Taken away without asking: this process did not poll in time, or was cut off. */
  partitionsLost(partitions: readonly TopicPartition[]): void {
    this.#metrics.rebalances.inc({ kind: 'lost' });
    this.#gauges.forget(partitions);
    this.logger.warn({ partitions: partitions.map(slashed) }, 'partitions lost; the open transaction is not committed');
  }

  /** The log of an input partition ends before the position: an operator must find out why. */
  offsetOutOfRange(jump: LogJump, policy: OutOfRangePolicy): void {
    this.#metrics.offsetsOutOfRange.inc();
    this.logger.error(
      { ...jump, policy },
      policy === 'stop'
        ? 'the log ends before the position, and nothing of this partition is read; see docs/runbooks/offset-out-of-range.md'
        : 'the log ends before the position; going on with what it holds (KAFNUS_ON_OFFSET_OUT_OF_RANGE=resume)',
    );
  }

  /**
   * Input was deleted before it was read.
   * @param offsets that were not reported before: at most so many records
   */
  recordsDeleted(jump: LogJump, offsets: number): void {
    if (offsets === 0) return;
    this.#metrics.recordsDeleted.inc(offsets);
    this.logger.error(
      { ...jump, offsets },
      'records were deleted before they were read: raise retention.ms of the topic above the longest standstill',
    );
  }

  restoreStarted(restore: TopicPartition): void {
    this.logger.info(restore, 'restoring state');
  }

  /** At most one line per 10 s and partition. */
  restoreProgress(restore: RestoreEvent & { readonly offset?: number; readonly end?: number }): void {
    this.#repeating(`restore/${restore.partition}`, () => this.logger.info(restore, 'still restoring state'));
  }

  restoreFinished(restore: RestoreEvent & { readonly seconds: number }): void {
    this.#repeats.reset(`restore/${restore.partition}`);
    this.#metrics.restoreSeconds.set({ partition: String(restore.partition) }, restore.seconds);
    this.logger.info(restore, 'state restored');
  }

  /** Another program wrote into the changelog: an operator must find out which. */
  foreignChangelogRecord(record: { readonly topic: string; readonly partition: number; readonly key: string }): void {
    this.#repeating(`foreign/${record.topic}`, (repeated) =>
      this.logger.error({ ...record, repeated }, 'foreign record in the changelog; it is left out of the state'),
    );
  }

  /** @param cause of a closed vocabulary: it is a label */
  recovering(cause: string, error?: unknown): void {
    this.#metrics.recoveries.inc({ cause });
    this.logger.warn(
      { cause, ...(error === undefined ? {} : described(error)) },
      'recovering: new producer, state restored',
    );
  }

  /**
   * Another process has the same transactional id: normal when a zombie comes back, a mistake when
   * it repeats. It is counted apart from {@link recovering}, which does not follow when the process
   * gives way.
   */
  fenced(): void {
    this.#metrics.fenced.inc();
    this.logger.warn(
      'fenced by a newer producer of the same group and instance id; if this repeats, two running processes share KAFNUS_INSTANCE_ID',
    );
  }

  topicCreated(topic: string): void {
    this.#metrics.topicsCreated.inc();
    this.logger.info({ topic }, 'topic created');
  }

  /**
   * An operator must act: permissions, or the topic's settings. At most one line per 10 s and
   * topic, and {@link maxTopicLines} of all topics: whoever publishes may make up names.
   */
  topicUnwritable(topic: string, error: unknown): void {
    this.#metrics.topicFailures.inc();
    this.#repeating(`topic/${topic}`, (repeated) => {
      const others = this.#repeats.take('topics', maxTopicLines);
      if (others === null) return;
      const line = { topic, ...described(error), repeated, ...(others > 0 && { others }) };
      this.logger.error(line, 'topic cannot be written; its records are dead-lettered');
    });
  }

  /** @param error why the agent may not write to its input; undefined: it may again */
  rekeyRefused(error: Error | undefined): void {
    this.#metrics.rekeyRefused.set(error === undefined ? 0 : 1);
    if (error === undefined) return;
    this.#repeating('rekey', (repeated) => {
      const line = { ...described(error), repeated };
      this.logger.error(line, 'records are not re-keyed: grant Write on the input topic, or set KAFNUS_REKEY=off');
    });
  }

  #hopsExceeded(records: number): void {
    this.#metrics.rekeyHopsExceeded.inc(records);
    this.#repeating('hops', (repeated) => {
      const text =
        'records were decided in the wrong partition after three hops: give all agents the same KAFNUS_INPUT_PARTITIONER';
      this.logger.warn({ records, repeated }, text);
    });
  }

  /** An operator must act: a limit of the topic. At most one line per 10 s; all are counted. */
  recordRefused({ topic, partition, offset }: InputRecord, reason: string): void {
    this.#repeating('record-refused', (repeated) =>
      this.logger.error(
        { topic, partition, offset, error: reason, repeated },
        'the broker refuses a record; it is dead-lettered',
      ),
    );
  }

  /** A connection to a broker failed; the client reconnects. At most one line per 10 s. */
  brokerProblem(error: unknown): void {
    this.#metrics.brokerProblems.inc();
    this.#brokerProblem ??= { since: this.#now(), count: 0 };
    this.#brokerProblem.count++;
    this.#repeating('broker', (repeated) =>
      this.logger.warn({ ...described(error), repeated }, 'broker problem; waiting and trying again'),
    );
  }

  /** Says nothing when there was no problem. */
  brokerBack(): void {
    const problem = this.#brokerProblem;
    if (problem === undefined) return;
    this.#brokerProblem = undefined;
    this.#repeats.reset('broker');
    this.logger.info({ seconds: (this.#now() - problem.since) / 1000, problems: problem.count }, 'brokers are back');
  }

  /**
   * The debug line for one dead-lettered record. {@link transactionCommitted} counts it and makes
   * it one of {@link lastRejects}. Of records that are emitted in part at most one line per 10 s: a
   * device with one bad attribute sends them all the time.
   */
  recordRejected(record: InputRecord, step: RejectStep | EmitStep): void {
    if (step.kind === 'reject') this.#rejects.decided(record, step);
    if (!this.logger.isLevelEnabled('debug')) return;
    const { topic, partition, offset } = record;
    const refused = step.kind === 'reject' ? step.rejections : (step.reports ?? []);
    const line = {
      service: headerText(record, 'fiware-service'),
      servicepath: headerText(record, 'fiware-servicepath'),
      correlator: headerText(record, 'fiware-correlator'),
      tenant: step.tenant,
      topic,
      partition,
      offset,
      rejections: refused.slice(0, maxRejections).map(({ code, message }) => ({ code, message })),
      ...(refused.length > maxRejections && { more: refused.length - maxRejections }),
    };
    if (step.kind === 'reject') this.logger.debug(line, 'record rejected');
    else {
      this.#repeating('reports', (repeated) => this.logger.debug({ ...line, repeated }, 'parts of a record rejected'));
    }
  }

  /**
   * The agent threw an exception instead of deciding: a defect of its code. The record is
   * dead-lettered, and counted as rejected by {@link transactionCommitted}. At most one line per 10
   * s and place in the code, because one publisher may send thousands of such records.
   */
  decisionFailed({ topic, partition, offset }: InputRecord, error: unknown): void {
    const stack = (isNativeError(error) ? error.stack : undefined)?.slice(0, maxStack) ?? '';
    const [, place = 'unknown'] = stack.split('\n    at ', 2);
    this.#repeating(`decision/${place}`, (repeated) =>
      this.logger.error(
        { topic, partition, offset, ...described(error), stack, repeated },
        'the decision about a record failed, which is a defect of the agent; the record is dead-lettered',
      ),
    );
  }

  /** Spans did not get through. At most one line per 10 s. */
  tracingProblem(message: string): void {
    this.#repeating('tracing', (repeated) =>
      this.logger.warn({ error: message, repeated }, 'traces cannot be sent; they are dropped, records are not'),
    );
  }

  stalled(details: { readonly lag: number; readonly seconds: number; readonly problem?: string | null }): void {
    this.logger.error(details, 'stalled: there is lag and no progress; /live fails, so that the process is restarted');
  }

  unstalled(): void {
    this.logger.info('progress again after a stall');
  }

  stopping(reason: string): void {
    this.logger.info({ reason }, 'stopping');
  }

  /** @param exit the exit code; another than 0 is an error */
  stopped(exit: number, error?: unknown): void {
    const details = { exit, ...(error === undefined ? {} : described(error)) };
    if (exit === 0) this.logger.info(details, 'stopped');
    else this.logger.error(details, 'stopped because of a failure');
  }

  #repeating(kind: string, log: (repeated: number) => void): void {
    const held = this.#repeats.take(kind);
    if (held !== null) log(held);
  }
}
