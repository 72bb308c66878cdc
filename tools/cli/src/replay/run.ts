/**
 * Sends dead letters back, each once.
 *
 *     1  one producer for each replay's name: it ends the transaction of a run that was killed, and fences a run that lives
 *     2  all letters behind the position are read: what will be sent, where to, whether it can be, and whether it is kept there
 *     3  batch by batch, in one transaction: the records, and the position behind the letters that they were made of
 *
 * Whatever ends it, the same command reads the position and goes on: a batch is sent with its position or not at all. Letters
 * that come while it runs are those of the next run, so a record that is refused again cannot turn in circles.
 */
import type { ClientSettings, KafkaAddress } from '@kafnus/local-stack';
import { agentOf } from '../kafka/names.js';
import { hasUndatedEntity, isNarrowed, verdictOn, type Choice } from './choice.js';
import { Letters, type Outgoing, type Range, type Sender } from './cluster.js';
import { partitionFor, type Destination } from './destination.js';
import { count, lateOf, type Keeping } from './keeping.js';
import { markedHeaders, readLetter, type Letter, type LetterRecord } from './letter.js';
import { placeText, Survey, type ReplayReport } from './survey.js';

/** Records of one transaction at most. */
const BATCH = 500;
/** A transaction that waits for a rate is not left open for longer. */
const BATCH_SECONDS = 1;

export interface ReplayOptions {
  readonly action: ReplayReport['action'];
  readonly address: KafkaAddress;
  /** What KAFNUS_KAFKA_PRODUCER adds. */
  readonly producer: ClientSettings;
  readonly name: string;
  readonly choice: Choice;
  /** The prefix of raw topics, by which an agent's is known. */
  readonly prefix: string;
  /** Records at most; Infinity: all. */
  readonly limit: number;
  /** Records a second; Infinity: as fast as possible. */
  readonly rate: number;
  /** What a topic keeps. */
  readonly keeping: (topic: string) => Promise<Keeping>;
  /** Sends also what a topic does not keep. */
  readonly ignoreRetention: boolean;
  readonly onProgress: (progress: Progress) => void;
  /** Resolves when the user asks for the end. */
  readonly interrupted: () => boolean;
  /** Waits, not longer than asked for. */
  readonly sleep: (ms: number) => Promise<unknown>;
  /** For tests that end the process at a moment that leaves something behind. */
  readonly onStep?: (step: 'written' | 'committed') => void;
}

/** How far it is. */
export interface Progress {
  readonly doing: 'reading' | 'sending';
  readonly done: number;
  /** Letters that are there to be read, at most, or records to be sent. */
  readonly total: number;
}

/** The consumer group, and the transactional id, of a replay. */
export function groupOf(name: string): string {
  return `kafnus-replay-${name}`;
}

/** @throws Error saying what is in the way; what was sent until then is committed, and the rest is not */
export async function replay(options: ReplayOptions): Promise<ReplayReport> {
  const { action, choice, name } = options;
  const group = groupOf(name);
  const letters = await Letters.open(options.address, choice.topic, group);
  let sender: Sender | undefined;
  try {
    if (action === 'apply') sender = await letters.sender(options.producer);
    const ranges = await letters.ranges();
    const survey = new Survey();
    const destinations = await surveyed(letters, ranges, survey, options);
    const refused = action === 'apply' && !options.ignoreRetention && lateOf([...survey.destinations.values()]) > 0;
    const sent =
      sender === undefined || survey.fit === 0 || refused
        ? 0
        : await send(letters, sender, ranges, destinations, survey.fit, options);
    const complete = !options.interrupted() || (action === 'apply' && sent === survey.fit);
    return survey.report({ action, topic: choice.topic, name, group, sent, refused, complete });
  } finally {
    await sender?.close();
    await letters.close();
  }
}

/** Reads everything, counts it, and looks up where it would go, before anything is sent. */
async function surveyed(
  letters: Letters,
  ranges: readonly Range[],
  survey: Survey,
  { choice, prefix, limit, keeping, onProgress, interrupted }: ReplayOptions,
): Promise<ReadonlyMap<string, Destination>> {
  const total = ranges.reduce((sum, { offset, end }) => sum + end - offset, 0);
  const destinations = new Map<string, Destination>();
  await letters.read(ranges, async (records) => {
    for (const record of records) {
      survey.read += 1;
      const found = judged(record, choice);
      if (found.kind === 'leave') survey.leave(found.why, found.from, found.example);
      if (found.kind !== 'send') continue;
      const { topic } = found;
      let kept = survey.destinations.get(topic);
      if (kept === undefined) {
        destinations.set(topic, await letters.destination(topic));
        kept = { topic, keeping: await keeping(topic), records: 0, late: 0, oldestMs: 0 };
        survey.destinations.set(topic, kept);
      }
      count(kept, found.letter.timestamp, Date.now());
      survey.add(found.letter, agentOf({ prefix }, found.topic) === 'lastdata' && hasUndatedEntity(found.letter));
      if (survey.fit >= limit) return false;
    }
    onProgress({ doing: 'reading', done: survey.read, total });
    return !interrupted();
  });
  return destinations;
}

async function send(
  letters: Letters,
  sender: Sender,
  ranges: readonly Range[],
  destinations: ReadonlyMap<string, Destination>,
  total: number,
  { choice, rate, onProgress, interrupted, sleep, onStep }: ReplayOptions,
): Promise<number> {
  const most = Math.max(1, Math.min(BATCH, Math.ceil(rate * BATCH_SECONDS)));
  const started = performance.now();
  const positions = new Map<number, number>();
  let batch: Outgoing[] = [];
  let sent = 0;
  const flush = async (): Promise<void> => {
    if (positions.size === 0) return;
    const moved = [...positions].map(([partition, offset]) => ({ topic: choice.topic, partition, offset }));
    await sender.send(batch, moved, () => onStep?.('written'));
    sent += batch.length;
    batch = [];
    positions.clear();
    onStep?.('committed');
    onProgress({ doing: 'sending', done: sent, total });
    // In short steps: the user may interrupt.
    for (
      let due = 0;
      (due = (sent / rate) * 1000 - (performance.now() - started)) > 0 && sent < total && !interrupted();
    ) {
      await sleep(Math.min(due, 100));
      onProgress({ doing: 'sending', done: sent, total });
    }
  };
  if (interrupted()) return 0;
  await letters.read(ranges, async (records, reached) => {
    for (const record of records) {
      const found = judged(record, choice);
      const to = found.kind === 'send' ? destinations.get(found.topic) : undefined;
      if (found.kind === 'send' && to !== undefined) batch.push(outgoing(found.letter, to));
      positions.set(record.partition, record.offset + 1);
      if (batch.length < most && sent + batch.length < total) continue;
      await flush();
      if (sent >= total || interrupted()) return false;
    }
    for (const [partition, offset] of reached) positions.set(partition, offset);
    return !interrupted();
  });
  // What is left lies behind the last record to be sent: letters that were passed over, which would be read again.
  if (sent + batch.length > 0 && !interrupted()) await flush();
  return sent;
}

type Judged =
  | { readonly kind: 'send'; readonly letter: Letter; readonly topic: string }
  | {
      readonly kind: 'leave';
      readonly why: Parameters<Survey['leave']>[0];
      readonly from: string;
      readonly example: string;
    }
  | { readonly kind: 'pass' };

function judged(record: LetterRecord, choice: Choice): Judged {
  const letter = readLetter(record);
  if (letter.kind === 'foreign') {
    if (isNarrowed(choice)) return { kind: 'pass' };
    return {
      kind: 'leave',
      why: 'foreign',
      from: choice.topic,
      example: `${placeText(letter.place)} (${letter.problem})`,
    };
  }
  const verdict = verdictOn(letter, choice);
  if (verdict.kind === 'send') return { ...verdict, letter };
  if (verdict.kind === 'pass') return verdict;
  const example = placeText(letter.place) + (letter.omitted === undefined ? '' : ` (${letter.omitted})`);
  return { kind: 'leave', why: verdict.why, from: letter.origin.topic, example };
}

function outgoing(letter: Letter, to: Destination): Outgoing {
  const { key, value, timestamp } = letter;
  return {
    topic: to.topic,
    partition: partitionFor(letter, to),
    key,
    value,
    headers: markedHeaders(letter),
    timestamp,
  };
}
