/**
 * Parses a record of an output topic: its table, its key, and the types and values of its columns
 * (SPEC 3).
 */
import type { RecordHeader } from '@kafnus/agent-runtime';
import { messageOf } from '@kafnus/kafka-admin';
import { isObject } from '@kafnus/ngsi-core';
import { excerpt, quoted } from '../terminal/text.js';
import type { TableName } from './sql-names.js';

/** A record as a sink reads it. */
export interface SinkRecord {
  readonly topic: string;
  readonly key: Buffer | string | null;
  /** null: a tombstone. */
  readonly value: Buffer | string | null;
  readonly headers: readonly RecordHeader[];
}

/** The meaning of a field's Connect type for a database. No column can store `other`. */
export type ColumnKind =
  'text' | 'json' | 'instant' | 'double' | 'integer' | 'boolean' | 'geometry' | 'bytes' | 'other';

/** One field of a key or a value. */
export interface Field {
  readonly name: string;
  readonly kind: ColumnKind;
  /** The Connect type with its logical name, for messages. */
  readonly type: string;
  readonly value: unknown;
}

export interface Row {
  readonly kind: 'row';
  readonly table: TableName;
  /** The header fiware-service; empty when the record has none. */
  readonly service: string;
  /** null: the record has no key. */
  readonly key: readonly Field[] | null;
  /** null: a tombstone. */
  readonly columns: readonly Field[] | null;
}

/** A record that no sink can write. */
export interface UnusableRecord {
  readonly kind: 'unrouted' | 'invalid';
  readonly message: string;
}

const maxShown = 80;

export function readRow(record: SinkRecord): Row | UnusableRecord {
  const target = header(record, 'target_table');
  if (target === undefined) return { kind: 'unrouted', message: 'it has no header target_table' };
  const table = tableOf(target);
  if (table === undefined) {
    return { kind: 'unrouted', message: `its header target_table is ${quoted(target)}, not schema.table` };
  }
  try {
    return {
      kind: 'row',
      table,
      service: header(record, 'fiware-service') ?? '',
      key: record.key === null ? null : fieldsOf(record.key, 'key'),
      columns: record.value === null ? null : fieldsOf(record.value, 'value'),
    };
  } catch (error) {
    return { kind: 'invalid', message: excerpt(messageOf(error), maxShown * 2) };
  }
}

/** The last header of the name, as Kafka Connect's `lastWithName`. */
function header({ headers }: SinkRecord, name: string): string | undefined {
  let found: string | undefined;
  for (const each of headers) if (Object.hasOwn(each, name)) found = each[name]?.toString();
  return found;
}

function tableOf(target: string): TableName | undefined {
  const [schema, name, ...more] = target.split('.');
  return schema !== undefined && schema !== '' && name !== undefined && name !== '' && more.length === 0
    ? { schema, name }
    : undefined;
}

/** @throws Error when the text is not a struct in Connect JSON */
function fieldsOf(bytes: Buffer | string, what: string): Field[] {
  const text = bytes.toString();
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new Error(`its ${what} is not JSON: ${excerpt(text, maxShown)}`);
  }
  const { schema, payload } = isObject(document) ? document : {};
  if (!isObject(schema) || schema['type'] !== 'struct' || !Array.isArray(schema['fields']) || !isObject(payload)) {
    throw new Error(`its ${what} is not a struct with schema and payload: ${excerpt(text, maxShown)}`);
  }
  return schema['fields'].map((each: unknown): Field => {
    const field = isObject(each) ? each : {};
    const { field: name, type, name: logical } = field;
    if (typeof name !== 'string' || typeof type !== 'string')
      throw new Error(`its ${what} has a field without name or type`);
    return {
      name,
      kind: kindOf(type, typeof logical === 'string' ? logical : ''),
      type: typeof logical === 'string' ? `${type} ${logical}` : type,
      value: Object.hasOwn(payload, name) ? (payload[name] ?? null) : null,
    };
  });
}

/** The types of SPEC 3 in both record formats, and the primitive types of Kafka Connect. */
function kindOf(type: string, logical: string): ColumnKind {
  switch (logical) {
    case '':
      break;
    case 'org.apache.kafka.connect.data.Timestamp':
      return type === 'int64' ? 'instant' : 'other';
    case 'io.debezium.time.ZonedTimestamp':
      return type === 'string' ? 'instant' : 'other';
    case 'io.debezium.data.Json':
      return type === 'string' ? 'json' : 'other';
    case 'io.debezium.data.geometry.Geometry':
    case 'io.confluent.connect.jdbc.data.geometry.Geometry':
      return type === 'struct' ? 'geometry' : 'other';
    default:
      return 'other';
  }
  switch (type) {
    case 'string':
      return 'text';
    case 'double':
    case 'float':
      return 'double';
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
      return 'integer';
    case 'boolean':
      return 'boolean';
    case 'bytes':
      return 'bytes';
    default:
      return 'other';
  }
}
