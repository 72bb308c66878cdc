/** The partitions that this process owns: positions, committed offsets and state of each. */
import { partitionName, type LogJump, type PartitionOffset, type TopicPartition } from './session.js';
import type { PartitionStore } from './state/partition-store.js';

/** What is known of a partition before its first record is processed. */
export interface Prepared {
  /** The committed offsets. */
  readonly positions: readonly PartitionOffset[];
  /** Restored state by partition name; empty for an agent without state. */
  readonly stores: ReadonlyMap<string, PartitionStore>;
}

/** One partition. All offsets are those of the next record. */
export interface OwnedPartition extends TopicPartition {
  readonly store: PartitionStore | undefined;
  /** As the group has it; null before the first commit. */
  committed: number | null;
  /** Where to go back to while nothing is committed: the first record that was seen. */
  first: number | null;
  /** To be processed next; null before the first record. */
  next: number | null;
  /** Its log ends before `next`, and nothing of it is read (log-range.ts). */
  outOfRange: LogJump | null;
  /** What the commit in flight makes `committed`. */
  committing: number | null;
  /** The changes of state that the commit in flight makes final. */
  committingMark: number;
}

export class Partitions implements Iterable<OwnedPartition> {
  readonly #byName = new Map<string, OwnedPartition>();
  /** For the lookup that every record needs, without building a name. */
  readonly #byTopic = new Map<string, (OwnedPartition | undefined)[]>();

  [Symbol.iterator](): IterableIterator<OwnedPartition> {
    return this.#byName.values();
  }

  /** The partition, when it is owned. */
  find(topic: string, partition: number): OwnedPartition | undefined {
    return this.#byTopic.get(topic)?.[partition];
  }

  /** Adds partitions, or replaces those that are owned already. */
  assign({ positions, stores }: Prepared): void {
    for (const { topic, partition, offset } of positions) {
      const name = partitionName({ topic, partition });
      const owned: OwnedPartition = {
        topic,
        partition,
        store: stores.get(name),
        committed: offset,
        first: null,
        next: offset,
        outOfRange: null,
        committing: null,
        committingMark: 0,
      };
      this.#byName.set(name, owned);
      const ofTopic = this.#byTopic.get(topic) ?? [];
      ofTopic[partition] = owned;
      this.#byTopic.set(topic, ofTopic);
    }
  }

  unassign(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) {
      this.#byName.delete(partitionName({ topic, partition }));
      const ofTopic = this.#byTopic.get(topic);
      if (ofTopic) ofTopic[partition] = undefined;
    }
  }

  /** Notes what a commit that starts now will make final. @returns the offsets to commit */
  startCommit(): PartitionOffset[] {
    const offsets: PartitionOffset[] = [];
    for (const owned of this) {
      if (owned.next === null || owned.next === owned.committed) continue;
      owned.committing = owned.next;
      owned.committingMark = owned.store?.mark() ?? 0;
      offsets.push({ topic: owned.topic, partition: owned.partition, offset: owned.next });
    }
    return offsets;
  }

  /** The commit in flight has succeeded. */
  committed(): void {
    for (const owned of this) {
      if (owned.committing === null) continue;
      owned.committed = owned.committing;
      owned.committing = null;
      owned.store?.committed(owned.committingMark);
    }
  }

  /** Forgets everything that is not committed. */
  rollback(): void {
    for (const owned of this) {
      owned.store?.rollback();
      owned.committing = null;
      owned.next = owned.committed;
    }
  }

  /** Where each partition goes on after {@link rollback}; not one that is out of range. */
  rewindPositions(): PartitionOffset[] {
    const readable = [...this].filter(({ outOfRange }) => outOfRange === null);
    return readable.map(({ topic, partition, committed, first }) => ({
      topic,
      partition,
      offset: committed ?? first,
    }));
  }
}
