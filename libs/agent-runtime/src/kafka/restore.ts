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
 * The end of the partition is told by an event that also counts the markers, which are no records.
 */
import type { RuntimeConfig } from '../config.js';
import type { ChangelogEntry, TopicPartition } from '../session.js';
import { call, kafka, type AdminClient, type ClientMessage, type KafkaConsumer } from './client.js';
import { restoreProperties } from './client-config.js';
import { asKafkaError } from './errors.js';

export interface RestoreOptions {
  readonly config: RuntimeConfig;
  readonly agent: string;
  readonly changelog: TopicPartition;
  readonly onEntry: ChangelogEntry;
  readonly onProgress: (progress: { entries: number; offset: number; end: number }) => void;
  readonly signal: AbortSignal;
  readonly admin: () => AdminClient;
}

/** Small: what lives as long as a batch makes V8 enlarge its young generation, by 20 MB more with batches of 1000. No faster either. */
const batchSize = 250;
const requestTimeoutMs = 10_000;

/** @returns the entries read. @throws KafkaError; and Error when `signal` is aborted */
export async function restorePartition(options: RestoreOptions): Promise<number> {
  const { changelog, signal } = options;
  const end = await highWatermark(options.admin(), changelog);
  if (end === 0) return 0;
  const consumer = new kafka.KafkaConsumer(restoreProperties(options.config, options.agent), {
    'auto.offset.reset': 'earliest',
  });
  try {
    await call((done) => consumer.connect({ timeout: requestTimeoutMs }, done));
    signal.throwIfAborted();
    return await readTo(consumer, end, options);
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

async function readTo(
  consumer: KafkaConsumer,
  end: number,
  { changelog, onEntry, onProgress, signal }: RestoreOptions,
): Promise<number> {
  let reached = 0;
  let entries = 0;
  consumer.on('partition.eof', (event: { offset: number }) => {
    reached = Math.max(reached, event.offset);
  });
  consumer.setDefaultConsumeTimeout(100);
  consumer.setDefaultIsTimeoutOnlyForFirstMessage(true);
  consumer.assign([{ ...changelog, offset: 0 }]);
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
