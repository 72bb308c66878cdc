/** Compares rows column by column: geometries by ST_Equals, instants by time, JSON by value. */
import { expect } from '@jest/globals';
import type { LocalPostgis } from '@kafnus/local-stack';

interface Geometry {
  readonly kind: 'geometry';
  readonly wkt: string;
}
interface Instant {
  readonly kind: 'instant';
  readonly iso: string;
}
interface Json {
  readonly kind: 'json';
  readonly value: unknown;
}
/** Any value: the column is compared elsewhere, or its value is unpredictable. */
interface Any {
  readonly kind: 'any';
}

type Cell = string | number | boolean | null | Geometry | Instant | Json | Any;
export type Row = Readonly<Record<string, Cell>>;

/** A geometry with SRID 4326, and with a Z when the text has one. */
export const geometry = (wkt: string): Geometry => ({ kind: 'geometry', wkt });
export const instant = (iso: string): Instant => ({ kind: 'instant', iso });
export const json = (value: unknown): Json => ({ kind: 'json', value });
export const any: Any = { kind: 'any' };

/** `schema.table`, quoted. */
export function tableName(schema: string, table: string): string {
  return [schema, table].map((name) => `"${name.replaceAll('"', '""')}"`).join('.');
}

/**
 * Expects that the table holds exactly these rows.
 * @param key columns that identify a row, compared as texts
 */
export async function expectRows(
  postgis: LocalPostgis,
  [schema, table]: readonly [schema: string, table: string],
  key: readonly string[],
  rows: readonly Row[],
): Promise<void> {
  const name = tableName(schema, table);
  const all = await postgis.query<Record<string, unknown>>(`select * from ${name}`);
  expect(all.map((row) => keyOf(row, key)).sort()).toEqual(rows.map((row) => keyOf(row, key)).sort());
  for (const row of rows) {
    const found = all.find((candidate) => keyOf(candidate, key) === keyOf(row, key));
    if (found === undefined) throw new Error(`no row ${keyOf(row, key)} in ${name}`);
    const compared: Record<string, unknown> = {};
    const wanted: Record<string, unknown> = {};
    for (const [column, cell] of Object.entries(row)) {
      if (isKind(cell, 'any')) continue;
      wanted[column] = plain(cell);
      compared[column] = isKind(cell, 'geometry')
        ? await geometryOf(postgis, found[column], cell.wkt)
        : value(found[column], cell);
    }
    // A column that this row does not name must be null in it: it belongs to other rows.
    const unexpected = Object.entries(found).filter(([column, cell]) => cell !== null && !Object.hasOwn(row, column));
    expect({ row: keyOf(row, key), ...compared, unexpected }).toEqual({
      row: keyOf(row, key),
      ...wanted,
      unexpected: [],
    });
  }
}

function keyOf(row: Readonly<Record<string, unknown>>, key: readonly string[]): string {
  return key.map((column) => text(row[column])).join(' | ');
}

function text(cell: unknown): string {
  if (cell instanceof Date) return cell.toISOString();
  if (isKind(cell, 'instant')) return new Date(cell.iso).toISOString();
  return String(cell);
}

/** The comparable value of a cell. */
function plain(cell: Cell): unknown {
  if (isKind(cell, 'geometry')) return cell.wkt;
  if (isKind(cell, 'instant')) return new Date(cell.iso).toISOString();
  if (isKind(cell, 'json')) return cell.value;
  return cell;
}

function value(found: unknown, wanted: Cell): unknown {
  if (isKind(wanted, 'instant')) return found instanceof Date ? found.toISOString() : found;
  return found;
}

/**
 * Returns the expected text when the geometry in the table equals it, otherwise the actual
 * geometry.
 */
async function geometryOf(postgis: LocalPostgis, found: unknown, wkt: string): Promise<unknown> {
  const [answer] = await postgis.query<{ equal: boolean; text: string }>(
    `select ST_Equals(found, wanted) and ST_SRID(found) = 4326 and ST_NDims(found) = ST_NDims(wanted)
              and (ST_NDims(found) = 2 or ST_AsEWKT(found) = ST_AsEWKT(wanted)) as equal,
            ST_AsEWKT(found) as text
     from (select $1::geometry as found, ST_GeomFromText($2, 4326) as wanted) as pair`,
    [found, wkt],
  );
  return answer?.equal === true ? wkt : answer?.text;
}

function isKind<K extends 'geometry' | 'instant' | 'json' | 'any'>(
  cell: unknown,
  kind: K,
): cell is Extract<Cell, { readonly kind: K }> {
  return typeof cell === 'object' && cell !== null && 'kind' in cell && cell.kind === kind;
}
