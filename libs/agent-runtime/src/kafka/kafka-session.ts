/**
 * The session on Apache Kafka: one consumer, one producer.
 *
 * Of the client only `consume(n)` is used, one call at a time, always one ahead of the loop. Three facts decide the shape of
 * this file:
 *
 * - A rebalance is told by a callback, and librdkafka then waits for `(incremental)Assign` or `Unassign`, for as long as
 *   max.poll.interval.ms. So the callback only queues an event; the loop prepares (committed offsets, state) while
 *   commits go on, and then answers. No record of a partition can arrive before it was accepted.
 *
 * - A consume call in flight may hold records that were fetched before a partition was revoked, or before a rewind.
 *
 *       consume() --------------------------> [p0@7 p0@8 p1@3]
 *              revoked p0 -> release p0   ^ delivered after the release: p0's are not ours
 *              rewind p0 to 5             ^ delivered after the rewind: p0@7 would skip 5 and 6
 *
 *   Against the first, records of partitions that are not owned are dropped on arrival. Against the second, and against a
 *   partition that is released and comes back, `accept` and `rewind` first wait for the call in flight (at most the consume
 *   timeout) and drop what it brings of the partitions in question.
 *
 * - The outcome of a commit is one of three: committed, surely aborted, unknown. Retriable errors are retried with the very
 *   same call until a deadline; after it the outcome counts as unknown.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { InputRecord } from '@kafnus/agent-contract';
import {
  asKafkaError,
  call,
  kafka,
  loginProblem,
  topicForbidden,
  unknownTopic,
  type AdminClient,
  type ClientLogEntry,
  type ClientMessage,
  type KafkaConsumer,
  type KafkaError,
  type KafkaProducer,
} from '@kafnus/kafka-admin';
import type { RuntimeConfig } from '../config.js';
import type {
  ChangelogEntry,
  CommitOutcome,
  OutgoingRecord,
  PartitionOffset,
  Session,
  SessionEvent,
  TopicPartition,
  TopicSpec,
  TopicState,
} from '../session.js';
import { partitionName } from '../session.js';
import { writableTime } from '../writable-time.js';
import { CallsInFlight } from './calls.js';
import {
  adminProperties,
  consumerProperties,
  consumerTopicProperties,
  producerProperties,
  startOffset,
  transactionalId,
} from './client-config.js';
import { Encoder } from './encoder.js';
import {
  allBrokersDown,
  assignPartitions,
  eventError,
  fatal,
  groupForbidden,
  isFenced,
  needsOperator,
  isProducerUnusable,
  isPurge,
  isRefusal,
  missingRightOf,
  queueFull,
  refusalOf,
  rebalancing,
  timedOut,
  transportFailed,
  tooLarge,
} from './errors.js';
import { ownHeaders } from './own-headers.js';
import { ReadPositions } from './read-positions.js';
import { UnansweredRebalances, type Rebalance } from './rebalances.js';
import { restorePartition } from './restore.js';
import { SendFailures } from './send-failures.js';
import { Topics } from './topics.js';
import { abortedByCoordinatorText, commitDeadline, isAbortedByCoordinator, tooOldText } from './transaction-age.js';
import { untilAborted } from '../until-aborted.js';

/** What the session tells besides its events: for logs and metrics. */
interface SessionListener {
  topicCreated(topic: string): void;
  /** A connection failed, or a request to one broker; the client goes on by itself. */
  brokerProblem(error: Error): void;
  /** A request gets no answer and is repeated: nothing goes on until the cluster is back. */
  clusterAway(error: Error): void;
  /** A step of a commit is repeated. */
  commitRetry(error: Error): void;
  clientLog(entry: ClientLog): void;
}

interface ClientLog extends ClientLogEntry {
  readonly severity: number;
}

/** How long a consume call waits for its first record: bounds the time in which a rebalance is answered. */
const consumeTimeoutMs = 100;
const requestTimeoutMs = 5000;
/**
 * Requests outside of a commit get this time, and are repeated. They cannot be interrupted, the
 * process cannot end under one, and SIGTERM is to be answered within five seconds.
 */
const uninterruptibleMs = 3000;
/**
 * Before the group is left: how long the cluster has to show that it answers. Its answer to the
 * leaving itself is waited for 5 s.
 */
const signOfLifeMs = 1500;
/** How long a fenced session lets the other one work, half as long at least and half as long again at most. */
const fencedPauseMs = 1000;
/** How long to wait before a producer that has ended without transactions is replaced. */
const restartPauseMs = 500;
/** Behind {@link signOfLifeMs}: with it, a call of {@link uninterruptibleMs} has come back. */
const returnMs = 2000;
/** How much longer than its timeout a call may take before it is given up. */
const graceMs = 2000;
/**
 * The coordinator answers a commit before its markers are written, and refuses the next transaction's partitions until they are:
 * librdkafka then asks again after 20 ms. So long, about, the markers take.
 */
const markersMs = 2;
/** The steps in which acknowledgements are waited for, see {@link KafkaSession.commit}. */
const drainStepsMs = [1, 1, 1, 1, 2, 2, 2, 4, 4, 8];
/** A flush cannot be interrupted: so soon it sees that the agent stops. */
const flushStepMs = 500;
/** How long to wait for a rebalance, between one commit of offsets and the next. */
const commitAgainMs = [20, 50, 100, 200, 400, 800];
/**
 * About so much is read by one call, as far as the sizes of those before tell: the client refills its queue while it hands
 * records out, and as many large ones as small ones would be a hundred megabytes at once.
 */
const pollBytes = 4 << 20;
const noHeaders: readonly never[] = [];

type CommittedPosition = TopicPartition & { readonly offset: number };

export interface KafkaSessionOptions {
  readonly config: RuntimeConfig;
  readonly agent: string;
  /** Topics to subscribe to, or patterns of their names: those that begin with `^`. */
  readonly topics: readonly string[];
  readonly listener: SessionListener;
}

export class KafkaSession implements Session {
  readonly #options: KafkaSessionOptions;
  readonly #exactlyOnce: boolean;
  readonly #topics: Topics;
  readonly #events: SessionEvent[] = [];
  /** The accepted partitions, and where each started: unknown (null) until its first record when there was no offset. */
  readonly #owned = new Map<string, number | null>();
  readonly #failures = new SendFailures();
  /** Reports of failed deliveries so far. */
  #reports = 0;
  #consumer: KafkaConsumer;
  #producer: KafkaProducer;
  #admin: AdminClient | undefined;
  /** Restores have one of their own: what asks a dead leader would hold up the lookups of topics. */
  #restoreAdmin: AdminClient | undefined;
  #batch: InputRecord[] = [];
  /** How many records the consume call in flight has asked for, or the next one will. */
  #asked: number;
  /** The last call brought fewer than it had asked for. */
  #caughtUp = false;
  readonly #positions = new ReadPositions((partition) => this.#logStart(partition));
  /** Ends that the consume call in flight has told of. */
  #ends: (TopicPartition & { readonly offset: number })[] = [];
  #consuming: Promise<void> | undefined;
  #waiter: (() => void) | undefined;
  readonly #unanswered = new UnansweredRebalances();
  /** Calls that {@link close} must not disconnect a client under. */
  readonly #calls = new CallsInFlight();
  /** Where a partition without a committed offset starts. */
  readonly #start: number;
  #open = false;
  #closing = false;
  readonly #encoder = new Encoder();
  /** Aborted by {@link cancel} and {@link close}. */
  readonly #cancelled = new AbortController();
  /** When a flush is given up, ms of `performance`: see {@link stopping}. */
  #flushUntil = Number.POSITIVE_INFINITY;
  #unreturned = 0;
  #committedAt = Number.NEGATIVE_INFINITY;
  /** When the open transaction began. */
  #begunAt = performance.now();
  /** The last unknown outcome was that of a fenced producer. */
  #fenced = false;

  constructor(options: KafkaSessionOptions) {
    this.#options = options;
    this.#exactlyOnce = options.config.delivery === 'exactly-once';
    this.#asked = options.config.batchSize;
    this.#start = startOffset(options.config);
    this.#consumer = this.#createConsumer();
    this.#producer = this.#createProducer();
    this.#topics = new Topics(
      () => (this.#admin ??= this.#createAdmin()),
      this.#calls,
      (topic) => options.listener.topicCreated(topic),
      options.config.kafkaProducer['allow.auto.create.topics'] === true ? () => this.#producer : undefined,
    );
  }

  async start(): Promise<void> {
    await this.#connect('consumer', this.#consumer, () => (this.#consumer = this.#createConsumer()));
    await this.#startProducer();
    if (this.#closing) return;
    this.#consumer.setDefaultConsumeTimeout(consumeTimeoutMs);
    this.#consumer.setDefaultIsTimeoutOnlyForFirstMessage(true);
    this.#consumer.subscribe(this.#options.topics);
    this.#open = true;
    this.#consume();
  }

  async next(timeoutMs: number, wantRecords: boolean): Promise<SessionEvent> {
    const found = this.#take(wantRecords);
    if (found) return found;
    const woken = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs, false);
      this.#waiter = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
    this.#waiter = undefined;
    return this.#take(wantRecords) ?? (woken ? { kind: 'woken' } : { kind: 'idle' });
  }

  wake(): void {
    this.#emit({ kind: 'woken' });
  }

  #take(wantRecords: boolean): SessionEvent | undefined {
    const event = this.#events.shift();
    if (event) return event;
    if (!wantRecords || this.#batch.length === 0) return undefined;
    const records = this.#batch;
    this.#batch = [];
    this.#events.push(...this.#positions.takeJumps());
    this.#consume();
    return { kind: 'records', records, drained: this.#caughtUp };
  }

  #emit(event: SessionEvent): void {
    this.#events.push(event);
    this.#waiter?.();
  }

  /** Keeps one consume call in flight while nothing is waiting to be taken. */
  #consume(): void {
    if (this.#consuming || !this.#open || this.#batch.length > 0) return;
    this.#consuming = new Promise((resolve) => {
      this.#consumer.consume(this.#asked, (error, messages) => {
        this.#consuming = undefined;
        if (error) this.#consumeFailed(error);
        else this.#receive(messages);
        resolve();
        this.#consume();
      });
    });
  }

  #receive(messages: readonly ClientMessage[]): void {
    const positions = this.#positions;
    const ends = this.#ends.map((end) => ({ end, before: positions.next(partitionName(end)) }));
    this.#ends = [];
    let topic = '';
    let partition = -1;
    let name = '';
    let isRead = false;
    let next: number | undefined;
    let bytes = 0;
    for (const message of messages) {
      bytes += message.size;
      if (message.partition !== partition || message.topic !== topic) {
        if (isRead && next !== undefined) positions.passed(name, next);
        ({ topic, partition } = message);
        name = partitionName(message);
        isRead = this.#isOwned(message) && !positions.isOutOfRange(name);
        next = positions.next(name);
      }
      if (!isRead) continue;
      if (message.offset !== next && !positions.follows(message, next)) {
        isRead = false;
        continue;
      }
      next = message.offset + 1;
      const headers = message.headers === undefined ? noHeaders : ownHeaders(message.headers);
      this.#batch.push(headers === message.headers ? (message as InputRecord) : Object.assign(message, { headers }));
    }
    if (isRead && next !== undefined) positions.passed(name, next);
    for (const { end, before } of ends) if (this.#isOwned(end)) positions.reachedEnd(end, before);
    if (this.#batch.length === 0) for (const jump of positions.takeJumps()) this.#emit(jump);
    this.#caughtUp = messages.length < this.#asked;
    if (messages.length > 0) {
      const fitting = Math.floor((pollBytes * messages.length) / Math.max(1, bytes));
      this.#asked = Math.max(1, Math.min(this.#options.config.batchSize, fitting));
    }
    if (this.#batch.length > 0) this.#waiter?.();
  }

  /** A partition of which nothing was known starts with its first record, or where its log ends. */
  #isOwned(place: TopicPartition & { readonly offset: number }): boolean {
    const name = partitionName(place);
    const start = this.#owned.get(name);
    if (start === null) this.#owned.set(name, place.offset);
    return start !== undefined;
  }

  #logStart({ topic, partition }: TopicPartition): number | null {
    try {
      const { lowOffset } = this.#consumer.getWatermarkOffsets(topic, partition);
      return lowOffset < 0 ? null : lowOffset;
    } catch {
      return null;
    }
  }

  /**
   * Events about jumps that were not taken yet: they are about a place at which these partitions
   * are not read any more.
   */
  #dropJumps(partitions: readonly TopicPartition[]): void {
    const names = new Set(partitions.map(partitionName));
    for (const event of this.#events.splice(0)) {
      if (!('jump' in event && names.has(partitionName(event.jump)))) this.#events.push(event);
    }
  }

  #consumeFailed(error: KafkaError): void {
    // The group has taken our partitions away because we were too slow: the revocation follows as an event of its own.
    const { config, topics, listener } = this.#options;
    if (error.code === fatal) this.#emit({ kind: 'failed', error });
    else if (error.code === topicForbidden) listener.clusterAway(missingRight('topic', topics.join(', ')));
    else if (error.code === groupForbidden) listener.brokerProblem(missingRight('group', config.groupId));
    else listener.brokerProblem(error);
  }

  async #quiesce(): Promise<void> {
    this.#open = false;
    await this.#consuming;
    this.#open = true;
  }

  #dropFetched(partitions: readonly TopicPartition[]): void {
    const dropped = new Set(partitions.map(partitionName));
    this.#batch = this.#batch.filter((record) => !dropped.has(partitionName(record)));
  }

  #onRebalance(error: KafkaError | undefined, partitions: readonly TopicPartition[]): void {
    const named = partitions.map(({ topic, partition }) => ({ topic, partition }));
    const assigned = error?.code === assignPartitions;
    if (this.#closing) {
      this.#answer({ assigned, partitions: named });
      return;
    }
    this.#unanswered.add({ assigned, partitions: named });
    if (assigned) this.#emit({ kind: 'assigned', partitions: named });
    else this.#emit({ kind: 'revoked', partitions: named, lost: this.#consumer.assignmentLost() });
  }

  /** Nobody prepares or finishes any more, but librdkafka waits for an answer before it leaves the group. */
  #answer({ assigned, partitions }: Rebalance): void {
    try {
      if (assigned) this.#assign(partitions.map((partition) => ({ ...partition, offset: null })));
      else this.#unassign(partitions);
    } catch (thrown) {
      this.#options.listener.brokerProblem(asKafkaError(thrown));
    }
  }

  async committed(partitions: readonly TopicPartition[], signal?: AbortSignal): Promise<readonly PartitionOffset[]> {
    if (partitions.length === 0) return [];
    type Committed = { topic: string; partition: number; offset?: number | null };
    const request = (): Promise<Committed[]> =>
      call((done) => {
        this.#consumer.committed(partitions, uninterruptibleMs, done);
      });
    const found = await this.#untilAnswered(
      'committed offsets',
      () => untilAborted(this.#calls.track(this.#consumer, request()), signal),
      signal,
    );
    return found.map(({ topic, partition, offset }) => ({
      topic,
      partition,
      offset: typeof offset === 'number' && offset >= 0 ? offset : null,
    }));
  }

  async accept(positions: readonly PartitionOffset[]): Promise<void> {
    await this.#quiesce();
    this.#dropFetched(positions);
    if (this.#closing) return;
    this.#unanswered.answer(true, positions);
    this.#dropJumps(positions);
    for (const position of positions) {
      this.#owned.set(partitionName(position), position.offset);
      this.#positions.begin(position, position.offset);
    }
    try {
      this.#assign(positions);
    } catch (thrown) {
      // The membership ended in the meantime: the revocation is on its way.
      this.#options.listener.brokerProblem(asKafkaError(thrown));
    }
    this.#consume();
  }

  #assign(positions: readonly PartitionOffset[]): void {
    const partitions = positions.map(({ topic, partition, offset }) => ({
      topic,
      partition,
      offset: offset ?? this.#start,
    }));
    if (this.#consumer.rebalanceProtocol() === 'EAGER') this.#consumer.assign(partitions);
    else this.#consumer.incrementalAssign(partitions);
  }

  release(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      this.#owned.delete(partitionName(partition));
      this.#positions.forget(partition);
    }
    this.#dropFetched(partitions);
    this.#dropJumps(partitions);
    this.#unanswered.answer(false, partitions);
    try {
      this.#unassign(partitions);
    } catch (thrown) {
      this.#options.listener.brokerProblem(asKafkaError(thrown));
    }
    this.#consume();
  }

  #unassign(partitions: readonly TopicPartition[]): void {
    if (this.#consumer.rebalanceProtocol() === 'EAGER') this.#consumer.unassign();
    else this.#consumer.incrementalUnassign(partitions);
  }

  async rewind(positions: readonly PartitionOffset[]): Promise<void> {
    await this.#quiesce();
    this.#dropFetched(positions);
    this.#dropJumps(positions);
    for (const position of positions) {
      // Without a start there was no record yet, and so nothing to go back from.
      const offset = position.offset ?? this.#owned.get(partitionName(position)) ?? null;
      if (offset === null) continue;
      await this.#seek({ ...position, offset });
      this.#positions.begin(position, offset);
    }
    this.#consume();
  }

  async #seek(position: TopicPartition & { readonly offset: number }): Promise<void> {
    const name = partitionName(position);
    for (;;) {
      try {
        await call((done) => this.#consumer.seek(position, requestTimeoutMs, done));
        return;
      } catch (thrown) {
        // What is being taken away cannot be sought, and need not be: none of its records is delivered any more.
        const revoked = this.#events.some(
          (event) => event.kind === 'revoked' && event.partitions.some((tp) => partitionName(tp) === name),
        );
        if (revoked || this.#closing) return;
        this.#options.listener.brokerProblem(named(`seek of ${name}`, asKafkaError(thrown)));
        await sleep(100);
      }
    }
  }

  watermarks({ topic, partition }: TopicPartition): { readonly low: number; readonly high: number } | null {
    const name = partitionName({ topic, partition });
    try {
      const { lowOffset, highOffset } = this.#consumer.getWatermarkOffsets(topic, partition);
      // An end before where we are is that of an earlier ownership: nothing has been fetched since.
      if (highOffset < (this.#positions.next(name) ?? 0)) return null;
      // Markers of transactions are nothing to wait for: a raw topic that agents write to ends with them.
      return { low: Math.max(0, lowOffset), high: this.#positions.endOfRecords(name, highOffset) };
    } catch {
      // Not fetched from yet.
      return null;
    }
  }

  async begin(): Promise<void> {
    // Without transactions, records are sent while others are being committed: a refusal stays until a commit has told it.
    if (!this.#exactlyOnce) return;
    this.#failures.reported();
    const early = this.#committedAt + markersMs - performance.now();
    if (early > 0) await sleep(early);
    this.#begunAt = performance.now();
    await call((done) => this.#producer.beginTransaction(done));
  }

  send({ topic, partition, key, value, timestamp, headers }: OutgoingRecord): 'queued' | 'full' | 'too-large' {
    const encoder = this.#encoder;
    encoder.clear();
    try {
      const time = writableTime(timestamp);
      this.#producer.produce(topic, partition, encoder.bytes(value), encoder.bytes(key), time, undefined, headers);
      return 'queued';
    } catch (thrown) {
      const error = asKafkaError(thrown);
      if (error.code === queueFull) return 'full';
      if (error.code === tooLarge) return 'too-large';
      // The commit reports it: an outcome is handled in one place. A transaction that has ended
      // says so by itself.
      if (unknownTopic.has(error.code)) this.#failures.failed(topic, error);
      else if (!isProducerUnusable(error)) throw error;
      else if (!this.#exactlyOnce) this.#failures.failed(topic, error);
      return 'queued';
    }
  }

  async sendable(): Promise<void> {
    await sleep(5);
  }

  async commit(offsets: readonly PartitionOffset[]): Promise<CommitOutcome> {
    const positions = offsets.flatMap(({ topic, partition, offset }) =>
      offset === null ? [] : [{ topic, partition, offset }],
    );
    const timeoutMs = this.#options.config.transactionTimeoutMs;
    const deadline = commitDeadline(this.#begunAt, timeoutMs);
    try {
      const refused = this.#failures.refused.values().next().value;
      if (this.#exactlyOnce && refused) return await this.#abortBecause(refused);
      if (this.#exactlyOnce && performance.now() >= deadline) {
        const tooOld = new Error(tooOldText(performance.now() - this.#begunAt, timeoutMs));
        return await this.#abortBecause(Object.assign(tooOld, { code: timedOut }));
      }
      if (this.#exactlyOnce) {
        const drained = this.#drain();
        // When the offsets fail, nobody waits for it: the producer is replaced then, and its flush fails with it.
        drained.catch(() => undefined);
        await this.#retried('sendOffsetsToTransaction', deadline, (timeoutMs, done) => {
          this.#producer.sendOffsetsToTransaction(positions, this.#consumer, timeoutMs, done);
        });
        await drained;
        await this.#retried('commitTransaction', deadline, (timeoutMs, done) => {
          this.#producer.commitTransaction(timeoutMs, done);
        });
        this.#committedAt = performance.now();
      } else {
        await this.#flush();
        await this.#reportsArrived();
        if (this.#failures.ended) return this.#unknown(this.#failures.ended);
        const failure = this.#failures.refused.values().next().value;
        if (failure) return this.#reportRefusals(failure);
        // The time of the flush does not count: it lasts as long as the brokers are away, and the
        // offsets are asked for after it.
        await this.#commitOffsets(positions, commitDeadline(performance.now(), timeoutMs));
      }
      return { kind: 'committed' };
    } catch (thrown) {
      const error = asKafkaError(thrown);
      if (!this.#exactlyOnce) return this.#reportRefusals(error);
      return error.isTxnRequiresAbort ? this.#abortBecause(error) : this.#unknown(error);
    }
  }

  /**
   * Commits offsets without a transaction. The client's commitCb tells that the request is queued, not what becomes of it: a group
   * in a rebalance refuses it (ILLEGAL_GENERATION), and nobody would know. So the coordinator is asked, on the connection that
   * took the request and therefore behind it; what it does not have is committed again, until the rebalance is over.
   * @throws Error when it is refused for longer: the partitions are another member's, or soon will be
   */
  async #commitOffsets(positions: readonly CommittedPosition[], deadline: number): Promise<void> {
    if (positions.length === 0) return;
    for (const pauseMs of commitAgainMs) {
      await this.#retried('commit', deadline, (_timeoutMs, done) => {
        this.#consumer.commitCb(positions, done);
      });
      if (await this.#areCommitted(positions, deadline)) return;
      await sleep(pauseMs);
    }
    throw Object.assign(new Error('the group has not taken the offsets: it is in a rebalance'), { code: rebalancing });
  }

  async #areCommitted(positions: readonly CommittedPosition[], deadline: number): Promise<boolean> {
    const found = new Map<string, number>();
    await this.#retried('committed', deadline, (timeoutMs, done) => {
      this.#consumer.committed(positions, timeoutMs, (error, offsets) => {
        for (const entry of offsets ?? []) found.set(partitionName(entry), entry.offset ?? -1);
        done(error);
      });
    });
    // More than that: another member has gone on, and there is nothing left to commit.
    return positions.every((position) => (found.get(partitionName(position)) ?? -1) >= position.offset);
  }

  /**
   * Waits for acknowledgements in small steps: a single flush, and commitTransaction with it, looks only every 10 ms whether all
   * have come, as no report of a success wakes it. What takes longer is left to them.
   */
  async #drain(): Promise<void> {
    const producer = this.#producer;
    for (const timeoutMs of drainStepsMs) {
      const flushed = new Promise((resolve) => producer.flush(timeoutMs, resolve));
      if (!(await this.#calls.track(producer, flushed))) return;
    }
  }

  async #abortBecause(error: KafkaError): Promise<CommitOutcome> {
    const ended = await this.abort();
    return ended.kind === 'aborted' ? this.#aborted(error) : ended;
  }

  /**
   * Waits until everything is acknowledged or refused: what is queued cannot be taken back, and
   * must not be sent again beside it. Once the agent stops, nothing is sent again by this process,
   * and the wait is bounded.
   * @throws KafkaError when it is given up
   */
  async #flush(): Promise<void> {
    await this.#drain();
    for (let waitedMs = 0; ;) {
      const left = this.#flushUntil - performance.now();
      const timeoutMs = Math.ceil(Math.max(1, Math.min(left, flushStepMs)));
      try {
        await call((done) => this.#producer.flush(timeoutMs, done));
        return;
      } catch (thrown) {
        const error = asKafkaError(thrown);
        if (this.#closing || performance.now() >= this.#flushUntil) throw error;
        waitedMs += timeoutMs;
        if (error.code === timedOut && waitedMs < requestTimeoutMs) continue;
        waitedMs = 0;
        this.#tellRetry(named('flush', error));
      }
    }
  }

  async abort(): Promise<CommitOutcome> {
    const reason = new Error('aborted');
    if (!this.#exactlyOnce) {
      if (!this.#failures.ended) await this.#flush().catch(() => undefined);
      await this.#reportsArrived();
      return this.#failures.ended ? this.#unknown(this.#failures.ended) : this.#reportRefusals(reason);
    }
    try {
      await this.#retried(
        'abortTransaction',
        performance.now() + this.#options.config.transactionTimeoutMs,
        (timeoutMs, done) => {
          this.#producer.abortTransaction(timeoutMs, done);
        },
      );
      await this.#reportsArrived();
      return this.#aborted(reason);
    } catch (thrown) {
      return this.#unknown(asKafkaError(thrown));
    }
  }

  /**
   * Without transactions: the outcome reports the refusals so far, and those of what is sent from
   * now on are new ones.
   */
  #reportRefusals(error: Error): CommitOutcome {
    const outcome = this.#aborted(error);
    this.#failures.reported();
    return outcome;
  }

  #aborted(error: Error): CommitOutcome {
    const cause = 'code' in error ? nameOf(error.code) : 'requested';
    const { refused } = this.#failures;
    if (refused.size === 0) {
      // A right that was taken away shows when partitions are added to the transaction, before any
      // record is sent: no report names the topic.
      const { kind } = refusalOf(asKafkaError(error));
      return kind === 'passing' ? { kind: 'aborted', cause, error } : { kind: 'aborted', cause, error, unnamed: kind };
    }
    const byTopic = new Map([...refused].map(([topic, refusal]) => [topic, refusalOf(refusal)]));
    return { kind: 'aborted', cause, error, refused: byTopic };
  }

  /**
   * Waits for the reports of failures that are on their way: the client hands over a hundred in a
   * turn of the event loop. They do not name their transaction, so that one which arrives later is
   * held against the next, and a good record would be taken for the one that is refused.
   */
  async #reportsArrived(): Promise<void> {
    for (let quiet = 0; quiet < 2; quiet += 1) {
      const before = this.#reports;
      await new Promise(setImmediate);
      if (this.#reports !== before) quiet = -1;
    }
  }

  #unknown(error: KafkaError): CommitOutcome {
    const ageMs = performance.now() - this.#begunAt;
    const { transactionTimeoutMs } = this.#options.config;
    if (isFenced(error) && isAbortedByCoordinator(ageMs, transactionTimeoutMs)) {
      this.#fenced = false;
      const late = new Error(abortedByCoordinatorText(ageMs, transactionTimeoutMs), { cause: error });
      return { kind: 'unknown', cause: 'transaction_timeout', fenced: false, error: late };
    }
    this.#fenced = isFenced(error);
    return { kind: 'unknown', cause: nameOf(error.code), fenced: this.#fenced, error };
  }

  /** The same call again while its error is retriable, until the deadline. */
  async #retried(
    operation: string,
    deadline: number,
    invoke: (timeoutMs: number, done: (error: KafkaError | null | undefined) => void) => void,
  ): Promise<void> {
    for (;;) {
      const left = deadline - performance.now();
      try {
        const timeoutMs = Math.max(1, Math.min(left, requestTimeoutMs));
        await this.#inTime(operation, timeoutMs + graceMs, (done) => invoke(timeoutMs, done));
        return;
      } catch (thrown) {
        const error = asKafkaError(thrown);
        if (!error.isRetriable || performance.now() >= deadline) throw error;
        this.#tellRetry(named(operation, error));
        await sleep(50);
      }
    }
  }

  /**
   * A call that may not come back: sendOffsetsToTransaction can wait for good when a coordinator goes away, whatever its timeout
   * says (librdkafka issue 5456). It is left behind then, and fails with an error that is not retriable: a call that still runs
   * cannot be repeated, but another producer under the same transactional id makes it harmless.
   */
  #inTime(
    operation: string,
    limitMs: number,
    invoke: (done: (error: KafkaError | null | undefined) => void) => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(Object.assign(new Error(`${operation} did not come back within ${limitMs} ms`), { code: timedOut }));
      }, limitMs);
      this.#unreturned += 1;
      invoke((error) => {
        this.#unreturned -= 1;
        clearTimeout(timer);
        if (error) reject(error);
        else resolve();
      });
    });
  }

  /** Calls that hold a thread. Once the session is closed, they are those that nobody waits for. */
  get unreturnedCalls(): number {
    return this.#unreturned + this.#calls.count();
  }

  /** Gives requests that end by their timeout a last moment to return. */
  callsReturned(): Promise<void> {
    return this.#calls.returned(returnMs);
  }

  #tellRetry(error: KafkaError): void {
    this.#options.listener.commitRetry(error);
    // A network that swallows everything shows in nothing else for a long time.
    if (error.code === timedOut) this.#options.listener.clusterAway(error);
  }

  async reset(signal?: AbortSignal): Promise<void> {
    // Two processes of one identity that fenced each other at the same moment would both be fenced again, and both give up.
    if (this.#fenced) await sleep(fencedPauseMs * (0.5 + Math.random()), undefined, { signal });
    this.#fenced = false;
    const ended = this.#failures.ended;
    const missing = ended === undefined ? undefined : missingRightOf(ended.message);
    if (missing !== undefined) throw new Error(`the producer cannot write: ${ended?.message}; ${missing}`);
    // Whatever has ended one producer may end the next as well, and at once.
    if (ended) await this.#pause(restartPauseMs, signal);
    signal?.throwIfAborted();
    const old = this.#producer;
    this.#failures.replaced();
    this.#producer = this.#createProducer();
    // Nothing depends on it any more. Blocked in a call that never ends, it would hold one thread more for its end.
    if (this.#unreturned === 0) void this.#calls.settled(old).then(() => old.disconnect(1, () => undefined));
    await this.#startProducer(signal);
  }

  ensureTopic(name: string, spec: TopicSpec | null, timeoutMs?: number): Promise<TopicState> {
    return this.#topics.ensure(name, spec, timeoutMs);
  }

  partitionCount(topic: string, signal?: AbortSignal): Promise<number | null> {
    return this.#untilAnswered(
      `lookup of topic ${topic}`,
      () => untilAborted(this.#topics.partitionCount(topic), signal),
      signal,
    );
  }

  restore(
    changelog: TopicPartition,
    onEntry: ChangelogEntry,
    onProgress: (progress: { entries: number; offset: number; end: number }) => void,
    signal: AbortSignal,
  ): Promise<number> {
    const { config, agent, listener } = this.#options;
    const name = partitionName(changelog);
    const onRemark = (text: string): void =>
      listener.clientLog({ severity: 4, fac: 'RESTORE', message: `restore of ${name}: ${text}` });
    const admin = (): AdminClient => (this.#restoreAdmin ??= this.#createAdmin());
    const calls = this.#calls;
    return this.#untilAnswered(
      `restore of ${name}`,
      () => restorePartition({ config, agent, changelog, onEntry, onProgress, onRemark, signal, admin, calls }),
      signal,
    );
  }

  stopping(): void {
    this.#flushUntil = Math.min(this.#flushUntil, performance.now() + this.#options.config.shutdownTimeoutMs / 2);
  }

  cancel(): void {
    this.#closing = true;
    this.#cancelled.abort();
  }

  async close(): Promise<void> {
    this.cancel();
    this.#open = false;
    await this.#consuming;
    for (const rebalance of this.#unanswered.take()) this.#answer(rebalance);
    if (!(await this.#clusterAnswers())) {
      const text =
        'the cluster does not answer: the group is left without a word, and misses this member when its session times out';
      this.#options.listener.brokerProblem(new Error(text));
      return;
    }
    await this.#calls.settled(this.#consumer);
    if (this.#consumer.isConnected()) await call((done) => this.#consumer.disconnect(done));
    await this.#calls.settled(this.#producer);
    // What a flush was given up for is not waited for again.
    const flushMs = performance.now() >= this.#flushUntil ? 1 : requestTimeoutMs;
    if (this.#producer.isConnected()) await call((done) => this.#producer.disconnect(flushMs, done));
    for (const admin of [this.#admin, this.#restoreAdmin]) {
      if (admin !== undefined && this.#calls.count(admin) === 0) admin.disconnect();
    }
  }

  /**
   * Where a network swallows everything, the consumer would wait 5 s for the answer to its leaving:
   * longer than a stop may take.
   */
  async #clusterAnswers(): Promise<boolean> {
    if (!this.#consumer.isConnected()) return true;
    try {
      // Any topic will do; without one, only the brokers are asked for.
      const topic = this.#options.topics.find((name) => !name.startsWith('^')) ?? '';
      const options = { topic, allTopics: false, timeout: signOfLifeMs };
      await this.#calls.track(
        this.#consumer,
        call((done) => this.#consumer.getMetadata(options, done)),
      );
      return true;
    } catch (thrown) {
      const { code } = asKafkaError(thrown);
      return code !== timedOut && code !== transportFailed;
    }
  }

  /**
   * A client of its own: one made from the consumer gets no answer while a rebalance waits for ours, and one made from the
   * producer would die with it in {@link reset}.
   */
  #createAdmin(): AdminClient {
    return kafka.AdminClient.create(adminProperties(this.#options.config, this.#options.agent));
  }

  #clientLog(entry: ClientLog): void {
    const { config, listener } = this.#options;
    const problem = loginProblem(entry, config, !this.#open);
    listener.clientLog(problem === undefined ? entry : { ...entry, message: `${problem} (${entry.message})` });
    if (problem !== undefined && !this.#closing) listener.clusterAway(new Error(problem));
  }

  #createConsumer(): KafkaConsumer {
    const { config, agent, listener } = this.#options;
    const consumer = new kafka.KafkaConsumer(
      {
        ...consumerProperties(config, agent),
        rebalance_cb: (error: KafkaError | undefined, partitions: readonly TopicPartition[]) =>
          this.#onRebalance(error, partitions),
      },
      consumerTopicProperties,
    );
    consumer.on('event.error', (event: Error) => {
      const error = eventError(event);
      if (error.code === fatal) this.#emit({ kind: 'failed', error });
      else if (error.code === allBrokersDown) listener.clusterAway(error);
      else listener.brokerProblem(error);
    });
    consumer.on('partition.eof', (end: TopicPartition & { readonly offset: number }) => this.#ends.push(end));
    consumer.on('event.log', (entry: ClientLog) => this.#clientLog(entry));
    return consumer;
  }

  #createProducer(): KafkaProducer {
    const { config, agent, listener } = this.#options;
    const producer = new kafka.Producer(producerProperties(config, agent), {});
    producer.on('event.error', (event: Error) => {
      const error = eventError(event);
      if (error.code === allBrokersDown) listener.clusterAway(error);
      else listener.brokerProblem(error);
    });
    producer.on('event.log', (entry: ClientLog) => {
      if (entry.fac === 'FATAL' && producer === this.#producer) this.#failures.explained(entry.message);
      this.#clientLog(entry);
    });
    producer.on('delivery-report', (error: KafkaError | null, report: { topic: string }) => {
      if (producer !== this.#producer || !error) return;
      this.#reports += 1;
      // An abort purges what is still queued: a consequence of the error that it was aborted for,
      // never a cause.
      if (this.#exactlyOnce && isPurge(error)) return;
      this.#failures.failed(report.topic, error);
    });
    return producer;
  }

  async #startProducer(signal?: AbortSignal): Promise<void> {
    await this.#connect('producer', this.#producer, () => (this.#producer = this.#createProducer()), signal);
    this.#producer.setPollInBackground(true);
    if (!this.#exactlyOnce) return;
    const initialised = (): Promise<void> => {
      const producer = this.#producer;
      const request = call<void>((done) => producer.initTransactions(uninterruptibleMs, done));
      return untilAborted(this.#calls.track(producer, request), signal);
    };
    await this.#untilAnswered(`initTransactions of ${transactionalId(this.#options.config)}`, initialised, signal);
  }

  /**
   * Connects a client, or the one that takes its place. A client that could not connect is thrown away: each further connect() of
   * it would register its callbacks once more, every rebalance would be told twice, and with the second assignment of a
   * partition what was fetched since the first is dropped and lost.
   */
  #connect<C extends KafkaConsumer | KafkaProducer>(
    name: string,
    first: C,
    anew: () => C,
    signal?: AbortSignal,
  ): Promise<unknown> {
    let client = first;
    const connected = async (): Promise<void> => {
      try {
        const request = call<unknown>((done) => client.connect({ timeout: uninterruptibleMs }, done));
        await untilAborted(this.#calls.track(client, request), signal);
      } catch (error) {
        if (signal?.aborted !== true) client = anew();
        throw error;
      }
    };
    return this.#untilAnswered(`connection of the ${name}`, connected, signal);
  }

  /** Ends early when the session closes, or when `signal` is aborted. */
  async #pause(ms: number, signal?: AbortSignal): Promise<void> {
    const ends = [this.#cancelled.signal, ...(signal === undefined ? [] : [signal])];
    await sleep(ms, undefined, { signal: AbortSignal.any(ends) }).catch(() => undefined);
  }

  /**
   * Repeats a request that changes nothing until the cluster answers it.
   * @throws KafkaError when waiting cannot help (credentials, rights), when the session closes, or
   *   when `signal` is aborted
   */
  async #untilAnswered<T>(operation: string, request: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await request();
      } catch (thrown) {
        const error = asKafkaError(thrown);
        if (this.#closing || signal?.aborted === true || needsOperator(error) || isRefusal(error)) {
          throw named(operation, error);
        }
        this.#options.listener.clusterAway(named(operation, error));
        await this.#pause(Math.min(2000, 100 * 2 ** Math.min(attempt, 5)), signal);
        if (this.#closing) throw named(operation, error);
        signal?.throwIfAborted();
      }
    }
  }
}

/** The client does not say which one it was: a consumer reads these topics, in one group. */
function missingRight(resource: 'topic' | 'group', name: string): Error {
  return new Error(`not authorised to read ${resource} ${name}: grant Read on it`);
}

function named(operation: string, error: KafkaError): KafkaError {
  return Object.assign(new Error(`${operation}: ${error.message}`), { code: error.code });
}

const errorNames: ReadonlyMap<unknown, string> = new Map(
  Object.entries(kafka.CODES.ERRORS).map(([name, code]) => [code, name]),
);

function nameOf(code: unknown): string {
  return (
    errorNames
      .get(code)
      ?.replace(/^ERR_+/, '')
      .toLowerCase() ?? 'other'
  );
}
