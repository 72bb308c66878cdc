/**
 * Reads a changelog partition to its end.
 *
 * The end is the high watermark, not the last stable offset: the transaction that moved the committed offsets may have its
 * marker in the offsets topic already and not yet in the changelog. The two are written one after the other, and a reader
 * that stopped at the last stable offset in between would miss the last changes of its predecessor. Waiting for the high
 * watermark waits for the marker.
 *
 *       changelog:  a b c [d e]? M      last stable offset: after c, until the marker M is written
 *                              ^ high watermark: the reader goes on to here, and then d and e are decided
 *
 * Nearly all of the time would be the client's, which makes an object of each record; so the records are fetched and read here, by
 * a connection to the partition's leader. Whatever this connection cannot do (Kerberos, snappy, zstd, a leader that moves or
 * breaks) the client can: it reads on from where the connection has come to, at a quarter of the speed.
 */
import type { RuntimeConfig } from '../config.js';
import { messageOf } from '../error-text.js';
import type { ChangelogEntry, TopicPartition } from '../session.js';
import { WireConnection } from '../wire/connection.js';
import { fetchCommitted, type Fetched } from '../wire/fetch.js';
import { canConnect } from '../wire/login.js';
import { extentOf, readCommitted } from '../wire/record-batch.js';
import {
  call,
  kafka,
  type AdminClient,
  type ClientMessage,
  type KafkaConsumer,
  type TopicDescription,
} from './client.js';
import { restoreClientId, restoreProperties } from './client-config.js';
import { asKafkaError } from './errors.js';

export interface RestoreOptions {
  readonly config: RuntimeConfig;
  readonly agent: string;
  readonly changelog: TopicPartition;
  readonly onEntry: ChangelogEntry;
  readonly onProgress: (progress: Progress) => void;
  /** Told what an operator would wonder about: why it is slow, what is missing. */
  readonly onRemark: (text: string) => void;
  readonly signal: AbortSignal;
  readonly admin: () => AdminClient;
}

/** Entries so far, the next offset, and the end that was found at first. */
interface Progress {
  readonly entries: number;
  readonly offset: number;
  readonly end: number;
}

/** Enough that the broker's answer is there when the one before is in the store, and little to keep meanwhile. */
const fetchBytes = 256 * 1024;
/** Small: what lives as long as a batch makes V8 enlarge its young generation, by 20 MB more with batches of 1000. No faster either. */
const batchSize = 250;
const requestTimeoutMs = 10_000;
/** So many answers without records, of 100 ms each, and it is time to ask where the log ends. */
const emptyAnswers = 20;

/** @returns the entries read. @throws KafkaError; and Error when `signal` is aborted */
export async function restorePartition(options: RestoreOptions): Promise<number> {
  const { signal } = options;
  const progress = await restoreDirectly(await extentOfLog(options), options);
  if (progress.offset >= progress.end) return progress.entries;
  const consumer = new kafka.KafkaConsumer(restoreProperties(options.config, options.agent), {
    'auto.offset.reset': 'earliest',
  });
  try {
    await call((done) => consumer.connect({ timeout: requestTimeoutMs }, done));
    signal.throwIfAborted();
    return await readOn(consumer, progress, options);
  } finally {
    if (consumer.isConnected()) await call((done) => consumer.disconnect(done));
  }
}

/** The first offset, and the high watermark. */
async function extentOfLog({ admin, changelog, signal }: RestoreOptions): Promise<Progress> {
  const { EARLIEST, LATEST } = kafka.OffsetSpec;
  const offset = await offsetOf(admin(), changelog, EARLIEST);
  const end = await offsetOf(admin(), changelog, LATEST);
  signal.throwIfAborted();
  return { entries: 0, offset, end };
}

async function offsetOf(admin: AdminClient, { topic, partition }: TopicPartition, offset: unknown): Promise<number> {
  const [found] = await call<{ offset: number; error?: Error }[]>((done) => {
    admin.listOffsets(
      [{ topic, partition, offset }],
      { timeout: requestTimeoutMs, isolationLevel: kafka.IsolationLevel.READ_UNCOMMITTED },
      done,
    );
  });
  if (!found) throw new Error(`no answer about the offsets of ${topic}-${partition}`);
  if (found.error) throw asKafkaError(found.error);
  return found.offset;
}

/** @returns how far it came: to the end, or to what this connection cannot do. @throws Error when `signal` is aborted */
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
    for (let empty = 0; progress.offset < progress.end;) {
      const { aborted, batches, lastStableOffset }: Fetched = await ahead;
      signal.throwIfAborted();
      let { end } = progress;
      const { next: behind, length, obstacle } = extentOf(batches, progress.offset);
      let next = behind;
      empty = batches.length === 0 ? empty + 1 : 0;
      if (empty >= emptyAnswers) {
        empty = 0;
        // A log that lost its end in an election does not get it back: its only writer waits for this restore.
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
    onRemark(`the client reads on, slower: ${messageOf(error) || 'the leader cannot be reached'}`);
  } finally {
    connection?.close();
    await ahead?.catch(() => undefined);
  }
  return progress;
}

/** @throws Error when it has no leader, or cannot be talked to */
async function connectToLeader({ config, agent, changelog, admin, signal }: RestoreOptions): Promise<WireConnection> {
  if (!canConnect(config)) throw new Error(`this agent's own login knows no ${config.kafkaSaslMechanism}`);
  const { topic, partition } = changelog;
  const [described] = await call<TopicDescription[]>((done) =>
    admin().describeTopics([topic], { timeout: requestTimeoutMs }, done),
  );
  const leader = described?.partitions.find((each) => each.partition === partition)?.leader;
  if (leader?.host === undefined || leader.port === undefined) throw new Error('the partition has no leader');
  return WireConnection.to(config, restoreClientId(config, agent), { host: leader.host, port: leader.port }, signal);
}

/** The end of the partition is told by an event that also counts the markers, which are no records. */
async function readOn(
  consumer: KafkaConsumer,
  { entries: before, offset, end }: Progress,
  { changelog, onEntry, onProgress, signal }: RestoreOptions,
): Promise<number> {
  let reached = 0;
  let entries = before;
  consumer.on('partition.eof', (event: { offset: number }) => {
    reached = Math.max(reached, event.offset);
  });
  consumer.setDefaultConsumeTimeout(100);
  consumer.setDefaultIsTimeoutOnlyForFirstMessage(true);
  consumer.assign([{ ...changelog, offset }]);
  const read = (): Promise<ClientMessage[]> => call((done) => consumer.consume(batchSize, done));
  let ahead: Promise<ClientMessage[]> | undefined = read();
  try {
    while (ahead) {
      const messages: ClientMessage[] = await ahead;
      ahead = undefined;
      signal.throwIfAborted();
      reached = Math.max(reached, (messages.at(-1)?.offset ?? -1) + 1);
      // The next batch is collected by another thread while this one is put into the store. Not behind the end: the call would wait.
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
