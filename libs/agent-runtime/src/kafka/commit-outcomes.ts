import { asKafkaError, kafka, type KafkaError } from '@kafnus/kafka-admin';
import type { CommitOutcome } from '../session.js';
import { refusalOf } from './errors.js';

/** @param refused the last error of each topic that refused a record */
export function abortedBy(error: Error, refused: ReadonlyMap<string, KafkaError>): CommitOutcome {
  const cause = 'code' in error ? causeOf(error.code) : 'requested';
  if (refused.size === 0) {
    // A right that was taken away shows when partitions are added to the transaction, before any
    // record is sent: no report names the topic.
    const { kind } = refusalOf(asKafkaError(error));
    return kind === 'passing' ? { kind: 'aborted', cause, error } : { kind: 'aborted', cause, error, unnamed: kind };
  }
  const byTopic = new Map([...refused].map(([topic, refusal]) => [topic, refusalOf(refusal)]));
  return { kind: 'aborted', cause, error, refused: byTopic };
}

export function unknownAfter(error: KafkaError, fenced: boolean): CommitOutcome {
  return { kind: 'unknown', cause: causeOf(error.code), fenced, error };
}

const errorNames: ReadonlyMap<unknown, string> = new Map(
  Object.entries(kafka.CODES.ERRORS).map(([name, code]) => [code, name]),
);

/** librdkafka's name of the error, as the metrics have it: `timed_out`. */
function causeOf(code: unknown): string {
  const name = errorNames.get(code)?.replace(/^ERR_+/, '');
  return name?.toLowerCase() ?? 'other';
}
