/** What a consumer group has committed, asked for by the admin protocol: it says so when a right is missing. */
import type { RdKafka } from '@confluentinc/kafka-javascript';
import { call } from '@kafnus/local-stack';

const ANSWER_MS = 10_000;

interface Place {
  readonly topic: string;
  readonly partition: number;
}

/**
 * The committed offset of each partition, as `topic-partition`; a partition without one is left out.
 * @param stable true: fails while a transaction is about to move one (KIP-447)
 * @throws Error naming the group
 */
export async function groupOffsets(
  admin: RdKafka.IAdminClient,
  group: string,
  places: readonly Place[],
  stable: boolean,
): Promise<Map<string, number>> {
  const partitions = places.map(({ topic, partition }) => ({ topic, partition }));
  const [found] = await call<RdKafka.GroupResults[]>((done) =>
    admin.listConsumerGroupOffsets(
      [{ groupId: group, partitions }],
      { timeout: ANSWER_MS, requireStableOffsets: stable },
      (error, result) => done(error && { message: `the offsets of the group ${group}: ${error.message}` }, result),
    ),
  );
  const offsets = new Map<string, number>();
  for (const { topic, partition, offset, error } of found?.partitions ?? []) {
    const problem = found?.error ?? error;
    if (problem) throw new Error(`the offsets of the group ${group}: ${problem.message}`);
    // Negative: none.
    if (offset >= 0) offsets.set(`${topic}-${partition}`, offset);
  }
  if (found?.error) throw new Error(`the offsets of the group ${group}: ${found.error.message}`);
  return offsets;
}
