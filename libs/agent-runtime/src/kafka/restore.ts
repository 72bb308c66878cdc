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
 * a connection to the partition's leader. Whatever this connection cannot do (a login, compressed records, a leader that moves
 * or breaks) the client can: it reads on from where the connection has come to, at a quarter of the speed.
 */
import type { RuntimeConfig } from '../config.js';
import { messageOf } from '../error-text.js';
import type { ChangelogEntry, TopicPartition } from '../session.js';
import { WireConnection } from '../topics/wire/connection.js';
import { fetchCommitted, type Fetched } from '../topics/wire/fetch.js';
import { canLogIn } from '../topics/wire/login.js';
import { extentOf, readCommitted } from '../topics/wire/record-batch.js';
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
  /** Told why the rest is read by the client. */
  readonly onDetour: (reason: string) => void;
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

/** @returns the entries read. @throws KafkaError; and Error when `signal` is aborted */
export async function restorePartition(options: RestoreOptions): Promise<number> {
  const { changelog, signal } = options;
  const end = await highWatermark(options.admin(), changelog);
  const progress = await restoreDirectly(end, options);
  if (progress.offset >= end) return progress.entries;
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

async function highWatermark(admin: AdminClient, { topic, partition }: TopicPartition): Promise<number> {
  const [found] = await call<{ offset: number; error?: Error }[]>((done) => {
    admin.listOffsets(
      [{ topic, partition, offset: kafka.OffsetSpec.LATEST }],
      { timeout: requestTimeoutMs, isolationLevel: kafka.IsolationLevel.READ_UNCOMMITTED },
      done,
    );
  });
  if (!found) throw new Error(`no answer about the end of ${topic}-${partition}`);
  if (found.error) throw asKafkaError(found.error);
  return found.offset;
}

/** @returns how far it came: to the end, or to what this connection cannot do. @throws Error when `signal` is aborted */
async function restoreDirectly(end: number, options: RestoreOptions): Promise<Progress> {
  const { changelog, onEntry, onProgress, onDetour, signal } = options;
  const { topic, partition } = changelog;
  let progress: Progress = { entries: 0, offset: 0, end };
  if (end === 0) return progress;
  let connection: WireConnection | undefined;
  let ahead: Promise<Fetched> | undefined;
  // A broker that answers nothing must not keep a partition that is taken away.
  const hangUp = (): void => connection?.close();
  signal.addEventListener('abort', hangUp);
  try {
    const broker = await connectToLeader(options);
    connection = broker;
    ahead = fetchCommitted(broker, topic, partition, 0, fetchBytes);
    while (progress.offset < end) {
      const { aborted, batches, lastStableOffset }: Fetched = await ahead;
      signal.throwIfAborted();
      const { next, length, obstacle } = extentOf(batches, progress.offset);
      // What was compacted away at the end has no batch that tells the offset behind it.
      const offset = batches.length === 0 && lastStableOffset >= end ? end : next;
      // The broker looks for the next records while these are put into the store.
      if (offset < end && obstacle === undefined) ahead = fetchCommitted(broker, topic, partition, offset, fetchBytes);
      const count = readCommitted(batches.subarray(0, length), progress.offset, aborted, (key, value) => {
        if (key !== null) onEntry(key, value);
      });
      progress = { entries: progress.entries + count, offset, end };
      if (count > 0) onProgress(progress);
      if (obstacle !== undefined && offset < end) throw new Error(obstacle);
    }
  } catch (error) {
    signal.throwIfAborted();
    onDetour(messageOf(error));
  } finally {
    signal.removeEventListener('abort', hangUp);
    connection?.close();
    await ahead?.catch(() => undefined);
  }
  return progress;
}

/** @throws Error when it has no leader, or cannot be talked to */
async function connectToLeader({ config, agent, changelog, admin }: RestoreOptions): Promise<WireConnection> {
  const { kafkaSaslMechanism: mechanism } = config;
  if (mechanism !== '' && !canLogIn(mechanism)) throw new Error(`logins by ${mechanism}`);
  const { topic, partition } = changelog;
  const [described] = await call<TopicDescription[]>((done) =>
    admin().describeTopics([topic], { timeout: requestTimeoutMs }, done),
  );
  const leader = described?.partitions.find((each) => each.partition === partition)?.leader;
  if (leader?.host === undefined || leader.port === undefined) throw new Error('the partition has no leader');
  return WireConnection.to(config, restoreClientId(config, agent), { host: leader.host, port: leader.port });
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
