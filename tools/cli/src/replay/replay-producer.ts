/**
 * Sends records and commits the offsets of the dead letters that they were made of, in one
 * transaction.
 */
import { RdKafka } from '@confluentinc/kafka-javascript';
import { losslessProducer } from '@kafnus/agent-runtime';
import { call, codeOf, messageOf } from '@kafnus/kafka-admin';
import { enqueue, type ClientSettings } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerTimeoutMs, idleTimeoutMs, type PartitionOffset } from '../kafka/offset-ranges.js';
import type { Header } from './dead-letter-record.js';

/**
 * When a replay is killed, read_committed consumers wait for at most this long behind its open
 * transaction.
 */
const transactionTimeoutMs = 15_000;
/** The disconnect of a fenced client may never call back. */
const disconnectTimeoutMs = 5000;
const codes = RdKafka.CODES.ERRORS;
/**
 * An aborted transaction purges its queued records. These codes are never the cause of the abort.
 */
const purgeCodes: readonly unknown[] = [codes.ERR__PURGE_QUEUE, codes.ERR__PURGE_INFLIGHT];
/**
 * Once initTransactions has succeeded, each of these means that a newer producer has the
 * transactional id.
 */
const fencingCodes: readonly unknown[] = [
  codes.ERR__FENCED,
  codes.ERR__FATAL,
  codes.ERR_PRODUCER_FENCED,
  codes.ERR_INVALID_PRODUCER_EPOCH,
];

/** A record to be sent. */
export interface ReplayRecord {
  readonly topic: string;
  /** Undefined: the producer's partitioner chooses. */
  readonly partition: number | undefined;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly Header[];
  /** Milliseconds since the epoch; negative when the record has none. */
  readonly timestamp: number;
}

export class ReplayProducer {
  readonly #producer: RdKafka.Producer;
  readonly #consumer: RdKafka.KafkaConsumer;
  /** The first record that a broker refused. */
  #deliveryError: Error | undefined;

  private constructor(producer: RdKafka.Producer, consumer: RdKafka.KafkaConsumer) {
    this.#producer = producer;
    this.#consumer = consumer;
    producer.on('delivery-report', (error, report) => {
      if (!error || purgeCodes.includes(error.code)) return;
      this.#deliveryError ??= failure(`write to ${report.topic}`, error);
    });
    producer.setPollInterval(50);
  }

  /** @param consumer names the group whose offsets are committed */
  static async connect(
    settings: ClientSettings,
    transactionalId: string,
    consumer: RdKafka.KafkaConsumer,
  ): Promise<ReplayProducer> {
    const producer = new RdKafka.Producer({
      ...settings,
      'linger.ms': 5,
      'allow.auto.create.topics': false,
      'topic.metadata.propagation.max.ms': 3000,
      ...losslessProducer,
      acks: -1,
      partitioner: 'murmur2_random',
      'transactional.id': transactionalId,
      'transaction.timeout.ms': transactionTimeoutMs,
    });
    await call((done) => producer.connect({ timeout: answerTimeoutMs, allTopics: false }, done));
    const connected = new ReplayProducer(producer, consumer);
    try {
      await step('start transactions', (done) => producer.initTransactions(idleTimeoutMs, done));
    } catch (error) {
      await connected.close();
      throw error;
    }
    return connected;
  }

  /**
   * Sends the records and commits the offsets in one transaction.
   * @param beforeCommit for tests that end the process when everything is written and nothing is
   * committed
   * @throws Error naming the step that failed. The transaction is then aborted, unless the commit
   * itself got no answer: its outcome is then unknown
   */
  async send(
    records: readonly ReplayRecord[],
    offsets: readonly PartitionOffset[],
    beforeCommit = (): void => undefined,
  ): Promise<void> {
    const producer = this.#producer;
    await step('begin a transaction', (done) => producer.beginTransaction(done));
    try {
      for (const { topic, partition, value, key, headers, timestamp } of records) {
        const copies = headers.map((header) => ({ ...header }));
        const time = timestamp >= 0 ? timestamp : undefined;
        await enqueue(producer, topic, partition, value, key, time, undefined, copies);
      }
      await step('write', (done) => producer.flush(transactionTimeoutMs, done));
      await this.#deliveryReports();
      if (this.#deliveryError !== undefined) throw this.#deliveryError;
      await step('commit the offsets', (done) =>
        producer.sendOffsetsToTransaction([...offsets], this.#consumer, transactionTimeoutMs, done),
      );
      beforeCommit();
      await step('commit', (done) => producer.commitTransaction(transactionTimeoutMs, done));
    } catch (error) {
      await this.#deliveryReports();
      // When the abort fails too, initTransactions of the next run aborts the transaction.
      await step('abort', (done) => producer.abortTransaction(transactionTimeoutMs, done)).catch(() => undefined);
      // A refused record makes the later steps fail: it is the cause to report.
      throw this.#deliveryError ?? (fencingCodes.includes(codeOf(error)) ? failure('write', error) : error);
    }
  }

  async close(): Promise<void> {
    await Promise.race([
      call<unknown>((done) => this.#producer.disconnect(done)),
      sleep(disconnectTimeoutMs, undefined, { ref: false }),
    ]);
  }

  /** Lets the client call back with the reports that it has received. */
  async #deliveryReports(): Promise<void> {
    this.#producer.poll();
    await sleep(0);
  }
}

function step(what: string, start: (done: (error?: RdKafka.LibrdKafkaError | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error ? reject(failure(what, error)) : resolve()));
  });
}

function failure(what: string, error: unknown): Error {
  const why = fencingCodes.includes(codeOf(error))
    ? 'another run of the same replay has started and fenced this one'
    : messageOf(error);
  return new Error(`cannot ${what}: ${why}`, { cause: error });
}
