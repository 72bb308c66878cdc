/**
 * What consume calls have brought and the loop has not taken: records of accepted partitions, in
 * order and without those that are to be decided about first (read-positions.ts).
 */
import type { InputRecord } from '@kafnus/agent-contract';
import type { ClientMessage } from '@kafnus/kafka-admin';
import { partitionName, type PartitionOffset, type TopicPartition } from '../session.js';
import { ownHeaders } from './own-headers.js';
import { ReadPositions, type JumpEvent, type Position } from './read-positions.js';

/**
 * About so much is read by one call, as far as the sizes of those before tell: the client refills
 * its queue while it hands records out, and as many large ones as small ones would be a hundred
 * megabytes at once.
 */
const pollBytes = 4 << 20;
const noHeaders: readonly never[] = [];

export class FetchedRecords {
  readonly #maxPollRecords: number;
  readonly #positions: ReadPositions;
  /**
   * The accepted partitions, and where each started: unknown (null) until its first record when
   * there was no offset.
   */
  readonly #starts = new Map<string, number | null>();
  #records: InputRecord[] = [];
  /** Ends that the consume call in flight has reported. */
  #ends: Position[] = [];
  #pollRecords: number;
  #drained = false;

  /** @param logStart the first offset of a log, from memory */
  constructor(maxPollRecords: number, logStart: (partition: TopicPartition) => number | null) {
    this.#maxPollRecords = maxPollRecords;
    this.#pollRecords = maxPollRecords;
    this.#positions = new ReadPositions(logStart);
  }

  /** How many records the consume call in flight has asked for, or the next one will. */
  get pollRecords(): number {
    return this.#pollRecords;
  }

  /** The last call brought fewer than it had asked for. */
  get drained(): boolean {
    return this.#drained;
  }

  get isEmpty(): boolean {
    return this.#records.length === 0;
  }

  take(): readonly InputRecord[] {
    const records = this.#records;
    this.#records = [];
    return records;
  }

  /** What was found behind the records. */
  takeJumps(): JumpEvent[] {
    return this.#positions.takeJumps();
  }

  endReported(end: Position): void {
    this.#ends.push(end);
  }

  /** Takes what a consume call has brought. */
  receive(messages: readonly ClientMessage[]): void {
    const positions = this.#positions;
    const ends = this.#ends.map((end) => ({ end, before: positions.next(partitionName(end)) }));
    this.#ends = [];
    let topic = '';
    let partition = -1;
    let name = '';
    let isRead = false;
    let next: number | undefined;
    let bytes = 0;
    for (const message of messages) {
      bytes += message.size;
      if (message.partition !== partition || message.topic !== topic) {
        if (isRead && next !== undefined) positions.passed(name, next);
        ({ topic, partition } = message);
        name = partitionName(message);
        isRead = this.#isAccepted(message) && !positions.isOutOfRange(name);
        next = positions.next(name);
      }
      if (!isRead) continue;
      if (message.offset !== next && !positions.follows(message, next)) {
        isRead = false;
        continue;
      }
      next = message.offset + 1;
      const headers = message.headers === undefined ? noHeaders : ownHeaders(message.headers);
      this.#records.push(headers === message.headers ? (message as InputRecord) : Object.assign(message, { headers }));
    }
    if (isRead && next !== undefined) positions.passed(name, next);
    for (const { end, before } of ends) if (this.#isAccepted(end)) positions.reachedEnd(end, before);
    this.#drained = messages.length < this.#pollRecords;
    if (messages.length > 0) {
      const fitting = Math.floor((pollBytes * messages.length) / Math.max(1, bytes));
      this.#pollRecords = Math.max(1, Math.min(this.#maxPollRecords, fitting));
    }
  }

  /** A partition of which nothing was known starts with its first record, or where its log ends. */
  #isAccepted(place: Position): boolean {
    const name = partitionName(place);
    const start = this.#starts.get(name);
    if (start === null) this.#starts.set(name, place.offset);
    return start !== undefined;
  }

  /** The partition is read from here on. */
  accept(position: PartitionOffset): void {
    this.#starts.set(partitionName(position), position.offset);
    this.#positions.begin(position, position.offset);
  }

  /** Nothing of these partitions is read any more. */
  release(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      this.#starts.delete(partitionName(partition));
      this.#positions.forget(partition);
    }
    this.drop(partitions);
  }

  drop(partitions: readonly TopicPartition[]): void {
    const dropped = new Set(partitions.map(partitionName));
    this.#records = this.#records.filter((record) => !dropped.has(partitionName(record)));
  }

  /** Where a partition started; null: nothing of it was read. */
  startOf(partition: TopicPartition): number | null {
    return this.#starts.get(partitionName(partition)) ?? null;
  }

  /** The next record of the partition is the one at this offset. */
  moveTo(position: Position): void {
    this.#positions.begin(position, position.offset);
  }

  /**
   * The end of the records of a partition. Markers of transactions are nothing to wait for: a raw
   * topic that agents write to ends with them.
   * @returns null when the high watermark is that of an earlier ownership: it lies before what was
   *   read, and nothing has been fetched since
   */
  endOfRecords(partition: TopicPartition, highWatermark: number): number | null {
    const name = partitionName(partition);
    if (highWatermark < (this.#positions.next(name) ?? 0)) return null;
    return this.#positions.endOfRecords(name, highWatermark);
  }
}
