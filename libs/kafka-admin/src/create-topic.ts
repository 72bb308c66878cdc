import { call } from './kafka-client.js';

/** Partitions and replicas of a topic; -1: the brokers' default. */
interface NewTopic {
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly config: Readonly<Record<string, string>>;
}

/** An admin client, also as the library types it. */
interface TopicCreator {
  createTopic(
    topic: { topic: string; num_partitions: number; replication_factor: number; config: Record<string, string> },
    timeoutMs: number,
    callback: (error: { readonly message: string } | null | undefined) => void,
  ): void;
}

/** Creates a topic. @throws KafkaError, also when it exists already */
export function createTopic(admin: TopicCreator, name: string, topic: NewTopic, timeoutMs: number): Promise<void> {
  const { partitions, replicationFactor, config } = topic;
  return call<void>((done) => {
    const request = { topic: name, num_partitions: partitions, replication_factor: replicationFactor, config };
    admin.createTopic(request, timeoutMs, (error) => done(error, undefined));
  });
}
