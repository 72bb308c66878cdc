/**
 * The keyed state of one input partition, with the overlay of the open transactions as an undo log.
 *
 * A put takes effect at once, so that the next record sees it, and the value that it replaced is
 * noted. When the transaction commits, the notes up to its mark are dropped; when it aborts, all
 * notes are undone, newest first. At most two transactions are in question at a time: the one being
 * committed and the one being filled behind it, and when the first aborts the second must go too,
 * because it was decided on the first one's state.
 *
 *     notes:   [ a b c | d e ]         mark() after c was put, then commit of the first begins
 *                      ^ mark
 *     committed(mark)  ->  [ d e ]     rollback()  ->  [ ]  with e, d, c, b, a put back in order
 */
import type { StatePut, StateReader } from '@kafnus/agent-contract';
import { bytesPerUnit } from '../record-size.js';
import { KeyTable } from './key-table.js';

/** A key that is in the table and has no value: rolled back, or deleted. */
const absent = Number.NaN;

export class PartitionStore implements StateReader {
  readonly #keys = new KeyTable();
  /** By the number of the key: as many as there are keys, the rest has never been touched. */
  #values = new Float64Array(512);
  #count = 0;
  #size = 0;
  /** The undo log: the numbers of the keys, and the values that they had. */
  #notedKeys: number[] = [];
  #notedValues: number[] = [];
  #scratch = Buffer.allocUnsafeSlow(1024);
  /** What was looked up last, and its number: a step puts the key that it has just read. */
  #lastKey = '';
  #lastIndex = -1;

  /** Keys that have a value. */
  get size(): number {
    return this.#size;
  }

  get(key: string): number | undefined {
    const length = this.#encode(key);
    const index = this.#keys.find(this.#scratch, length);
    this.#lastKey = key;
    this.#lastIndex = index;
    const value = this.#valueOf(index);
    return Number.isNaN(value) ? undefined : value;
  }

  /**
   * A change by a step: visible at once, undone unless it is committed.
   * @throws RangeError for a value that is no number
   */
  put({ key, value }: StatePut): void {
    if (Number.isNaN(value)) throw new RangeError(`NaN cannot be kept as the state of ${key}`);
    const index = this.#lastIndex >= 0 && this.#lastKey === key ? this.#lastIndex : this.#add(key);
    this.#notedKeys.push(index);
    this.#notedValues.push(this.#valueOf(index));
    this.#set(index, value);
  }

  /** A change that is committed already, from the changelog; null deletes. */
  restore(key: Buffer, value: number | null): void {
    this.#set(this.#keys.add(key, key.length), value ?? absent);
  }

  /** The number of uncommitted changes: what {@link committed} takes. */
  mark(): number {
    return this.#notedKeys.length;
  }

  /** The first `mark` changes are committed. */
  committed(mark: number): void {
    this.#notedKeys = mark === this.#notedKeys.length ? [] : this.#notedKeys.slice(mark);
    this.#notedValues = this.#notedKeys.length === 0 ? [] : this.#notedValues.slice(mark);
  }

  /** Takes back all that is not committed. */
  rollback(): void {
    for (let note = this.#notedKeys.length - 1; note >= 0; note -= 1) {
      this.#set(this.#notedKeys[note] ?? 0, this.#notedValues[note] ?? absent);
    }
    this.#notedKeys = [];
    this.#notedValues = [];
  }

  *entries(): IterableIterator<[string, number]> {
    for (let index = 0; index < this.#keys.size; index += 1) {
      const value = this.#valueOf(index);
      if (!Number.isNaN(value)) yield [this.#keys.key(index), value];
    }
  }

  /** {@link absent} for a key that has just got its number, and for -1. */
  #valueOf(index: number): number {
    return index < 0 || index >= this.#count ? absent : (this.#values[index] ?? absent);
  }

  #set(index: number, value: number): void {
    if (index >= this.#values.length) {
      const larger = new Float64Array(this.#values.length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    const before = this.#valueOf(index);
    this.#count = Math.max(this.#count, index + 1);
    this.#values[index] = value;
    this.#size += Number(Number.isNaN(before)) - Number(Number.isNaN(value));
  }

  #add(key: string): number {
    const length = this.#encode(key);
    return this.#keys.add(this.#scratch, length);
  }

  /**
   * Writes the key into the scratch buffer, which may be another one then.
   * @returns its length in bytes
   */
  #encode(key: string): number {
    const room = key.length * bytesPerUnit;
    if (room > this.#scratch.length) this.#scratch = Buffer.allocUnsafeSlow(room);
    return this.#scratch.write(key);
  }
}

/** The state of an agent that keeps none. */
export const noState: StateReader = { get: () => undefined };
