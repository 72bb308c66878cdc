/**
 * What follows from transactions that a broker has refused: a topic is left alone, the transaction
 * is narrowed down to a record, or the agent has to stand. The transaction itself is undone by the
 * loop before it asks, whatever comes of it.
 *
 *     refused for        named    what follows
 *     a right, a policy  topic    the topic is refused (output-topics.ts)
 *     a right, a policy  nothing  rights are looked up again; then the transaction is narrowed
 *                                 down, and the topics of the record are refused
 *     the contents       either   the transaction is narrowed down, and the record is dead-lettered
 *     (size, time, key)           (refused-records.ts)
 *     what may pass      topic    it is written again; after too long the topic is refused
 *     anything else      -        it is written again; the third time the agent is not ready
 */
import type { InputRecord } from '@kafnus/agent-contract';
import type { Batch } from './batch.js';
import { Narrowing } from './narrowing.js';
import type { OutputTopics } from './output-topics.js';
import { RefusedRecords, type RefusedRecord } from './refused-records.js';
import type { CommitOutcome, Refusal, TopicPartition } from './session.js';
import type { Telemetry } from './telemetry.js';

export interface RefusalsOptions {
  readonly topics: OutputTopics;
  readonly deadLetterTopic: string;
  readonly telemetry: Pick<Telemetry, 'recordRefused'>;
  /** Input records of a transaction that is not narrowed down. */
  readonly full: number;
}

/** What the loop does before it reads the records again. */
export interface Consequence {
  /**
   * Why the agent is not ready, for an operator. The loop pauses before it tries the same again.
   */
  readonly problem: string;
  /** The record that waits, if it is one. */
  readonly record?: InputRecord;
}

type Aborted = CommitOutcome & { readonly kind: 'aborted' };

/** Unexplained aborted transactions in a row from which the agent is not ready. */
const maxUnexplained = 3;
const none: ReadonlyMap<string, Refusal> = new Map();

export class Refusals {
  readonly #options: RefusalsOptions;
  readonly #narrowing: Narrowing;
  readonly #records = new RefusedRecords();
  /** In a row: refusals that name nothing, and all others that nothing is learnt from. */
  #unnamed = 0;
  #unexplained = 0;

  constructor(options: RefusalsOptions) {
    this.#options = options;
    this.#narrowing = new Narrowing(options.full);
  }

  /** The most input records of the next transaction. */
  get limit(): number {
    return this.#narrowing.limit;
  }

  /** Transactions are narrowed down: none is decided ahead, and what each writes is noted. */
  get isNarrowing(): boolean {
    return this.#narrowing.isActive;
  }

  /** The refusal of this record, if it was refused. */
  find(record: InputRecord): RefusedRecord | undefined {
    return this.#records.isEmpty ? undefined : this.#records.find(record);
  }

  /** @param committed the committed offset of a partition; undefined: it is not owned any more */
  committed(batch: Batch, committed: (partition: TopicPartition) => number | null | undefined): void {
    this.forgetAborted();
    this.#narrowing.committed(batch.counts.records);
    if (!this.#records.isEmpty) this.#records.settle(committed);
    if (batch.written !== undefined) this.#options.topics.committed(batch.written);
  }

  /** The next transaction has other records, or another producer: what came before says nothing. */
  forgetAborted(): void {
    this.#unnamed = 0;
    this.#unexplained = 0;
  }

  /** A transaction cannot end, and would not if it were written again. */
  blocked(): void {
    this.#options.topics.blocked();
  }

  /** @returns undefined: the records are read again at once */
  aborted(outcome: Aborted, batch: Batch): Consequence | undefined {
    const { refused: topics = none, unnamed, error } = outcome;
    const stands = this.#options.topics.refused(topics, batch.since);
    if (stands !== undefined) return { problem: stands };
    const isContents = unnamed === 'contents' || [...topics.values()].some(({ kind }) => kind === 'contents');
    if (isContents) return this.#narrow(batch, topics, error, true);
    if (unnamed === 'destination') {
      this.#options.topics.refusedUnnamed();
      this.#unnamed += 1;
      return this.#unnamed === 1 ? undefined : this.#narrow(batch, topics, error, false);
    }
    this.#unexplained += 1;
    if (this.#unexplained < maxUnexplained) return undefined;
    return { problem: `transactions are aborted, one after the other: ${error.message}` };
  }

  #narrow(
    batch: Batch,
    topics: ReadonlyMap<string, Refusal>,
    error: Error,
    isContents: boolean,
  ): Consequence | undefined {
    // A partition that has refused a batch misses sequence numbers, and has the next transaction
    // aborted as well: that is to be expected.
    this.#unexplained = 0;
    const { last: record } = batch;
    if (this.#narrowing.refused(batch.counts.records) === 'narrowed' || record === undefined) return undefined;
    // What the transaction before the first narrow one wrote was not noted: if it had a single
    // record, it is tried once more.
    if (batch.written === undefined) return undefined;
    const refused = this.#options.topics.refusedRecord(batch.written, topics, error, isContents);
    const { deadLetterTopic, telemetry } = this.#options;
    if (!isContents) {
      if (refused > 0) return undefined;
      return { record, problem: `dead letters cannot be written: topic ${deadLetterTopic}: ${error.message}` };
    }
    const ofDeadLetter = topics.size === 0 ? this.find(record) !== undefined : onlyOf(topics, deadLetterTopic);
    const [topic, refusal] = [...topics].find(([, { kind }]) => kind === 'contents') ?? [undefined, undefined];
    const words = refusal?.error.message ?? error.message;
    const reason =
      topic === undefined ? `the broker refuses the record: ${words}` : `topic ${topic} refuses the record: ${words}`;
    telemetry.recordRefused(record, reason);
    const byTime = refusal?.about === 'time';
    if (!this.#records.refused(record, { reason, byTime, ofDeadLetter })) return undefined;
    const place = `${record.topic}-${record.partition} at offset ${record.offset}`;
    return { record, problem: `the dead-letter record of ${place} is refused, also without its value: ${reason}` };
  }
}

function onlyOf(topics: ReadonlyMap<string, Refusal>, topic: string): boolean {
  return [...topics].every(([name, { kind }]) => kind !== 'contents' || name === topic);
}
