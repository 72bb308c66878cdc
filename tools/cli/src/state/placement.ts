/**
 * Where the state of an entity belongs, and where it lies: pure, nothing of Kafka.
 *
 * An agent looks for an entity's state in the changelog partition with the number of the input partition that its records
 * come from. With more partitions an entity's records come from another one, and its state must be there before.
 *
 * The state is the TimeInstant of the newest version (SPEC 4): of two copies the greater one is right, and a copy more than
 * needed is never wrong. That is what makes a move safe to repeat.
 */
import { crc32 } from 'node:zlib';
import { partitionHash } from '@kafnus/ngsi-core';

/**
 * How producers choose the partition of a key: `murmur2` as Java clients do (and librdkafka's `murmur2_random`), `crc32` as
 * librdkafka does by default (`consistent_random`).
 */
export const partitioners = ['murmur2', 'crc32'] as const;
export type Partitioner = (typeof partitioners)[number];

/** The partition of a key; both take its UTF-8 bytes. */
export function partitionOf(partitioner: Partitioner, key: string, partitions: number): number {
  return (partitioner === 'murmur2' ? partitionHash(key) : crc32(key)) % partitions;
}

/** What one partition of the changelog says about an entity. */
export interface Copy {
  readonly partition: number;
  /** Microseconds since the epoch. */
  value: number;
}

/** A record to be written to the changelog; null deletes the partition's copy. */
export interface Change {
  readonly key: string;
  readonly partition: number;
  readonly value: number | null;
}

/** The whole changelog: for each state key its copies, one for each partition that has one. */
export class StateImage {
  readonly #entities = new Map<string, Copy[]>();

  get size(): number {
    return this.#entities.size;
  }

  /** Takes the next record of a partition: a later one replaces an earlier one, as compaction would. */
  apply({ key, partition, value }: Change): void {
    const copies = this.#entities.get(key);
    const index = copies?.findIndex((copy) => copy.partition === partition) ?? -1;
    const known = copies?.[index];
    if (value === null) {
      if (known === undefined || copies === undefined) return;
      copies.splice(index, 1);
      if (copies.length === 0) this.#entities.delete(key);
    } else if (known !== undefined) known.value = value;
    else if (copies !== undefined) copies.push({ partition, value });
    else this.#entities.set(key, [{ partition, value }]);
  }

  [Symbol.iterator](): IterableIterator<[string, readonly Copy[]]> {
    return this.#entities.entries();
  }
}

/** To one partition by the hash of the entity id, or to all of them. */
export type Placement = Partitioner | 'everywhere';

/**
 * What is to be written so that every entity's newest value lies where the placement says, and nowhere else. Nothing, when
 * that is so already.
 */
export function* changes(image: StateImage, placement: Placement, partitions: number): Generator<Change> {
  const all = Array.from({ length: partitions }, (_, partition) => partition);
  for (const [key, copies] of image) {
    const newest = newestOf(copies);
    const id = entityId(key);
    // What is no key of lastdata can be placed by nobody: it is left alone, and misplaced() tells of it.
    const targets =
      placement === 'everywhere' ? all : id === undefined ? undefined : [partitionOf(placement, id, partitions)];
    if (targets === undefined) continue;
    for (const partition of targets) {
      const copy = copies.find((one) => one.partition === partition);
      if (copy?.value !== newest) yield { key, partition, value: newest };
    }
    for (const { partition } of copies) if (!targets.includes(partition)) yield { key, partition, value: null };
  }
}

/** Entities that the hash of their id does not explain. */
export interface Misplaced {
  readonly count: number;
  readonly example?: { readonly key: string; readonly partition: number };
}

/**
 * The evidence about a partitioner. The partition that holds an entity's newest value is the one that its last record came
 * from. Every entity that was ever written is a sample, and older ones than the input still has: better evidence than
 * records of the input, which may stem from before partitions were added.
 * @param counts the numbers of partitions that producers may have counted on
 */
export function misplaced(image: StateImage, partitioner: Partitioner, counts: readonly number[]): Misplaced {
  let count = 0;
  let example: Misplaced['example'];
  for (const [key, copies] of image) {
    const id = entityId(key);
    const homes = id === undefined ? [] : counts.map((partitions) => partitionOf(partitioner, id, partitions));
    const newest = newestOf(copies);
    if (copies.some(({ partition, value }) => value === newest && homes.includes(partition))) continue;
    count += 1;
    example ??= { key, partition: copies[0]?.partition ?? 0 };
  }
  return example === undefined ? { count } : { count, example };
}

function newestOf(copies: readonly Copy[]): number {
  return copies.reduce((newest, { value }) => Math.max(newest, value), -Infinity);
}

/** The key of lastdata's state: service, service path, entity type and entity id, as JSON. */
function entityId(key: string): string | undefined {
  try {
    const parts: unknown = JSON.parse(key);
    const id: unknown = Array.isArray(parts) && parts.length === 4 ? parts[3] : undefined;
    return typeof id === 'string' ? id : undefined;
  } catch {
    return undefined;
  }
}
