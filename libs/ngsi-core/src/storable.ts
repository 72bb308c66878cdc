/**
 * What PostgreSQL cannot store, and the stock Debezium JDBC sink does not catch: one such value, and its task fails at every
 * restart, for all tenants of the connector. For that sink it is therefore an error of the attribute or entity (SPEC 6).
 */

/** PostgreSQL's NAMEDATALEN - 1, in bytes: longer names are cut, and the sink then looks for a column that is not there. */
export const LONGEST_NAME = 63;

/** Of a text in an index: an entry of a B-tree takes 2704 bytes, and the key of historic has a date besides. */
const LONGEST_KEY = 2600;

/** PostgreSQL's MaxHeapAttributeNumber: so many columns a table may have. */
const MOST_COLUMNS = 1600;
/** What an entity may have beside the base columns: entityid, entitytype, fiwareservicepath, timeinstant and recvtime. */
export const MOST_ATTRIBUTES = MOST_COLUMNS - 5;
/** Where timestamptz begins, 24 November 4714 BC in the Gregorian calendar: day 0 of the Julian days. */
const FIRST_MILLIS = Date.parse('-004713-11-24T00:00:00Z');

/** PostgreSQL's own columns, which every table has already. */
export const SYSTEM_COLUMNS: ReadonlySet<string> = new Set(['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid']);

/** NUL, and half a surrogate pair: with the u flag a surrogate matches only outside of a pair. */
const NO_TEXT = /[\0\ud800-\udfff]/u;
/** The same in the text of a JSON value, where both are written as escapes; `\\u0000` is a backslash and `u0000`. */
const NO_JSONB = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/i;

/** Why a text cannot be stored; undefined when it can. */
export function textProblem(text: string): string | undefined {
  return NO_TEXT.test(text) ? 'holds NUL or half a surrogate pair, which PostgreSQL cannot store' : undefined;
}

/** Why a text is too long for an index, of which a primary key is one; undefined when it is not. */
export function keyProblem(text: string): string | undefined {
  // A UTF-16 unit takes three bytes at most.
  if (text.length * 3 <= LONGEST_KEY) return undefined;
  const bytes = Buffer.byteLength(text);
  return bytes > LONGEST_KEY ? `has ${bytes} bytes, and PostgreSQL's indexes take ${LONGEST_KEY} of it` : undefined;
}

/** Whether a date, in milliseconds since the epoch, is one of timestamptz. Its end is beyond that of a JavaScript date. */
export function isStorableDate(millis: number): boolean {
  return millis >= FIRST_MILLIS;
}

/** Why the JSON text of a value cannot be stored as jsonb; undefined when it can. */
export function jsonProblem(json: string): string | undefined {
  return json.includes('\\u') && NO_JSONB.test(json)
    ? 'holds NUL or half a surrogate pair, which PostgreSQL cannot store'
    : undefined;
}

/** Why a column cannot have this name; undefined when it can. The sink writes names between quotes as they are. */
export function columnNameProblem(name: string): string | undefined {
  if (name === '') return 'is empty, which no column may be called';
  if (name.includes('"')) return 'holds a double quote, which the sink would take for the end of the name';
  if (SYSTEM_COLUMNS.has(name)) return 'is that of a system column of PostgreSQL';
  return textProblem(name) ?? lengthProblem(name);
}

/** Why no table can be called `schema.table`, both of `[a-z0-9_]`; undefined when there can be one. */
export function tableNameProblem(name: string): string | undefined {
  if (name.startsWith('pg_')) return 'is in a schema that begins with pg_, which PostgreSQL keeps for itself';
  if (name.length <= LONGEST_NAME) return undefined;
  const [schema = '', table = ''] = name.split('.');
  const problem = lengthProblem(schema) ?? lengthProblem(table);
  return problem && `is not to be had: a part of it ${problem}`;
}

function lengthProblem(name: string): string | undefined {
  // A UTF-16 unit takes three bytes at most.
  if (name.length * 3 <= LONGEST_NAME) return undefined;
  const bytes = Buffer.byteLength(name);
  return bytes > LONGEST_NAME ? `has ${bytes} bytes, and PostgreSQL's names have at most ${LONGEST_NAME}` : undefined;
}
