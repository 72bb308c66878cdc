/**
 * Sends the records of dead letters back to their topics, each once.
 *
 *     1  A transactional producer is started, with the name of the replay as its transactional id.
 *        It aborts the open transaction of a run that was killed, and fences a run that still
 *        works.
 *     2  All dead letters behind the group's committed offsets are read and classified: what would
 *        be sent, to which topic, whether the topic exists, and whether its retention keeps the
 *        record.
 *     3  They are read again and sent in batches. One transaction holds the records of a batch and
 *        the offsets of the dead letters that they were made of.
 *
 * A batch is sent together with its offsets or not at all. When a run ends early, for whatever
 * reason, the same command therefore continues at the committed offsets. A run stops at the end
 * offsets that it found at its start, so a record that is refused again is not sent again in a
 * loop.
 */
import type { ClientSettings, KafkaAddress } from '@kafnus/local-stack';
import type { OffsetRange } from '../kafka/offset-ranges.js';
import { agentOf } from '../kafka/topic-names.js';
import { DeadLetterConsumer } from './dead-letter-consumer.js';
import {
  parseDeadLetterRecord,
  replayHeaders,
  type ConsumedRecord,
  type DeadLetterRecord,
} from './dead-letter-record.js';
import { partitionFor, type Destination } from './destination-partition.js';
import type { ReplayProducer, ReplayRecord } from './replay-producer.js';
import { positionText, ReplayScan, type ReplayReport } from './replay-report.js';
import {
  classify,
  hasEntityWithoutTimeInstant,
  hasFilters,
  type ReplaySelection,
  type SkipReason,
} from './replay-selection.js';
import { countRecord, expiredRecords, type Retention } from './retention.js';

/** Maximum number of records in one transaction. */
const batchSize = 500;
/**
 * With a rate, a transaction holds the records of this many seconds, so that it does not stay open
 * for longer.
 */
const batchSeconds = 1;

export interface ReplayOptions {
  readonly action: ReplayReport['action'];
  readonly address: KafkaAddress;
  /** The settings of KAFNUS_KAFKA_PRODUCER. */
  readonly producer: ClientSettings;
  readonly name: string;
  readonly selection: ReplaySelection;
  /** KAFNUS_TOPIC_PREFIX, by which the raw topic of lastdata is recognised. */
  readonly prefix: string;
  /** Maximum number of records; Infinity: all. */
  readonly limit: number;
  /** Records per second; Infinity: as fast as possible. */
  readonly rate: number;
  readonly retention: (topic: string) => Promise<Retention>;
  /** Also sends records that are older than the retention of their topic. */
  readonly ignoreRetention: boolean;
  readonly onProgress: (progress: Progress) => void;
  /** True once the user has asked for the end. */
  readonly interrupted: () => boolean;
  /** Waits for at most so many milliseconds. */
  readonly sleep: (ms: number) => Promise<unknown>;
  /** For tests that kill the process at a certain step. */
  readonly onStep?: (step: 'written' | 'committed') => void;
}

export interface Progress {
  readonly doing: 'reading' | 'sending';
  readonly done: number;
  /**
   * When reading, the number of offsets to read, which is at least that of the records; else the
   * records to send.
   */
  readonly total: number;
}

/** The consumer group and transactional id of a replay. */
export function groupOf(name: string): string {
  return `kafnus-replay-${name}`;
}

/** @throws Error naming the problem. What was sent before is committed */
export async function replayDeadLetters(options: ReplayOptions): Promise<ReplayReport> {
  const { action, selection, name } = options;
  const group = groupOf(name);
  const consumer = await DeadLetterConsumer.open(options.address, selection.topic, group);
  let producer: ReplayProducer | undefined;
  try {
    if (action === 'apply') producer = await consumer.createProducer(options.producer);
    const ranges = await consumer.unreadRanges();
    const scan = new ReplayScan();
    const destinations = await scanDeadLetters(consumer, ranges, scan, options);
    const refused =
      action === 'apply' && !options.ignoreRetention && expiredRecords([...scan.destinations.values()]) > 0;
    const sent =
      producer === undefined || scan.fit === 0 || refused
        ? 0
        : await send(consumer, producer, ranges, destinations, scan.fit, options);
    const complete = !options.interrupted() || (action === 'apply' && sent === scan.fit);
    return scan.report({ action, topic: selection.topic, name, group, sent, refused, complete });
  } finally {
    await producer?.close();
    await consumer.close();
  }
}

/**
 * Reads and counts all dead letters, and describes the topics that their records would be sent to.
 */
async function scanDeadLetters(
  consumer: DeadLetterConsumer,
  ranges: readonly OffsetRange[],
  scan: ReplayScan,
  { selection, prefix, limit, retention, onProgress, interrupted }: ReplayOptions,
): Promise<ReadonlyMap<string, Destination>> {
  const total = ranges.reduce((sum, { offset, end }) => sum + end - offset, 0);
  const destinations = new Map<string, Destination>();
  await consumer.read(ranges, async (records) => {
    for (const record of records) {
      scan.read += 1;
      const classified = classifyRecord(record, selection);
      if (classified.kind === 'skip') scan.addSkipped(classified.why, classified.from, classified.example);
      if (classified.kind !== 'send') continue;
      const { topic, deadLetter } = classified;
      let destination = scan.destinations.get(topic);
      if (destination === undefined) {
        destinations.set(topic, await consumer.destination(topic));
        destination = { topic, keeping: await retention(topic), records: 0, late: 0, oldestMs: 0 };
        scan.destinations.set(topic, destination);
      }
      countRecord(destination, deadLetter.timestamp, Date.now());
      scan.add(deadLetter, agentOf({ prefix }, topic) === 'lastdata' && hasEntityWithoutTimeInstant(deadLetter));
      if (scan.fit >= limit) return false;
    }
    onProgress({ doing: 'reading', done: scan.read, total });
    return !interrupted();
  });
  return destinations;
}

/** @returns how many records were sent and committed */
async function send(
  consumer: DeadLetterConsumer,
  producer: ReplayProducer,
  ranges: readonly OffsetRange[],
  destinations: ReadonlyMap<string, Destination>,
  total: number,
  { selection, rate, onProgress, interrupted, sleep, onStep }: ReplayOptions,
): Promise<number> {
  const maxBatch = Math.max(1, Math.min(batchSize, Math.ceil(rate * batchSeconds)));
  const started = performance.now();
  /** Of the dead-letter topic: the next offset to read, by partition. */
  const offsets = new Map<number, number>();
  let batch: ReplayRecord[] = [];
  let sent = 0;
  const flush = async (): Promise<void> => {
    if (offsets.size === 0) return;
    const committed = [...offsets].map(([partition, offset]) => ({ topic: selection.topic, partition, offset }));
    await producer.send(batch, committed, () => onStep?.('written'));
    sent += batch.length;
    batch = [];
    offsets.clear();
    onStep?.('committed');
    onProgress({ doing: 'sending', done: sent, total });
    // Waits for the rate in short steps, so that Ctrl-C takes effect soon.
    for (
      let due = 0;
      (due = (sent / rate) * 1000 - (performance.now() - started)) > 0 && sent < total && !interrupted();
    ) {
      await sleep(Math.min(due, 100));
      onProgress({ doing: 'sending', done: sent, total });
    }
  };
  if (interrupted()) return 0;
  await consumer.read(ranges, async (records, positions) => {
    for (const record of records) {
      const classified = classifyRecord(record, selection);
      const destination = classified.kind === 'send' ? destinations.get(classified.topic) : undefined;
      if (classified.kind === 'send' && destination !== undefined)
        batch.push(replayRecord(classified.deadLetter, destination));
      offsets.set(record.partition, record.offset + 1);
      if (batch.length < maxBatch && sent + batch.length < total) continue;
      await flush();
      if (sent >= total || interrupted()) return false;
    }
    for (const { partition, offset } of positions) offsets.set(partition, offset);
    return !interrupted();
  });
  // The offsets behind the last record that was sent belong to dead letters that are not selected.
  // They are committed, so that the next run does not read them again.
  if (sent + batch.length > 0 && !interrupted()) await flush();
  return sent;
}

type ClassifiedRecord =
  | { readonly kind: 'send'; readonly deadLetter: DeadLetterRecord; readonly topic: string }
  | { readonly kind: 'skip'; readonly why: SkipReason; readonly from: string; readonly example: string }
  | { readonly kind: 'not-selected' };

function classifyRecord(record: ConsumedRecord, selection: ReplaySelection): ClassifiedRecord {
  const deadLetter = parseDeadLetterRecord(record);
  if (deadLetter.kind === 'unrecognized') {
    // It cannot match a filter. Without a filter the user is told about it.
    if (hasFilters(selection)) return { kind: 'not-selected' };
    const example = `${positionText(deadLetter.position)} (${deadLetter.problem})`;
    return { kind: 'skip', why: 'foreign', from: selection.topic, example };
  }
  const classification = classify(deadLetter, selection);
  if (classification.kind === 'send') return { ...classification, deadLetter };
  if (classification.kind === 'not-selected') return classification;
  const example =
    positionText(deadLetter.position) + (deadLetter.omitted === undefined ? '' : ` (${deadLetter.omitted})`);
  return { kind: 'skip', why: classification.why, from: deadLetter.origin.topic, example };
}

function replayRecord(deadLetter: DeadLetterRecord, destination: Destination): ReplayRecord {
  const { key, value, timestamp } = deadLetter;
  return {
    topic: destination.topic,
    partition: partitionFor(deadLetter, destination),
    key,
    value,
    headers: replayHeaders(deadLetter),
    timestamp,
  };
}
