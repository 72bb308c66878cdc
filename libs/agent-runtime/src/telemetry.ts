/**
 * What an agent tells the world: one method per event, which makes the log line and moves the metrics (SPEC 12). Code
 * that has news calls an event and never a logger or a counter, so that the vocabulary is here, whole.
 *
 * ERROR means that an operator must act. What passes by itself is WARN; per-record lines are DEBUG. Metrics of records are
 * moved once per committed transaction, from its ledger batch.
 */
import { isNativeError } from 'node:util/types';
import { pino, stdTimeFunctions } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import { Registry } from 'prom-client';

import type { EmitStep, InputRecord, RejectStep } from '@kafnus/agent-contract';
import { codeOf, messageOf } from '@kafnus/kafka-admin';
import { logLevels } from './config.js';
import type { LogLevel, OutOfRangePolicy } from './config.js';
import type { LedgerBatch } from './ledger.js';
import { createMetrics } from './metrics.js';
import type { Metrics } from './metrics.js';
import { RecentRejects } from './page/recent-rejects.js';
import { RateLimit } from './rate-limit.js';
import type { LogJump, TopicPartition } from './session.js';
import type { AgentStatus, RecentReject } from './status.js';
import { TenantLabels } from './tenant-labels.js';

export { metricsReference } from './metrics.js';
export interface TelemetryOptions {
  readonly agent: string;
  readonly instance: string;
  readonly version: string;
  readonly level: LogLevel;
  /** Tenants with counters of their own; see {@link TenantLabels}. */
  readonly maxTenantLabels: number;
  /** Where log lines go; default: standard output. */
  readonly destination?: DestinationStream;
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

/** Where the gauges are read from at each scrape. */
export interface StatusSource {
  status(): AgentStatus;
  ready(): { readonly ready: boolean };
}

/** Lines about what repeats (a broker that is away) are at most one per this time, with a count. */
const REPEAT_MS = 10_000;

/** Names under which a secret might be logged by mistake, at the top of a line or one level below. */
const SECRET_NAMES = [
  'password',
  'token',
  'secret',
  'authorization',
  'adminToken',
  'kafkaSaslPassword',
  'kafkaSslKey',
  'kafkaSslKeyPassword',
  '["sasl.password"]',
  '["ssl.key.password"]',
  '["ssl.key.pem"]',
];
const REDACTED = SECRET_NAMES.flatMap((name) => [name, name.startsWith('[') ? `*${name}` : `*.${name}`]);

export class Telemetry {
  readonly logger: Logger;
  /** The registry of this agent; not prom-client's global one, so that several can live in one process. */
  readonly metrics: Registry;
  readonly #metrics: Metrics;
  readonly #tenants: TenantLabels;
  readonly #now: () => number;
  readonly #repeats: RateLimit;
  /** Timestamp of the last committed record, by `topic/partition`. */
  readonly #eventTimes = new Map<string, number>();
  readonly #rejects = new RecentRejects();
  #outputs = 0;
  #source: StatusSource | undefined;
  #brokerProblem: { readonly since: number; count: number } | undefined;

  constructor(options: TelemetryOptions) {
    const { agent, instance, version, level } = options;
    this.#now = options.now ?? Date.now;
    this.#repeats = new RateLimit(REPEAT_MS, this.#now);
    this.#tenants = new TenantLabels(options.maxTenantLabels);
    const settings = {
      level,
      base: { agent, instance },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label: string) => ({ level: label }) },
      redact: { paths: REDACTED, censor: '***' },
    };
    // Synchronously: pino's default writes in a thread of the pool, which a hanging call may hold, and loses the last line of a
    // process that kills itself.
    this.logger = pino(settings, options.destination ?? pino.destination({ dest: 1, sync: true }));
    this.metrics = options.registry ?? new Registry();
    this.#metrics = createMetrics(this.metrics, agent, options.processMetrics ?? true);
    this.#metrics.buildInfo.set({ version }, 1);
  }

  /** Records written to output topics by committed transactions. */
  get outputs(): number {
    return this.#outputs;
  }

  /** The last rejects of committed transactions, newest first. */
  get lastRejects(): readonly RecentReject[] {
    return this.#rejects.newestFirst();
  }

  /** Gives the gauges their source. Before this they are not told. */
  observe(source: StatusSource): void {
    this.#source = source;
  }

  /** The Prometheus text, with gauges as of now. */
  async scrape(): Promise<{ readonly contentType: string; readonly body: string }> {
    this.#fillGauges();
    return { contentType: this.metrics.contentType, body: await this.metrics.metrics() };
  }

  /** @throws Error for a level that does not exist */
  setLevel(level: LogLevel): void {
    if (!logLevels.includes(level))
      throw new Error(`unknown log level ${JSON.stringify(level)}: ${logLevels.join(', ')}`);
    const before = this.logger.level;
    if (before === level) return;
    // The line is written on the more talkative of the two levels, so that the change to `error` is seen as well.
    if (this.logger.isLevelEnabled('info')) this.logger.info({ before, level }, 'log level changed');
    this.logger.level = level;
  }

  starting(details: Readonly<Record<string, unknown>>): void {
    this.logger.info(details, 'starting');
  }

  /**
   * @param commit records and outputs of the transaction; milliseconds that the commit took, and that the transaction was
   *   open before it
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
    let rejected = 0;
    for (const [name, counts] of batch.tenants) {
      this.#outputs += counts.outputs;
      const tenant = this.#tenants.labelOf(name);
      metrics.recordsRead.inc({ tenant }, counts.read);
      // A tenant has its series from its first record on: rate() misses what a series is born with.
      metrics.recordsEmitted.inc({ tenant }, counts.emitted);
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
    for (const { topic, partition, timestamp } of batch.partitions) {
      this.#eventTimes.set(`${topic}/${partition}`, timestamp);
    }
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
    for (const partition of partitions) this.#eventTimes.delete(named(partition));
    this.logger.info({ partitions: partitions.map(named) }, 'partitions assigned');
  }

  partitionsRevoked(partitions: readonly TopicPartition[]): void {
    this.#metrics.rebalances.inc({ kind: 'revoked' });
    this.#forget(partitions);
    this.logger.info({ partitions: partitions.map(named) }, 'partitions revoked');
  }

  /** Taken away without asking: this process did not poll in time, or was cut off. */
  partitionsLost(partitions: readonly TopicPartition[]): void {
    this.#metrics.rebalances.inc({ kind: 'lost' });
    this.#forget(partitions);
    this.logger.warn({ partitions: partitions.map(named) }, 'partitions lost; the open transaction is not committed');
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
   * Input was deleted before it was read. @param offsets that were not reported before: at most so
   * many records
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

  /** Somebody else wrote into the changelog: an operator must find out who. The record is left out. */
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
   * Another process has the same transactional id: normal when a zombie comes back, a mistake when it repeats. It is
   * counted apart from {@link recovering}, which does not follow when the process gives way.
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
   * An operator must act: permissions, or the topic's settings. At most one line per 10 s and topic,
   * and {@link MAX_TOPIC_LINES} of all topics: whoever publishes may make up names.
   */
  topicUnwritable(topic: string, error: unknown): void {
    this.#metrics.topicFailures.inc();
    this.#repeating(`topic/${topic}`, (repeated) => {
      const others = this.#repeats.take('topics', MAX_TOPIC_LINES);
      if (others === null) return;
      const line = { topic, ...described(error), repeated, ...(others > 0 && { others }) };
      this.logger.error(line, 'topic cannot be written; its records are dead-lettered');
    });
  }

  /**
   * An operator must act: a limit of the topic. At most one line per 10 s; each is counted as a
   * rejected record.
   */
  recordRefused({ topic, partition, offset }: InputRecord, reason: string): void {
    this.#repeating('record-refused', (repeated) =>
      this.logger.error(
        { topic, partition, offset, error: reason, repeated },
        'the broker refuses a record; it is dead-lettered',
      ),
    );
  }

  /** A connection to a broker failed; the client tries again by itself. At most one line per 10 s. */
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
   * Counted by {@link transactionCommitted}, which also makes it one of {@link lastRejects}; this is the line for one
   * dead-lettered record, at debug. Of records that are emitted in part at most one line per 10 s:
   * a device with one bad attribute sends them all the time.
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
      rejections: refused.slice(0, MAX_REJECTIONS).map(({ code, message }) => ({ code, message })),
      ...(refused.length > MAX_REJECTIONS && { more: refused.length - MAX_REJECTIONS }),
    };
    if (step.kind === 'reject') this.logger.debug(line, 'record rejected');
    else {
      this.#repeating('reports', (repeated) => this.logger.debug({ ...line, repeated }, 'parts of a record rejected'));
    }
  }

  /**
   * The agent threw an exception instead of deciding: a defect, which somebody must mend. The record is dead-lettered, and
   * counted as rejected by {@link transactionCommitted}. At most one line per 10 s and place in the code, because one
   * publisher may send thousands of such records.
   */
  decisionFailed({ topic, partition, offset }: InputRecord, error: unknown): void {
    const stack = (isNativeError(error) ? error.stack : undefined)?.slice(0, MAX_STACK) ?? '';
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

  #forget(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      this.#eventTimes.delete(named(partition));
      this.#metrics.restoreSeconds.remove({ partition: String(partition.partition) });
    }
  }

  #fillGauges(): void {
    if (this.#source === undefined) return;
    const status = this.#source.status();
    const metrics = this.#metrics;
    // Partitions that went away must not leave their last values behind.
    metrics.consumerLag.reset();
    metrics.eventTimeLag.reset();
    let restoring = 0;
    let outOfRange = 0;
    let remaining = 0;
    for (const { topic, partition, lag, state, restore } of status.assignment) {
      if (state === 'restoring') restoring++;
      if (state === 'out-of-range') outOfRange++;
      if (restore !== undefined) remaining += Math.max(0, restore.end - restore.offset);
      const labels = { topic, partition: String(partition) };
      if (lag !== null) metrics.consumerLag.set(labels, lag);
      const timestamp = this.#eventTimes.get(named({ topic, partition }));
      if (lag === 0) metrics.eventTimeLag.set(labels, 0);
      else if (timestamp !== undefined) metrics.eventTimeLag.set(labels, Math.max(0, (this.#now() - timestamp) / 1000));
    }
    metrics.restoringPartitions.set(restoring);
    metrics.outOfRangePartitions.set(outOfRange);
    metrics.restoreRemaining.set(remaining);
    metrics.stateEntries.set(status.stateEntries ?? 0);
    metrics.assignedPartitions.set(status.assignment.length);
    metrics.lastCommit.set(status.lastCommit === null ? 0 : Date.parse(status.lastCommit) / 1000);
    metrics.ready.set(this.#source.ready().ready ? 1 : 0);
    metrics.stalled.set(status.stalled ? 1 : 0);
  }
}

function named({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

/** An error as fields of a line. Stacks lead into the client library, and are left out. */
function described(error: unknown): { readonly error: string; readonly code?: string | number } {
  const code = codeOf(error);
  return { error: messageOf(error), ...(code === undefined ? {} : { code }) };
}

const MAX_HEADER = 200;
const MAX_STACK = 4000;
/** Lines of 10 s about unwritable topics; the first of the next 10 s says how many were left out. */
const MAX_TOPIC_LINES = 20;
/** Of a record with a hundred thousand bad attributes, a line tells the first. */
const MAX_REJECTIONS = 20;

function headerText(record: InputRecord, name: string): string | undefined {
  for (const header of record.headers) {
    for (const [key, value] of Object.entries(header)) {
      if (key.toLowerCase() === name) return String(value).slice(0, MAX_HEADER);
    }
  }
  return undefined;
}
