/** Reads the keys and timestamps of a few records of many partitions. */
import type { RdKafka } from '@confluentinc/kafka-javascript';
import { call } from '@kafnus/kafka-admin';
import type { KafkaAddress } from '@kafnus/local-stack';
import {
  answerTimeoutMs,
  clientSettings,
  committedConsumer,
  partitionName,
  type OffsetRange,
  type PartitionOffset,
  type TopicPartition,
} from './offset-ranges.js';

/** At most `count` records of the range. */
export interface PeekRange extends OffsetRange {
  readonly count: number;
}

interface PeekedRecord extends PartitionOffset {
  readonly key: Buffer | null;
  /** Milliseconds since the epoch; -1 when the record has none. */
  readonly timestamp: number;
}

export interface PeekResult {
  readonly records: readonly PeekedRecord[];
  /**
   * Whether the range of the partition was read. When it has no records, its offsets are
   * transaction markers.
   */
  readonly complete: (partition: TopicPartition) => boolean;
}

/** Reads committed records for at most `timeoutMs`. */
export async function peek(address: KafkaAddress, ranges: readonly PeekRange[], timeoutMs = 5000): Promise<PeekResult> {
  const open = new Map(
    ranges.filter(({ offset, end }) => offset < end).map((range) => [partitionName(range), { ...range, found: 0 }]),
  );
  const records: PeekedRecord[] = [];
  const complete = (partition: TopicPartition): boolean => !open.has(partitionName(partition));
  if (open.size === 0) return { records, complete };
  const settings = {
    ...clientSettings(address),
    // A few records of many partitions are wanted.
    'fetch.message.max.bytes': 65_536,
    'queued.max.messages.kbytes': 4096,
  };
  const consumer = committedConsumer(settings, `kafnus-peek-${process.pid}`);
  await call((done) => consumer.connect({ timeout: answerTimeoutMs, allTopics: false }, done));
  try {
    const ended: string[] = [];
    consumer.on('partition.eof', (end) => ended.push(partitionName(end)));
    consumer.setDefaultConsumeTimeout(50);
    consumer.assign([...open.values()].map(({ topic, partition, offset }) => ({ topic, partition, offset })));
    for (const deadline = Date.now() + timeoutMs; open.size > 0 && Date.now() < deadline;) {
      const batch = await call<RdKafka.Message[]>((done) => consumer.consume(1000, done));
      for (const { topic, partition, offset, key, timestamp = -1 } of batch) {
        const range = open.get(partitionName({ topic, partition }));
        if (range === undefined) continue;
        if (offset < range.end) {
          range.found += 1;
          records.push({
            topic,
            partition,
            offset,
            key: typeof key === 'string' ? Buffer.from(key) : (key ?? null),
            timestamp,
          });
        }
        if (range.found < range.count && offset + 1 < range.end) continue;
        open.delete(partitionName({ topic, partition }));
        consumer.pause([{ topic, partition }]);
      }
      // The event is emitted during the call that meets the end of the partition, so the records
      // before it are in this batch or in an earlier one.
      for (const name of ended.splice(0)) open.delete(name);
    }
    return { records, complete };
  } finally {
    await call<unknown>((done) => consumer.disconnect(done));
  }
}
