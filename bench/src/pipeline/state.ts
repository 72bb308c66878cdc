/** Fills the changelog of lastdata with the state of a long operation. */
import { changelogTopic } from '@kafnus/agent-runtime';
import { createTopics, produceAll, type RecordToWrite } from '@kafnus/local-stack';
import { crc32 } from 'node:zlib';
import { entityId, entityType, firstInstant, servicePath, tenantName } from '../notification.js';

/**
 * Writes a version of each entity, older than any of the load. @param group the agent's, which the
 * changelog is named for
 */
export async function writeState(brokers: string, group: string, entities: number, partitions: number): Promise<void> {
  const topic = changelogTopic(group, 'newest');
  await createTopics(brokers, [{ topic, partitions, config: { 'cleanup.policy': 'compact' } }]);
  await produceAll(brokers, versions(topic, entities, partitions));
}

function* versions(topic: string, entities: number, partitions: number): Generator<RecordToWrite> {
  const value = String((firstInstant - 86_400_000) * 1000);
  for (let index = 0; index < entities; index++) {
    const id = entityId(index);
    const key = JSON.stringify([tenantName(0), servicePath, entityType, id]);
    yield { topic, key, value, partition: crc32(id) % partitions };
  }
}
