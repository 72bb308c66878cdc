import { RdKafka } from '@confluentinc/kafka-javascript';
import { setTimeout as sleep } from 'node:timers/promises';
import { call } from '@kafnus/kafka-admin';

/** librdkafka settings, by name. */
export type ClientSettings = Readonly<Record<string, string | number | boolean>>;

/** Where a helper connects to: bootstrap servers, or librdkafka settings when it must log in. */
export type KafkaAddress = string | (ClientSettings & { readonly 'bootstrap.servers': string });

/** How long a helper waits for one answer of a broker, in ms. */
export const ANSWER_TIMEOUT = 10_000;

/** A consumer or a producer, as far as both are the same. */
export type AnyClient = RdKafka.Client<'event.error'>;

/** Runs `work` with a consumer that belongs to no group, and disconnects it. */
export async function withConsumer<T>(
  address: KafkaAddress,
  settings: ClientSettings,
  work: (consumer: RdKafka.KafkaConsumer) => Promise<T>,
): Promise<T> {
  const create = (): RdKafka.KafkaConsumer =>
    new RdKafka.KafkaConsumer({
      'group.id': 'kafnus-local-stack',
      'enable.auto.commit': false,
      ...clientSettings(address),
      ...settings,
    });
  return connected(create, address, work);
}

/** Runs `work` with a producer, and disconnects it. */
export async function withProducer<T>(
  address: KafkaAddress,
  settings: ClientSettings,
  work: (producer: RdKafka.Producer) => Promise<T>,
): Promise<T> {
  return connected(() => new RdKafka.Producer({ ...clientSettings(address), ...settings }), address, work);
}

/** The partitions of each topic, as 0, 1, 2, ...; a topic that does not exist has none. */
export async function partitionCounts(client: AnyClient, topics: readonly string[]): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const topic of topics) {
    // Without allTopics: false the client asks for all topics, whatever `topic` says.
    const metadata = await call<RdKafka.Metadata>((done) => {
      client.getMetadata({ topic, allTopics: false, timeout: ANSWER_TIMEOUT }, done);
    });
    counts.set(topic, metadata.topics.find(({ name }) => name === topic)?.partitions.length ?? 0);
  }
  return counts;
}

/**
 * Every partition of every topic.
 * @throws Error naming the topic that does not exist
 */
export async function allPartitions(
  client: AnyClient,
  topics: readonly string[],
): Promise<{ topic: string; partition: number }[]> {
  const counts = await partitionCounts(client, topics);
  return [...counts].flatMap(([topic, count]) => {
    if (count === 0) throw new Error(`There is no topic ${topic}`);
    return Array.from({ length: count }, (_, partition) => ({ topic, partition }));
  });
}

async function connected<C extends AnyClient, T>(
  create: () => C,
  address: KafkaAddress,
  work: (client: C) => Promise<T>,
): Promise<T> {
  const client = await connect(create, address);
  try {
    return await work(client);
  } finally {
    await call((done) => client.disconnect(done));
  }
}

/**
 * A client is asked to connect once only; another takes its place while a broker that a test has
 * killed still shows in the cluster.
 */
async function connect<C extends AnyClient>(create: () => C, address: KafkaAddress): Promise<C> {
  // The first complaint says what is wrong; the last one is always that all brokers are down.
  let complaint = '';
  for (const deadline = Date.now() + ANSWER_TIMEOUT; ; await sleep(200)) {
    const client = create();
    client.on('event.error', (error) => (complaint ||= `: ${error.message}`));
    try {
      await call((done) => client.connect({ timeout: Math.max(1000, deadline - Date.now()), allTopics: false }, done));
      return client;
    } catch (error) {
      if (Date.now() < deadline - 200) continue;
      const servers = typeof address === 'string' ? address : address['bootstrap.servers'];
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`No Kafka answers at ${servers}${complaint || `: ${reason}`}`, { cause: error });
    }
  }
}

function clientSettings(address: KafkaAddress): ClientSettings {
  const given = typeof address === 'string' ? { 'bootstrap.servers': address } : address;
  // A broker that a test has just killed is back within seconds: do not wait long before the next
  // attempt.
  return { log_level: 2, 'reconnect.backoff.max.ms': 500, ...given };
}
