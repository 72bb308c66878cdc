/** Whether what flows fits a column that is there: what PostgreSQL does with a value of another type in an INSERT. */
import type { ExistingColumn } from './catalog.js';
import type { ColumnKind } from './connect-row.js';
import { counted } from './counted.js';
import type { Reading } from './facts.js';
import type { FindingCode, Level } from './finding.js';
import type { ColumnShape } from './shapes.js';

/** What does not fit, and the type that would; undefined where no other type of the column helps. */
export interface Misfit {
  readonly level: Level;
  readonly code: FindingCode;
  readonly message: string;
  readonly better: string | undefined;
}

/** Types by what goes into them; a type that is in none is judged by its text alone. */
const TEXTS: ReadonlySet<string> = new Set(['text', 'varchar', 'bpchar', 'citext', 'name']);
const FLOATS: ReadonlySet<string> = new Set(['float8', 'float4', 'numeric']);
const INTEGERS: Readonly<Record<string, readonly [number, number]>> = {
  int2: [-32_768, 32_767],
  int4: [-2_147_483_648, 2_147_483_647],
  int8: [-9_223_372_036_854_775_808, 9_223_372_036_854_775_807],
};
/** What a type reads text as. */
const READ_AS: Readonly<Record<string, Reading>> = {
  float8: 'number',
  float4: 'number',
  numeric: 'number',
  int2: 'integer',
  int4: 'integer',
  int8: 'integer',
  bool: 'boolean',
  timestamptz: 'instant',
  timestamp: 'instant',
  date: 'instant',
  json: 'json',
  jsonb: 'json',
  uuid: 'uuid',
};
const NAMED: Readonly<Record<ColumnKind, string>> = {
  text: 'text',
  json: 'JSON',
  instant: 'a time',
  double: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  geometry: 'a geometry',
  bytes: 'bytes',
  other: 'something else',
};

/** Everything that is wrong with the values of a column that is there, the worst of each kind. */
export function misfits(column: ColumnShape, existing: ExistingColumn): Misfit[] {
  const found: Misfit[] = [];
  for (const [kind, rows] of column.kinds) {
    const misfit = misfitOf(kind, rows, column, existing);
    if (misfit !== undefined) found.push(misfit);
  }
  return found;
}

function misfitOf(kind: ColumnKind, rows: number, column: ColumnShape, existing: ExistingColumn): Misfit | undefined {
  const { base, type } = existing;
  // Any value becomes text on assignment ("automatic I/O conversion casts").
  if (TEXTS.has(base)) return tooLong(column, existing);
  const no: Misfit = {
    level: 'error',
    code: 'type-mismatch',
    message: `${NAMED[kind]} flows (in ${counted(rows, 'row')}), and the column is ${type}`,
    better: base === 'geometry' || base === 'geography' || kind === 'geometry' ? undefined : 'text',
  };
  switch (kind) {
    case 'text':
      return textMisfit(no, column, existing);
    case 'double':
    case 'integer':
      return numberMisfit(no, column, existing);
    case 'boolean':
      return base === 'bool' ? undefined : no;
    case 'instant':
      if (base === 'timestamptz') return undefined;
      if (base === 'timestamp') {
        const message = `times with a zone flow, and ${type} keeps none: they are stored as the session of the sink sees them`;
        return { level: 'note', code: 'value-altered', message, better: 'timestamptz' };
      }
      if (base !== 'date') return no;
      return {
        level: 'warning',
        code: 'value-altered',
        message: `times flow, and ${type} keeps the day only`,
        better: 'timestamptz',
      };
    case 'json':
      if (base === 'jsonb' || base === 'json') return undefined;
      return READ_AS[base] === undefined && no.better !== undefined ? { ...no, level: 'warning' } : no;
    case 'geometry':
      if (base === 'geometry' || base === 'geography') return geometryMisfit(column, existing);
      return base === 'bytea' ? { ...no, level: 'warning', code: 'value-altered' } : no;
    case 'bytes':
      return base === 'bytea' ? undefined : no;
    case 'other':
      return undefined;
  }
}

function tooLong({ facts }: ColumnShape, { maxLength, type }: ExistingColumn): Misfit | undefined {
  if (maxLength === undefined || facts.longest <= maxLength) return undefined;
  const message = `a value of ${facts.longest} characters flows, and the column is ${type}`;
  return { level: 'error', code: 'value-too-long', message, better: 'text' };
}

function textMisfit(no: Misfit, column: ColumnShape, existing: ExistingColumn): Misfit | undefined {
  const { facts, time } = column;
  const { base, type } = existing;
  const reading = READ_AS[base];
  if (reading === undefined) return no.better === undefined ? no : { ...no, level: 'warning' };
  // Text that is no time in a time column is wrong whatever the table is like: that is said of the records.
  if (time && reading === 'instant') return undefined;
  const unread = facts.unread[reading];
  if (unread !== undefined) return { ...no, message: `text flows, such as '${unread}', and the column is ${type}` };
  // The sink casts to these by itself.
  if (reading === 'json' || reading === 'uuid') return undefined;
  const misfit = reading === 'number' || reading === 'integer' ? numberMisfit(no, column, existing) : undefined;
  if (misfit?.level === 'error') return { ...misfit, better: 'text' };
  const message = `text flows, and the column is ${type}: all that was seen can be read so, the first that cannot fails`;
  return { level: 'warning', code: 'type-mismatch', message, better: 'text' };
}

function numberMisfit(no: Misfit, { facts }: ColumnShape, { base, type, digits }: ExistingColumn): Misfit | undefined {
  const { smallest, largest, fraction } = facts;
  const better =
    fraction === undefined && base !== 'int8' && Object.hasOwn(INTEGERS, base) ? 'bigint' : 'double precision';
  const range = INTEGERS[base];
  const bound = base === 'float4' ? 3.402_823_5e38 : digits && 10 ** digits.whole;
  const [least, most] = range ?? (bound === undefined ? [-Infinity, Infinity] : [-bound, bound]);
  if (!range && !FLOATS.has(base)) return no;
  // 10^whole itself has a digit too many.
  const outside = (value: number): boolean =>
    value < least || value > most || (digits !== undefined && Math.abs(value) >= most);
  const worst = [smallest, largest].find(outside);
  if (worst !== undefined) {
    return { level: 'error', code: 'value-out-of-range', message: `${worst} flows, and the column is ${type}`, better };
  }
  if (fraction === undefined || (!range && digits?.fraction !== 0)) return undefined;
  const message = `${fraction} flows, and the column is ${type}: it is rounded without a word`;
  return { level: 'warning', code: 'value-altered', message, better: 'double precision' };
}

/** `geometry(PointZ,4326)`: what PostGIS's type modifier lets in. No modifier: everything. */
function geometryMisfit({ facts }: ColumnShape, { type, base }: ExistingColumn): Misfit | undefined {
  const modifier = /\((\w+?)(ZM|Z|M)?(?:,(\d+))?\)$/i.exec(type);
  if (!modifier) return undefined;
  const [, only = 'Geometry', dimension = '', srid] = modifier;
  const takesZ = /z/i.test(dimension);
  const mixed = facts.flat && facts.z;
  const wrongTypes = [...facts.geometries.keys()].filter((name) => {
    const plain = name.replace(/Z$/, '');
    return (
      only.toLowerCase() !== 'geometry' && plain.toLowerCase() !== only.toLowerCase() && !isCollectionOf(only, plain)
    );
  });
  const problems: string[] = [];
  if (wrongTypes.length > 0)
    problems.push(
      wrongTypes.map((name) => `${name} (in ${counted(facts.geometries.get(name) ?? 0, 'row')})`).join(', '),
    );
  if (facts.z && !takesZ) problems.push('geometries with an altitude (Z)');
  if (facts.flat && takesZ) problems.push('geometries without an altitude (Z)');
  const otherSrids = srid === undefined || srid === '0' ? [] : [...facts.srids].filter((each) => String(each) !== srid);
  if (otherSrids.length > 0) problems.push(`SRID ${otherSrids.join(', ')}`);
  if (problems.length === 0) return undefined;
  const room =
    mixed || otherSrids.length > 0 || facts.z !== takesZ
      ? base
      : `${base}(Geometry${dimension.toUpperCase()},${srid ?? 0})`;
  return {
    level: 'error',
    code: 'geometry-mismatch',
    message: `${problems.join('; ')}: the column is ${type}, and PostGIS refuses them`,
    better: room,
  };
}

/** PostGIS takes every MULTI... for a GEOMETRYCOLLECTION column (postgis_valid_typmod). */
function isCollectionOf(column: string, type: string): boolean {
  return column.toLowerCase() === 'geometrycollection' && type.startsWith('Multi');
}
