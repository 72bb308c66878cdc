/**
 * Dead letters (SPEC 6): the refused record with key, value and headers unchanged, and behind them
 * the headers with which Kafka Connect tells where a record failed and why
 * (`DeadLetterQueueReporter`), so that one reader serves both.
 */
import type { InputRecord, RecordHeader, Rejection } from '@kafnus/agent-contract';
import { recordBytes } from './record-size.js';
import type { OutgoingRecord } from './session.js';

/** Kafka Connect puts a Java class here; ours names the code: `kafnus.rejected.<code>`. */
const exceptionClassPrefix = 'kafnus.rejected.';

/** A record may have thousands of bad attributes: their message must fit into the dead letter. */
const maxReasonLength = 10_000;

/**
 * Of a record with more than 100,000 headers librdkafka delivers none at all
 * (`rd_kafka_msg_headers_parse`), so nobody would know why it is here. Some are left for who sends
 * it on: `kafnus replay` adds one, and its dead letter six more.
 */
const mostHeaders = 99_900;

/** All messages, or as many as there is room for and how many more there are. */
function reason(rejections: readonly Rejection[]): string {
  const [first, ...more] = rejections.slice(0, 2);
  if (first === undefined || more.length === 0) return cut(first?.message ?? '');
  let text = `${rejections.length} problems: ${first.message}`;
  let shown = 1;
  for (; shown < rejections.length && text.length < maxReasonLength; shown += 1) {
    text += `; ${rejections[shown]?.message ?? ''}`;
  }
  return shown === rejections.length ? cut(text) : `${cut(text)}; and ${rejections.length - shown} more`;
}

function cut(text: string): string {
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
 * The dead letter of a record, whatever the number of its problems: so it is replayed once. Key and
 * timestamp stay, hence order per entity too; null header values become empty, for the client
 * cannot tell the two.
 */
export function deadLetter(
  topic: string,
  record: InputRecord,
  rejections: readonly [Rejection, ...Rejection[]],
): OutgoingRecord {
  const original = record.headers.map((header): RecordHeader => {
    const [name = ''] = Object.keys(header);
    // The wire allows null, although the type does not. The client returns both null and an empty
    // value as a Buffer of length 0, and writes such a Buffer as null (its memory has no address).
    // Text of length 0 is written as an empty value.
    const value: string | Buffer | null | undefined = header[name];
    return { [name]: value === null || value === undefined || value.length === 0 ? '' : value };
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
 * As much of a dead letter as fits: without its value when it must be so, and without key and
 * headers of its own when these alone are too large. A header says where the record is to be found.
 * @param maxBytes as `recordBytes` counts
 */
export function fittingDeadLetter(deadRecord: OutgoingRecord, record: InputRecord, maxBytes: number): OutgoingRecord {
  const readable = deadRecord.headers.length <= mostHeaders;
  if (readable && recordBytes(deadRecord) <= maxBytes) return deadRecord;
  const smaller = withoutValue(deadRecord, record);
  return readable && recordBytes(smaller) <= maxBytes ? smaller : contextOnly(deadRecord, record);
}

export function withoutValue(deadRecord: OutgoingRecord, record: InputRecord): OutgoingRecord {
  return { ...deadRecord, value: null, headers: [...deadRecord.headers, omitted(deadRecord, record, '')] };
}

/** Only where the record is: a dead-letter record without value, key and headers of its own. */
export function contextOnly(deadRecord: OutgoingRecord, record: InputRecord): OutgoingRecord {
  const headers = [
    ...deadRecord.headers.slice(record.headers.length),
    omitted(deadRecord, record, ', and key and headers'),
  ];
  return { ...deadRecord, key: null, value: null, headers };
}

function omitted({ topic }: OutgoingRecord, record: InputRecord, what: string): RecordHeader {
  const size = record.value?.length ?? 0;
  const where = `${record.topic}-${record.partition} at offset ${record.offset}`;
  return { 'kafnus.value.omitted': `${size} bytes${what}, too large for ${topic}: read them from ${where}` };
}
