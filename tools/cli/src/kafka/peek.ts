/** A few records of partitions, for a look at what is in them: as evidence, not as data. */
import { RdKafka } from '@confluentinc/kafka-javascript';
import { call, type KafkaAddress } from '@kafnus/local-stack';

const ANSWER_MS = 10_000;

/** Where to look: at most `count` records from `offset` on, none at or behind `end`. */
export interface Look {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly end: number;
  readonly count: number;
}

/** Key, place and time of one record. */
interface Seen {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: Buffer | null;
  /** Milliseconds since the epoch; -1: none. */
  readonly timestamp: number;
}

/** What was found. */
export interface Sight {
  readonly records: readonly Seen[];
  /** Places where the reader came to what it was to see: without records there, there are none, but markers. */
  readonly complete: (place: { readonly topic: string; readonly partition: number }) => boolean;
}

/** Reads committed records; what has not come after `timeoutMs` is left out. */
export async function peek(address: KafkaAddress, looks: readonly Look[], timeoutMs = 5000): Promise<Sight> {
  const open = new Map(
    looks.filter(({ offset, end }) => offset < end).map((look) => [nameOf(look), { ...look, found: 0 }]),
  );
  const records: Seen[] = [];
  const complete = (place: { readonly topic: string; readonly partition: number }): boolean => !open.has(nameOf(place));
  if (open.size === 0) return { records, complete };
  const settings = typeof address === 'string' ? { 'bootstrap.servers': address } : address;
  const consumer = new RdKafka.KafkaConsumer(
    {
      log_level: 2,
      ...settings,
      'group.id': `kafnus-peek-${process.pid}`,
      'enable.auto.commit': false,
      'isolation.level': 'read_committed',
      'enable.partition.eof': true,
      'allow.auto.create.topics': false,
      'fetch.wait.max.ms': 50,
      // The first records of many partitions are wanted, not all of a few.
      'fetch.message.max.bytes': 65_536,
      'queued.max.messages.kbytes': 4096,
    },
    { 'auto.offset.reset': 'earliest' },
  );
  await call((done) => consumer.connect({ timeout: ANSWER_MS, allTopics: false }, done));
  try {
    const ended: string[] = [];
    consumer.on('partition.eof', (end) => ended.push(nameOf(end)));
    consumer.setDefaultConsumeTimeout(50);
    consumer.assign([...open.values()].map(({ topic, partition, offset }) => ({ topic, partition, offset })));
    for (const deadline = Date.now() + timeoutMs; open.size > 0 && Date.now() < deadline;) {
      const batch = await call<RdKafka.Message[]>((done) => consumer.consume(1000, done));
      for (const { topic, partition, offset, key, timestamp = -1 } of batch) {
        const look = open.get(nameOf({ topic, partition }));
        if (look === undefined) continue;
        if (offset < look.end) {
          look.found += 1;
          records.push({
            topic,
            partition,
            offset,
            key: typeof key === 'string' ? Buffer.from(key) : (key ?? null),
            timestamp,
          });
        }
        if (look.found < look.count && offset + 1 < look.end) continue;
        open.delete(nameOf({ topic, partition }));
        consumer.pause([{ topic, partition }]);
      }
      // The event comes by another way than the records, but never before those of the call that met the end.
      for (const name of ended.splice(0)) open.delete(name);
    }
    return { records, complete };
  } finally {
    await call<unknown>((done) => consumer.disconnect(done));
  }
}

function nameOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}-${partition}`;
}
