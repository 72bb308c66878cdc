import { RdKafka } from '@confluentinc/kafka-javascript';
import { losslessProducer, type OutputRecord } from '@kafnus/agent-runtime';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { call } from '@kafnus/kafka-admin';
import { partitionCounts, withProducer, type ClientSettings, type KafkaAddress } from './kafka-client.js';

/**
 * A record to be written by a test: an {@link OutputRecord}, of which only topic and value are
 * needed.
 */
export type RecordToWrite = Pick<OutputRecord, 'topic' | 'value'> &
  Partial<OutputRecord> & {
    /** Wins over partitionHash and key. */
    readonly partition?: number;
  };

export interface ProduceOptions {
  /** librdkafka settings for the producer. */
  readonly settings?: ClientSettings;
  /** How long the last records may take to be acknowledged. Default 60,000 ms. */
  readonly timeoutMs?: number;
}

/**
 * Writes records in their order and resolves when all are acknowledged by all in-sync replicas.
 * Keys choose the partition as with Orion (CRC32, librdkafka's default).
 * @returns how many records were written
 * @throws Error when a record was not acknowledged
 */
export async function produceAll(
  address: KafkaAddress,
  records: Iterable<RecordToWrite>,
  options: ProduceOptions = {},
): Promise<number> {
  const timeout = options.timeoutMs ?? 60_000;
  const settings: ClientSettings = {
    ...losslessProducer,
    partitioner: 'consistent_random',
    'linger.ms': 5,
    'compression.type': 'lz4',
    'queue.buffering.max.messages': 100_000,
    'message.timeout.ms': timeout,
    ...options.settings,
  };
  return withProducer(address, settings, async (producer) => {
    const failures: string[] = [];
    producer.on('delivery-report', (error, report) => {
      if (error) failures.push(`${report.topic}-${report.partition}: ${error.message}`);
    });
    producer.setPollInterval(100);
    const counts = new Map<string, number>();
    let written = 0;
    for (const record of records) {
      const partition = record.partition ?? (await hashedPartition(producer, record, counts));
      const value = typeof record.value === 'string' ? Buffer.from(record.value) : record.value;
      const headers = record.headers && record.headers.map((header) => ({ ...header }));
      await enqueue(producer, record.topic, partition, value, record.key, record.timestamp, undefined, headers);
      written += 1;
      if (written % 10_000 === 0) await nextTurn();
    }
    await call((done) => producer.flush(timeout, (error) => done(error, undefined)));
    producer.poll();
    await nextTurn();
    if (failures.length > 0) {
      throw new Error(`${failures.length} of ${written} records were not acknowledged, the first: ${failures[0]}`);
    }
    return written;
  });
}

/**
 * Queues a record; waits only while the producer's queue is full. @throws Error when the client
 * refuses it otherwise
 */
export async function enqueue(
  producer: RdKafka.Producer,
  ...record: Parameters<RdKafka.Producer['produce']>
): Promise<void> {
  for (;;) {
    try {
      producer.produce(...record);
      return;
    } catch (error) {
      if (!isQueueFull(error)) throw error;
      await sleep(2);
    }
  }
}

async function hashedPartition(
  producer: RdKafka.Producer,
  { topic, partitionHash }: RecordToWrite,
  counts: Map<string, number>,
): Promise<number | undefined> {
  if (partitionHash === undefined) return undefined;
  let count = counts.get(topic);
  if (count === undefined) {
    count = (await partitionCounts(producer, [topic])).get(topic) ?? 0;
    if (count === 0) throw new Error(`There is no topic ${topic}`);
    counts.set(topic, count);
  }
  return partitionHash % count;
}

function isQueueFull(error: unknown): boolean {
  const { ERR__QUEUE_FULL } = RdKafka.CODES.ERRORS;
  return typeof error === 'object' && error !== null && 'code' in error && error.code === ERR__QUEUE_FULL;
}
