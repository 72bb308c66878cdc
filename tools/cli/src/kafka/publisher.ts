/** Publishes raw records as Orion does. */
import { RdKafka } from '@confluentinc/kafka-javascript';
import { losslessProducer } from '@kafnus/agent-runtime';
import { call } from '@kafnus/kafka-admin';
import { awaitBrokers, enqueue, partitionCounts, type ClientSettings, type KafkaAddress } from '@kafnus/local-stack';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { answerTimeoutMs, clientSettings } from './offset-ranges.js';

/** A record for a raw topic. */
export interface RawRecord {
  readonly topic: string;
  /** Orion uses the entity id; null publishes without key. */
  readonly key: string | null;
  /** By the key when it is undefined. */
  readonly partition?: number;
  readonly value: string;
  readonly headers: readonly Readonly<Record<string, string>>[];
  /** Milliseconds since the epoch; the time of sending by default. */
  readonly timestamp?: number;
}

/** Keeps the records of a key in order, also when requests are retried. */
export class Publisher {
  readonly #producer: RdKafka.Producer;
  #failed = 0;
  #firstFailure: string | undefined;

  private constructor(producer: RdKafka.Producer) {
    this.#producer = producer;
    producer.on('delivery-report', (error, report) => {
      if (!error) return;
      this.#failed += 1;
      this.#firstFailure ??= `${report.topic}: ${error.message}`;
    });
  }

  /** @throws Error naming the brokers when none answers */
  static async connect(address: KafkaAddress, settings: ClientSettings = {}): Promise<Publisher> {
    // Its error names the cause when there is no connection; that of a producer does not.
    await awaitBrokers(address, 1);
    const producer = new RdKafka.Producer({
      ...clientSettings(address),
      'linger.ms': 5,
      'compression.type': 'lz4',
      'message.timeout.ms': 60_000,
      'allow.auto.create.topics': false,
      ...settings,
      ...losslessProducer,
      // librdkafka's default, and so that of Orion.
      partitioner: 'consistent_random',
    });
    await call((done) => producer.connect({ timeout: answerTimeoutMs, allTopics: false }, done));
    producer.setPollInterval(50);
    return new Publisher(producer);
  }

  /** The number of refused records, and the message of the first refusal. */
  get failures(): { readonly count: number; readonly first: string | undefined } {
    return { count: this.#failed, first: this.#firstFailure };
  }

  /** @throws Error naming a topic that does not exist, so that a mistyped name creates no topic */
  async requireTopics(topics: readonly string[]): Promise<void> {
    for (const [topic, partitions] of await partitionCounts(this.#producer, topics)) {
      if (partitions === 0)
        throw new Error(
          `the topic ${topic} does not exist: correct its name, or create it (kafnus topics apply creates the raw topics)`,
        );
    }
  }

  /** Queues a record. Waits while the queue is full. */
  async send({ topic, partition, key, value, headers, timestamp }: RawRecord): Promise<void> {
    const copies = headers.map((header) => ({ ...header }));
    await enqueue(this.#producer, topic, partition, Buffer.from(value), key, timestamp, undefined, copies);
  }

  /**
   * Waits until all records are acknowledged or refused.
   * @throws Error when that takes longer than `timeoutMs`
   */
  async flush(timeoutMs = 70_000): Promise<void> {
    await call<void>((done) => this.#producer.flush(timeoutMs, (error) => done(error, undefined)));
    // Lets the client call back with the last delivery reports.
    this.#producer.poll();
    await nextTurn();
  }

  async close(): Promise<void> {
    await call<unknown>((done) => this.#producer.disconnect(done));
  }
}
