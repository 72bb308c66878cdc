/**
 * Writes what was decided into the open transaction. While the transaction before it is being
 * committed, records are buffered: the producer would add them to that one.
 *
 *     add -> session.send                    a transaction is open
 *         -> buffer -> sendBuffered -> send  a commit is in flight, or the producer's queue is full
 */
import type { ConfiguredAgent, InputRecord, OutputRecord, Step } from '@kafnus/agent-contract';
import { Batch } from './batch.js';
import type { RuntimeConfig } from './config.js';
import { deadLetter, fittingDeadLetter } from './dead-letter.js';
import type { OutputTopics } from './output-topics.js';
import type { OwnedPartition } from './partitions.js';
import { maxRecordBytes, recordBytes } from './record-size.js';
import type { Refusals } from './refusals.js';
import { deadLetterOfRefused, type RefusedRecord } from './refused-records.js';
import type { CommitOutcome, OutgoingRecord, Session } from './session.js';
import { changelogRecord } from './state/changelog.js';
import type { Telemetry } from './telemetry.js';
import type { Tracing } from './tracing.js';

/** Records in memory at once: see {@link Batch.size}. One more, with its outputs, may be. */
export interface Limits {
  /** A transaction is committed at this size, however young it is. */
  readonly transaction: number;
  /** So much is decided while the transaction before is being committed. */
  readonly ahead: number;
}

export const defaultLimits: Limits = { transaction: 10_000, ahead: 2000 };

export interface TransactionWriterOptions {
  readonly configured: Pick<ConfiguredAgent, 'deadLetterTopic'>;
  readonly config: RuntimeConfig;
  readonly session: Pick<Session, 'begin' | 'send' | 'sendable'>;
  readonly telemetry: Pick<Telemetry, 'recordRejected'>;
  readonly tracing?: Tracing | undefined;
  readonly changelog: string | undefined;
  readonly topics: Pick<OutputTopics, 'partitions' | 'isWatching'>;
  readonly refusals: Pick<Refusals, 'limit' | 'isNarrowing'>;
  readonly limits: Limits;
}

export class TransactionWriter {
  readonly #options: TransactionWriterOptions;
  readonly #maxBytes: number;
  #isOpen = false;
  #isCommitting = false;
  #batch: Batch | undefined;
  #buffered: OutgoingRecord[] = [];

  constructor(options: TransactionWriterOptions) {
    this.#options = options;
    this.#maxBytes = maxRecordBytes(options.config);
  }

  /** What was decided since the last commit began. */
  get batch(): Batch | undefined {
    return this.#batch;
  }

  /** Whether the session has an open transaction. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whether there are records to commit. */
  get hasRecords(): boolean {
    return this.#batch !== undefined && this.#batch.counts.records > 0;
  }

  get ageMs(): number {
    return this.#batch === undefined ? 0 : performance.now() - this.#batch.since;
  }

  /** Whether the transaction must be committed within a poll, long before the broker aborts it. */
  get isOld(): boolean {
    return this.ageMs > this.#options.config.transactionTimeoutMs / 4;
  }

  get isFull(): boolean {
    if (this.#batch === undefined) return false;
    const { refusals, limits } = this.#options;
    const { size, counts } = this.#batch;
    return counts.records >= refusals.limit || size >= (this.#isCommitting ? limits.ahead : limits.transaction);
  }

  /** The batch for the next records, with a transaction as soon as none is being committed. */
  async begin(): Promise<Batch> {
    const { session, tracing, refusals, topics } = this.#options;
    this.#batch ??= new Batch(tracing?.batch(), refusals.isNarrowing || topics.isWatching);
    if (!this.#isOpen && !this.#isCommitting) {
      await session.begin();
      this.#isOpen = true;
    }
    return this.#batch;
  }

  /**
   * Puts what a step says into the transaction.
   * @param batch of {@link begin}
   * @returns false when the queue is full, and {@link sendBuffered} must come next
   */
  add(
    record: InputRecord,
    step: Step,
    owned: OwnedPartition,
    batch: Batch,
    refused: RefusedRecord | undefined,
  ): boolean {
    batch.counts.count(step, record);
    batch.last = record;
    const { configured, changelog, telemetry } = this.#options;
    let room = true;
    if (step.kind === 'emit') {
      for (const output of step.outputs) {
        // With its headers where they are those of the input.
        const text = output.partition === undefined ? undefined : recordBytes(output);
        room = this.#send(this.#addressed(output), batch, text) && room;
      }
    }
    if (step.kind !== 'reject') {
      if (step.puts !== undefined && changelog !== undefined) {
        for (const put of step.puts) {
          owned.store?.put(put);
          room = this.#send(changelogRecord(changelog, record.partition, put, record.timestamp), batch) && room;
        }
      }
    }
    if (step.kind === 'skip') return room;
    const problems = step.kind === 'reject' ? step.rejections : step.reports;
    if (hasSome(problems)) {
      const whole = deadLetter(configured.deadLetterTopic, record, problems);
      const fitting = fittingDeadLetter(whole, record, this.#maxBytes);
      const deadRecord = refused ? deadLetterOfRefused(fitting, record, refused, Date.now()) : fitting;
      // With its headers: they are those of the input, of any size.
      room = this.#send(deadRecord, batch, recordBytes(deadRecord)) && room;
      telemetry.recordRejected(record, step);
    }
    return room;
  }

  /**
   * @throws Error when the topic was not looked up: the records of an entity would be spread over
   *   other partitions than before
   */
  #addressed({ topic, partition, partitionHash, key, value, headers, timestamp }: OutputRecord): OutgoingRecord {
    const rest = { topic, key, value, headers, timestamp };
    if (partition !== undefined) return { ...rest, partition };
    const partitions = this.#options.topics.partitions(topic);
    return { ...rest, partition: partitionHash === undefined ? null : partitionHash % partitions };
  }

  #send(record: OutgoingRecord, batch: Batch, text = lengthOf(record.key) + lengthOf(record.value)): boolean {
    batch.add(record, text);
    if (this.#buffersOutputs) {
      this.#buffered.push(record);
      return true;
    }
    if (this.#buffered.length === 0 && this.#options.session.send(record) === 'queued') return true;
    this.#buffered.push(record);
    return false;
  }

  /** Whether outputs wait for the commit in flight: they would become part of its transaction. */
  get #buffersOutputs(): boolean {
    return this.#isCommitting && this.#options.config.delivery === 'exactly-once';
  }

  async sendBuffered(): Promise<void> {
    const { session } = this.#options;
    for (const record of this.#buffered) {
      for (let result = session.send(record); result !== 'queued'; result = session.send(record)) {
        // Its size was checked before: waiting for room would never end.
        if (result === 'too-large') throw new Error(`a record for ${record.topic} is larger than the producer takes`);
        await session.sendable();
      }
    }
    this.#buffered = [];
  }

  /** The session commits what was written: from here on the next batch is collected. */
  commitStarted(): void {
    this.#batch = undefined;
    this.#isOpen = false;
    this.#isCommitting = true;
  }

  commitEnded(): void {
    this.#isCommitting = false;
  }

  /** The session has aborted the transaction: what was written since is dropped with it. */
  discard(outcome: CommitOutcome): void {
    this.#isOpen = false;
    this.#buffered = [];
    this.#batch?.ended(outcome);
    this.#batch = undefined;
  }
}

/** Characters, or bytes. */
function lengthOf(content: string | Buffer | null): number {
  return content?.length ?? 0;
}

function hasSome<T>(list: readonly T[] | undefined): list is readonly [T, ...T[]] {
  return list !== undefined && list.length > 0;
}
