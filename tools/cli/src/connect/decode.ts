/** Decodes Kafka Connect JSON (schema and payload) to columns with readable values. */
import { isObject } from '@kafnus/ngsi-core';
import { wktOf } from './wkt.js';

/** One field of a struct. */
export interface DecodedColumn {
  readonly name: string;
  /**
   * The type, with the last part of its logical name: `double`, `int64 Timestamp`, `struct
   * Geometry`, ...
   */
  readonly type: string;
  readonly optional: boolean;
  /** A Timestamp in ISO 8601, a Geometry as WKT, any other value as in the payload. */
  readonly value: unknown;
}

/**
 * @throws Error when the text is not a struct in Connect JSON, or when schema and payload differ
 */
export function decodeStruct(json: string): DecodedColumn[] {
  const { schema, payload } = asObject(JSON.parse(json), 'the record');
  const { type, fields } = asObject(schema, 'its schema');
  const values = asObject(payload, 'its payload');
  if (type !== 'struct' || !Array.isArray(fields)) throw new Error(`a ${String(type)} instead of a struct`);
  const columns = fields.map((each: unknown): DecodedColumn => {
    const field = asObject(each, 'a field');
    const name = textOf(field['field'], 'the name of a field');
    if (!Object.hasOwn(values, name)) throw new Error(`the payload has no ${name}`);
    return { name, type: typeLabel(field), optional: field['optional'] === true, value: decoded(field, values[name]) };
  });
  const surplus = Object.keys(values).find((name) => !columns.some((column) => column.name === name));
  if (surplus !== undefined) throw new Error(`the schema has no ${surplus}`);
  return columns;
}

function typeLabel(field: Readonly<Record<string, unknown>>): string {
  const type = textOf(field['type'], 'the type of a field');
  const name = field['name'];
  return typeof name === 'string' ? `${type} ${name.slice(name.lastIndexOf('.') + 1)}` : type;
}

function decoded(field: Readonly<Record<string, unknown>>, value: unknown): unknown {
  if (value === null) return null;
  const name = typeof field['name'] === 'string' ? field['name'] : '';
  if (name === 'org.apache.kafka.connect.data.Timestamp' && typeof value === 'number')
    return new Date(value).toISOString();
  if (name.endsWith('.Geometry')) {
    const { wkb, srid } = asObject(value, 'a geometry');
    return `${wktOf(Buffer.from(textOf(wkb, 'wkb'), 'base64'))} srid=${String(srid)}`;
  }
  return value;
}

function asObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (isObject(value)) return value;
  throw new Error(`${what} is not a JSON object`);
}

function textOf(value: unknown, what: string): string {
  if (typeof value === 'string') return value;
  throw new Error(`${what} is not a string`);
}
