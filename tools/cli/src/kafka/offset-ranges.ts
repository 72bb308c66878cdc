/**
 * Topic partitions and their offsets, and a consumer for the committed records between two offsets.
 */
import { RdKafka } from '@confluentinc/kafka-javascript';
import { call } from '@kafnus/kafka-admin';
import type { ClientSettings, KafkaAddress } from '@kafnus/local-stack';

/** How long one answer of a broker is waited for. */
export const answerTimeoutMs = 10_000;
/** A partition from which nothing has been read for this long does not answer. */
export const idleTimeoutMs = 60_000;

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface PartitionOffset extends TopicPartition {
  readonly offset: number;
}

/** Records of a partition with `offset <= record offset < end`. */
export interface OffsetRange extends PartitionOffset {
  readonly end: number;
}

/** `topic-partition`, as the tools of Kafka write it. */
export function partitionName({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`;
}

/**
 * The librdkafka settings of an address. Only errors are logged: what a command has to say, it
 * prints itself.
 */
export function clientSettings(address: KafkaAddress): ClientSettings & { readonly 'bootstrap.servers': string } {
  return { log_level: 2, ...(typeof address === 'string' ? { 'bootstrap.servers': address } : address) };
}

/**
 * A consumer that reads committed records from assigned offsets. It commits nothing and creates no
 * topic.
 */
export function committedConsumer(settings: ClientSettings, group: string): RdKafka.KafkaConsumer {
  return new RdKafka.KafkaConsumer(
    {
      'fetch.wait.max.ms': 50,
      ...settings,
      'group.id': group,
      'enable.auto.commit': false,
      'isolation.level': 'read_committed',
      'enable.partition.eof': true,
      'allow.auto.create.topics': false,
    },
    { 'auto.offset.reset': 'earliest' },
  );
}

/**
 * The offsets that a specification (earliest, latest, a time) means, by {@link partitionName}.
 * @throws Error naming the partition for which the brokers give none
 */
export async function listOffsets(
  admin: RdKafka.IAdminClient,
  partitions: readonly TopicPartition[],
  offset: RdKafka.OffsetSpec,
  isolationLevel: RdKafka.IsolationLevel,
): Promise<Map<string, number>> {
  const results = await call<RdKafka.ListOffsetsResult[]>((done) =>
    admin.listOffsets(
      partitions.map(({ topic, partition }) => ({ topic, partition, offset })),
      { timeout: answerTimeoutMs, isolationLevel },
      done,
    ),
  );
  return new Map(
    results.map((result) => {
      if (result.error) throw new Error(`the offsets of ${partitionName(result)} are unknown: ${result.error.message}`);
      return [partitionName(result), result.offset];
    }),
  );
}

/** First offset and end offset of each partition, in the order of the partitions. */
export async function offsetRanges(
  admin: RdKafka.IAdminClient,
  partitions: readonly TopicPartition[],
  isolationLevel: RdKafka.IsolationLevel,
): Promise<OffsetRange[]> {
  const first = await listOffsets(admin, partitions, RdKafka.OffsetSpec.EARLIEST, isolationLevel);
  const ends = await listOffsets(admin, partitions, RdKafka.OffsetSpec.LATEST, isolationLevel);
  return partitions.map(({ topic, partition }) => {
    const name = partitionName({ topic, partition });
    return { topic, partition, offset: first.get(name) ?? 0, end: ends.get(name) ?? 0 };
  });
}

export interface ReadOptions {
  readonly settings: ClientSettings;
  readonly group: string;
  readonly ranges: readonly OffsetRange[];
  /** Maximum number of records of one batch. */
  readonly batchSize: number;
  /**
   * Called with each batch, also with an empty one, and with the offset that each partition has
   * reached by it. The next batch is read when it has returned; false ends the reading.
   */
  readonly onBatch: (
    records: readonly RdKafka.Message[],
    positions: readonly PartitionOffset[],
  ) => boolean | Promise<boolean>;
  /** The message of the error when partitions give nothing for {@link idleTimeoutMs}. */
  readonly idleMessage: (partitions: string) => string;
}

/**
 * Reads the committed records of the ranges, each partition in order.
 * @throws Error with `idleMessage` when a range does not end
 */
export async function readCommitted({
  settings,
  group,
  ranges,
  batchSize,
  onBatch,
  idleMessage,
}: ReadOptions): Promise<void> {
  const wanted = new Map(
    ranges.filter(({ offset, end }) => offset < end).map((range) => [partitionName(range), range]),
  );
  const open = new Map(wanted);
  if (open.size === 0) return;
  const consumer = committedConsumer(settings, group);
  await call((done) => consumer.connect({ timeout: answerTimeoutMs, allTopics: false }, done));
  try {
    const ended = new Set<string>();
    // The last offsets of a range may be transaction markers, which are no records. The event
    // says that the consumer has passed them.
    consumer.on('partition.eof', (position) => {
      const name = partitionName(position);
      if (position.offset >= (wanted.get(name)?.end ?? Infinity)) ended.add(name);
    });
    consumer.setDefaultConsumeTimeout(100);
    consumer.assign([...open.values()].map(({ topic, partition, offset }) => ({ topic, partition, offset })));
    let lastProgress = Date.now();
    while (open.size > 0) {
      const batch = await call<RdKafka.Message[]>((done) => consumer.consume(batchSize, done));
      const positions = new Map<string, PartitionOffset>();
      const records = batch.filter((message) => {
        const name = partitionName(message);
        const end = wanted.get(name)?.end ?? 0;
        if (message.offset + 1 >= end) ended.add(name);
        if (message.offset >= end) return false;
        const { topic, partition, offset } = message;
        positions.set(name, { topic, partition, offset: offset + 1 });
        return true;
      });
      // The event is emitted during the call that meets the end of the partition, so the records
      // before it are in this batch or in an earlier one.
      for (const name of ended) {
        const range = open.get(name);
        if (range === undefined) continue;
        const { topic, partition, end } = range;
        open.delete(name);
        positions.set(name, { topic, partition, offset: end });
        consumer.pause([{ topic, partition }]);
      }
      ended.clear();
      if (positions.size > 0) lastProgress = Date.now();
      else if (Date.now() - lastProgress > idleTimeoutMs) throw new Error(idleMessage([...open.keys()].join(', ')));
      if (!(await onBatch(records, [...positions.values()]))) return;
    }
  } finally {
    await call<unknown>((done) => consumer.disconnect(done));
  }
}
