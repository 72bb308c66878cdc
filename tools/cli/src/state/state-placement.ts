/**
 * In which changelog partitions the state of an entity is, and in which it must be. Pure.
 *
 * An agent looks for the state of an entity in the changelog partition with the number of the input
 * partition of its records. When partitions are added to the input, the records of an entity come
 * from another partition, and its state must be in that one.
 *
 * The state is the TimeInstant of the newest version (SPEC 4). Of two copies the greater one is
 * right, and an additional copy is never wrong. A move of the state can therefore be repeated.
 */
import { homeHash } from '@kafnus/ngsi-core';

/**
 * How producers choose the partition of a key: `murmur2` in Java clients (and librdkafka's
 * `murmur2_random`), `crc32` in librdkafka by default (`consistent_random`).
 */
export const partitioners = ['murmur2', 'crc32'] as const;
export type Partitioner = (typeof partitioners)[number];

const hashes = { murmur2: homeHash('murmur2'), crc32: homeHash('consistent') };

/** The partition of a key. Both partitioners hash its UTF-8 bytes. */
export function partitionOf(partitioner: Partitioner, key: string, partitions: number): number {
  return hashes[partitioner](key) % partitions;
}

/** The state of an entity in one partition of the changelog. */
export interface StateCopy {
  readonly partition: number;
  /** Microseconds since the epoch. */
  value: number;
}

/** A record to be written to the changelog; null deletes the copy of the partition. */
export interface StateChange {
  readonly key: string;
  readonly partition: number;
  readonly value: number | null;
}

/** The content of the changelog: the copies of each state key, at most one per partition. */
export class StateImage {
  readonly #entities = new Map<string, StateCopy[]>();

  get size(): number {
    return this.#entities.size;
  }

  /** Applies the next record of a partition: it replaces the earlier one, as compaction does. */
  apply({ key, partition, value }: StateChange): void {
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

  [Symbol.iterator](): IterableIterator<[string, readonly StateCopy[]]> {
    return this.#entities.entries();
  }
}

/** One partition, by the hash of the entity id, or all partitions. */
export type Placement = Partitioner | 'everywhere';

/**
 * The records after which the newest value of every entity is in the partitions of the placement,
 * and in no others.
 */
export function* changes(image: StateImage, placement: Placement, partitions: number): Generator<StateChange> {
  const all = Array.from({ length: partitions }, (_, partition) => partition);
  for (const [key, copies] of image) {
    const newest = newestOf(copies);
    const id = entityId(key);
    // The partition of a key that is not lastdata's is unknown. It is left alone, and misplaced()
    // counts it.
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

/** Entities whose state is not in the partition of their id's hash. */
export interface Misplaced {
  readonly count: number;
  readonly example?: { readonly key: string; readonly partition: number };
}

/**
 * Tests a partitioner: the partition of an entity's newest value is the input partition of its last
 * record. Every entity that was ever written is a sample. The records of the input are weaker
 * evidence, because they may be from before partitions were added.
 * @param counts the numbers of partitions that producers may have used
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

function newestOf(copies: readonly StateCopy[]): number {
  return copies.reduce((newest, { value }) => Math.max(newest, value), -Infinity);
}

/**
 * Of a state key of lastdata: service, service path, entity type and entity id, as a JSON array.
 */
function entityId(key: string): string | undefined {
  try {
    const parts: unknown = JSON.parse(key);
    const id: unknown = Array.isArray(parts) && parts.length === 4 ? parts[3] : undefined;
    return typeof id === 'string' ? id : undefined;
  } catch {
    return undefined;
  }
}
