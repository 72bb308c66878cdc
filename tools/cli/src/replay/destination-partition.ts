/** The partition that a replayed record is sent to. Pure. */
import { partitioners, partitionOf, type Partitioner } from '../state/state-placement.js';
import type { DeadLetterRecord } from './dead-letter-record.js';

/** A topic that records are sent to. */
export interface Destination {
  readonly topic: string;
  readonly partitions: number;
  /** How its producers choose partitions; undefined: unknown, or not by the key. */
  readonly partitioner: Partitioner | undefined;
}

/** A record that the topic holds. */
export interface PartitionSample {
  readonly key: Buffer | null;
  readonly partition: number;
  readonly timestamp: number;
}

/**
 * Less than all: right after partitions were added, some of the newest records are still in their
 * old partitions.
 */
const minShare = 0.9;

/**
 * The partitioner that explains the partition of the newest record of nearly every key.
 * @returns undefined when no partitioner does, or both do: a few keys may match by chance
 */
export function partitionerOf(samples: readonly PartitionSample[], partitions: number): Partitioner | undefined {
  const newest = new Map<string, PartitionSample>();
  for (const sample of samples) {
    const key = hashableKey(sample.key);
    if (key === undefined) continue;
    const known = newest.get(key);
    if (known === undefined || known.timestamp <= sample.timestamp) newest.set(key, sample);
  }
  if (newest.size === 0) return undefined;
  const matching = partitioners.filter((partitioner) => {
    const explained = [...newest].filter(
      ([key, { partition }]) => partitionOf(partitioner, key, partitions) === partition,
    );
    return explained.length >= minShare * newest.size;
  });
  return matching.length === 1 ? matching[0] : undefined;
}

/**
 * The partition that the producers of the topic use for the key now, so that the record is in the
 * partition of its entity's other records and of lastdata's state. When their partitioner is
 * unknown, it is the partition in which the record was refused.
 * @returns undefined when any partition is right
 */
export function partitionFor(
  { key, origin }: Pick<DeadLetterRecord, 'key' | 'origin'>,
  { topic, partitions, partitioner }: Destination,
): number | undefined {
  const text = hashableKey(key);
  if (text !== undefined && partitioner !== undefined) return partitionOf(partitioner, text, partitions);
  if (origin.topic === topic && origin.partition < partitions) return origin.partition;
  return text === undefined ? undefined : partitionOf('murmur2', text, partitions);
}

/** The key as text; undefined when it is null, empty or not UTF-8. */
function hashableKey(key: Buffer | null): string | undefined {
  if (key === null || key.length === 0) return undefined;
  const text = key.toString();
  return Buffer.from(text).equals(key) ? text : undefined;
}
