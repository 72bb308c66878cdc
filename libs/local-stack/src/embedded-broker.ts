/**
 * librdkafka's mock cluster: brokers inside the Kafka client, on real TCP ports, up in milliseconds
 * and without Java.
 *
 * What holds (librdkafka 2.15):
 * - Other processes and other clients (kcat) use it by its address. It lives in threads of the
 *   client: a busy event loop does not slow it down.
 * - It creates a topic, always with {@link EMBEDDED_PARTITIONS} partitions, when a client asks for
 *   its metadata and allows that: producers always do, consumers with `allow.auto.create.topics`.
 *   CreateTopics requests are not answered: name the topics in the options instead.
 * - Consumer groups work, cooperative-sticky too (the first assignment takes about 3 s), and so do
 *   their committed offsets.
 * - Transactions can be initialised, begun, committed; but offsets sent with a transaction are not
 *   stored, records of an open or aborted transaction are visible to everyone, and nobody is
 *   fenced.
 * - A partition keeps its last 5 MiB or 100,000 batches only; there is no compaction and no disk.
 *
 * So it serves demos and contract tests. It proves nothing about exactly-once: that takes
 * `startLocalKafka`.
 */
import { RdKafka } from '@confluentinc/kafka-javascript';
import { call } from '@kafnus/kafka-admin';
import { ANSWER_TIMEOUT, partitionCounts } from './kafka-client.js';

/** The partitions of every topic of the embedded broker: librdkafka has no setting for it. */
export const EMBEDDED_PARTITIONS = 4;

export interface EmbeddedBrokerOptions {
  /** Default 1. */
  readonly brokers?: number;
  /** Topics to create at the start, with {@link EMBEDDED_PARTITIONS} partitions each. */
  readonly topics?: readonly string[];
}

export interface EmbeddedBroker {
  readonly bootstrapServers: string;
  /** Ends the brokers; what they hold is lost. */
  stop(): Promise<void>;
}

/** Starts librdkafka's mock cluster in this process. */
export async function startEmbeddedBroker(options: EmbeddedBrokerOptions = {}): Promise<EmbeddedBroker> {
  const settings = { 'test.mock.num.brokers': options.brokers ?? 1, log_level: 2 };
  const host = new RdKafka.Producer(settings);
  const metadata = await call<RdKafka.Metadata>((done) => host.connect({ timeout: ANSWER_TIMEOUT }, done));
  // Asking a producer for a topic's metadata creates the topic.
  await partitionCounts(host, options.topics ?? []);
  return {
    bootstrapServers: metadata.brokers.map((broker) => `${broker.host}:${broker.port}`).join(','),
    stop: () =>
      call((done) => {
        host.disconnect((error: { readonly message: string } | null | undefined) => done(error, undefined));
      }),
  };
}
