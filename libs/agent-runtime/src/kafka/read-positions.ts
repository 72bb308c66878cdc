/**
 * How far each partition has been read, and whether its log still has the place.
 *
 * The client moves by itself when the broker has not got the offset that it asks for
 * (OFFSET_OUT_OF_RANGE, upon which it does what auto.offset.reset says), and when a new leader has
 * lost the end of the log (KIP-320). With auto.offset.reset=error it would stop there and report an
 * error instead; but the error of a consume call is lost when the call has brought records before
 * it. So the jump itself is looked for, which no call can lose:
 *
 *       position 1000, log 0 to 4     next record 0:   the log ends before the position
 *       position 5, log 100 to 200    next record 100: records were deleted before they were read
 *       position 5, log 0 to 200      next record 8:   no jump: 5 to 7 are markers, or compacted
 *
 * An empty log has no record, but an end, which is reported as well. A topic that was created again
 * and is longer than the position by now does not show: its offsets are those that are expected.
 */
import { partitionName, type LogJump, type SessionEvent, type TopicPartition } from '../session.js';

/** A partition and an offset of it. */
export type Position = TopicPartition & { readonly offset: number };
export type JumpEvent = SessionEvent & { readonly jump: LogJump };

/**
 * @param expected the offset behind the last record, or where reading began
 * @param found the offset of the record that came, or of the end that was reached
 * @param logStart the first offset of the log, as of the last fetch; null when it is not known
 */
export function jumpAt(expected: number, found: number, logStart: number | null): 'none' | 'out-of-range' | 'deleted' {
  if (found === expected) return 'none';
  if (found < expected) return 'out-of-range';
  return logStart !== null && logStart > expected ? 'deleted' : 'none';
}

export class ReadPositions {
  readonly #logStart: (partition: TopicPartition) => number | null;
  /**
   * The offset behind the last record that was read, or where reading began; none while that is not
   * known.
   */
  readonly #next = new Map<string, number>();
  /**
   * The last end that was reached, and the offset behind the last record before it: between them
   * lie markers.
   */
  readonly #ends = new Map<string, { readonly end: number; readonly records: number }>();
  /** Partitions whose log ends before their position: what the client reads of them is dropped. */
  readonly #outOfRange = new Set<string>();
  #jumps: JumpEvent[] = [];

  /**
   * @param logStart is asked about a gap, which transaction markers make all the time: it must
   * answer from memory
   */
  constructor(logStart: (partition: TopicPartition) => number | null) {
    this.#logStart = logStart;
  }

  /**
   * Reading begins, or goes on elsewhere: what was found out about the partition before does not
   * hold. @param offset null: not known
   */
  begin(partition: TopicPartition, offset: number | null): void {
    const name = partitionName(partition);
    if (offset === null) this.#next.delete(name);
    else this.#next.set(name, offset);
    this.#outOfRange.delete(name);
    this.#jumps = this.#jumps.filter(({ jump }) => partitionName(jump) !== name);
  }

  forget(partition: TopicPartition): void {
    this.begin(partition, null);
    this.#ends.delete(partitionName(partition));
  }

  next(name: string): number | undefined {
    return this.#next.get(name);
  }

  /** Everything before this offset was read. */
  passed(name: string, next: number): void {
    this.#next.set(name, next);
  }

  isOutOfRange(name: string): boolean {
    return this.#outOfRange.has(name);
  }

  /**
   * Looks at a record, or an end, that is not where it was expected, and keeps what it says for
   * {@link takeJumps}.
   * @returns false when the log ends before the position: nothing of the partition may be delivered
   *   until {@link begin}
   */
  follows({ topic, partition, offset: found }: Position, expected: number | undefined): boolean {
    if (expected === undefined) return true;
    const logStart = this.#logStart({ topic, partition });
    const kind = jumpAt(expected, found, logStart);
    if (kind === 'none') return true;
    const name = partitionName({ topic, partition });
    // The log was read to this end, and only markers lie before it: no record was deleted unread.
    const known = this.#ends.get(name);
    if (kind === 'deleted' && known?.records === expected && logStart !== null && logStart <= known.end) return true;
    this.#jumps.push({ kind, jump: { topic, partition, position: expected, found } });
    if (kind === 'deleted') return true;
    this.#outOfRange.add(name);
    // Of the log that is there nothing was read, and the ends of the one before say nothing about
    // it.
    this.#next.set(name, found);
    this.#ends.delete(name);
    return false;
  }

  /**
   * The end of a partition was reached, at some point of a consume call.
   * @param before the position before the call: records of the call may lie before the end or
   *   behind it
   */
  reachedEnd(end: Position, before: number | undefined): void {
    const name = partitionName(end);
    if (this.#outOfRange.has(name)) return;
    let records = this.#next.get(name) ?? end.offset;
    if (before !== undefined && (end.offset < before || end.offset > records)) {
      if (!this.follows(end, records)) return;
      // Where everything was deleted, the log goes on at its end.
      records = Math.max(records, this.#logStart(end) ?? 0);
    }
    this.#next.set(name, records);
    this.#ends.set(name, { end: end.offset, records });
  }

  /**
   * @returns the offset behind the last record, where it is known that only markers follow it
   * before this high watermark
   */
  endOfRecords(name: string, highWatermark: number): number {
    const known = this.#ends.get(name);
    return known !== undefined && known.end >= highWatermark ? known.records : highWatermark;
  }

  /** What was found since the last time: to be reported behind the records that came before it. */
  takeJumps(): JumpEvent[] {
    const jumps = this.#jumps;
    this.#jumps = [];
    return jumps;
  }
}
