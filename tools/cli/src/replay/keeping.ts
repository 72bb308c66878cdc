/**
 * What a topic keeps, and which letters are too old for it. Records go back with their own timestamps, and Kafka deletes by
 * timestamp: what is older than retention.ms may be gone before an agent has read it. Pure.
 */
import { durationText } from '../lag/time.js';
import { grouped, printable } from '../terminal/text.js';

/** Which records of a topic Kafka deletes for their age. */
export type Keeping =
  /** Those whose timestamps are older than so many milliseconds. */
  | { readonly kind: 'time'; readonly ms: number }
  /** None, or by the time at which they came in. */
  | { readonly kind: 'all' }
  | { readonly kind: 'unknown'; readonly reason: string };

/** A topic that records go to. */
export interface Kept {
  readonly topic: string;
  readonly keeping: Keeping;
  /** Those that fit the filters and go there. */
  records: number;
  /** Of these, older than the topic keeps them. */
  late: number;
  /** How old the oldest of these is, milliseconds; 0 when there is none. */
  oldestMs: number;
}

/** @param values of the topic's settings, the broker's defaults included */
export function keepingOf(values: ReadonlyMap<string, string>): Keeping {
  const policy = values.get('cleanup.policy');
  const ms = Number(values.get('retention.ms') ?? Number.NaN);
  if (policy === undefined || Number.isNaN(ms)) {
    return { kind: 'unknown', reason: 'the broker tells neither cleanup.policy nor retention.ms' };
  }
  const byItsTime = policy.split(',').includes('delete') && values.get('message.timestamp.type') !== 'LogAppendTime';
  return byItsTime && ms >= 0 ? { kind: 'time', ms } : { kind: 'all' };
}

/** Counts a record that goes to the topic. @param timestamp its own; below 0 it has none, and is given that of its sending */
export function count(kept: Kept, timestamp: number, now: number): void {
  const { keeping } = kept;
  const age = now - timestamp;
  kept.records += 1;
  if (keeping.kind !== 'time' || timestamp < 0 || age <= keeping.ms) return;
  kept.late += 1;
  kept.oldestMs = Math.max(kept.oldestMs, age);
}

export function lateOf(topics: readonly Kept[]): number {
  return topics.reduce((sum, { late }) => sum + late, 0);
}

const dayMs = 86_400_000;

/** What of the topics may be deleted unread, and what to do about it: a line each. @param brokers for the commands */
export function keepingLines(topics: readonly Kept[], brokers: string): string[] {
  return topics.flatMap(({ topic: name, keeping, records, late, oldestMs }) => {
    const topic = printable(name);
    if (keeping.kind === 'unknown') {
      return [
        `What ${topic} keeps is not known: ${printable(keeping.reason)}.`,
        'Where its retention.ms is shorter than the age of a record, Kafka may delete that before an agent has read it.',
      ];
    }
    if (keeping.kind === 'all' || late === 0) return [];
    // Whole days, and one of them for the agents.
    const enough = (Math.floor(oldestMs / dayMs) + 2) * dayMs;
    return [
      `${grouped(late)} of ${grouped(records)} records are older than ${topic} keeps them: the oldest is ${durationText(oldestMs)} old, and retention.ms is ${keeping.ms} (${durationText(keeping.ms)}).`,
      'Kafka deletes by their own timestamps, perhaps before an agent has read them. Keep them until kafnus lag shows that they were read:',
      `  kafka-configs.sh --bootstrap-server ${brokers} --alter --entity-type topics --entity-name ${topic} --add-config retention.ms=${enough}`,
      `and set retention.ms=${keeping.ms} again then. --since leaves them out; --ignore-retention sends them as it is.`,
    ];
  });
}
