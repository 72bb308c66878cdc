/**
 * Reads a changelog partition to its end.
 *
 * The end is the high watermark, not the last stable offset: the transaction that moved the
 * committed offsets may have its marker in the offsets topic already and not yet in the changelog.
 * The two are written one after the other, and a reader that stopped at the last stable offset in
 * between would miss the last changes of its predecessor. Waiting for the high watermark waits for
 * the marker.
 *
 *       changelog:  a b c [d e]? M      last stable offset: after c, until the marker M is written
 *                              ^ high watermark: read to here, and then d and e are decided
 *
 * Nearly all of the time would be the client's, which makes an object of each record; so the
 * records are fetched and read here, by a connection to the partition's leader. Whatever this
 * connection cannot do (Kerberos, snappy, zstd, a leader that moves or breaks) the client can: it
 * reads on from where the connection has come to, at a quarter of the speed.
 */
import {
  asKafkaError,
  call,
  canConnect,
  extentOf,
  fetchCommitted,
  kafka,
  messageOf,
  readCommitted,
  WireConnection,
  type AdminClient,
  type ClientMessage,
  type Fetched,
  type KafkaConsumer,
  type TopicDescription,
} from '@kafnus/kafka-admin';
import type { RuntimeConfig } from '../config.js';
import { partitionName, type ChangelogEntry, type TopicPartition } from '../session.js';
import { untilAborted } from '../until-aborted.js';
import type { CallsInFlight } from './calls.js';
import { restoreClientId, restoreProperties } from './client-config.js';

export interface RestoreOptions {
  readonly config: RuntimeConfig;
  readonly agent: string;
  readonly changelog: TopicPartition;
  readonly onEntry: ChangelogEntry;
  readonly onProgress: (progress: Progress) => void;
  /** Told what an operator would wonder about: why it is slow, what is missing. */
  readonly onRemark: (text: string) => void;
  readonly signal: AbortSignal;
  /** Used by restores only: a call about a dead leader holds the client's lock (see calls.ts). */
  readonly admin: () => AdminClient;
  /** Calls that have not returned, also those of a restore that nobody waits for any more. */
  readonly calls: CallsInFlight;
}

/** Entries so far, the next offset, and the end that was found at first. */
interface Progress {
  readonly entries: number;
  readonly offset: number;
  readonly end: number;
}

/**
 * Enough that the broker's answer is there when the one before is in the store, and little to keep
 * meanwhile.
 */
const fetchBytes = 256 * 1024;
/**
 * Small: what lives as long as a batch makes V8 enlarge its young generation, by 20 MB more with
 * batches of 1000. No faster either.
 */
const batchSize = 250;
/** A call cannot be interrupted, and the process cannot end under it. */
const requestTimeoutMs = 3000;
/** So many answers without records, of 100 ms each, and it is time to ask where the log ends. */
const emptyAnswers = 20;

/**
 * Calls of the client cannot be interrupted. What is in one when `signal` is aborted ends behind
 * the caller's back, and gives no entry to `onEntry` any more.
 * @returns the entries read. @throws KafkaError; and at once when `signal` is aborted
 */
export function restorePartition(options: RestoreOptions): Promise<number> {
  return untilAborted(restoreToEnd(options), options.signal);
}

async function restoreToEnd(options: RestoreOptions): Promise<number> {
  const { calls, signal } = options;
  signal.throwIfAborted();
  const progress = await restoreDirectly(await extentOfLog(options), options);
  if (progress.offset >= progress.end) return progress.entries;
  const consumer = new kafka.KafkaConsumer(restoreProperties(options.config, options.agent), {
    'auto.offset.reset': 'earliest',
  });
  try {
    await calls.track(
      consumer,
      call((done) => consumer.connect({ timeout: requestTimeoutMs }, done)),
    );
    signal.throwIfAborted();
    return await readOn(consumer, progress, options);
  } finally {
    if (consumer.isConnected()) {
      await calls.track(
        consumer,
        call((done) => consumer.disconnect(done)),
      );
    }
  }
}

/** The first offset, and the high watermark. */
async function extentOfLog(options: RestoreOptions): Promise<Progress> {
  const { EARLIEST, LATEST } = kafka.OffsetSpec;
  const offset = await offsetOf(options, EARLIEST);
  options.signal.throwIfAborted();
  const end = await offsetOf(options, LATEST);
  options.signal.throwIfAborted();
  return { entries: 0, offset, end };
}

async function offsetOf({ admin, calls, changelog }: RestoreOptions, offset: unknown): Promise<number> {
  const { topic, partition } = changelog;
  const client = admin();
  const request = call<{ offset: number; error?: Error }[]>((done) => {
    client.listOffsets(
      [{ topic, partition, offset }],
      { timeout: requestTimeoutMs, isolationLevel: kafka.IsolationLevel.READ_UNCOMMITTED },
      done,
    );
  });
  const [found] = await calls.track(client, request);
  if (!found) throw new Error(`no answer about the offsets of ${topic}-${partition}`);
  if (found.error) throw asKafkaError(found.error);
  return found.offset;
}

/** So often the same batch is asked for, before the restore fails with it. */
const damagedAnswers = 3;

/**
 * A batch whose checksum is wrong, each time that it was asked for. The client is no way out: it
 * would take the batch as it is, or leave it out.
 */
class DamagedBatch extends Error {}

/**
 * @returns how far it came: to the end, or to what this connection cannot do.
 * @throws Error when `signal` is aborted
 */
async function restoreDirectly(start: Progress, options: RestoreOptions): Promise<Progress> {
  const { changelog, onEntry, onProgress, onRemark, signal } = options;
  let progress = start;
  if (start.offset >= start.end) return start;
  let connection: WireConnection | undefined;
  let ahead: Promise<Fetched> | undefined;
  try {
    const leader = await connectToLeader(options);
    connection = leader;
    ahead = fetchCommitted(leader, changelog, progress.offset, fetchBytes);
    for (let empty = 0, damaged = 0; progress.offset < progress.end;) {
      const { aborted, batches, lastStableOffset }: Fetched = await ahead;
      signal.throwIfAborted();
      let { end } = progress;
      const { next: behind, length, obstacle, damagedAt } = extentOf(batches, progress.offset);
      let next = behind;
      empty = batches.length === 0 ? empty + 1 : 0;
      damaged = damagedAt === undefined ? 0 : next > progress.offset ? 1 : damaged + 1;
      if (damagedAt !== undefined && damaged >= damagedAnswers) {
        throw new DamagedBatch(
          `the batch at offset ${damagedAt} of ${partitionName(changelog)} is damaged (its CRC-32C is wrong): ` +
            'the disk or the network of its leader is at fault; see docs/runbooks/restore-slow.md',
        );
      }
      if (empty >= emptyAnswers) {
        empty = 0;
        // A log that lost its end in an election does not get it back: its only writer waits for
        // this restore.
        end = Math.min(end, (await extentOfLog(options)).end);
        if (lastStableOffset >= end && next < end) {
          onRemark(`nothing is kept at the end, from offset ${next} to ${end}`);
          next = end;
        }
      }
      // The broker looks for the next records while these are put into the store.
      if (next < end && obstacle === undefined) ahead = fetchCommitted(leader, changelog, next, fetchBytes);
      const count = readCommitted(batches.subarray(0, length), progress.offset, aborted, (key, value) => {
        if (key !== null) onEntry(key, value);
      });
      progress = { entries: progress.entries + count, offset: next, end };
      if (count > 0) onProgress(progress);
      if (obstacle !== undefined && next < end) throw new Error(obstacle);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof DamagedBatch) throw error;
    onRemark(
      `falls back to the librdkafka consumer, which is slower: ${messageOf(error) || 'the leader cannot be reached'}`,
    );
  } finally {
    connection?.close();
    await ahead?.catch(() => undefined);
  }
  return progress;
}

/** @throws Error when it has no leader, or cannot be talked to */
async function connectToLeader(options: RestoreOptions): Promise<WireConnection> {
  const { config, agent, changelog, admin, calls, signal } = options;
  if (!canConnect(config)) throw new Error(`this agent's own login knows no ${config.kafkaSaslMechanism}`);
  const { topic, partition } = changelog;
  const client = admin();
  const request = call<TopicDescription[]>((done) =>
    client.describeTopics([topic], { timeout: requestTimeoutMs }, done),
  );
  const [described] = await calls.track(client, request);
  signal.throwIfAborted();
  const leader = described?.partitions.find((each) => each.partition === partition)?.leader;
  if (leader?.host === undefined || leader.port === undefined) throw new Error('the partition has no leader');
  return WireConnection.to(config, restoreClientId(config, agent), { host: leader.host, port: leader.port }, signal);
}

/**
 * The end of the partition is told by an event that also counts the markers, which are no records.
 */
async function readOn(
  consumer: KafkaConsumer,
  { entries: before, offset, end: endBefore }: Progress,
  options: RestoreOptions,
): Promise<number> {
  const { calls, changelog, onEntry, onProgress, signal } = options;
  let reached = offset;
  let end = endBefore;
  let empty = 0;
  let entries = before;
  consumer.on('partition.eof', (event: { offset: number }) => {
    reached = Math.max(reached, event.offset);
  });
  consumer.setDefaultConsumeTimeout(100);
  consumer.setDefaultIsTimeoutOnlyForFirstMessage(true);
  consumer.assign([{ ...changelog, offset }]);
  const read = (): Promise<ClientMessage[]> =>
    calls.track(
      consumer,
      call((done) => consumer.consume(batchSize, done)),
    );
  let ahead: Promise<ClientMessage[]> | undefined = read();
  try {
    while (ahead) {
      const messages: ClientMessage[] = await ahead;
      ahead = undefined;
      signal.throwIfAborted();
      reached = Math.max(reached, (messages.at(-1)?.offset ?? -1) + 1);
      empty = messages.length === 0 ? empty + 1 : 0;
      if (reached < end && empty >= emptyAnswers) {
        empty = 0;
        // What was lost in an election does not come back, see restoreDirectly.
        end = Math.min(end, (await extentOfLog(options)).end);
      }
      // The next batch is collected by another thread while this one is put into the store. Not
      // behind the end: the call would wait.
      if (reached < end) ahead = read();
      for (const { key, value } of messages) {
        if (key !== null) onEntry(key, value);
      }
      entries += messages.length;
      if (messages.length > 0) onProgress({ entries, offset: reached, end });
    }
  } finally {
    // The client may not be disconnected under a call.
    await ahead?.catch(() => undefined);
  }
  return entries;
}
