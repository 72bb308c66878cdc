/**
 * Finds values that PostgreSQL cannot store. The stock Debezium JDBC sink does not handle them: its
 * task fails at every restart, for all tenants of the connector. For that sink such a value is
 * therefore an error of the attribute or entity (SPEC 6).
 */

/** PostgreSQL's NAMEDATALEN - 1: it cuts longer names, and the sink does not find the column. */
export const maxNameBytes = 63;

/** The longest text in an index: a B-tree entry takes 2704 bytes, and historic adds a date. */
const maxKeyBytes = 2600;

/** PostgreSQL's MaxHeapAttributeNumber: the largest number of columns of a table. */
const maxColumns = 1600;
/** Without entityid, entitytype, fiwareservicepath, timeinstant and recvtime. */
export const maxAttributes = maxColumns - 5;
/** The first date of timestamptz: 24 November 4714 BC, day 0 of the Julian days. */
const firstDateMs = Date.parse('-004713-11-24T00:00:00Z');

/** PostgreSQL's system columns, which every table has. */
export const systemColumns: ReadonlySet<string> = new Set(['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid']);

/** NUL, and half a surrogate pair: with the u flag a surrogate matches only outside of a pair. */
const unstorableText = /[\0\ud800-\udfff]/u;
/** The same in JSON text, where both are escapes; `\\u0000` is a backslash and `u0000`. */
const unstorableJson = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/i;

/** Why a text cannot be stored; undefined when it can. */
export function textProblem(text: string): string | undefined {
  return unstorableText.test(text) ? 'holds NUL or half a surrogate pair, which PostgreSQL cannot store' : undefined;
}

/** Why a text is too long for an index, such as that of a primary key; undefined when it is not. */
export function keyProblem(text: string): string | undefined {
  // A UTF-16 unit takes at most three bytes.
  if (text.length * 3 <= maxKeyBytes) return undefined;
  const bytes = Buffer.byteLength(text);
  return bytes > maxKeyBytes ? `has ${bytes} bytes, and PostgreSQL's indexes take ${maxKeyBytes} of it` : undefined;
}

/** Whether timestamptz has a date, in milliseconds. It ends after the last JavaScript date. */
export function isStorableDate(millis: number): boolean {
  return millis >= firstDateMs;
}

/** Why the JSON text of a value cannot be stored as jsonb; undefined when it can. */
export function jsonProblem(json: string): string | undefined {
  return json.includes('\\u') && unstorableJson.test(json)
    ? 'holds NUL or half a surrogate pair, which PostgreSQL cannot store'
    : undefined;
}

/** Why a column cannot have this name; undefined when it can. The sink quotes names unescaped. */
export function columnNameProblem(name: string): string | undefined {
  if (name === '') return 'is empty';
  if (name.includes('"')) return 'holds a double quote, which the sink would take for the end of the name';
  if (systemColumns.has(name)) return 'is that of a system column of PostgreSQL';
  return textProblem(name) ?? lengthProblem(name);
}

/** Why no table can be called `schema.table`, both of `[a-z0-9_]`; undefined when one can. */
export function tableNameProblem(name: string): string | undefined {
  if (name.startsWith('pg_')) return 'is in a schema that begins with pg_, which PostgreSQL keeps for itself';
  if (name.length <= maxNameBytes) return undefined;
  const [schema = '', table = ''] = name.split('.');
  const problem = lengthProblem(schema) ?? lengthProblem(table);
  return problem && `cannot exist: a part of its name ${problem}`;
}

function lengthProblem(name: string): string | undefined {
  // A UTF-16 unit takes three bytes at most.
  if (name.length * 3 <= maxNameBytes) return undefined;
  const bytes = Buffer.byteLength(name);
  return bytes > maxNameBytes ? `has ${bytes} bytes, and PostgreSQL's names have at most ${maxNameBytes}` : undefined;
}
