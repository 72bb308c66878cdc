/** Writes raw records as Orion would: keyed, with headers, in order per key. */
import { RdKafka } from '@confluentinc/kafka-javascript';
import { losslessProducer } from '@kafnus/agent-runtime';
import {
  awaitBrokers,
  call,
  enqueue,
  partitionCounts,
  type ClientSettings,
  type KafkaAddress,
} from '@kafnus/local-stack';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** A record for a raw topic. */
export interface RawRecord {
  readonly topic: string;
  /** null: no key. Orion's is the entity id. */
  readonly key: string | null;
  readonly value: string;
  readonly headers: readonly Readonly<Record<string, string>>[];
  /** Milliseconds since the epoch; without it the moment of sending. */
  readonly timestamp?: number;
}

const ANSWER_MS = 10_000;

/** One producer. Records of one key stay in order, also when a request is repeated. */
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
    // A producer does not tell why it cannot connect; the client behind this does.
    await awaitBrokers(address, 1);
    const common = typeof address === 'string' ? { 'bootstrap.servers': address } : address;
    const producer = new RdKafka.Producer({
      log_level: 2,
      ...common,
      'linger.ms': 5,
      'compression.type': 'lz4',
      'message.timeout.ms': 60_000,
      'allow.auto.create.topics': false,
      ...settings,
      ...losslessProducer,
      // As a Java producer would choose the partition.
      partitioner: 'murmur2_random',
    });
    await call((done) => producer.connect({ timeout: ANSWER_MS, allTopics: false }, done));
    producer.setPollInterval(50);
    return new Publisher(producer);
  }

  /** Records that the brokers refused so far, and what the first refusal said. */
  get failures(): { readonly count: number; readonly first: string | undefined } {
    return { count: this.#failed, first: this.#firstFailure };
  }

  /** @throws Error naming the topic that does not exist: a mistyped name must not become a topic */
  async requireTopics(topics: readonly string[]): Promise<void> {
    for (const [topic, partitions] of await partitionCounts(this.#producer, topics)) {
      if (partitions === 0)
        throw new Error(
          `the topic ${topic} does not exist: correct its name, or create it (kafnus topics apply creates the raw topics)`,
        );
    }
  }

  /** Queues a record; waits only while the queue is full. */
  async send({ topic, key, value, headers, timestamp }: RawRecord): Promise<void> {
    const copies = headers.map((header) => ({ ...header }));
    await enqueue(this.#producer, topic, undefined, Buffer.from(value), key, timestamp, undefined, copies);
  }

  /** Waits until everything is acknowledged or refused. @throws Error when that takes longer than `timeoutMs` */
  async flush(timeoutMs = 70_000): Promise<void> {
    await call<void>((done) => this.#producer.flush(timeoutMs, (error) => done(error, undefined)));
    // Refusals are handed over by a callback of their own.
    this.#producer.poll();
    await nextTurn();
  }

  async close(): Promise<void> {
    await call<unknown>((done) => this.#producer.disconnect(done));
  }
}
