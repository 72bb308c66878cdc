import { call, type AdminClient } from './kafka-client.js';

/** Partitions and replicas of a topic; -1: the brokers' default. */
export interface NewTopic {
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly config: Readonly<Record<string, string>>;
}

/** Creates a topic. @throws KafkaError, also when it exists already */
export function createTopic(admin: AdminClient, name: string, topic: NewTopic, timeoutMs: number): Promise<void> {
  const { partitions, replicationFactor, config } = topic;
  return call((done) => {
    const request = { topic: name, num_partitions: partitions, replication_factor: replicationFactor, config };
    admin.createTopic(request, timeoutMs, done);
  });
}
