/** The PostgreSQL type of a column, from its values in the records. */
import type { ColumnKind } from './connect-row.js';
import { quoteIdentifier } from './sql-names.js';
import type { ColumnShape } from './table-shapes.js';

/** The type that a column should have. */
export interface WantedType {
  readonly kind: ColumnKind;
  /** Empty for kind `other`, which has no type. */
  readonly sql: string;
  /** The expression of a CHECK constraint. */
  readonly check?: string;
  /** The kinds of its values, when only text can store all of them. */
  readonly conflict?: readonly ColumnKind[];
}

export interface TypeOptions {
  /** Gives geometry columns the type and dimension that were seen, instead of any. */
  readonly strictGeometry: boolean;
  /** The prefix of types and functions of PostGIS: empty, or a quoted schema and a dot. */
  readonly postgis: string;
}

const sqlTypes: Readonly<Record<Exclude<ColumnKind, 'geometry' | 'other'>, string>> = {
  text: 'text',
  json: 'jsonb',
  instant: 'timestamptz',
  double: 'double precision',
  integer: 'bigint',
  boolean: 'boolean',
  bytes: 'bytea',
};

/** The kind that can store all values of a column, with the kinds that conflict. */
export function mergedKind({ time, kinds, nullKinds }: ColumnShape): {
  readonly kind: ColumnKind;
  readonly conflict?: readonly ColumnKind[];
} {
  // A null has the declared type of its attribute, or text (SPEC 3). The kinds of values are more
  // reliable.
  const seen = kinds.size > 0 ? [...kinds.keys()] : [...nullKinds];
  const relevant = kinds.size === 0 && seen.length > 1 ? seen.filter((kind) => kind !== 'text') : seen;
  // Both sinks can write text to a timestamptz column.
  if (time && relevant.every((kind) => kind === 'text' || kind === 'instant')) return { kind: 'instant' };
  const [first = 'text', ...others] = relevant;
  if (others.length === 0) return { kind: first };
  if (relevant.every((kind) => kind === 'integer' || kind === 'double')) return { kind: 'double' };
  if (relevant.includes('other')) return { kind: 'other', conflict: relevant };
  return { kind: 'text', conflict: relevant };
}

export function wantedType(column: ColumnShape, options: TypeOptions): WantedType {
  const { kind, conflict } = mergedKind(column);
  const more = conflict && { conflict };
  switch (kind) {
    case 'other':
      return { kind, sql: '', ...more };
    case 'geometry':
      return { kind, ...geometryType(column, options), ...more };
    default:
      return { kind, sql: sqlTypes[kind], ...more };
  }
}

/**
 * With a type modifier, a PostGIS column has one dimension only: `geometry(Geometry,4326)` refuses
 * Z, and `geometry(GeometryZ,4326)` requires it. Later records may have an altitude (geo:json), so
 * the column has no type modifier. A CHECK constraint fixes the SRID, and geometry_columns shows it
 * too.
 */
function geometryType(
  column: ColumnShape,
  { strictGeometry, postgis }: TypeOptions,
): Pick<WantedType, 'sql' | 'check'> {
  const { geometries, flat, z, srids } = column.statistics;
  const srid = srids.size === 0 ? 4326 : srids.size === 1 ? [...srids][0] : undefined;
  if (srid === undefined) return { sql: `${postgis}geometry` };
  if (!strictGeometry || (flat && z) || geometries.size === 0) {
    return { sql: `${postgis}geometry`, check: `${postgis}ST_SRID(${quoteIdentifier(column.name)}) = ${srid}` };
  }
  const [only = 'Geometry'] = geometries.keys();
  const type = geometries.size === 1 ? only : z ? 'GeometryZ' : 'Geometry';
  return { sql: `${postgis}geometry(${type},${srid})` };
}
