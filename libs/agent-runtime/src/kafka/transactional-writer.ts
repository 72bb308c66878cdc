/**
 * Exactly-once: outputs and offsets in one transaction of Kafka.
 *
 *     begin     send, send, ...     commit: drain ------------------ commitTransaction
 *       |----------- records --------------|  sendOffsetsToTransaction      |
 *
 * Two races decide the shape of this file:
 *
 * - Two processes of one identity that fence each other at the same moment:
 *
 *       a   initTransactions ------ fenced ---- waits 0.5 to 1.5 s ---- initTransactions
 *       b          initTransactions --- works on
 *
 *   Without the wait, of random length, both would be fenced again, and both give up.
 *
 * - The coordinator aborts a transaction that is too old: transaction-age.ts.
 *
 * A transaction ends with a marker in each of its partitions. One that has no leader, or too few
 * replicas in sync, cannot take it, and until it can the coordinator refuses the transactional id
 * (CONCURRENT_TRANSACTIONS): one tenant's topic would stop all.
 *
 *     id     |== records for out-a, out-b ==|  aborted: marker in out-a; out-b has no leader
 *     id                                       initTransactions: refused, refused, ...
 *     id~1                                                       initTransactions, and on
 *
 * So after KAFNUS_TOPIC_TIMEOUT_MS of such answers another id is used. That is safe: a transaction
 * that can still be committed has pending offsets in the group, the committed offsets are read when
 * they are stable (KIP-447), and a zombie under the old id has an old generation of the group.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asKafkaError, call, type KafkaError } from '@kafnus/kafka-admin';
import type { CommitOutcome, OutgoingRecord, PartitionOffset, Writer } from '../session.js';
import { untilAborted } from '../until-aborted.js';
import { transactionalId } from './client-config.js';
import type { ClientContext } from './client-context.js';
import { positionsOf } from './commit-calls.js';
import { abortedBy, unknownAfter } from './commit-outcomes.js';
import { concurrentTransactions, isFenced, timedOut, transactionalIdForbidden } from './errors.js';
import type { KafkaGroupConsumer } from './group-consumer.js';
import { RecordProducer } from './record-producer.js';
import { uninterruptibleMs, untilAnswered } from './retry.js';
import { abortedByCoordinatorText, commitDeadline, isAbortedByCoordinator, tooOldText } from './transaction-age.js';

/**
 * How long a fenced writer lets the other one work, half as long at least and half as long again at
 * most.
 */
const fencedPauseMs = 1000;
/**
 * The coordinator answers a commit before its markers are written, and refuses the partitions of
 * the next transaction until they are: librdkafka then asks again after 20 ms. So long, about, the
 * markers take.
 */
const markersMs = 2;

export class TransactionalWriter implements Writer<OutgoingRecord> {
  readonly producer: RecordProducer;
  readonly #context: ClientContext;
  readonly #consumer: KafkaGroupConsumer;
  #committedAt = Number.NEGATIVE_INFINITY;
  /** When the open transaction began. */
  #begunAt = performance.now();
  /** Which transactional id is used: 0 is that of the instance. */
  #spare = 0;
  #maySpare = true;
  /** The last unknown outcome was that of a fenced producer. */
  #fenced = false;

  constructor(context: ClientContext, consumer: KafkaGroupConsumer) {
    this.#context = context;
    this.#consumer = consumer;
    // An abort purges what is still queued, and a transaction that has ended says so by itself.
    this.producer = new RecordProducer(
      context,
      () => undefined,
      () => this.#spare,
    );
  }

  async start(): Promise<void> {
    await this.producer.start();
    await this.#initTransactions();
  }

  /** @returns whether another transactional id had to be taken */
  async #initTransactions(signal?: AbortSignal): Promise<boolean> {
    const { config, calls } = this.#context;
    const before = this.#spare;
    // An outage of the cluster is no such answer, and its time does not count.
    let blockedSince: number | undefined;
    const initialised = async (): Promise<void> => {
      const { client } = this.producer;
      const request = call<void>((done) => client.initTransactions(uninterruptibleMs, done));
      try {
        await untilAborted(calls.track(client, request), signal);
      } catch (thrown) {
        const { code } = asKafkaError(thrown);
        const isForbidden = code === transactionalIdForbidden && this.#spare > 0;
        blockedSince = code === concurrentTransactions ? (blockedSince ?? performance.now()) : undefined;
        const isBlocked = blockedSince !== undefined && performance.now() - blockedSince >= config.topicTimeoutMs;
        const maySpare = this.#maySpare && !this.#context.cancelled.aborted;
        if (!isForbidden && !(isBlocked && maySpare)) throw thrown;
        blockedSince = undefined;
        throw await this.#takeOther(isForbidden, signal);
      }
    };
    await untilAnswered(this.#context, `initTransactions of ${transactionalId(config)}`, initialised, signal);
    return this.#spare !== before;
  }

  /** @returns the error to be reported: one that ends nothing */
  async #takeOther(isForbidden: boolean, signal?: AbortSignal): Promise<Error> {
    const { config } = this.#context;
    const refused = transactionalId(config, this.#spare);
    this.#spare = isForbidden ? 0 : this.#spare + 1;
    if (isForbidden) this.#maySpare = false;
    // What the producer before has said of itself is not held against the next one.
    this.producer.failures.replaced();
    await this.producer.replace(signal);
    const why = isForbidden
      ? `not authorised to use it: grant Write on transactional ids with the prefix ${config.groupId}-`
      : 'its last transaction cannot end while one of its topics takes no write';
    const error = new Error(`transactional id ${refused}: ${why}; trying ${transactionalId(config, this.#spare)}`);
    return Object.assign(error, { code: concurrentTransactions });
  }

  async begin(): Promise<void> {
    this.producer.failures.reported();
    const early = this.#committedAt + markersMs - performance.now();
    if (early > 0) await sleep(early);
    this.#begunAt = performance.now();
    await call((done) => this.producer.client.beginTransaction(done));
  }

  readonly send: Writer<OutgoingRecord>['send'] = (record) => this.producer.send(record);
  readonly sendable: Writer<OutgoingRecord>['sendable'] = () => this.producer.sendable();
  readonly committed: Writer<OutgoingRecord>['committed'] = (partitions, signal) =>
    this.#consumer.committed(partitions, signal);
  readonly stopping: Writer<OutgoingRecord>['stopping'] = () => this.producer.stopping();
  readonly close: Writer<OutgoingRecord>['close'] = () => this.producer.close();

  async commit(offsets: readonly PartitionOffset[]): Promise<CommitOutcome> {
    const timeoutMs = this.#context.config.transactionTimeoutMs;
    const deadline = commitDeadline(this.#begunAt, timeoutMs);
    try {
      const refused = this.producer.failures.refused.values().next().value;
      if (refused) return await this.#abortBecause(refused);
      if (performance.now() >= deadline) {
        const tooOld = new Error(tooOldText(performance.now() - this.#begunAt, timeoutMs));
        return await this.#abortBecause(Object.assign(tooOld, { code: timedOut }));
      }
      await this.#commitBefore(deadline, offsets);
      this.#committedAt = performance.now();
      return { kind: 'committed' };
    } catch (thrown) {
      const error = asKafkaError(thrown);
      return error.isTxnRequiresAbort ? this.#abortBecause(error) : this.#unknown(error);
    }
  }

  async #commitBefore(deadline: number, offsets: readonly PartitionOffset[]): Promise<void> {
    const positions = positionsOf(offsets);
    const drained = this.producer.drain();
    // When the offsets fail, nobody waits for it: the producer is replaced then, and its flush
    // fails with it.
    drained.catch(() => undefined);
    await this.producer.commitCalls.retried('sendOffsetsToTransaction', deadline, (timeoutMs, done) => {
      this.producer.client.sendOffsetsToTransaction(positions, this.#consumer.client, timeoutMs, done);
    });
    await drained;
    await this.producer.commitCalls.retried('commitTransaction', deadline, (timeoutMs, done) => {
      this.producer.client.commitTransaction(timeoutMs, done);
    });
  }

  async #abortBecause(error: KafkaError): Promise<CommitOutcome> {
    const ended = await this.abort();
    return ended.kind === 'aborted' ? this.#aborted(error) : ended;
  }

  async abort(): Promise<CommitOutcome> {
    const deadline = performance.now() + this.#context.config.transactionTimeoutMs;
    try {
      await this.producer.commitCalls.retried('abortTransaction', deadline, (timeoutMs, done) => {
        this.producer.client.abortTransaction(timeoutMs, done);
      });
      await this.producer.reportsArrived();
      return this.#aborted(new Error('aborted'));
    } catch (thrown) {
      return this.#unknown(asKafkaError(thrown));
    }
  }

  #aborted(error: Error): CommitOutcome {
    return abortedBy(error, this.producer.failures.refused);
  }

  #unknown(error: KafkaError): CommitOutcome {
    const ageMs = performance.now() - this.#begunAt;
    const { transactionTimeoutMs } = this.#context.config;
    this.#fenced = isFenced(error) && !isAbortedByCoordinator(ageMs, transactionTimeoutMs);
    if (this.#fenced || !isFenced(error)) return unknownAfter(error, this.#fenced);
    const late = new Error(abortedByCoordinatorText(ageMs, transactionTimeoutMs), { cause: error });
    return { kind: 'unknown', cause: 'transaction_timeout', fenced: false, error: late };
  }

  async reset(signal?: AbortSignal): Promise<boolean> {
    if (this.#fenced) await sleep(fencedPauseMs * (0.5 + Math.random()), undefined, { signal });
    this.#fenced = false;
    await this.producer.replace(signal);
    return this.#initTransactions(signal);
  }
}
