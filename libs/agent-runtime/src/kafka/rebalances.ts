/**
 * The rebalances that librdkafka has announced and that have no answer yet. It announces one at a
 * time and waits for the answer, so that there is one of them at most; but whoever answers says
 * which one he means, and an answer never passes for another's:
 *
 *     client    assigned p0 ------------------------------ lost p0
 *     loop        prepares -- accept(p0) waits for a consume call -- assign(p0)
 *     close()                                                         answers the loss
 *
 * Without its answer the member could not leave the group.
 */
import { partitionName, type TopicPartition } from '../session.js';

export interface Rebalance {
  readonly assigned: boolean;
  readonly partitions: readonly TopicPartition[];
}

export class UnansweredRebalances {
  #waiting: Rebalance[] = [];

  add(rebalance: Rebalance): void {
    this.#waiting.push(rebalance);
  }

  /** The first one of this kind that is about these partitions is answered, and no other. */
  answer(assigned: boolean, partitions: readonly TopicPartition[]): void {
    const names = new Set(partitions.map(partitionName));
    const index = this.#waiting.findIndex(
      (waiting) =>
        waiting.assigned === assigned &&
        waiting.partitions.length === names.size &&
        waiting.partitions.every((partition) => names.has(partitionName(partition))),
    );
    if (index >= 0) this.#waiting.splice(index, 1);
  }

  /** All of them, in the order in which they came; none is left. */
  take(): readonly Rebalance[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    return waiting;
  }
}
