/** Reads the catalog of a database. */
import type { ClientBase } from 'pg';
import type { DatabaseCatalog, ExistingColumn, ExistingTable, UniqueIndex } from './database-catalog.js';
import { tableKey } from './sql-names.js';

/** @param schemas whose tables are read */
export async function readCatalog(
  client: ClientBase,
  schemas: readonly string[],
  server: string,
): Promise<DatabaseCatalog> {
  const [about] = await rows<AboutRow>(client, aboutSql);
  if (about === undefined) throw new Error('the database did not return its name');
  const existing = await rows<SchemaRow>(client, schemasSql);
  const tables = new Map<string, ExistingTable>();
  const columns = grouped(await rows<ColumnRow>(client, columnsSql, [schemas]));
  const indexes = grouped(await rows<IndexRow>(client, indexesSql, [schemas]));
  for (const table of await rows<TableRow>(client, tablesSql, [schemas])) {
    const { oid, schema, name, relkind, writable } = table;
    const own = indexes.get(oid) ?? [];
    tables.set(tableKey({ schema, name }), {
      schema,
      name,
      kind: tableKinds[relkind] ?? 'view',
      columns: (columns.get(oid) ?? []).map(existingColumn),
      unique: own.filter(({ arbiter }) => arbiter).map(uniqueIndex),
      indexes: own.flatMap(({ columns: [column], method }) => (column === undefined ? [] : [{ column, method }])),
      writable,
    });
  }
  const { database, user, version, path, postgis, postgis_version: postgisVersion, available } = about;
  return {
    database: { name: database, user, server, version },
    searchPath: path,
    postgis: postgis === null ? undefined : { schema: postgis, version: postgisVersion ?? '' },
    postgisAvailable: available,
    schemas: new Map(existing.map(({ name, usable }) => [name, { usable }])),
    tables,
  };
}

const tableKinds: Readonly<Record<string, ExistingTable['kind']>> = {
  r: 'table',
  p: 'table',
  v: 'view',
  m: 'materialized view',
  f: 'foreign table',
};

interface AboutRow {
  readonly database: string;
  readonly user: string;
  readonly version: string;
  readonly path: readonly string[];
  readonly postgis: string | null;
  readonly postgis_version: string | null;
  readonly available: boolean;
}

const aboutSql = `
  SELECT current_database()::text AS database, current_user::text AS user, current_setting('server_version') AS version,
    current_schemas(true)::text[] AS path,
    (SELECT n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'postgis')
      AS postgis,
    (SELECT extversion FROM pg_extension WHERE extname = 'postgis') AS postgis_version,
    EXISTS (SELECT FROM pg_available_extensions WHERE name = 'postgis') AS available`;

interface SchemaRow {
  readonly name: string;
  readonly usable: boolean;
}

const schemasSql = `
  SELECT nspname::text AS name, has_schema_privilege(oid, 'USAGE') AS usable FROM pg_namespace`;

interface TableRow {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  readonly relkind: string;
  readonly writable: boolean;
}

const tablesSql = `
  SELECT c.oid::text AS oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS relkind,
    has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') AND
    has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'DELETE') AS writable
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = ANY($1::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`;

interface ColumnRow {
  readonly table: string;
  readonly name: string;
  readonly type: string;
  readonly base: string;
  readonly typmod: number;
  readonly notnull: boolean;
  readonly hasdefault: boolean;
  readonly generated: boolean;
}

/**
 * A domain is resolved to its base type, and its NOT NULL and default count as those of the column.
 */
const columnsSql = `
  WITH RECURSIVE below AS (
    SELECT oid AS domain, typbasetype AS type, typtypmod AS typmod, typnotnull AS notnull, typdefault IS NOT NULL AS hasdefault
    FROM pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT b.domain, t.typbasetype, t.typtypmod, b.notnull OR t.typnotnull, b.hasdefault OR t.typdefault IS NOT NULL
    FROM below b JOIN pg_type t ON t.oid = b.type WHERE t.typtype = 'd'
  )
  SELECT a.attrelid::text AS table, a.attname::text AS name,
    format_type(coalesce(b.type, a.atttypid), coalesce(b.typmod, a.atttypmod)) AS type, t.typname::text AS base,
    coalesce(b.typmod, a.atttypmod) AS typmod, a.attnotnull OR coalesce(b.notnull, false) AS notnull,
    a.atthasdef OR a.attidentity <> '' OR coalesce(b.hasdefault, false) AS hasdefault,
    a.attgenerated <> '' OR a.attidentity = 'a' AS generated
  FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN below b ON b.domain = a.atttypid AND NOT EXISTS (SELECT FROM pg_type d WHERE d.oid = b.type AND d.typtype = 'd')
    JOIN pg_type t ON t.oid = coalesce(b.type, a.atttypid)
  WHERE n.nspname = ANY($1::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
  ORDER BY a.attrelid, a.attnum`;

/** VARHDRSZ, which is included in a typmod. */
const typmodHeader = 4;

function existingColumn({ name, type, base, typmod, notnull, hasdefault, generated }: ColumnRow): ExistingColumn {
  const own = typmod - typmodHeader;
  const scale = own & 0x7ff;
  return {
    name,
    type,
    base,
    maxLength: typmod >= 0 && (base === 'varchar' || base === 'bpchar') ? own : undefined,
    // Since PostgreSQL 15 the scale is a signed number of 11 bits. Earlier scales have the same
    // encoding.
    digits:
      typmod >= 0 && base === 'numeric'
        ? { whole: (own >> 16) - ((scale ^ 1024) - 1024), fraction: (scale ^ 1024) - 1024 }
        : undefined,
    notNull: notnull,
    hasDefault: hasdefault,
    generated,
  };
}

interface IndexRow {
  readonly table: string;
  readonly name: string;
  readonly method: string;
  readonly columns: readonly string[];
  readonly arbiter: boolean;
  readonly primary: boolean;
  readonly constraint: boolean;
}

/** Of an index with expressions, only the columns before the first expression. */
const indexesSql = `
  SELECT i.indrelid::text AS table, c.relname::text AS name, m.amname::text AS method,
    ARRAY(
      SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
      WHERE k.place <= i.indnkeyatts
        AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS e(attnum, place) WHERE e.attnum = 0 AND e.place < k.place)
      ORDER BY k.place
    ) AS columns,
    i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL AS arbiter,
    i.indisprimary AS primary,
    EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid) AS constraint
  FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_am m ON m.oid = c.relam
    JOIN pg_class t ON t.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = t.relnamespace
  WHERE n.nspname = ANY($1::text[])`;

function uniqueIndex({ name, columns, primary, constraint }: IndexRow): UniqueIndex {
  return { name, columns, primary, constraint };
}

async function rows<R extends object>(client: ClientBase, sql: string, values: readonly unknown[] = []): Promise<R[]> {
  const result = await client.query<R>(sql, [...values]);
  return result.rows;
}

function grouped<R extends { readonly table: string }>(all: readonly R[]): Map<string, R[]> {
  const groups = new Map<string, R[]>();
  for (const row of all) {
    const group = groups.get(row.table);
    if (group) group.push(row);
    else groups.set(row.table, [row]);
  }
  return groups;
}
