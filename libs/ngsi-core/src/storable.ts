/**
 * What PostgreSQL cannot store, and the stock Debezium JDBC sink does not catch: one such value, and its task fails at every
 * restart, for all tenants of the connector. For that sink it is therefore an error of the attribute or entity (SPEC 6).
 */

/** PostgreSQL's NAMEDATALEN - 1: longer names are cut, and the sink then looks for a column that is not there. */
const LONGEST_NAME = 63;

/** Every table has them already. */
const SYSTEM_COLUMNS = new Set(['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid']);

/** NUL, and half a surrogate pair: with the u flag a surrogate matches only outside of a pair. */
const NO_TEXT = /[\0\ud800-\udfff]/u;
/** The same in the text of a JSON value, where both are written as escapes; `\\u0000` is a backslash and `u0000`. */
const NO_JSONB = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/i;

/** Why a text cannot be stored; undefined when it can. */
export function textProblem(text: string): string | undefined {
  return NO_TEXT.test(text) ? 'holds NUL or half a surrogate pair, which PostgreSQL cannot store' : undefined;
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

/** Why no table can be called `schema.table`, both of `[a-z0-9_]`; undefined when one can. */
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
