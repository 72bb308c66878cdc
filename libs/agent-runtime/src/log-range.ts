/**
 * A partition whose log does not reach its position any more, in words; and how many records were
 * deleted before they were read. What is done about the former is `KAFNUS_ON_OFFSET_OUT_OF_RANGE`.
 */
import { partitionName, type LogJump, type TopicPartition } from './session.js';

/**
 * @returns what is wrong and what to do, for an operator; the runbook of the same name says more
 */
export function outOfRangeText({ topic, partition, position, found }: LogJump): string {
  const name = partitionName({ topic, partition });
  return (
    `${name} stands: its log ends before offset ${position}, which comes next (it goes on at ${found}). ` +
    'The topic was created again, or the log was truncated: see docs/runbooks/offset-out-of-range.md'
  );
}

/** Counts what was deleted unread, each offset once: after an abort the same gap comes again. */
export class DeletedRecords {
  /** By partition the offset up to which it is counted. */
  readonly #counted = new Map<string, number>();

  /**
   * @returns offsets of this jump that were not counted before: at most so many records; gaps of
   * markers count as well
   */
  count(jump: LogJump): number {
    const name = partitionName(jump);
    const from = Math.max(jump.position, this.#counted.get(name) ?? 0);
    if (jump.found <= from) return 0;
    this.#counted.set(name, jump.found);
    return jump.found - from;
  }

  /** The partitions belong to another process now, or their logs begin again. */
  forget(partitions: Iterable<TopicPartition>): void {
    for (const partition of partitions) this.#counted.delete(partitionName(partition));
  }
}
