/**
 * Which partition of the input an entity belongs to, and what tells a record that was moved there
 * (SPEC 2).
 *
 * All versions of an entity must pass one partition, whatever keys a producer sets. The home of an
 * entity is the partition that its id has as a key. A record that is found elsewhere is written
 * again to the input, to the home of each of its entities, and decided when it is read there:
 *
 *     raw topic, partition 2 (random)        raw topic, partition 0 (the home of A)
 *     [A version 7, no key] --> agent -----> [A version 7, key A, kafnus-rekeyed] --> agent --> row
 *
 * The header carries the newest TimeInstant that the state of the partition where the record was
 * found has of the entity: where entities had other homes before, the state of the home does not
 * know it.
 */
import type { OutputRecord, RecordHeader } from '@kafnus/agent-contract';
import { isObject, type Entity, type JsonObject } from './notification.js';
import type { RawRecord } from './rejection.js';
import { partitionHash } from './route.js';

/** How the input's producers choose the partition of a key. */
export const inputPartitioners = ['consistent', 'murmur2'] as const;
export type InputPartitioner = (typeof inputPartitioners)[number];

/** The header of a re-keyed record. */
export const rekeyHeader = 'kafnus-rekeyed';

/**
 * After so many hops an entity is decided where it is: partitions that are added meanwhile move its
 * home once or twice, and two suites that do not agree on homes would pass it on for ever.
 */
const maxHops = 3;

/** Longer ones are not ours: names of topics and groups have at most 249 characters. */
const longestHeader = 1024;
/** Microseconds since the epoch: those of the last Date, and a half behind them. */
const largestInstant = 8.64e18;

/** A record with more headers is not re-keyed: each of its entities would have all of them. */
export const maxRekeyHeaders = 1000;

/** Where a re-keyed record came from. */
interface RekeyOrigin {
  /** The place of the record that the producer wrote. */
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Which consumer group has re-keyed it. */
  readonly group: string;
  /** How often it was re-keyed. */
  readonly hops: number;
  /** The newest state value that is known of its entity elsewhere; undefined when there is none. */
  readonly newest?: number;
}

/** A re-keyed record's own header, and the headers that it had before. */
export interface Rekeyed {
  readonly origin: RekeyOrigin;
  readonly others: readonly RecordHeader[];
}

/** Reads the header of a re-keyed record; undefined for any other record. */
export function readRekeyed(headers: readonly RecordHeader[]): Rekeyed | undefined {
  for (const header of headers) {
    const value = header[rekeyHeader];
    if (value === undefined) continue;
    const origin = value.length > longestHeader ? undefined : parseOrigin(String(value));
    // What is no such header is a header of the producer's like any other.
    if (origin !== undefined) return { origin, others: headers.filter((other) => other !== header) };
  }
  return undefined;
}

/** Whether an entity of the record stays where it is, although it is not at home. */
export function hasMovedEnough(rekeyed: Rekeyed | undefined): boolean {
  return rekeyed !== undefined && rekeyed.origin.hops >= maxHops;
}

/** What the copies of a record have in common. */
export interface CopyOptions {
  readonly topic: string;
  readonly group: string;
  readonly rekeyed: Rekeyed | undefined;
  readonly headers: readonly RecordHeader[];
  /** The notification, when it has other entities; undefined: the copy has the value as it is. */
  readonly message: JsonObject | undefined;
}

/** Copies a record to the home of one of its entities. @param newest see {@link RekeyOrigin} */
export function copyTo(
  partition: number,
  entity: Entity,
  newest: number | undefined,
  record: RawRecord,
  { topic, group, rekeyed, headers, message }: CopyOptions,
): OutputRecord {
  // The place of the record that the producer wrote, whatever the number of hops.
  const { topic: from = '', partition: at = 0, offset = 0 } = rekeyed?.origin ?? record;
  const hops = (rekeyed?.origin.hops ?? 0) + 1;
  const origin: RekeyOrigin = {
    topic: from,
    partition: at,
    offset,
    group,
    hops,
    ...(newest !== undefined && { newest }),
  };
  return {
    topic,
    partition,
    key: entity.id,
    value: message === undefined ? record.value : Buffer.from(JSON.stringify({ ...message, data: [entity.members] })),
    headers: [...headers, { [rekeyHeader]: JSON.stringify(origin) }],
    timestamp: record.timestamp,
  };
}

function parseOrigin(text: string): RekeyOrigin | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value)) return undefined;
  const { topic, partition, offset, group, hops, newest } = value;
  if (
    typeof topic !== 'string' ||
    typeof group !== 'string' ||
    !isCount(partition) ||
    !isCount(offset) ||
    !isCount(hops)
  )
    return undefined;
  if (newest !== undefined && !(typeof newest === 'number' && Math.abs(newest) <= largestInstant)) return undefined;
  return { topic, partition, offset, group, hops, ...(newest !== undefined && { newest }) };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** The hash of an entity id that is taken modulo the partitions. */
export function homeHash(partitioner: InputPartitioner): (id: string) => number {
  return partitioner === 'consistent' ? crc32 : partitionHash;
}

const encoder = new TextEncoder();
/** An id has at most 2,600 bytes; a longer one is refused before it is hashed. */
const scratch = new Uint8Array(4096);
const table = new Uint32Array(256).map((_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  return value;
});

/** CRC-32 (IEEE 802.3) of the text's UTF-8 bytes: librdkafka's `consistent` partitioners. */
function crc32(text: string): number {
  const short = text.length * 3 <= scratch.length;
  const bytes = short ? scratch : encoder.encode(text);
  const length = short ? encoder.encodeInto(text, scratch).written : bytes.length;
  let value = 0xffffffff;
  for (let at = 0; at < length; at += 1) {
    value = (value >>> 8) ^ (table[(value ^ (bytes[at] ?? 0)) & 0xff] ?? 0);
  }
  return ~value >>> 0;
}
