/**
 * Whether an existing column can store the values of the records: what PostgreSQL does in an
 * INSERT.
 */
import { type FindingLevel } from '@kafnus/kafka-admin';
import type { ExistingColumn } from './database-catalog.js';
import type { ColumnKind } from './connect-row.js';
import { counted } from '../terminal/text.js';
import type { Reading } from './column-statistics.js';
import type { TableFindingCode } from './table-finding.js';
import type { ColumnShape } from './table-shapes.js';

/** A kind of value that the column cannot store, or stores with a change. */
export interface ColumnMismatch {
  readonly level: FindingLevel;
  readonly code: TableFindingCode;
  readonly message: string;
  /** The type that can store it; undefined when no other type of the column helps. */
  readonly better: string | undefined;
}

const textTypes: ReadonlySet<string> = new Set(['text', 'varchar', 'bpchar', 'citext', 'name']);
const floatTypes: ReadonlySet<string> = new Set(['float8', 'float4', 'numeric']);
const integerRanges: Readonly<Record<string, readonly [number, number]>> = {
  int2: [-32_768, 32_767],
  int4: [-2_147_483_648, 2_147_483_647],
  int8: [-9_223_372_036_854_775_808, 9_223_372_036_854_775_807],
};
/** The kind of text that a type accepts. */
const readAs: Readonly<Record<string, Reading>> = {
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
const kindNames: Readonly<Record<ColumnKind, string>> = {
  text: 'text',
  json: 'JSON',
  instant: 'a time',
  double: 'a number',
  integer: 'an integer',
  boolean: 'a boolean',
  geometry: 'a geometry',
  bytes: 'bytes',
  other: 'another type',
};

/** At most one mismatch for each kind of value. */
export function columnMismatches(column: ColumnShape, existing: ExistingColumn): ColumnMismatch[] {
  const found: ColumnMismatch[] = [];
  for (const [kind, rows] of column.kinds) {
    const mismatch = mismatchOf(kind, rows, column, existing);
    if (mismatch !== undefined) found.push(mismatch);
  }
  return found;
}

function mismatchOf(
  kind: ColumnKind,
  rows: number,
  column: ColumnShape,
  existing: ExistingColumn,
): ColumnMismatch | undefined {
  const { base, type } = existing;
  // PostgreSQL casts any value to text on assignment ("automatic I/O conversion casts").
  if (textTypes.has(base)) return tooLong(column, existing);
  const mismatched: ColumnMismatch = {
    level: 'error',
    code: 'type-mismatch',
    message: `${counted(rows, 'row')} have ${kindNames[kind]}, and the column is ${type}`,
    better: base === 'geometry' || base === 'geography' || kind === 'geometry' ? undefined : 'text',
  };
  switch (kind) {
    case 'text':
      return textMismatch(mismatched, column, existing);
    case 'double':
    case 'integer':
      return numberMismatch(mismatched, column, existing);
    case 'boolean':
      return base === 'bool' ? undefined : mismatched;
    case 'instant':
      if (base === 'timestamptz') return undefined;
      if (base === 'timestamp') {
        const message = `the values are times with a zone, and ${type} has none: they are stored in the time zone of the sink's session`;
        return { level: 'note', code: 'value-altered', message, better: 'timestamptz' };
      }
      if (base !== 'date') return mismatched;
      return {
        level: 'warning',
        code: 'value-altered',
        message: `the values are times, and ${type} stores the day only`,
        better: 'timestamptz',
      };
    case 'json':
      if (base === 'jsonb' || base === 'json') return undefined;
      return readAs[base] === undefined && mismatched.better !== undefined
        ? { ...mismatched, level: 'warning' }
        : mismatched;
    case 'geometry':
      if (base === 'geometry' || base === 'geography') return geometryMismatch(column, existing);
      return base === 'bytea' ? { ...mismatched, level: 'warning', code: 'value-altered' } : mismatched;
    case 'bytes':
      return base === 'bytea' ? undefined : mismatched;
    case 'other':
      return undefined;
  }
}

function tooLong({ statistics }: ColumnShape, { maxLength, type }: ExistingColumn): ColumnMismatch | undefined {
  if (maxLength === undefined || statistics.longest <= maxLength) return undefined;
  const message = `a value has ${statistics.longest} characters, and the column is ${type}`;
  return { level: 'error', code: 'value-too-long', message, better: 'text' };
}

function textMismatch(
  mismatched: ColumnMismatch,
  column: ColumnShape,
  existing: ExistingColumn,
): ColumnMismatch | undefined {
  const { statistics, time } = column;
  const { base, type } = existing;
  const reading = readAs[base];
  if (reading === undefined) return mismatched.better === undefined ? mismatched : { ...mismatched, level: 'warning' };
  // Text that is no time in a time column is wrong in any table: shape-findings.ts reports it.
  if (time && reading === 'instant') return undefined;
  const unread = statistics.unread[reading];
  if (unread !== undefined)
    return { ...mismatched, message: `there are texts such as '${unread}', and the column is ${type}` };
  // The sink casts text to these types.
  if (reading === 'json' || reading === 'uuid') return undefined;
  const mismatch =
    reading === 'number' || reading === 'integer' ? numberMismatch(mismatched, column, existing) : undefined;
  if (mismatch?.level === 'error') return { ...mismatch, better: 'text' };
  const message = `the values are texts, and the column is ${type}: all of them can be cast, and the first one that cannot will fail`;
  return { level: 'warning', code: 'type-mismatch', message, better: 'text' };
}

function numberMismatch(
  mismatched: ColumnMismatch,
  { statistics }: ColumnShape,
  { base, type, digits }: ExistingColumn,
): ColumnMismatch | undefined {
  const { smallest, largest, fraction } = statistics;
  const better =
    fraction === undefined && base !== 'int8' && Object.hasOwn(integerRanges, base) ? 'bigint' : 'double precision';
  const range = integerRanges[base];
  const bound = base === 'float4' ? 3.402_823_5e38 : digits && 10 ** digits.whole;
  const [least, most] = range ?? (bound === undefined ? [-Infinity, Infinity] : [-bound, bound]);
  if (!range && !floatTypes.has(base)) return mismatched;
  // 10^whole itself has one digit too many.
  const outside = (value: number): boolean =>
    value < least || value > most || (digits !== undefined && Math.abs(value) >= most);
  const worst = [smallest, largest].find(outside);
  if (worst !== undefined) {
    return {
      level: 'error',
      code: 'value-out-of-range',
      message: `there is a value ${worst}, and the column is ${type}`,
      better,
    };
  }
  if (fraction === undefined || (!range && digits?.fraction !== 0)) return undefined;
  const message = `there is a value ${fraction}, and the column is ${type}: PostgreSQL rounds it silently`;
  return { level: 'warning', code: 'value-altered', message, better: 'double precision' };
}

/**
 * Compares with the type modifier, such as `geometry(PointZ,4326)`. A column without one accepts
 * every geometry.
 */
function geometryMismatch({ statistics }: ColumnShape, { type, base }: ExistingColumn): ColumnMismatch | undefined {
  const modifier = /\((\w+?)(ZM|Z|M)?(?:,(\d+))?\)$/i.exec(type);
  if (!modifier) return undefined;
  const [, only = 'Geometry', dimension = '', srid] = modifier;
  const takesZ = /z/i.test(dimension);
  const mixed = statistics.flat && statistics.z;
  const wrongTypes = [...statistics.geometries.keys()].filter((name) => {
    const plain = name.replace(/Z$/, '');
    return (
      only.toLowerCase() !== 'geometry' && plain.toLowerCase() !== only.toLowerCase() && !isCollectionOf(only, plain)
    );
  });
  const problems: string[] = [];
  if (wrongTypes.length > 0)
    problems.push(
      wrongTypes.map((name) => `${name} (in ${counted(statistics.geometries.get(name) ?? 0, 'row')})`).join(', '),
    );
  if (statistics.z && !takesZ) problems.push('geometries with an altitude (Z)');
  if (statistics.flat && takesZ) problems.push('geometries without an altitude (Z)');
  const otherSrids =
    srid === undefined || srid === '0' ? [] : [...statistics.srids].filter((each) => String(each) !== srid);
  if (otherSrids.length > 0) problems.push(`SRID ${otherSrids.join(', ')}`);
  if (problems.length === 0) return undefined;
  const room =
    mixed || otherSrids.length > 0 || statistics.z !== takesZ
      ? base
      : `${base}(Geometry${dimension.toUpperCase()},${srid ?? 0})`;
  return {
    level: 'error',
    code: 'geometry-mismatch',
    message: `${problems.join('; ')}: the column is ${type}, and PostGIS refuses them`,
    better: room,
  };
}

/** PostGIS accepts every MULTI... in a GEOMETRYCOLLECTION column (postgis_valid_typmod). */
function isCollectionOf(column: string, type: string): boolean {
  return column.toLowerCase() === 'geometrycollection' && type.startsWith('Multi');
}
