/** Reads output topics as a sink would, up to where they end at the start. */
import { RdKafka } from '@confluentinc/kafka-javascript';
import { ownHeaders } from '@kafnus/agent-runtime';
import { awaitBrokers, call, type KafkaAddress } from '@kafnus/local-stack';
import { topicsWith } from '../kafka/admin.js';
import { grouped, quoted } from '../terminal/text.js';
import type { SinkRecord } from './connect-row.js';

/** Which of the cluster's topics are read. */
export type TopicChoice =
  | { readonly kind: 'named'; readonly topics: readonly string[] }
  | { readonly kind: 'matching'; readonly matches: (topic: string) => boolean; readonly what: string };

export interface ReadOptions {
  readonly address: KafkaAddress;
  readonly choice: TopicChoice;
  /** Of each partition, the last ones. */
  readonly maxRecords: number;
  /** Milliseconds since the epoch: nothing from before. */
  readonly since: number | undefined;
  readonly onRecord: (record: SinkRecord) => void;
  readonly onProgress: (text: string) => void;
  readonly interrupted: () => boolean;
}

export interface ReadReport {
  readonly topics: readonly string[];
  /** False: the user interrupted. */
  readonly complete: boolean;
}

const ANSWER_MS = 10_000;
/** A broker that does not answer for so long will not. */
const STILL_MS = 60_000;
const BATCH = 5000;

/** @throws Error naming the topic that does not exist, or the partition that does not answer */
export async function readTopics(options: ReadOptions): Promise<ReadReport> {
  const { address, choice, interrupted } = options;
  // Of all clients this one says why it cannot connect.
  await awaitBrokers(address, 1);
  const existing = await topicsWith(address, '');
  const topics = chosen(choice, existing);
  const settings = typeof address === 'string' ? { 'bootstrap.servers': address } : address;
  const consumer = new RdKafka.KafkaConsumer(
    {
      log_level: 2,
      ...settings,
      'group.id': `kafnus-tables-${process.pid}`,
      'enable.auto.commit': false,
      'isolation.level': 'read_committed',
      'enable.partition.eof': true,
      'fetch.wait.max.ms': 50,
    },
    { 'auto.offset.reset': 'earliest' },
  );
  await call((done) => consumer.connect({ timeout: ANSWER_MS, allTopics: false }, done));
  try {
    const ranges = await rangesOf(consumer, topics, options);
    await read(consumer, ranges, topics.length, options);
  } finally {
    await call<unknown>((done) => consumer.disconnect(done));
  }
  return { topics, complete: !interrupted() };
}

function chosen(choice: TopicChoice, existing: readonly string[]): readonly string[] {
  if (choice.kind === 'matching') {
    const topics = existing.filter(choice.matches);
    if (topics.length > 0) return topics;
    throw new Error(`no topic ${choice.what}: has anything been published, and are brokers and names the right ones?`);
  }
  const missing = choice.topics.find((topic) => !existing.includes(topic));
  if (missing !== undefined)
    throw new Error(
      `the topic ${quoted(missing)} does not exist: correct its name, or wait for the first notification of its tenant, with which the agent creates it`,
    );
  return choice.topics;
}

/** What of a partition is read: records with `start <= offset < end`. */
interface Range {
  readonly topic: string;
  readonly partition: number;
  readonly start: number;
  readonly end: number;
}

async function rangesOf(
  consumer: RdKafka.KafkaConsumer,
  topics: readonly string[],
  { maxRecords, since }: ReadOptions,
): Promise<Range[]> {
  const admin = RdKafka.AdminClient.createFrom(consumer);
  try {
    const described = await call<RdKafka.TopicDescription[]>((done) =>
      admin.describeTopics([...topics], { timeout: ANSWER_MS }, done),
    );
    const partitions = described.flatMap(({ name: topic, partitions, error }) => {
      if (error) throw new Error(`the topic ${topic} cannot be looked up: ${error.message}`);
      return partitions.map(({ partition }) => ({ topic, partition }));
    });
    const offsets = async (offset: RdKafka.OffsetSpec): Promise<Map<string, number>> => {
      const found = await call<RdKafka.ListOffsetsResult[]>((done) =>
        admin.listOffsets(
          partitions.map((each) => ({ ...each, offset })),
          // Not beyond an open transaction: what is in it is not there yet.
          { timeout: ANSWER_MS, isolationLevel: RdKafka.IsolationLevel.READ_COMMITTED },
          done,
        ),
      );
      return new Map(
        found.map((each) => {
          if (each.error) throw new Error(`no answer about ${nameOf(each)}: ${each.error.message}`);
          return [nameOf(each), each.offset];
        }),
      );
    };
    const first = await offsets(RdKafka.OffsetSpec.EARLIEST);
    const ends = await offsets(RdKafka.OffsetSpec.LATEST);
    const times = since === undefined ? undefined : await offsets(new RdKafka.OffsetSpec(since));
    return partitions.map((each) => {
      const end = ends.get(nameOf(each)) ?? 0;
      // -1: no record is that young.
      const young = times?.get(nameOf(each)) ?? 0;
      const start = Math.max(first.get(nameOf(each)) ?? 0, end - maxRecords, young < 0 ? end : young);
      return { ...each, start, end };
    });
  } finally {
    admin.disconnect();
  }
}

async function read(
  consumer: RdKafka.KafkaConsumer,
  ranges: readonly Range[],
  topics: number,
  { onRecord, onProgress, interrupted }: ReadOptions,
): Promise<void> {
  const wanted = new Map(ranges.filter(({ start, end }) => start < end).map((range) => [nameOf(range), range]));
  // The end of a partition is told before the records that are on their way: these are taken all the same.
  const open = new Map(wanted);
  if (open.size === 0) return;
  // Transaction markers take offsets too: there are at most so many records.
  const most = [...open.values()].reduce((sum, { start, end }) => sum + end - start, 0);
  const reached = (partition: { readonly topic: string; readonly partition: number }, offset: number): void => {
    const range = open.get(nameOf(partition));
    if (range === undefined || offset < range.end) return;
    open.delete(nameOf(partition));
    consumer.pause([{ topic: range.topic, partition: range.partition }]);
  };
  consumer.on('partition.eof', (end) => reached(end, end.offset));
  consumer.setDefaultConsumeTimeout(100);
  consumer.assign([...open.values()].map(({ topic, partition, start: offset }) => ({ topic, partition, offset })));
  let records = 0;
  let moved = Date.now();
  while (open.size > 0 && !interrupted()) {
    const batch = await call<RdKafka.Message[]>((done) => consumer.consume(BATCH, done));
    for (const message of batch) {
      if (message.offset < (wanted.get(nameOf(message))?.end ?? 0)) {
        records += 1;
        const { topic, key = null, value, headers = [] } = message;
        onRecord({ topic, key, value, headers: ownHeaders(headers) });
      }
      reached(message, message.offset + 1);
    }
    if (batch.length > 0) moved = Date.now();
    else if (Date.now() - moved > STILL_MS) throw new Error(`nothing comes any more of ${[...open.keys()].join(', ')}`);
    onProgress(`read ${grouped(records)} records of ${topics} topics, at most ${grouped(most)} are there`);
  }
}

function nameOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}-${partition}`;
}
