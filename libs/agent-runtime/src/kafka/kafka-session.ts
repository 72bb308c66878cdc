/**
 * The session on Apache Kafka: one member of the group, one writer, and admin clients for the side
 * services.
 *
 *     GroupConsumer      group-consumer.ts, with event-queue.ts and fetched-records.ts
 *     Writer             transactional-writer.ts for exactly-once, idempotent-writer.ts for
 *                        at-least-once: both on record-producer.ts and commit-calls.ts
 *     TopicAdmin         topics.ts, topic-lookups.ts
 *     ChangelogReader    restore.ts
 */
import { kafka, loginProblem, type AdminClient } from '@kafnus/kafka-admin';
import type { RuntimeConfig } from '../config.js';
import { partitionName, type Session } from '../session.js';
import { untilAborted } from '../until-aborted.js';
import { CallsInFlight } from './calls.js';
import { adminProperties } from './client-config.js';
import type { ClientContext, ClientLog, SessionListener } from './client-context.js';
import { KafkaGroupConsumer } from './group-consumer.js';
import { IdempotentWriter } from './idempotent-writer.js';
import { restorePartition } from './restore.js';
import { untilAnswered } from './retry.js';
import { Topics } from './topics.js';
import { TransactionalWriter } from './transactional-writer.js';

/** With signOfLifeMs of group-consumer.ts before it, a call of uninterruptibleMs has returned. */
const returnMs = 2000;

export interface KafkaSessionOptions {
  readonly config: RuntimeConfig;
  readonly agent: string;
  /** Topics to subscribe to, or patterns of their names: those that begin with `^`. */
  readonly topics: readonly string[];
  readonly listener: SessionListener;
}

export class KafkaSession implements Session {
  readonly #context: ClientContext;
  readonly #consumer: KafkaGroupConsumer;
  readonly #writer: TransactionalWriter | IdempotentWriter;
  readonly #topics: Topics;
  readonly #calls = new CallsInFlight();
  /** Aborted by {@link cancel} and {@link close}. */
  readonly #cancelled = new AbortController();
  #admin: AdminClient | undefined;
  /**
   * Restores have one of their own: what asks a dead leader would hold up the lookups of topics.
   */
  #restoreAdmin: AdminClient | undefined;
  #started = false;

  constructor({ config, agent, topics, listener }: KafkaSessionOptions) {
    this.#context = {
      config,
      agent,
      listener: { ...listener, clientLog: (entry) => this.#clientLog(entry, listener) },
      calls: this.#calls,
      cancelled: this.#cancelled.signal,
    };
    this.#consumer = new KafkaGroupConsumer(this.#context, topics);
    const KafkaWriter = config.delivery === 'exactly-once' ? TransactionalWriter : IdempotentWriter;
    this.#writer = new KafkaWriter(this.#context, this.#consumer);
    this.#topics = new Topics(
      this.#context,
      () => (this.#admin ??= this.#createAdmin()),
      config.kafkaProducer['allow.auto.create.topics'] === true ? () => this.#writer.producer.client : undefined,
    );
  }

  /** The group is joined last: the predecessor is fenced by then, and its offsets are stable. */
  async start(): Promise<void> {
    await this.#consumer.connect();
    await this.#writer.start();
    await this.#consumer.start();
    this.#started = true;
  }

  readonly next: Session['next'] = (timeoutMs, wantRecords) => this.#consumer.next(timeoutMs, wantRecords);
  readonly wake: Session['wake'] = () => this.#consumer.wake();
  readonly accept: Session['accept'] = (positions) => this.#consumer.accept(positions);
  readonly release: Session['release'] = (partitions) => this.#consumer.release(partitions);
  readonly rewind: Session['rewind'] = (positions) => this.#consumer.rewind(positions);
  readonly watermarks: Session['watermarks'] = (partition) => this.#consumer.watermarks(partition);

  readonly begin: Session['begin'] = () => this.#writer.begin();
  readonly send: Session['send'] = (record) => this.#writer.send(record);
  readonly sendable: Session['sendable'] = () => this.#writer.sendable();
  readonly commit: Session['commit'] = (offsets) => this.#writer.commit(offsets);
  readonly abort: Session['abort'] = () => this.#writer.abort();
  readonly reset: Session['reset'] = (signal) => this.#writer.reset(signal);
  readonly committed: Session['committed'] = (partitions, signal) => this.#writer.committed(partitions, signal);
  readonly stopping: Session['stopping'] = () => this.#writer.stopping();

  readonly ensureTopic: Session['ensureTopic'] = (name, spec, timeoutMs) => this.#topics.ensure(name, spec, timeoutMs);

  partitionCount(topic: string, signal?: AbortSignal): Promise<number | null> {
    const count = (): Promise<number | null> => untilAborted(this.#topics.partitionCount(topic), signal);
    return untilAnswered(this.#context, `lookup of topic ${topic}`, count, signal);
  }

  readonly restore: Session['restore'] = (changelog, onEntry, onProgress, signal) => {
    const { config, agent, calls, listener } = this.#context;
    const operation = `restore of ${partitionName(changelog)}`;
    const onRemark = (text: string): void =>
      listener.clientLog({ severity: 4, fac: 'RESTORE', message: `${operation}: ${text}` });
    const admin = (): AdminClient => (this.#restoreAdmin ??= this.#createAdmin());
    const restored = (): Promise<number> =>
      restorePartition({ config, agent, changelog, onEntry, onProgress, onRemark, signal, admin, calls });
    return untilAnswered(this.#context, operation, restored, signal);
  };

  cancel(): void {
    this.#cancelled.abort(new Error('the session is being closed'));
  }

  async close(): Promise<void> {
    this.cancel();
    await this.#consumer.close();
    if (this.#consumer.isUnreachable) return;
    await this.#writer.close();
    for (const admin of [this.#admin, this.#restoreAdmin]) {
      if (admin !== undefined && this.#calls.count(admin) === 0) admin.disconnect();
    }
  }

  /** Calls that hold a thread. Once the session is closed, they are those that nobody waits for. */
  get unreturnedCalls(): number {
    return this.#writer.producer.commitCalls.unreturned + this.#calls.count();
  }

  /** Gives requests that end by their timeout a last moment to return. */
  callsReturned(): Promise<void> {
    return this.#calls.returned(returnMs);
  }

  /**
   * A client of its own: one made from the consumer gets no answer while a rebalance waits for
   * ours, and one made from the producer would die with it in {@link reset}.
   */
  #createAdmin(): AdminClient {
    return kafka.AdminClient.create(adminProperties(this.#context.config, this.#context.agent));
  }

  /** Names the setting that a failed login is about. */
  #clientLog(entry: ClientLog, listener: SessionListener): void {
    const problem = loginProblem(entry, this.#context.config, !this.#started);
    listener.clientLog(problem === undefined ? entry : { ...entry, message: `${problem} (${entry.message})` });
    if (problem !== undefined && !this.#cancelled.signal.aborted) listener.clusterAway(new Error(problem));
  }
}
