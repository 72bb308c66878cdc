/**
 * Dead letters (SPEC 6): the refused record with key, value and headers unchanged, and behind them the headers with which
 * Kafka Connect tells where a record failed and why (`DeadLetterQueueReporter`), so that one reader serves both.
 */
import type { InputRecord, RecordHeader, Rejection } from './agent.js';
import { recordBytes } from './record-size.js';
import type { OutgoingRecord } from './session.js';

/** Kafka Connect puts a Java class here; ours names the code: `kafnus.rejected.<code>`. */
const exceptionClassPrefix = 'kafnus.rejected.';

/** The message of a record with thousands of bad attributes must not be what makes its dead letter too large. */
const maxReasonLength = 10_000;

function reason(rejections: readonly Rejection[]): string {
  const messages = rejections.map(({ message }) => message);
  const text = messages.length === 1 ? (messages[0] ?? '') : `${messages.length} problems: ${messages.join('; ')}`;
  return text.length > maxReasonLength ? `${text.slice(0, maxReasonLength)}...` : text;
}

function context(record: InputRecord, rejections: readonly [Rejection, ...Rejection[]]): RecordHeader[] {
  const [first] = rejections;
  return [
    { '__connect.errors.topic': record.topic },
    { '__connect.errors.partition': String(record.partition) },
    { '__connect.errors.offset': String(record.offset) },
    { '__connect.errors.stage': first.stage },
    { '__connect.errors.exception.class.name': exceptionClassPrefix + first.code },
    { '__connect.errors.exception.message': reason(rejections) },
  ];
}

/**
 * The dead letter of a record, whatever the number of its problems: so it is replayed once.
 * Key and timestamp stay, hence order per entity too; null header values, which the client cannot write, become empty.
 */
export function deadLetter(
  topic: string,
  record: InputRecord,
  rejections: readonly [Rejection, ...Rejection[]],
): OutgoingRecord {
  const original = record.headers.map((header): RecordHeader => {
    const [name = ''] = Object.keys(header);
    // The type says that there is a value; the wire allows none.
    const value: string | Buffer | null | undefined = header[name];
    return { [name]: value ?? '' };
  });
  return {
    topic,
    partition: null,
    key: record.key,
    value: record.value,
    headers: [...original, ...context(record, rejections)],
    timestamp: record.timestamp,
  };
}

/**
 * As much of a dead letter as fits: without its value when it must be so, and without key and headers of its own when these
 * alone are too large. A header says where the record is to be found.
 * @param maxBytes as `recordBytes` counts
 */
export function fittingDeadLetter(letter: OutgoingRecord, record: InputRecord, maxBytes: number): OutgoingRecord {
  if (recordBytes(letter) <= maxBytes) return letter;
  const omitted = (what: string): RecordHeader => {
    const size = record.value?.length ?? 0;
    const where = `${record.topic}-${record.partition} at offset ${record.offset}`;
    return { 'kafnus.value.omitted': `${size} bytes${what}, too large for ${letter.topic}: read them from ${where}` };
  };
  const withoutValue = { ...letter, value: null, headers: [...letter.headers, omitted('')] };
  if (recordBytes(withoutValue) <= maxBytes) return withoutValue;
  const context = letter.headers.slice(record.headers.length);
  return { ...letter, key: null, value: null, headers: [...context, omitted(', and key and headers')] };
}
