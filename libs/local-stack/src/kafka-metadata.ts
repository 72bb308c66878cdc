import type { RdKafka } from '@confluentinc/kafka-javascript';
import { setTimeout as sleep } from 'node:timers/promises';
import { call } from '@kafnus/kafka-admin';
import { ANSWER_TIMEOUT, withConsumer, type KafkaAddress } from './kafka-client.js';

const DEADLINE = 30_000;

/**
 * Resolves when the cluster, as the broker at `address` sees it, has `count` brokers.
 * @throws Error when it has not after 30 s
 */
export async function awaitBrokers(address: KafkaAddress, count: number): Promise<void> {
  await withConsumer(address, {}, async (consumer) => {
    const since = Date.now();
    for (;;) {
      const { brokers } = await metadataOf(consumer);
      if (brokers.length >= count) return;
      if (Date.now() - since > DEADLINE) {
        throw new Error(`The cluster has ${brokers.length} of ${count} brokers after ${DEADLINE / 1000} s`);
      }
      await sleep(50);
    }
  });
}

/** The partitions, as `topic-0`, of which a replica is behind or gone, internal topics included. */
export async function underReplicated(address: KafkaAddress): Promise<string[]> {
  const { topics } = await withConsumer(address, {}, (consumer) => metadataOf(consumer));
  return topics.flatMap(({ name, partitions }) =>
    partitions.filter(({ isrs, replicas }) => isrs.length < replicas.length).map(({ id }) => `${name}-${id}`),
  );
}

/** The broker that leads each partition of a topic, by its id; -1 where there is none. */
export async function partitionLeaders(address: KafkaAddress, topic: string): Promise<Map<number, number>> {
  const { topics } = await withConsumer(address, {}, (consumer) => metadataOf(consumer, topic));
  const partitions = topics.find(({ name }) => name === topic)?.partitions ?? [];
  return new Map(partitions.map(({ id, leader }) => [id, leader]));
}

/** Of one topic, or of the whole cluster. */
function metadataOf(consumer: RdKafka.KafkaConsumer, topic?: string): Promise<RdKafka.Metadata> {
  const which = topic === undefined ? { allTopics: true } : { allTopics: false, topic };
  return call((done) => {
    consumer.getMetadata({ ...which, timeout: ANSWER_TIMEOUT }, done);
  });
}
