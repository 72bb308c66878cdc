/** The partition that a record is sent to. Pure. */
import { partitioners, partitionOf, type Partitioner } from '../state/placement.js';
import type { Letter } from './letter.js';

/** A topic that records are sent to. */
export interface Destination {
  readonly topic: string;
  readonly partitions: number;
  /** How its publishers choose partitions; undefined: unknown, or not by the key. */
  readonly rule: Partitioner | undefined;
}

/** A record that is in the topic already. */
export interface Sample {
  readonly key: Buffer | null;
  readonly partition: number;
  readonly timestamp: number;
}

/** Of a topic that has just been given more partitions some of the newest records still lie as before. */
const MOST = 0.9;

/**
 * The rule that explains where the newest record of nearly every key lies; undefined when none does, or more than one: a few
 * keys may fit by chance.
 */
export function ruleOf(samples: readonly Sample[], partitions: number): Partitioner | undefined {
  const newest = new Map<string, Sample>();
  for (const sample of samples) {
    const key = textOf(sample.key);
    if (key === undefined) continue;
    const known = newest.get(key);
    if (known === undefined || known.timestamp <= sample.timestamp) newest.set(key, sample);
  }
  if (newest.size === 0) return undefined;
  const fitting = partitioners.filter((rule) => {
    const explained = [...newest].filter(([key, { partition }]) => partitionOf(rule, key, partitions) === partition);
    return explained.length >= MOST * newest.size;
  });
  return fitting.length === 1 ? fitting[0] : undefined;
}

/**
 * Where the publishers would put the record now, so that it meets the others of its entity, and lastdata's state of it. That
 * is the partition that it came from, unless the topic has been given more since. @returns undefined: any
 */
export function partitionFor({ key, origin }: Pick<Letter, 'key' | 'origin'>, to: Destination): number | undefined {
  const text = textOf(key);
  if (text !== undefined && to.rule !== undefined) return partitionOf(to.rule, text, to.partitions);
  const isSame = origin.topic === to.topic && origin.partition < to.partitions;
  if (isSame) return origin.partition;
  return text === undefined ? undefined : partitionOf('murmur2', text, to.partitions);
}

/** A key that a partitioner hashes: neither none nor empty, and its own bytes as text. */
function textOf(key: Buffer | null): string | undefined {
  if (key === null || key.length === 0) return undefined;
  const text = key.toString();
  return Buffer.from(text).equals(key) ? text : undefined;
}
