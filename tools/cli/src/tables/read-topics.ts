/** Reads the committed records of output topics, up to the end offsets at the start. */
import { RdKafka } from '@confluentinc/kafka-javascript';
import { ownHeaders } from '@kafnus/agent-runtime';
import { call } from '@kafnus/kafka-admin';
import { awaitBrokers, type ClientSettings, type KafkaAddress } from '@kafnus/local-stack';
import {
  answerTimeoutMs,
  clientSettings,
  listOffsets,
  offsetRanges,
  partitionName,
  readCommitted,
  type OffsetRange,
} from '../kafka/offset-ranges.js';
import { topicsWith } from '../kafka/topic-admin.js';
import { grouped, quoted } from '../terminal/text.js';
import type { SinkRecord } from './connect-row.js';

/** Which topics of the cluster are read. */
export type TopicSelection =
  | { readonly kind: 'named'; readonly topics: readonly string[] }
  | { readonly kind: 'matching'; readonly matches: (topic: string) => boolean; readonly what: string };

export interface ReadTopicsOptions {
  readonly address: KafkaAddress;
  readonly selection: TopicSelection;
  /** Maximum number of records per partition: the last ones. */
  readonly maxRecords: number;
  /** Milliseconds since the epoch: only records that are not older. */
  readonly since: number | undefined;
  readonly onRecord: (record: SinkRecord) => void;
  readonly onProgress: (text: string) => void;
  readonly interrupted: () => boolean;
}

export interface ReadReport {
  readonly topics: readonly string[];
  /** False: the user interrupted the reading. */
  readonly complete: boolean;
}

const batchSize = 5000;

/** @throws Error naming the topic that does not exist, or the partition that does not answer */
export async function readTopics(options: ReadTopicsOptions): Promise<ReadReport> {
  const { address, selection, onRecord, onProgress, interrupted } = options;
  // Its error names the cause when there is no connection; that of the consumer does not.
  await awaitBrokers(address, 1);
  const topics = selectedTopics(selection, await topicsWith(address, ''));
  const settings = clientSettings(address);
  const ranges = await rangesOf(settings, topics, options);
  // An upper bound: some of the offsets are transaction markers.
  const total = ranges.reduce((sum, { offset, end }) => sum + Math.max(0, end - offset), 0);
  let records = 0;
  await readCommitted({
    settings,
    group: `kafnus-tables-${process.pid}`,
    ranges,
    batchSize,
    onBatch: (messages) => {
      for (const { topic, key = null, value, headers = [] } of messages)
        onRecord({ topic, key, value, headers: ownHeaders(headers) });
      records += messages.length;
      onProgress(`read ${grouped(records)} of at most ${grouped(total)} records in ${topics.length} topics`);
      return !interrupted();
    },
    idleMessage: (partitions) => `no records of ${partitions} arrive: check that their brokers are up`,
  });
  return { topics, complete: !interrupted() };
}

function selectedTopics(selection: TopicSelection, existing: readonly string[]): readonly string[] {
  if (selection.kind === 'matching') {
    const topics = existing.filter(selection.matches);
    if (topics.length > 0) return topics;
    throw new Error(`no topic ${selection.what}: check brokers and names, and that records have been published`);
  }
  const missing = selection.topics.find((topic) => !existing.includes(topic));
  if (missing !== undefined)
    throw new Error(
      `the topic ${quoted(missing)} does not exist: correct its name, or wait until the agent creates it with the first notification of its tenant`,
    );
  return selection.topics;
}

async function rangesOf(
  settings: ClientSettings,
  topics: readonly string[],
  { maxRecords, since }: ReadTopicsOptions,
): Promise<OffsetRange[]> {
  // Offsets of open transactions are not read: their records are not committed yet.
  const { READ_COMMITTED } = RdKafka.IsolationLevel;
  const admin = RdKafka.AdminClient.create({ ...settings });
  try {
    const described = await call<RdKafka.TopicDescription[]>((done) =>
      admin.describeTopics([...topics], { timeout: answerTimeoutMs }, done),
    );
    const partitions = described.flatMap(({ name: topic, partitions: ofTopic, error }) => {
      if (error) throw new Error(`the topic ${topic} cannot be described: ${error.message}`);
      return ofTopic.map(({ partition }) => ({ topic, partition }));
    });
    const ranges = await offsetRanges(admin, partitions, READ_COMMITTED);
    const sinceOffsets =
      since === undefined
        ? undefined
        : await listOffsets(admin, partitions, new RdKafka.OffsetSpec(since), READ_COMMITTED);
    return ranges.map((range) => {
      // -1: no record is that new.
      const sinceOffset = sinceOffsets?.get(partitionName(range)) ?? 0;
      const offset = Math.max(range.offset, range.end - maxRecords, sinceOffset < 0 ? range.end : sinceOffset);
      return { ...range, offset };
    });
  } finally {
    admin.disconnect();
  }
}
