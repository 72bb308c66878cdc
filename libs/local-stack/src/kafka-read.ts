import type { RdKafka } from '@confluentinc/kafka-javascript';
import { ownHeaders, type InputRecord } from '@kafnus/agent-runtime';
import { call } from '@kafnus/kafka-admin';
import { allPartitions, withConsumer, type KafkaAddress } from './kafka-client.js';
import type { Isolation } from './kafka-topics.js';

const OFFSET_BEGINNING = -2;

export interface ReadOptions {
  /** Default read_committed: what a consumer of the agents' output sees. */
  readonly isolation?: Isolation;
  /**
   * `end` (default): to the end of every partition as it is now. A number: until so many records
   * were read.
   */
  readonly until?: 'end' | number;
  /** Default 30,000 ms. */
  readonly timeoutMs?: number;
}

/**
 * Reads topics from their beginning, in order per partition.
 * @throws Error when a topic does not exist, or when the time is over: it says how far the reader
 * came
 */
export async function readAll(
  address: KafkaAddress,
  topics: string | readonly string[],
  options: ReadOptions = {},
): Promise<InputRecord[]> {
  const { isolation = 'read_committed', until = 'end', timeoutMs = 30_000 } = options;
  const names = typeof topics === 'string' ? [topics] : topics;
  const settings = { 'isolation.level': isolation, 'enable.partition.eof': true, 'fetch.wait.max.ms': 50 };
  return withConsumer(address, settings, async (consumer) => {
    const partitions = await allPartitions(consumer, names);
    const open = new Set(partitions.map(partitionName));
    const records: InputRecord[] = [];
    const finished = (): boolean => (until === 'end' ? open.size === 0 : records.length >= until);

    // The end of a partition cannot be told from offsets: the last ones may be transaction markers,
    // which nobody reads.
    consumer.on('partition.eof', (end) => open.delete(partitionName(end)));
    consumer.setDefaultConsumeTimeout(100);
    consumer.assign(partitions.map((partition) => ({ ...partition, offset: OFFSET_BEGINNING })));
    const deadline = Date.now() + timeoutMs;
    while (!finished()) {
      if (Date.now() > deadline) {
        const missing = until === 'end' ? `not at the end of ${[...open].join(', ')}` : `${until} were asked for`;
        throw new Error(`Read ${records.length} records of ${names.join(', ')} in ${timeoutMs} ms: ${missing}`);
      }
      const batch = await call<RdKafka.Message[]>((done) => consumer.consume(1000, done));
      for (const message of batch) records.push(inputRecord(message));
    }
    return records;
  });
}

function inputRecord(message: RdKafka.Message): InputRecord {
  const { topic, partition, offset, key, value, timestamp = -1 } = message;
  const headers = ownHeaders(message.headers ?? []);
  return { topic, partition, offset, timestamp, key: bytes(key), value, headers };
}

function bytes(value: RdKafka.MessageKey): Buffer | null {
  if (value === null || value === undefined) return null;
  return typeof value === 'string' ? Buffer.from(value) : value;
}

function partitionName(partition: { readonly topic: string; readonly partition: number }): string {
  return `${partition.topic}-${partition.partition}`;
}
