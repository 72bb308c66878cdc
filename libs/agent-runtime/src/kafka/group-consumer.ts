/**
 * The member of the consumer group. Of the client only `consume(n)` is used, one call at a time,
 * always one ahead of the loop. Two facts decide the shape of this file:
 *
 * - A rebalance is announced by a callback, and librdkafka then waits for `(incremental)Assign` or
 *   `Unassign`, for as long as max.poll.interval.ms. So the callback only queues an event; the loop
 *   prepares (committed offsets, state) while commits go on, and then answers. No record of a
 *   partition can arrive before it was accepted.
 *
 * - A consume call in flight may hold records that were fetched before a partition was revoked, or
 *   before a rewind.
 *
 *       consume() --------------------------> [p0@7 p0@8 p1@3]
 *              revoked p0 -> release p0   ^ delivered after the release: p0's are not ours
 *              rewind p0 to 5             ^ delivered after the rewind: p0@7 would skip 5 and 6
 *
 *   Against the first, records of partitions that are not accepted are dropped on arrival. Against
 *   the second, and against a partition that is released and comes back, `accept` and `rewind`
 *   first wait for the call in flight (at most the consume timeout) and drop what it brings of the
 *   partitions in question.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asKafkaError, call, kafka, topicForbidden, type KafkaConsumer, type KafkaError } from '@kafnus/kafka-admin';
import type { GroupConsumer, PartitionOffset, SessionEvent, TopicPartition } from '../session.js';
import { partitionName } from '../session.js';
import { untilAborted } from '../until-aborted.js';
import { consumerProperties, consumerTopicProperties, startOffset } from './client-config.js';
import { reportEvent, type ClientContext, type ClientLog } from './client-context.js';
import { assignPartitions, eventError, fatal, groupForbidden, timedOut, transportFailed } from './errors.js';
import { EventQueue } from './event-queue.js';
import { FetchedRecords } from './fetched-records.js';
import type { Position } from './read-positions.js';
import { UnansweredRebalances, type Rebalance } from './rebalances.js';
import { connect, named, uninterruptibleMs, untilAnswered } from './retry.js';

/**
 * How long a consume call waits for its first record: bounds the time in which a rebalance is
 * answered.
 */
const consumeTimeoutMs = 100;
const seekTimeoutMs = 5000;
/**
 * Before the group is left: how long the cluster has to show that it answers. Its answer to the
 * leaving itself is waited for 5 s.
 */
const signOfLifeMs = 1500;

export class KafkaGroupConsumer implements GroupConsumer {
  readonly #context: ClientContext;
  readonly #topics: readonly string[];
  /** Where a partition without a committed offset starts. */
  readonly #start: number;
  readonly #events = new EventQueue();
  readonly #fetched: FetchedRecords;
  readonly #unanswered = new UnansweredRebalances();
  #client: KafkaConsumer;
  #connected: Promise<void> | undefined;
  #consuming: Promise<void> | undefined;
  #open = false;
  #isUnreachable = false;

  /** @param topics names, or patterns of names: those that begin with `^` */
  constructor(context: ClientContext, topics: readonly string[]) {
    this.#context = context;
    this.#topics = topics;
    this.#start = startOffset(context.config);
    this.#fetched = new FetchedRecords(context.config.batchSize, (partition) => this.#logStart(partition));
    this.#client = this.#createClient();
  }

  get client(): KafkaConsumer {
    return this.#client;
  }

  /** {@link close} found that the cluster does not answer. */
  get isUnreachable(): boolean {
    return this.#isUnreachable;
  }

  /** The first part of {@link start}: the group does not know of this member yet. */
  connect(): Promise<void> {
    const replace = (): KafkaConsumer => (this.#client = this.#createClient());
    return (this.#connected ??= connect(this.#context, 'consumer', this.#client, replace));
  }

  async start(): Promise<void> {
    await this.connect();
    if (this.#context.cancelled.aborted) return;
    this.#client.setDefaultConsumeTimeout(consumeTimeoutMs);
    this.#client.setDefaultIsTimeoutOnlyForFirstMessage(true);
    this.#client.subscribe(this.#topics);
    this.#open = true;
    this.#consume();
  }

  async next(timeoutMs: number, wantRecords: boolean): Promise<SessionEvent> {
    const found = this.#take(wantRecords);
    if (found) return found;
    const woken = await this.#events.wait(timeoutMs);
    return this.#take(wantRecords) ?? (woken ? { kind: 'woken' } : { kind: 'idle' });
  }

  wake(): void {
    this.#events.add({ kind: 'woken' });
  }

  #take(wantRecords: boolean): SessionEvent | undefined {
    const event = this.#events.take();
    if (event) return event;
    if (!wantRecords || this.#fetched.isEmpty) return undefined;
    const records = this.#fetched.take();
    this.#addJumps();
    this.#consume();
    return { kind: 'records', records, drained: this.#fetched.drained };
  }

  #addJumps(): void {
    for (const jump of this.#fetched.takeJumps()) this.#events.add(jump);
  }

  /** Keeps one consume call in flight while nothing is waiting to be taken. */
  #consume(): void {
    if (this.#consuming || !this.#open || !this.#fetched.isEmpty) return;
    this.#consuming = new Promise((resolve) => {
      this.#client.consume(this.#fetched.pollRecords, (error, messages) => {
        this.#consuming = undefined;
        if (error) this.#consumeFailed(error);
        else {
          this.#fetched.receive(messages);
          if (this.#fetched.isEmpty) this.#addJumps();
          else this.#events.endWait();
        }
        resolve();
        this.#consume();
      });
    });
  }

  #logStart({ topic, partition }: TopicPartition): number | null {
    try {
      const { lowOffset } = this.#client.getWatermarkOffsets(topic, partition);
      return lowOffset < 0 ? null : lowOffset;
    } catch {
      return null;
    }
  }

  #consumeFailed(error: KafkaError): void {
    // The group has taken our partitions away because we were too slow: the revocation follows as
    // an event of its own.
    const { config, listener } = this.#context;
    if (error.code === fatal) this.#events.add({ kind: 'failed', error });
    else if (error.code === topicForbidden) listener.clusterAway(missingRight('topic', this.#topics.join(', ')));
    else if (error.code === groupForbidden) listener.brokerProblem(missingRight('group', config.groupId));
    else listener.brokerProblem(error);
  }

  /** Waits for the consume call in flight; the next one begins with {@link #consume}. */
  async #quiesce(): Promise<void> {
    this.#open = false;
    await this.#consuming;
    this.#open = !this.#context.cancelled.aborted;
  }

  #onRebalance(error: KafkaError | undefined, partitions: readonly TopicPartition[]): void {
    const rebalanced = partitions.map(({ topic, partition }) => ({ topic, partition }));
    const assigned = error?.code === assignPartitions;
    if (this.#context.cancelled.aborted) {
      this.#answer({ assigned, partitions: rebalanced });
      return;
    }
    this.#unanswered.add({ assigned, partitions: rebalanced });
    if (assigned) this.#events.add({ kind: 'assigned', partitions: rebalanced });
    else this.#events.add({ kind: 'revoked', partitions: rebalanced, lost: this.#client.assignmentLost() });
  }

  /** Nobody prepares or finishes any more, but librdkafka waits for an answer before it leaves. */
  #answer({ assigned, partitions }: Rebalance): void {
    if (assigned) this.#assign(partitions.map((partition) => ({ ...partition, offset: null })));
    else this.#unassign(partitions);
  }

  /** The committed offsets of the group: see the writers. */
  async committed(partitions: readonly TopicPartition[], signal?: AbortSignal): Promise<readonly PartitionOffset[]> {
    if (partitions.length === 0) return [];
    type Committed = { topic: string; partition: number; offset?: number | null };
    const request = async (): Promise<PartitionOffset[]> => {
      const answer = await call<(Committed | Error)[]>((done) =>
        this.#client.committed(partitions, uninterruptibleMs, done),
      );
      return answer.map((one) => {
        // The client puts an error in the place of a partition without an answer: taken for one,
        // the partition would go on from where it was, and write a committed transaction again.
        if (one instanceof Error || !('topic' in one)) throw one;
        const { topic, partition, offset } = one;
        return { topic, partition, offset: typeof offset === 'number' && offset >= 0 ? offset : null };
      });
    };
    return untilAnswered(
      this.#context,
      'committed offsets',
      () => untilAborted(this.#context.calls.track(this.#client, request()), signal),
      signal,
    );
  }

  async accept(positions: readonly PartitionOffset[]): Promise<void> {
    await this.#quiesce();
    this.#fetched.drop(positions);
    if (this.#context.cancelled.aborted) return;
    this.#unanswered.answer(true, positions);
    this.#events.dropJumps(positions);
    for (const position of positions) this.#fetched.accept(position);
    this.#assign(positions);
    this.#consume();
  }

  #assign(positions: readonly PartitionOffset[]): void {
    const partitions = positions.map(({ topic, partition, offset }) => ({
      topic,
      partition,
      offset: offset ?? this.#start,
    }));
    this.#attempt(() => {
      if (this.#client.rebalanceProtocol() === 'EAGER') this.#client.assign(partitions);
      else this.#client.incrementalAssign(partitions);
    });
  }

  release(partitions: readonly TopicPartition[]): void {
    this.#fetched.release(partitions);
    this.#events.dropJumps(partitions);
    this.#unanswered.answer(false, partitions);
    this.#unassign(partitions);
    this.#consume();
  }

  #unassign(partitions: readonly TopicPartition[]): void {
    this.#attempt(() => {
      if (this.#client.rebalanceProtocol() === 'EAGER') this.#client.unassign();
      else this.#client.incrementalUnassign(partitions);
    });
  }

  /** It fails when the membership has ended in the meantime: the revocation is on its way. */
  #attempt(answer: () => void): void {
    try {
      answer();
    } catch (thrown) {
      this.#context.listener.brokerProblem(asKafkaError(thrown));
    }
  }

  async rewind(positions: readonly PartitionOffset[]): Promise<void> {
    await this.#quiesce();
    this.#fetched.drop(positions);
    this.#events.dropJumps(positions);
    for (const position of positions) {
      // Without a start there was no record yet, and so nothing to go back from.
      const offset = position.offset ?? this.#fetched.startOf(position);
      if (offset === null) continue;
      await this.#seek({ ...position, offset });
      this.#fetched.moveTo({ ...position, offset });
    }
    this.#consume();
  }

  async #seek(position: Position): Promise<void> {
    for (;;) {
      try {
        await call((done) => this.#client.seek(position, seekTimeoutMs, done));
        return;
      } catch (thrown) {
        // What is being taken away cannot be sought, and need not be: none of its records is
        // delivered any more.
        if (this.#events.isRevoked(position) || this.#context.cancelled.aborted) return;
        this.#context.listener.brokerProblem(named(`seek of ${partitionName(position)}`, asKafkaError(thrown)));
        await sleep(100);
      }
    }
  }

  watermarks({ topic, partition }: TopicPartition): { readonly low: number; readonly high: number } | null {
    try {
      const { lowOffset, highOffset } = this.#client.getWatermarkOffsets(topic, partition);
      const high = this.#fetched.endOfRecords({ topic, partition }, highOffset);
      return high === null ? null : { low: Math.max(0, lowOffset), high };
    } catch {
      // Not fetched from yet.
      return null;
    }
  }

  async close(): Promise<void> {
    this.#open = false;
    await this.#consuming;
    for (const rebalance of this.#unanswered.take()) this.#answer(rebalance);
    this.#isUnreachable = !(await this.#clusterAnswers());
    if (this.#isUnreachable) {
      const text =
        'the cluster does not answer: the group is not notified, and removes this member when its session times out';
      this.#context.listener.brokerProblem(new Error(text));
      return;
    }
    await this.#context.calls.settled(this.#client);
    if (this.#client.isConnected()) await call((done) => this.#client.disconnect(done));
  }

  /**
   * Where a network swallows everything, the client would wait 5 s for the answer to its leaving:
   * longer than a stop may take.
   */
  async #clusterAnswers(): Promise<boolean> {
    if (!this.#client.isConnected()) return true;
    try {
      // Any topic will do; without one, only the brokers are asked for.
      const topic = this.#topics.find((name) => !name.startsWith('^')) ?? '';
      const options = { topic, allTopics: false, timeout: signOfLifeMs };
      await this.#context.calls.track(
        this.#client,
        call((done) => this.#client.getMetadata(options, done)),
      );
      return true;
    } catch (thrown) {
      const { code } = asKafkaError(thrown);
      return code !== timedOut && code !== transportFailed;
    }
  }

  #createClient(): KafkaConsumer {
    const { config, agent, listener } = this.#context;
    const client = new kafka.KafkaConsumer(
      {
        ...consumerProperties(config, agent),
        rebalance_cb: (error: KafkaError | undefined, partitions: readonly TopicPartition[]) =>
          this.#onRebalance(error, partitions),
      },
      consumerTopicProperties,
    );
    client.on('event.error', (event: Error) => {
      const error = eventError(event);
      if (error.code === fatal) this.#events.add({ kind: 'failed', error });
      else reportEvent(listener, error);
    });
    client.on('partition.eof', (end: Position) => this.#fetched.endReported(end));
    client.on('event.log', (entry: ClientLog) => listener.clientLog(entry));
    return client;
  }
}

/** The client does not say which one it was: a consumer reads these topics, in one group. */
function missingRight(resource: 'topic' | 'group', name: string): Error {
  return new Error(`not authorised to read ${resource} ${name}: grant Read on it`);
}
