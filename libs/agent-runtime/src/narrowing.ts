/**
 * Finds the record that a broker refuses, when a transaction is refused as a whole: transactions of
 * fewer and fewer input records, until one of a single record is refused. A pure state machine over
 * the numbers of records; what is done about the record is decided by the loop.
 *
 * Of eight records (x is refused), in the order in which they are read:
 *
 *     . . . . . x . .    refused(8): 8 suspects, the next transaction has 4
 *     [. . . .] . x . .  committed(4): 4 suspects are left, the next one has 2
 *             [. x] . .  refused(2): 2 suspects, the next one has 1
 *             [.] x . .  committed(1): 1 suspect is left
 *               [x] . .  refused(1): this is the record
 *                [x] ..  committed(1), as a dead-letter record; the next ones have 2, 4, 8, ...
 *
 * It stays exactly-once, because nothing but the size of a transaction changes: a refused
 * transaction is aborted with its outputs, state and offsets, and each partition goes back to its
 * committed offset; a committed one is final. The suspects are an estimate, as after going back the
 * records of several partitions may come in another order, and partitions may be taken away. Only a
 * transaction of one record that was refused condemns a record, and that does not rest on the
 * estimate.
 *
 * A broker also refuses records that are good one by one and too large together:
 * `max.message.bytes` bounds the batch that the producer makes of them. Then all suspects are
 * committed in parts, and transactions stay smaller than the one that was refused for a while.
 */

/** Commits of the largest size that has passed before a larger one is tried. */
const commitsAtCap = 64;

export class Narrowing {
  readonly #full: number;
  #limit = Number.POSITIVE_INFINITY;
  /** Records, from the next one on, of which one at least was refused. */
  #suspects = 0;
  /** The largest size that has passed since a larger one was refused. */
  #passed = 0;
  /** No larger one is tried for a while: it was refused, though no single record of it was. */
  #cap = Number.POSITIVE_INFINITY;
  #commitsAtCap = 0;

  /**
   * @param full the size of a transaction, in input records, at which there is nothing left to
   * narrow
   */
  constructor(full: number) {
    this.#full = full;
  }

  /** The most input records of the next transaction. */
  get limit(): number {
    return this.#limit;
  }

  get isActive(): boolean {
    return this.#limit !== Number.POSITIVE_INFINITY;
  }

  /**
   * A transaction of so many input records was refused for its contents, or without a name.
   * @returns `single`: it had one record, and that is refused; `narrowed`: the next transaction is
   *   smaller
   */
  refused(records: number): 'single' | 'narrowed' {
    this.#passed = 0;
    if (records <= 1) {
      this.#limit = 1;
      this.#suspects = 0;
      return 'single';
    }
    this.#suspects = records;
    this.#limit = Math.floor(records / 2);
    return 'narrowed';
  }

  /** A transaction of so many input records was committed. */
  committed(records: number): void {
    if (!this.isActive) return;
    this.#passed = Math.max(this.#passed, records);
    if (this.#suspects > 0) {
      this.#suspects -= records;
      if (this.#suspects > 0) {
        this.#limit = Math.ceil(this.#suspects / 2);
        return;
      }
      // All have passed one by one: together they were too much.
      this.#suspects = 0;
      this.#cap = this.#passed;
      this.#commitsAtCap = 0;
    }
    this.#grow();
  }

  #grow(): void {
    if (this.#limit >= this.#cap) {
      this.#commitsAtCap += 1;
      if (this.#commitsAtCap < commitsAtCap) return;
      this.#cap = Number.POSITIVE_INFINITY;
    }
    const wanted = Math.min(this.#limit * 2, this.#cap);
    this.#limit = wanted >= this.#full ? Number.POSITIVE_INFINITY : wanted;
  }
}
