/** The records that were decided since the commit before: what one transaction will make final. */
import type { InputRecord } from '@kafnus/agent-contract';
import { LedgerBatch } from './ledger.js';
import { recordBytes } from './record-size.js';
import type { CommitOutcome, OutgoingRecord } from './session.js';
import type { BatchSpan } from './tracing.js';

/** A record of more text (characters of key and value) than this counts as several. */
const textOfRecord = 2048;

/** What a transaction that is looked at closely writes to a topic. */
export interface Written {
  records: number;
  /** Bytes of the largest record. */
  largest: number;
}

export class Batch {
  readonly counts = new LedgerBatch();
  readonly since = performance.now();
  readonly span: BatchSpan | undefined;
  /** By topic; undefined while nothing is wrong with any. */
  readonly written: Map<string, Written> | undefined;
  outputs = 0;
  /** The last input record. */
  last: InputRecord | undefined;
  #text = 0;

  /** @param isWatched whether {@link written} is kept */
  constructor(span: BatchSpan | undefined, isWatched: boolean) {
    this.span = span;
    this.written = isWatched ? new Map<string, Written>() : undefined;
  }

  /**
   * Records read or written, whichever is more: a notification may have one entity or thousands.
   */
  get size(): number {
    return Math.max(this.counts.records, this.outputs, this.#text / textOfRecord);
  }

  /** Counts an output of so much text. */
  add(record: OutgoingRecord, text: number): void {
    this.outputs += 1;
    this.#text += text;
    if (this.written !== undefined) note(this.written, record);
  }

  ended(outcome: CommitOutcome): void {
    this.span?.end(outcome, { records: this.counts.records, outputs: this.outputs });
  }
}

function note(written: Map<string, Written>, record: OutgoingRecord): void {
  const bytes = recordBytes(record);
  const seen = written.get(record.topic);
  if (seen === undefined) written.set(record.topic, { records: 1, largest: bytes });
  else {
    seen.records += 1;
    seen.largest = Math.max(seen.largest, bytes);
  }
}
