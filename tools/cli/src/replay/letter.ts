/**
 * A dead letter: what it says about itself, and the record that it was made of. Agents and Kafka Connect write the same
 * context headers behind those of the record (SPEC 6), so the record is what stands before them. Pure.
 */
import { fiwareHeaders, isObject, tenantOf, type JsonObject } from '@kafnus/ngsi-core';

/** Marks a replayed record; its value tells how often it has been replayed. */
export const MARK = 'kafnus-replay';

const CONTEXT = '__connect.errors.';
const REJECTED = 'kafnus.rejected.';
const OMITTED = 'kafnus.value.omitted';
/** The record's own timestamp, where the dead-letter topic has refused it (SPEC 13). */
const TIMESTAMP = 'kafnus.timestamp';

/** One header, as the Kafka client delivers it. */
export type Header = Readonly<Record<string, string | Buffer>>;

/** A record of a dead-letter topic. */
export interface LetterRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since the epoch; -1: none. */
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly Header[];
}

interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

export interface Letter {
  readonly kind: 'letter';
  /** Where the letter lies. */
  readonly place: Place;
  /** Where the record was when it was refused. */
  readonly origin: Place;
  /** The code of an agent (`not-json`), or the exception's class without its package (`DataException`). */
  readonly reason: string;
  /** What an agent or a sink said about it. */
  readonly message: string;
  /** The record's service, lower-cased; `default` when it names none. Not checked. */
  readonly tenant: string;
  /** How often the record had been replayed when it was refused. */
  readonly replays: number;
  /** What stands in the place of a value that was too large for the letter (SPEC 13). */
  readonly omitted: string | undefined;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** The record's own, without context and marks. */
  readonly headers: readonly Header[];
}

/** A record that nobody can send back: it does not say where it came from. */
export interface Foreign {
  readonly kind: 'foreign';
  readonly place: Place;
  readonly problem: string;
}

/** Reads a record of a dead-letter topic; anything may be in there. */
export function readLetter(record: LetterRecord): Letter | Foreign {
  const { topic, partition, offset, timestamp, key, value } = record;
  const place = { topic, partition, offset };
  const pairs = record.headers.flatMap((header) => Object.entries(header).slice(0, 1));
  // The last context is that of this letter: a record may have brought one along, of its own or of an earlier failure.
  const start = pairs.findLastIndex(([name]) => name === `${CONTEXT}topic`);
  if (start < 0) return { kind: 'foreign', place, problem: `it has no header ${CONTEXT}topic` };
  const own: [string, string | Buffer][] = [];
  const context = new Map<string, string>();
  let mark: string | undefined;
  pairs.forEach(([name, given], index) => {
    const content: string | Buffer = given ?? '';
    if (index >= start && (name.startsWith(CONTEXT) || name === OMITTED || name === TIMESTAMP))
      context.set(name, String(content));
    else if (name === MARK) mark = String(content);
    else own.push([name, content]);
  });
  const number = (name: string): number => {
    const text = context.get(CONTEXT + name) ?? '';
    return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  };
  const origin = {
    topic: context.get(`${CONTEXT}topic`) ?? '',
    partition: number('partition'),
    offset: number('offset'),
  };
  if (origin.topic === '' || Number.isNaN(origin.partition) || Number.isNaN(origin.offset)) {
    return { kind: 'foreign', place, problem: `${CONTEXT}topic, .partition and .offset do not name a record` };
  }
  const headers = own.map(([name, content]): Header => ({ [name]: content }));
  return {
    kind: 'letter',
    place,
    origin,
    reason: reasonOf(context.get(`${CONTEXT}exception.class.name`)),
    message: context.get(`${CONTEXT}exception.message`) ?? '',
    tenant: tenantOf(fiwareHeaders(headers, messageOf(value)), { service: 'default', servicepath: '/' }).service,
    replays: mark === undefined ? 0 : replaysOf(mark),
    omitted: context.get(OMITTED),
    timestamp: Number(/^\d{1,15}$/.exec(context.get(TIMESTAMP) ?? '')?.[0] ?? timestamp),
    key,
    value,
    headers,
  };
}

/**
 * The record as it is sent back: key, value, headers and timestamp are the original's, and the mark comes last. A record
 * without any header names its tenant in the message (SPEC 2), where agents look only as long as there is no header: what
 * stands there is written as headers, so that the mark changes nothing.
 */
export function markedHeaders(letter: Letter): readonly Header[] {
  const mark = { [MARK]: String(letter.replays + 1) };
  return [...(letter.headers.length > 0 ? letter.headers : statedHeaders(letter.value)), mark];
}

function statedHeaders(value: Buffer | null): Header[] {
  const { service, servicepath, correlator, datamodel } = fiwareHeaders([], messageOf(value));
  const stated = {
    'fiware-service': service,
    'fiware-servicepath': servicepath,
    'fiware-correlator': correlator,
    'fiware-datamodel': datamodel,
  };
  return Object.entries(stated).flatMap(([name, text]) => (text === undefined ? [] : [{ [name]: text }]));
}

/** The entities that the record is about: of a notification those in `data`, of a row that of its key. */
export function entityIds({ key, value }: Pick<Letter, 'key' | 'value'>): string[] {
  const message = messageOf(value);
  const data = message?.['data'];
  const entities = Array.isArray(data) ? (data as readonly unknown[]) : [];
  const ids = entities.flatMap((entity) => (isObject(entity) ? [entity['id']] : []));
  const payload = messageOf(key)?.['payload'];
  if (isObject(payload)) ids.push(payload['entityid']);
  const found = ids.filter((id) => typeof id === 'string');
  // What is no JSON may still be keyed by its entity.
  return found.length === 0 && key !== null ? [key.toString()] : found;
}

/** The JSON object that the bytes are, if they are one. */
export function messageOf(bytes: Buffer | null): JsonObject | undefined {
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
  return exception.startsWith(REJECTED)
    ? exception.slice(REJECTED.length)
    : exception.slice(exception.lastIndexOf('.') + 1);
}

/** A mark that is no number is somebody's all the same: once, at least. */
function replaysOf(mark: string): number {
  return /^\d{1,6}$/.test(mark) ? Number(mark) : 1;
}
