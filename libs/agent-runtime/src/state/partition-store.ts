/**
 * The keyed state of one input partition, with the overlay of the open transactions as an undo log.
 *
 * A put takes effect at once, so that the next record sees it, and the value that it replaced is noted. When the
 * transaction commits, the notes up to its mark are dropped; when it aborts, all notes are undone, newest first. At most
 * two transactions are in question at a time: the one being committed and the one being filled behind it, and when the
 * first aborts the second must go too, because it was decided on the first one's state.
 *
 *     notes:   [ a b c | d e ]         mark() after c was put, then commit of the first begins
 *                      ^ mark
 *     committed(mark)  ->  [ d e ]     undo()  ->  [ ]  with e, d, c, b, a put back in this order
 */
import type { StatePut, StateReader } from '../agent.js';

interface Note {
  readonly key: string;
  readonly previous: number | undefined;
}

export class PartitionStore implements StateReader {
  readonly #entries = new Map<string, number>();
  #notes: Note[] = [];

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): number | undefined {
    return this.#entries.get(key);
  }

  /** A change by a step: visible at once, undone unless it is committed. */
  put({ key, value }: StatePut): void {
    this.#notes.push({ key, previous: this.#entries.get(key) });
    this.#entries.set(key, value);
  }

  /** A change that is committed already: from the changelog. */
  restore(key: string, value: number | null): void {
    if (value === null) this.#entries.delete(key);
    else this.#entries.set(key, value);
  }

  /** The number of uncommitted changes: what {@link committed} takes. */
  mark(): number {
    return this.#notes.length;
  }

  /** The first `mark` changes are committed. */
  committed(mark: number): void {
    this.#notes = mark === this.#notes.length ? [] : this.#notes.slice(mark);
  }

  /** Takes back all that is not committed. */
  undo(): void {
    for (let index = this.#notes.length - 1; index >= 0; index -= 1) {
      const note = this.#notes[index];
      if (note === undefined) continue;
      if (note.previous === undefined) this.#entries.delete(note.key);
      else this.#entries.set(note.key, note.previous);
    }
    this.#notes = [];
  }

  entries(): IterableIterator<[string, number]> {
    return this.#entries.entries();
  }
}

/** The state of an agent that keeps none. */
export const noState: StateReader = { get: () => undefined };
