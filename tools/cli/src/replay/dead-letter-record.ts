/**
 * Parses the records of a dead-letter topic. Agents and Kafka Connect append the same context
 * headers to those of the original record (SPEC 6), so the headers before the context are the
 * original's. Pure.
 */
import { asRecordHeaders, fiwareHeaders, isObject, rekeyHeader, tenantOf, type JsonObject } from '@kafnus/ngsi-core';

/** The header of a replayed record. Its value is the number of replays. */
export const replayHeader = 'kafnus-replay';

const contextPrefix = '__connect.errors.';
const rejectedPrefix = 'kafnus.rejected.';
const omittedHeader = 'kafnus.value.omitted';
/** The timestamp of the original record, when the dead-letter topic refused it (SPEC 13). */
const timestampHeader = 'kafnus.timestamp';
const contextHeaders: readonly string[] = [omittedHeader, timestampHeader];

/** One header, in the form of the Kafka client. */
export type Header = Readonly<Record<string, string | Buffer>>;

/** A record as it is read from a dead-letter topic. */
export interface ConsumedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since the epoch; -1: the record has none. */
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly Header[];
}

interface RecordPosition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

export interface DeadLetterRecord {
  readonly kind: 'dead-letter';
  /** Of the dead-letter record. */
  readonly position: RecordPosition;
  /** Of the original record. */
  readonly origin: RecordPosition;
  /**
   * The code of an agent (`not-json`), or the exception's class without its package
   * (`DataException`).
   */
  readonly reason: string;
  /** The error message of the agent or the sink. */
  readonly message: string;
  /**
   * The fiware-service of the original record, in lower case and not validated; `default` when it
   * has none.
   */
  readonly tenant: string;
  /** How often the original record had been replayed when it was refused. */
  readonly replays: number;
  /** The header that replaces a value which was too large for the dead-letter topic (SPEC 13). */
  readonly omitted: string | undefined;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Those of the original record, without the context and without {@link replayHeader}. */
  readonly headers: readonly Header[];
}

/** A record without usable context headers: its origin is unknown, so it cannot be sent back. */
export interface UnrecognizedRecord {
  readonly kind: 'unrecognized';
  readonly position: RecordPosition;
  readonly problem: string;
}

/** Anything may have been written to the topic: it never throws. */
export function parseDeadLetterRecord(record: ConsumedRecord): DeadLetterRecord | UnrecognizedRecord {
  const { topic, partition, offset, timestamp, key, value } = record;
  const position = { topic, partition, offset };
  const pairs = record.headers.flatMap((header) => Object.entries(header).slice(0, 1));
  // The original record may have context headers too, of an earlier failure or forged. The last
  // context is the one that was appended when the record was refused.
  const start = pairs.findLastIndex(([name]) => name === `${contextPrefix}topic`);
  if (start < 0) return { kind: 'unrecognized', position, problem: `it has no header ${contextPrefix}topic` };
  const own: [string, string | Buffer][] = [];
  const context = new Map<string, string>();
  let replays: string | undefined;
  pairs.forEach(([name, given], index) => {
    const content: string | Buffer = given ?? '';
    if (index >= start && (name.startsWith(contextPrefix) || contextHeaders.includes(name)))
      context.set(name, String(content));
    else if (name === replayHeader) replays = String(content);
    else own.push([name, content]);
  });
  const number = (name: string): number => {
    const text = context.get(contextPrefix + name) ?? '';
    return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  };
  const origin = {
    topic: context.get(`${contextPrefix}topic`) ?? '',
    partition: number('partition'),
    offset: number('offset'),
  };
  if (origin.topic === '' || Number.isNaN(origin.partition) || Number.isNaN(origin.offset)) {
    return {
      kind: 'unrecognized',
      position,
      problem: `${contextPrefix}topic, .partition and .offset do not name a record`,
    };
  }
  // A replayed record is a new one for the agents, which re-key it again where need be.
  const headers = own.filter(([name]) => name !== rekeyHeader).map(([name, content]): Header => ({ [name]: content }));
  return {
    kind: 'dead-letter',
    position,
    origin,
    reason: reasonOf(context.get(`${contextPrefix}exception.class.name`)),
    message: context.get(`${contextPrefix}exception.message`) ?? '',
    tenant: tenantOf(fiwareHeaders(headers, jsonObjectOf(value)), { service: 'default', servicepath: '/' }).service,
    replays: replays === undefined ? 0 : replayCount(replays),
    omitted: context.get(omittedHeader),
    timestamp: Number(/^\d{1,15}$/.exec(context.get(timestampHeader) ?? '')?.[0] ?? timestamp),
    key,
    value,
    headers,
  };
}

/**
 * The headers of the replayed record: those of the original, and {@link replayHeader} as the last
 * one. Agents look for tenant and correlator in the message only when a record has no header at all
 * (SPEC 2). When the original has none, what its message names is therefore written as headers.
 */
export function replayHeaders({ headers, value, replays }: DeadLetterRecord): readonly Header[] {
  return [...(headers.length > 0 ? headers : headersFromMessage(value)), { [replayHeader]: String(replays + 1) }];
}

function headersFromMessage(value: Buffer | null): readonly Header[] {
  return asRecordHeaders(fiwareHeaders([], jsonObjectOf(value)));
}

/** The entity ids of a notification (in `data`), or of a row (in its key); else the key itself. */
export function entityIds({ key, value }: Pick<DeadLetterRecord, 'key' | 'value'>): string[] {
  const message = jsonObjectOf(value);
  const data = message?.['data'];
  const entities = Array.isArray(data) ? (data as readonly unknown[]) : [];
  const ids = entities.flatMap((entity) => (isObject(entity) ? [entity['id']] : []));
  const payload = jsonObjectOf(key)?.['payload'];
  if (isObject(payload)) ids.push(payload['entityid']);
  const found = ids.filter((id) => typeof id === 'string');
  // Orion keys a notification by its entity id, also when the value is not JSON.
  return found.length === 0 && key !== null ? [key.toString()] : found;
}

/** The bytes parsed as a JSON object; undefined when they are none. */
export function jsonObjectOf(bytes: Buffer | null): JsonObject | undefined {
  if (bytes === null) return undefined;
  try {
    const parsed: unknown = JSON.parse(bytes.toString());
    return isObject(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function reasonOf(exception: string | undefined): string {
  if (exception === undefined || exception === '') return '(none)';
  return exception.startsWith(rejectedPrefix)
    ? exception.slice(rejectedPrefix.length)
    : exception.slice(exception.lastIndexOf('.') + 1);
}

/** A header that is not a number counts as one replay: somebody else wrote it. */
function replayCount(text: string): number {
  return /^\d{1,6}$/.test(text) ? Number(text) : 1;
}
