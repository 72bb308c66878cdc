/** Fetch (KIP-98, KIP-227) of one partition, from its leader, outside of any fetch session. */
import { ByteWriter } from './protocol-bytes.js';
import type { ApiRequest, WireConnection } from './wire-connection.js';
import type { AbortedTransaction } from './record-batch.js';

/** The first version whose answers may have zstd: an older one cannot read every topic. */
const fetch: ApiRequest = { key: 1, version: 10 };
const consumer = -1;
const readCommitted = 1;
const maxWaitMs = 100;
const minBytes = 1;
const noSession = { id: 0, epoch: -1 };
const unknown = -1;

export interface Fetched {
  /** -1 when the broker did not look. */
  readonly lastStableOffset: number;
  readonly aborted: readonly AbortedTransaction[];
  readonly batches: Buffer;
}

const nothing: Fetched = { lastStableOffset: -1, aborted: [], batches: Buffer.alloc(0) };

/**
 * What is committed from `offset` on, about `maxBytes` of it; empty when nothing comes within 100
 * ms.
 * @throws Error when the broker refuses, or the connection breaks
 */
export async function fetchCommitted(
  connection: WireConnection,
  { topic, partition }: { readonly topic: string; readonly partition: number },
  offset: number,
  maxBytes: number,
): Promise<Fetched> {
  const body = new ByteWriter().int32(consumer).int32(maxWaitMs).int32(minBytes).int32(maxBytes).int8(readCommitted);
  body.int32(noSession.id).int32(noSession.epoch);
  body.array([topic], (name) => {
    body.string(name).array([partition], (number) => {
      body.int32(number).int32(unknown).int64(offset).int64(unknown).int32(maxBytes);
    });
  });
  const answer = await connection.request(fetch, body.array([], () => undefined).toBuffer());
  const throttledMs = answer.int32();
  refuse(answer.int16());
  answer.int32(); // session
  const [[fetched] = []] = answer.array(() => {
    answer.string(); // topic
    return answer.array((): Fetched => {
      answer.int32(); // partition
      refuse(answer.int16());
      answer.int64(); // high watermark
      const lastStableOffset = answer.int64();
      answer.int64(); // first offset
      const aborted = answer.array(() => ({ producer: answer.int64(), firstOffset: answer.int64() }));
      return { lastStableOffset, aborted, batches: answer.bytes() };
    });
  });
  // Over its quota (KIP-219), a client gets nothing, and the next answer after that time.
  if (fetched === undefined && throttledMs > 0) return nothing;
  if (fetched === undefined) throw new Error('the broker has left the partition out of its answer');
  return fetched;
}

const refusals: Readonly<Record<number, string>> = {
  1: 'there is no such offset any more',
  3: 'it does not know the topic',
  6: 'it is not the leader',
  29: 'the user may not read the topic',
};

function refuse(code: number): void {
  if (code !== 0) throw new Error(`the broker refuses: ${refusals[code] ?? `error ${code}`}`);
}
