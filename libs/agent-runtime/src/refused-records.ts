/**
 * Records that the broker has refused, each alone in its transaction (narrowing.ts), and how they
 * are dead-lettered: with as little change as the broker takes (SPEC 6).
 *
 *     attempt 1   its outputs are refused: it is dead-lettered as any reject
 *     attempt 2   its dead-letter record is refused: without the value, or with the time of now
 *                 where the timestamp is what is refused
 *     attempt 3   that is refused too: the time of now, and no value, key and headers of its own
 *     after it    nothing else can be left out: the agent waits, is not ready, and tries attempt 3
 *                 again until the topic takes it
 */
import type { InputRecord, RecordHeader, Step } from '@kafnus/agent-contract';
import { contextOnly, withoutValue } from './dead-letter.js';
import { partitionName, type OutgoingRecord, type TopicPartition } from './session.js';

/** What the broker said about one record. */
export interface Refusal {
  /** In the broker's words, and with the topic where it is known. */
  readonly reason: string;
  /** It is the timestamp that is refused. */
  readonly byTime: boolean;
  /** It is the dead-letter record that is refused, not the outputs. */
  readonly ofDeadLetter: boolean;
}

export interface RefusedRecord extends TopicPartition {
  readonly offset: number;
  readonly reason: string;
  readonly byTime: boolean;
  readonly outputsRefused: boolean;
  /** From 1 to 3. */
  readonly attempt: number;
}

const lastAttempt = 3;

type Place = Pick<InputRecord, 'topic' | 'partition' | 'offset'>;

export class RefusedRecords {
  /** At most one per partition: nothing behind a record is committed before it is. */
  readonly #byPartition = new Map<string, RefusedRecord>();

  /** Whether {@link find} can find nothing. */
  get isEmpty(): boolean {
    return this.#byPartition.size === 0;
  }

  find(place: Place): RefusedRecord | undefined {
    const found = this.#byPartition.get(partitionName(place));
    return found?.offset === place.offset ? found : undefined;
  }

  /** Notes a refusal. @returns whether there was nothing left to try */
  refused({ topic, partition, offset }: Place, { reason, byTime, ofDeadLetter }: Refusal): boolean {
    const before = this.find({ topic, partition, offset });
    const reached = Math.max(1, before?.attempt ?? 0);
    this.#byPartition.set(partitionName({ topic, partition }), {
      topic,
      partition,
      offset,
      reason: before?.reason ?? reason,
      byTime,
      outputsRefused: before?.outputsRefused === true || !ofDeadLetter,
      attempt: ofDeadLetter ? Math.min(lastAttempt, reached + 1) : reached,
    });
    return ofDeadLetter && before?.attempt === lastAttempt;
  }

  /**
   * Forgets those that are committed. @param committed the next offset of a partition; undefined:
   * it is not owned any more
   */
  settle(committed: (partition: TopicPartition) => number | null | undefined): void {
    for (const [name, refused] of this.#byPartition) {
      const next = committed(refused);
      if (next === undefined || (next !== null && next > refused.offset)) this.#byPartition.delete(name);
    }
  }
}

/** The decision about a record that was refused. What has no outputs stays what it is. */
export function stepOfRefused(step: Step, { reason, outputsRefused }: RefusedRecord): Step {
  if (step.kind !== 'emit' || !outputsRefused) return step;
  const rejection = { code: 'record-refused', stage: 'KAFKA_PRODUCE', message: reason } as const;
  return { kind: 'reject', tenant: step.tenant, rejections: [rejection, ...(step.reports ?? [])] };
}

/**
 * The dead-letter record in the form of the attempt. What is left out of it is in the input, and a
 * header says where.
 * @param now milliseconds since the epoch: this is the one place where a record has another time
 *   than its input
 */
export function deadLetterOfRefused(
  deadRecord: OutgoingRecord,
  record: InputRecord,
  { attempt, byTime }: RefusedRecord,
  now: number,
): OutgoingRecord {
  if (attempt === 1) return deadRecord;
  if (attempt === 2 && !byTime) return withoutValue(deadRecord, record);
  const headers: RecordHeader[] = [...deadRecord.headers, { 'kafnus.timestamp': String(record.timestamp) }];
  const timed = { ...deadRecord, timestamp: now, headers };
  return attempt === 2 ? timed : contextOnly(timed, record);
}
