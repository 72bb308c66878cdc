/** Fetches committed offsets through the admin API, which reports a missing right. */
import type { RdKafka } from '@confluentinc/kafka-javascript';
import { call } from '@kafnus/kafka-admin';
import { answerTimeoutMs, partitionName, type TopicPartition } from './offset-ranges.js';

/**
 * The committed offsets of the group by {@link partitionName}, without the partitions that have
 * none.
 * @param stable true: rejects while a transaction is about to commit one (KIP-447)
 * @throws Error naming the group
 */
export async function groupOffsets(
  admin: RdKafka.IAdminClient,
  group: string,
  topicPartitions: readonly TopicPartition[],
  stable: boolean,
): Promise<Map<string, number>> {
  const partitions = topicPartitions.map(({ topic, partition }) => ({ topic, partition }));
  const [found] = await call<RdKafka.GroupResults[]>((done) =>
    admin.listConsumerGroupOffsets(
      [{ groupId: group, partitions }],
      { timeout: answerTimeoutMs, requireStableOffsets: stable },
      (error, result) => done(error && { message: `the offsets of the group ${group}: ${error.message}` }, result),
    ),
  );
  const offsets = new Map<string, number>();
  for (const { topic, partition, offset, error } of found?.partitions ?? []) {
    const problem = found?.error ?? error;
    if (problem) throw new Error(`the offsets of the group ${group}: ${problem.message}`);
    // Negative when the partition has none.
    if (offset >= 0) offsets.set(partitionName({ topic, partition }), offset);
  }
  if (found?.error) throw new Error(`the offsets of the group ${group}: ${found.error.message}`);
  return offsets;
}
