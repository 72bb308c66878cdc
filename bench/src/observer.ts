/**
 * Observes the cluster with clients that stay connected, so that an observation takes little CPU
 * time from the measured program.
 */
import { RdKafka } from '@confluentinc/kafka-javascript';
import { call, kafka } from '@kafnus/kafka-admin';

/** The client as the runtime types it. */
type Consumer = InstanceType<typeof kafka.KafkaConsumer>;

const answerMs = 20_000;

/** @param group whose committed offsets {@link Observer.committed} tells */
export async function observe(brokers: string, group: string): Promise<Observer> {
  const consumer = new kafka.KafkaConsumer(
    { 'bootstrap.servers': brokers, 'group.id': group, 'enable.auto.commit': false, log_level: 2 },
    {},
  );
  await call((done) => consumer.connect({ timeout: answerMs }, done));
  return new Observer(brokers, consumer);
}

export class Observer {
  readonly #brokers: string;
  readonly #consumer: Consumer;

  constructor(brokers: string, consumer: Consumer) {
    this.#brokers = brokers;
    this.#consumer = consumer;
  }

  /**
   * How many records of the topic the group has committed, its first offset being 0. Without
   * `read_committed` the client does not wait for a pending transaction: it tells what was
   * committed before.
   */
  async committed(topic: string, partitions: number): Promise<number> {
    const asked = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
    const found = await call<{ topic: string; partition: number; offset?: number | null }[]>((done) =>
      this.#consumer.committed(asked, answerMs, done),
    );
    return found.reduce((sum, { offset }) => sum + Math.max(0, offset ?? 0), 0);
  }

  async deleteTopics(topics: readonly string[]): Promise<void> {
    const admin = RdKafka.AdminClient.create({ 'bootstrap.servers': this.#brokers });
    try {
      await Promise.all(
        topics.map(
          (topic) =>
            new Promise<void>((resolve, reject) => {
              admin.deleteTopic(topic, answerMs, (error: { message: string } | undefined) => {
                if (error) reject(new Error(`topic ${topic} cannot be deleted: ${error.message}`));
                else resolve();
              });
            }),
        ),
      );
    } finally {
      admin.disconnect();
    }
  }

  async close(): Promise<void> {
    await call((done) => this.#consumer.disconnect(done));
  }
}

/** What a `read_committed` reader finds in these topics, from their beginning to their end. */
export async function countCommitted(brokers: string, topics: readonly string[]): Promise<number> {
  const consumer = new kafka.KafkaConsumer(
    {
      'bootstrap.servers': brokers,
      'group.id': 'bench-count',
      'enable.auto.commit': false,
      'isolation.level': 'read_committed',
      'enable.partition.eof': true,
      'fetch.wait.max.ms': 50,
      log_level: 2,
    },
    {},
  );
  await call((done) => consumer.connect({ timeout: answerMs }, done));
  try {
    const open = new Set<string>();
    for (const topic of topics) {
      const metadata = await call<{ topics: readonly { name: string; partitions: readonly { id: number }[] }[] }>(
        (done) => consumer.getMetadata({ topic, allTopics: false, timeout: answerMs }, done),
      );
      const found = metadata.topics.find(({ name }) => name === topic)?.partitions ?? [];
      if (found.length === 0) throw new Error(`there is no topic ${topic}: nothing was written`);
      for (const { id } of found) open.add(`${topic} ${id}`);
    }
    // The ends are told by events: the last offsets of a partition may be markers, which nobody
    // reads.
    consumer.on('partition.eof', ({ topic, partition }: { topic: string; partition: number }) =>
      open.delete(`${topic} ${partition}`),
    );
    consumer.setDefaultConsumeTimeout(100);
    consumer.setDefaultIsTimeoutOnlyForFirstMessage(true);
    consumer.assign(
      [...open].map((name) => {
        const [topic = '', partition] = name.split(' ');
        return { topic, partition: Number(partition), offset: 0 };
      }),
    );
    let count = 0;
    const deadline = performance.now() + 120_000;
    while (open.size > 0) {
      if (performance.now() > deadline) throw new Error(`not at the end of ${[...open].join(', ')} after 120 s`);
      count += (await call<unknown[]>((done) => consumer.consume(10_000, done))).length;
    }
    return count;
  } finally {
    await call((done) => consumer.disconnect(done));
  }
}
