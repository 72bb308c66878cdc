/**
 * The retention of the topics that a replay sends to, and which records are too old for it.
 * Replayed records have their original timestamps, and Kafka deletes by timestamp: a record that is
 * older than retention.ms may be deleted before an agent has read it. Pure.
 */
import { durationText } from '../terminal/duration-text.js';
import { grouped, printable } from '../terminal/text.js';

/** How Kafka deletes old records of a topic. */
export type Retention =
  /** By the timestamp of the record, when it is older than so many milliseconds. */
  | { readonly kind: 'time'; readonly ms: number }
  /** Not by the timestamp of the record. */
  | { readonly kind: 'all' }
  | { readonly kind: 'unknown'; readonly reason: string };

/** A topic that records are sent to. The fields are part of the JSON output. */
export interface DestinationRetention {
  readonly topic: string;
  readonly keeping: Retention;
  /** Records to be sent to the topic. */
  records: number;
  /** How many of them are older than its retention. */
  late: number;
  /** Age of the oldest of these, in milliseconds; 0 when there is none. */
  oldestMs: number;
}

/** @param configs the settings of the topic, with the broker's defaults */
export function retentionOf(configs: ReadonlyMap<string, string>): Retention {
  const policy = configs.get('cleanup.policy');
  const ms = Number(configs.get('retention.ms') ?? Number.NaN);
  if (policy === undefined || Number.isNaN(ms)) {
    return { kind: 'unknown', reason: 'the broker reports no cleanup.policy or no retention.ms' };
  }
  const usesRecordTime = configs.get('message.timestamp.type') !== 'LogAppendTime';
  return policy.split(',').includes('delete') && usesRecordTime && ms >= 0 ? { kind: 'time', ms } : { kind: 'all' };
}

/**
 * Counts a record that is sent to the topic.
 * @param timestamp of the record, in milliseconds; negative when it has none: it then gets the time
 * of sending
 * @param now in milliseconds
 */
export function countRecord(destination: DestinationRetention, timestamp: number, now: number): void {
  const { keeping: retention } = destination;
  const age = now - timestamp;
  destination.records += 1;
  if (retention.kind !== 'time' || timestamp < 0 || age <= retention.ms) return;
  destination.late += 1;
  destination.oldestMs = Math.max(destination.oldestMs, age);
}

/** How many records are older than the retention of their topics. */
export function expiredRecords(destinations: readonly DestinationRetention[]): number {
  return destinations.reduce((sum, { late }) => sum + late, 0);
}

const dayMs = 86_400_000;

/**
 * Lines that name the topics which may delete records unread, with the commands that prevent it.
 */
export function retentionWarnings(destinations: readonly DestinationRetention[], brokers: string): string[] {
  return destinations.flatMap(({ topic: name, keeping: retention, records, late, oldestMs }) => {
    const topic = printable(name);
    if (retention.kind === 'unknown') {
      return [
        `The retention of ${topic} is unknown: ${printable(retention.reason)}.`,
        'If its retention.ms is shorter than the age of a record, Kafka may delete the record before an agent reads it.',
      ];
    }
    if (retention.kind === 'all' || late === 0) return [];
    // Rounded up to whole days, and one day more for the agents to read the records.
    const neededMs = (Math.floor(oldestMs / dayMs) + 2) * dayMs;
    return [
      `${grouped(late)} of ${grouped(records)} records are older than the retention of ${topic}: the oldest is ${durationText(oldestMs)} old, and retention.ms is ${retention.ms} (${durationText(retention.ms)}).`,
      'Kafka deletes by the timestamp of the record, so it may delete them before an agent reads them. Raise the retention:',
      `  kafka-configs.sh --bootstrap-server ${brokers} --alter --entity-type topics --entity-name ${topic} --add-config retention.ms=${neededMs}`,
      `When kafnus lag shows that they were read, set retention.ms=${retention.ms} again. Or leave them out with --since, or send them anyway with --ignore-retention.`,
    ];
  });
}
