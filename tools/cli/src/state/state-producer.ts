/** Writes changes to a changelog in one transaction. */
import { RdKafka } from '@confluentinc/kafka-javascript';
import { losslessProducer } from '@kafnus/agent-runtime';
import { call } from '@kafnus/kafka-admin';
import { awaitLeaders, enqueue, type ClientSettings } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerTimeoutMs, idleTimeoutMs, type PartitionOffset } from '../kafka/offset-ranges.js';

/** New partitions have leaders within this time, or not at all. */
export const leadersTimeoutMs = 30_000;
/** Longer than it takes to write a large state; brokers allow 15 minutes by default. */
const transactionTimeoutMs = 600_000;

export class StateProducer {
  readonly #producer: RdKafka.Producer;
  /** The first record that a broker refused. */
  #deliveryError: string | undefined;

  private constructor(producer: RdKafka.Producer) {
    this.#producer = producer;
    producer.on('delivery-report', (error, report) => {
      if (error) this.#deliveryError ??= `${report.topic}-${report.partition}: ${error.message}`;
    });
    producer.setPollInterval(50);
  }

  static async connect(transactionalId: string, settings: ClientSettings): Promise<StateProducer> {
    const producer = new RdKafka.Producer({
      ...settings,
      'linger.ms': 5,
      'allow.auto.create.topics': false,
      ...losslessProducer,
      acks: -1,
      'transactional.id': transactionalId,
      'transaction.timeout.ms': transactionTimeoutMs,
    });
    await call((done) => producer.connect({ timeout: answerTimeoutMs, allTopics: false }, done));
    const connected = new StateProducer(producer);
    try {
      await step('start transactions', (done) => producer.initTransactions(idleTimeoutMs, done));
    } catch (error) {
      await connected.close();
      throw error;
    }
    return connected;
  }

  /**
   * Begins the transaction and adds the offsets of the group to it. An agent that starts now
   * fetches its offsets first, and gets UNSTABLE_OFFSET_COMMIT until the transaction has ended
   * (KIP-447).
   */
  async begin(offsets: readonly PartitionOffset[], consumer: RdKafka.KafkaConsumer): Promise<void> {
    await step('begin the transaction', (done) => this.#producer.beginTransaction(done));
    await step('add the offsets of the group', (done) =>
      this.#producer.sendOffsetsToTransaction([...offsets], consumer, idleTimeoutMs, done),
    );
  }

  /**
   * Waits until the metadata of this client has all partitions of the topic: it refuses to write to
   * others.
   */
  async awaitPartitions(topic: string, partitions: number): Promise<void> {
    await awaitLeaders(this.#producer, topic, partitions, leadersTimeoutMs);
  }

  /** Queues a record; waits while the queue is full. */
  async write(topic: string, partition: number, key: string, value: string | null): Promise<void> {
    const bytes = value === null ? null : Buffer.from(value);
    await enqueue(this.#producer, topic, partition, bytes, key, Date.now());
  }

  /**
   * Waits until all records are acknowledged.
   * @throws Error naming the partition of a refused one
   */
  async flush(): Promise<void> {
    await step('write the state', (done) => this.#producer.flush(transactionTimeoutMs, done));
    this.#producer.poll();
    await sleep(0);
    if (this.#deliveryError !== undefined) throw new Error(`a record was refused by ${this.#deliveryError}`);
  }

  async commit(): Promise<void> {
    await step('commit', (done) => this.#producer.commitTransaction(idleTimeoutMs, done));
  }

  async abort(): Promise<void> {
    await step('abort', (done) => this.#producer.abortTransaction(idleTimeoutMs, done));
  }

  async close(): Promise<void> {
    await call<unknown>((done) => this.#producer.disconnect(done));
  }
}

function step(what: string, start: (done: (error?: RdKafka.LibrdKafkaError | null) => void) => void): Promise<void> {
  return call((done) => start((error) => done(error && { message: `cannot ${what}: ${error.message}` }, undefined)));
}
