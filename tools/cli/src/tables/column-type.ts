/** The PostgreSQL type that fits what was seen of a column. */
import type { ColumnKind } from './connect-row.js';
import { quoteIdentifier } from './names.js';
import type { ColumnShape } from './shapes.js';

/** What a column is to be, or why it can be none. */
export interface WantedType {
  readonly kind: ColumnKind;
  /** As SQL writes it; empty for kind `other`. */
  readonly sql: string;
  /** A condition that its values meet, as SQL. */
  readonly check?: string;
  /** Kinds that came, when they are several that fit no type but text. */
  readonly conflict?: readonly ColumnKind[];
}

export interface TypeOptions {
  /** Geometry columns of exactly the type and dimension that were seen, instead of any. */
  readonly strictGeometry: boolean;
  /** Goes before types and functions of PostGIS: empty, or a quoted schema and a dot. */
  readonly postgis: string;
}

const SQL: Readonly<Record<Exclude<ColumnKind, 'geometry' | 'other'>, string>> = {
  text: 'text',
  json: 'jsonb',
  instant: 'timestamptz',
  double: 'double precision',
  integer: 'bigint',
  boolean: 'boolean',
  bytes: 'bytea',
};

/** The kind of a column over all of its records, and whether they differ. */
export function mergedKind({ time, kinds, nullKinds }: ColumnShape): {
  readonly kind: ColumnKind;
  readonly conflict?: readonly ColumnKind[];
} {
  // A null says what its attribute was declared as, and text when that was nothing (SPEC 3): values know better.
  const seen = kinds.size > 0 ? [...kinds.keys()] : [...nullKinds];
  const telling = kinds.size === 0 && seen.length > 1 ? seen.filter((kind) => kind !== 'text') : seen;
  // Both sinks can write text into timestamptz.
  if (time && telling.every((kind) => kind === 'text' || kind === 'instant')) return { kind: 'instant' };
  const [first = 'text', ...others] = telling;
  if (others.length === 0) return { kind: first };
  if (telling.every((kind) => kind === 'integer' || kind === 'double')) return { kind: 'double' };
  if (telling.includes('other')) return { kind: 'other', conflict: telling };
  return { kind: 'text', conflict: telling };
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
      return { kind, sql: SQL[kind], ...more };
  }
}

/**
 * PostGIS lets a column with a type modifier have one dimension only: `geometry(Geometry,4326)` refuses a Z, and
 * `geometry(GeometryZ,4326)` whatever has none. What flows may have an altitude tomorrow (geo:json), so the column takes any
 * geometry, and a check keeps the SRID, which PostGIS shows in geometry_columns as well.
 */
function geometryType(
  column: ColumnShape,
  { strictGeometry, postgis }: TypeOptions,
): Pick<WantedType, 'sql' | 'check'> {
  const { geometries, flat, z, srids } = column.facts;
  const srid = srids.size === 0 ? 4326 : srids.size === 1 ? [...srids][0] : undefined;
  if (srid === undefined) return { sql: `${postgis}geometry` };
  if (!strictGeometry || (flat && z) || geometries.size === 0) {
    return { sql: `${postgis}geometry`, check: `${postgis}ST_SRID(${quoteIdentifier(column.name)}) = ${srid}` };
  }
  const [only = 'Geometry'] = geometries.keys();
  const type = geometries.size === 1 ? only : z ? 'GeometryZ' : 'Geometry';
  return { sql: `${postgis}geometry(${type},${srid})` };
}
