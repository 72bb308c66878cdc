/** Makes the `query` of a log record: the failed statement, or an equivalent one (SPEC 7). */
import { jsonText } from './attribute.js';
import { isObject, type JsonObject } from './notification.js';
import { maxMaskedLength, maskCredentials } from './sink-failure-mask.js';
import { type InsertStatement, mapLiterals, sqlIdentifier, sqlString } from './sink-failure-sql.js';
import type { TableName } from './sink-failure-table.js';

/**
 * The statement with masked credentials, or the value itself when it is not a Connect record of a
 * known table; undefined for a record without a value.
 * @param message the text that contains the statement
 * @param value the record that the sink could not write
 * @param tableOf the table of a row, if it is known
 */
export function failedQuery(
  message: string,
  insert: InsertStatement | undefined,
  value: Buffer | null,
  tableOf: (payload: JsonObject) => TableName | undefined,
): string | undefined {
  const quoted = insert && mapLiterals(message.slice(insert.start, insert.end), maskCredentials);
  if (quoted !== undefined && !insert?.parameterised) return quoted;
  if (value === null || value.length === 0) return quoted;
  const text = value.toString('utf8');
  const json = parseJson(text);
  if (json === undefined) return quoted ?? maskCredentials(JSON.stringify(text));
  return rebuiltInsert(json.value, tableOf) ?? quoted ?? maskCredentials(onOneLine(text));
}

/** An INSERT of the payload of a Connect record; undefined for any other value. */
function rebuiltInsert(value: unknown, tableOf: (payload: JsonObject) => TableName | undefined): string | undefined {
  const payload = member(value, 'payload');
  if (!isObject(payload)) return undefined;
  const entries = Object.entries(payload);
  const table = tableOf(payload);
  if (entries.length === 0 || table === undefined) return undefined;
  const timestamps = timestampFields(member(value, 'schema'));
  const target = `${sqlIdentifier(table.schema)}.${sqlIdentifier(table.table)}`;
  let sql = `INSERT INTO ${target} (`;
  let separator = '';
  for (const [name] of entries) {
    sql += separator + sqlIdentifier(name);
    separator = ',';
    if (sql.length > maxMaskedLength) return sql;
  }
  sql += ') VALUES (';
  separator = '';
  for (const [name, field] of entries) {
    const literal = sqlLiteral(field, timestamps.has(name));
    if (literal === undefined) return undefined;
    sql += separator + literal;
    separator = ',';
    // The rest would not be stored.
    if (sql.length > maxMaskedLength) return sql;
  }
  return `${sql})`;
}

/** One value of a payload as SQL; undefined when it cannot be written. */
function sqlLiteral(value: unknown, isTimestamp: boolean): string | undefined {
  if (value === null || value === undefined) return 'NULL';
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    if (isTimestamp && Math.abs(value) <= maxDateMs) return sqlString(new Date(value).toISOString());
    // JSON allows 1e999; SQL has infinity only as text.
    return Number.isFinite(value) ? String(value) : sqlString(String(value));
  }
  if (typeof value === 'string') return sqlString(maskCredentials(value));
  const geometry = geometryLiteral(value);
  if (geometry !== undefined) return geometry;
  const text = jsonText(value);
  return text === undefined ? undefined : sqlString(maskCredentials(text));
}

const maxDateMs = 8.64e15;

/** The struct Geometry of SPEC 3, as PostGIS reads it. */
function geometryLiteral(value: unknown): string | undefined {
  const wkb = member(value, 'wkb');
  const srid = member(value, 'srid');
  if (typeof wkb !== 'string' || !Number.isInteger(srid) || !/^[A-Za-z0-9+/]+={0,2}$/.test(wkb)) return undefined;
  return `ST_GeomFromWKB(decode('${wkb}','base64'),${String(srid)})`;
}

/** The fields in milliseconds whose columns are timestamps. */
function timestampFields(schema: unknown): ReadonlySet<string> {
  const names = new Set<string>();
  const fields = member(schema, 'fields');
  if (!Array.isArray(fields)) return names;
  for (const field of fields as unknown[]) {
    const name = member(field, 'field');
    if (typeof name === 'string' && member(field, 'name') === 'org.apache.kafka.connect.data.Timestamp')
      names.add(name);
  }
  return names;
}

function member(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

function parseJson(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

/** JSON as received, on one line: its strings contain no line breaks. */
function onOneLine(json: string): string {
  return json.trim().replace(/[\t\r\n]+/g, ' ');
}
