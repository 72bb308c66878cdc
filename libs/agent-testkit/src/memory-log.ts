/**
 * One partition of an in-memory topic: records, their transactions, and the markers that end these.
 * As in Kafka, a marker takes an offset and is never delivered, so offsets have gaps;
 * read_committed ends at the last stable offset, before the first record of an open transaction.
 */
import type { InputRecord, OutgoingRecord, PartitionOffset, RecordHeader } from '@kafnus/agent-runtime';

/** A transaction of a producer. */
export class MemoryTransaction {
  state: 'open' | 'committed' | 'aborted' = 'open';
  readonly partitions = new Set<MemoryPartition>();
  /** The offsets that it commits, and their group. */
  offsets: { readonly group: string; readonly positions: readonly PartitionOffset[] } | undefined;

  /** Writes the markers. */
  end(state: 'committed' | 'aborted'): void {
    this.state = state;
    for (const partition of this.partitions) partition.end(this);
  }
}

interface Entry {
  readonly record: InputRecord;
  readonly transaction: MemoryTransaction | null;
}

export type Isolation = 'read_committed' | 'read_uncommitted';

export class MemoryPartition {
  /** By offset; undefined is a marker. */
  readonly #entries: (Entry | undefined)[] = [];
  #low = 0;
  /** The open transactions, with the offset of their first record here. */
  readonly #open = new Map<MemoryTransaction, number>();

  constructor(
    readonly topic: string,
    readonly partition: number,
  ) {}

  /** The first offset that was not deleted. */
  get low(): number {
    return this.#low;
  }

  /** The offset of the next record. */
  get high(): number {
    return this.#entries.length;
  }

  /** The last stable offset. */
  get stable(): number {
    return Math.min(this.high, ...this.#open.values());
  }

  /** Deletes the records before this offset: retention, or DeleteRecords. */
  deleteBefore(offset: number): void {
    this.#low = Math.max(this.#low, Math.min(offset, this.high));
  }

  /** Loses the records from this offset on, as when a leader without them is elected. */
  truncate(offset: number): void {
    this.#entries.length = Math.min(this.#entries.length, offset);
  }

  append({ key, value, headers, timestamp }: OutgoingRecord, transaction: MemoryTransaction | null): void {
    const { topic, partition, high: offset } = this;
    if (transaction && !this.#open.has(transaction)) {
      this.#open.set(transaction, offset);
      transaction.partitions.add(this);
    }
    const record = {
      topic,
      partition,
      offset,
      timestamp,
      key: bytes(key),
      value: bytes(value),
      headers: headers.map(asRead),
    };
    this.#entries.push({ record, transaction });
  }

  end(transaction: MemoryTransaction): void {
    this.#open.delete(transaction);
    this.#entries.push(undefined);
  }

  /** At most `limit` records from `offset` on, and the next offset to read. */
  read(
    offset: number,
    limit: number,
    isolation: Isolation,
  ): { readonly records: InputRecord[]; readonly next: number } {
    const committedOnly = isolation === 'read_committed';
    const end = committedOnly ? this.stable : this.high;
    const records: InputRecord[] = [];
    let next = Math.max(offset, this.#low);
    for (; next < end && records.length < limit; next += 1) {
      const entry = this.#entries[next];
      if (entry === undefined) continue;
      if (!committedOnly || entry.transaction === null || entry.transaction.state === 'committed')
        records.push(entry.record);
    }
    return { records, next };
  }
}

function bytes(text: string | Buffer | null): Buffer | null {
  return typeof text === 'string' ? Buffer.from(text) : text;
}

/** Header values arrive as bytes, also those that were sent as text. */
export function asRead(header: RecordHeader): RecordHeader {
  return Object.fromEntries(
    Object.entries(header).map(([name, value]) => [name, typeof value === 'string' ? Buffer.from(value) : value]),
  );
}
