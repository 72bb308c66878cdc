/**
 * Compares the shapes of the records with the existing tables: changes that create what is missing,
 * and findings. Pure.
 */
import type { DatabaseCatalog, ExistingColumn, ExistingTable } from './database-catalog.js';
import { indexSql, type TableChange, type IndexMethod, type NewColumn } from './table-change.js';
import { wantedType, type TypeOptions, type WantedType } from './column-type.js';
import type { TableFinding } from './table-finding.js';
import { columnMismatches } from './column-mismatch.js';
import {
  folded,
  maxColumns,
  nameProblem,
  quoteIdentifier,
  quoteTable,
  shownTable,
  tableKey,
  type TableName,
} from './sql-names.js';
import type { ColumnShape, Shapes, TableShape } from './table-shapes.js';
import { shapeFindings } from './shape-findings.js';
import { printable, quoted } from '../terminal/text.js';

/** The state of a table, without its findings. */
export interface TableState {
  readonly shape: TableShape;
  readonly state: 'missing' | 'incomplete' | 'present' | 'impossible';
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

export interface TablesPlan {
  /** In the order of execution. */
  readonly changes: readonly TableChange[];
  /** Problems that no change of this plan solves. */
  readonly findings: readonly TableFinding[];
  readonly tables: readonly TableState[];
}

export interface PlanOptions {
  readonly strictGeometry: boolean;
}

export function planTables(shapes: Shapes, catalog: DatabaseCatalog, options: PlanOptions): TablesPlan {
  const planner = new Planner(catalog, options);
  for (const finding of shapeFindings(shapes)) planner.findings.push(finding);
  for (const shape of shapes.tables) planner.table(shape);
  planner.collisions(shapes);
  return planner.plan();
}

class Planner {
  readonly findings: TableFinding[] = [];
  readonly #catalog: DatabaseCatalog;
  readonly #types: TypeOptions;
  readonly #schemas = new Set<string>();
  readonly #changes: TableChange[] = [];
  readonly #tables: TableState[] = [];
  readonly #unwritable: TableName[] = [];
  #geometry = false;

  constructor(catalog: DatabaseCatalog, { strictGeometry }: PlanOptions) {
    this.#catalog = catalog;
    const schema = catalog.postgis?.schema ?? 'public';
    const postgis = catalog.searchPath.includes(schema) ? '' : `${quoteIdentifier(schema)}.`;
    this.#types = { strictGeometry, postgis };
  }

  table(shape: TableShape): void {
    const { table } = shape;
    const problem = nameProblem('schema', table.schema) ?? nameProblem('table', table.name);
    if (problem !== undefined) {
      this.findings.push({
        level: 'error',
        ...problem,
        table,
        advice: 'choose another service, service path or entity type, or another data model (KAFNUS_DATAMODEL)',
      });
      this.#tables.push({ shape, state: 'impossible', columns: [] });
      return;
    }
    const columns = shape.columns.flatMap((column) => this.#column(shape, column));
    const described = columns.map(({ column, type }) => ({ name: column.name, type: type.sql }));
    const existing = this.#catalog.tables.get(tableKey(table));
    if (existing === undefined) {
      this.#create(shape, columns);
      this.#tables.push({ shape, state: 'missing', columns: described });
      return;
    }
    if (!existing.writable) this.#unwritable.push(table);
    if (existing.kind !== 'table') {
      this.findings.push({
        level: 'error',
        code: 'not-a-table',
        table,
        message: `${shownTable(table)} is a ${existing.kind}, to which a sink cannot write`,
        advice: 'rename it: apply then creates a table of the name',
      });
      this.#tables.push({ shape, state: 'impossible', columns: described });
      return;
    }
    const missing = columns.filter(({ column }) => !existing.columns.some(({ name }) => name === column.name));
    if (missing.length > 0) this.#add(shape, existing, missing);
    for (const { column, type } of columns) {
      const there = existing.columns.find(({ name }) => name === column.name);
      if (there !== undefined) this.#compare(table, column, type, there);
    }
    this.#nulls(shape, existing);
    this.#keys(shape, existing);
    this.#indexes(shape, existing, columns);
    this.#tables.push({ shape, state: missing.length > 0 ? 'incomplete' : 'present', columns: described });
  }

  /** Names that are equal when they are not quoted. */
  collisions(shapes: Shapes): void {
    const tables = new Map<string, TableName>();
    for (const { table, columns } of shapes.tables) {
      this.#collide(tables, folded(tableKey(table)), table, (first) => ({
        table,
        message: `${shownTable(table)} and ${shownTable(first)} are the same name for a sink that does not quote identifiers`,
      }));
      const names = new Map<string, string>();
      for (const { name } of columns) {
        this.#collide(names, folded(name), name, (first) => ({
          table,
          column: name,
          message: `${quoted(name)} and ${quoted(first)} are the same column for a sink that does not quote identifiers`,
        }));
      }
    }
  }

  plan(): TablesPlan {
    const { postgis, postgisAvailable, schemas, database } = this.#catalog;
    const before: TableChange[] = [];
    if (this.#geometry && postgis === undefined) {
      before.push({ kind: 'extension' });
      if (!postgisAvailable) {
        this.findings.push({
          level: 'error',
          code: 'postgis-missing',
          message: `the server${database ? ` (PostgreSQL ${database.version})` : ''} has no PostGIS, and the records have geometries`,
          advice: 'install its package on the server, e.g. postgresql-15-postgis-3',
        });
      }
    }
    if (this.#geometry && postgis !== undefined && postgis.schema !== 'public') {
      this.findings.push({
        level: 'note',
        code: 'postgis-schema',
        message: `PostGIS is in the schema ${printable(postgis.schema)}, and the sink uses the schema public by default`,
        advice: `set dialect.postgres.postgis.schema to ${printable(postgis.schema)} in the connector`,
      });
    }
    for (const schema of [...this.#schemas].sort()) if (!schemas.has(schema)) before.push({ kind: 'schema', schema });
    this.#privileges();
    return { changes: [...before, ...this.#changes], findings: this.findings, tables: this.#tables };
  }

  /** The column with its type; empty when PostgreSQL cannot have the column. */
  #column({ table }: TableShape, column: ColumnShape): { column: ColumnShape; type: WantedType }[] {
    const { name } = column;
    const problem = nameProblem('column', name);
    if (problem !== undefined) {
      const advice = 'rename the attribute, or drop it with a transform of the connector (ReplaceField, exclude)';
      this.findings.push({ level: 'error', ...problem, table, column: name, advice });
      return [];
    }
    const type = wantedType(column, this.#types);
    if (type.kind === 'other') {
      this.findings.push({
        level: 'error',
        code: 'type-unsupported',
        table,
        column: name,
        message: `${quoted(name)} is of the Connect type ${printable(column.otherType ?? 'unknown')}, which the agents do not write`,
        advice: 'drop it with a transform of the connector (ReplaceField, exclude)',
      });
      return [];
    }
    if (type.kind === 'geometry') this.#geometry = true;
    return [{ column, type }];
  }

  #create({ table, key }: TableShape, columns: readonly { column: ColumnShape; type: WantedType }[]): void {
    this.#schemas.add(table.schema);
    const made = new Set(columns.map(({ column }) => column.name));
    const fits = columns.length <= maxColumns;
    if (!fits) {
      this.findings.push({
        level: 'error',
        code: 'too-many-columns',
        table,
        message: `${shownTable(table)} would have ${columns.length} columns, and a table can have ${maxColumns}`,
        advice:
          'check whether ids or times are used as attribute names; send fewer attributes, or use other entity types',
      });
      return;
    }
    this.#changes.push({
      kind: 'table',
      table,
      columns: columns.map(newColumn),
      key: key.filter((name) => made.has(name)),
    });
    for (const { name, method } of wantedIndexes(columns))
      this.#changes.push({ kind: 'index', table, column: name, method });
  }

  #add(
    { table }: TableShape,
    existing: ExistingTable,
    missing: readonly { column: ColumnShape; type: WantedType }[],
  ): void {
    this.#changes.push({ kind: 'columns', table, columns: missing.map(newColumn) });
    for (const { column } of missing) {
      const alike = existing.columns.find(({ name }) => name.toLowerCase() === column.name.toLowerCase());
      if (alike === undefined) continue;
      this.findings.push({
        level: 'warning',
        code: 'name-collision',
        table,
        column: column.name,
        message: `there is a column ${quoted(alike.name)}: PostgreSQL distinguishes it from ${quoted(column.name)}, which the records have`,
        advice: 'rename the existing column, if it is meant to be this one',
        sql: `ALTER TABLE ${quoteTable(table)} RENAME COLUMN ${quoteIdentifier(alike.name)} TO ${quoteIdentifier(column.name)};`,
      });
    }
  }

  #compare(table: TableName, column: ColumnShape, { kind }: WantedType, existing: ExistingColumn): void {
    const { name } = column;
    if (existing.generated && column.values + column.nulls > 0) {
      this.findings.push({
        level: 'error',
        code: 'column-generated',
        table,
        column: name,
        message: `${quoted(name)} is a generated column, and the records have a value for it`,
        advice: 'rename the column: apply then creates one for the values',
      });
    }
    const seen = new Set<string>();
    for (const { level, code, message, better } of columnMismatches(column, existing)) {
      if (seen.has(code)) continue;
      seen.add(code);
      const alter = `ALTER TABLE ${quoteTable(table)} ALTER COLUMN ${quoteIdentifier(name)} TYPE ${this.#types.postgis !== '' && better?.startsWith('geo') ? this.#types.postgis : ''}${better ?? ''};`;
      this.findings.push({
        level,
        code,
        table,
        column: name,
        message: `${quoted(name)}: ${message}`,
        advice:
          better !== undefined
            ? 'give the column the wider type (this may rewrite the table, and queries must handle the new type)'
            : kind === 'instant'
              ? 'correct the values in the context broker: the column is a time'
              : 'give the attribute another name, or rename the column',
        ...(better !== undefined && { sql: alter }),
      });
    }
  }

  /** NOT NULL columns for which rows have no value. */
  #nulls({ table, columns, rows }: TableShape, existing: ExistingTable): void {
    const key = new Set(existing.unique.filter(({ primary }) => primary).flatMap((index) => index.columns));
    for (const { name, notNull, hasDefault } of existing.columns) {
      if (!notNull || key.has(name) || rows === 0) continue;
      const shape = columns.find((column) => column.name === name);
      const nulls = shape?.nulls ?? 0;
      const absent = rows - nulls - (shape?.values ?? 0);
      const failing = nulls + (hasDefault ? 0 : absent);
      if (failing === 0) continue;
      this.findings.push({
        level: 'error',
        code: 'not-null',
        table,
        column: name,
        message: `${quoted(name)} is NOT NULL${hasDefault ? '' : ' without a default'}, and ${failing} of ${rows} rows have no value for it`,
        advice: 'allow nulls, or make every notification include the attribute',
        sql: `ALTER TABLE ${quoteTable(table)} ALTER COLUMN ${quoteIdentifier(name)} DROP NOT NULL;`,
      });
    }
  }

  /**
   * An upsert needs a unique index on exactly the key columns. One on fewer columns refuses rows.
   */
  #keys({ table, key }: TableShape, { unique }: ExistingTable): void {
    if (key.length === 0) return;
    const wanted = new Set(key);
    const columns = key.map(quoteIdentifier).join(', ');
    const isKey = (index: { readonly columns: readonly string[] }): boolean =>
      index.columns.length === wanted.size && index.columns.every((name) => wanted.has(name));
    const primary = unique.find((index) => index.primary);
    const on = `ALTER TABLE ${quoteTable(table)}`;
    if (!unique.some(isKey)) {
      const drop = primary ? `DROP CONSTRAINT ${quoteIdentifier(primary.name)}, ` : '';
      const has = primary ? `its primary key is (${printable(primary.columns.join(', '))})` : 'it has no primary key';
      this.findings.push({
        level: 'error',
        code: 'key-mismatch',
        table,
        message: `the key of the records is (${printable(key.join(', '))}), and the table has no unique index on exactly these: ${has}`,
        advice: 'give the table the key of the records (the existing rows must allow it)',
        sql: `${on} ${drop}ADD PRIMARY KEY (${columns});`,
      });
    }
    for (const index of unique) {
      if (isKey(index) || index.columns.some((name) => !wanted.has(name))) continue;
      // The finding key-mismatch has it.
      if (index.primary && !unique.some(isKey)) continue;
      this.findings.push({
        level: 'error',
        code: 'key-too-narrow',
        table,
        message: `${quoted(index.name)} allows one row per (${printable(index.columns.join(', '))}), and the key of the records is (${printable(key.join(', '))})`,
        advice: 'drop it: it refuses other versions of an entity',
        sql: index.constraint
          ? `${on} DROP CONSTRAINT ${quoteIdentifier(index.name)};`
          : `DROP INDEX ${quoteTable({ schema: table.schema, name: index.name })};`,
      });
    }
  }

  /** Building an index locks the table against writes, so it is left to an administrator. */
  #indexes(
    { table }: TableShape,
    existing: ExistingTable,
    columns: readonly { column: ColumnShape; type: WantedType }[],
  ): void {
    for (const { name, method } of wantedIndexes(columns)) {
      const wanted = method === 'gist' ? ['gist', 'spgist', 'brin'] : ['btree', 'brin'];
      if (existing.indexes.some((index) => index.column === name && wanted.includes(index.method))) continue;
      // The column has another type, which has its own finding.
      const there = existing.columns.find((column) => column.name === name);
      if (method === 'gist' && there !== undefined && !there.base.startsWith('geo')) continue;
      this.findings.push({
        level: 'note',
        code: 'index-missing',
        table,
        column: name,
        message: `no index begins with ${quoted(name)}`,
        advice: 'create one if queries filter by it; CONCURRENTLY, so that the sink can write meanwhile',
        sql: indexSql({ table, column: name, method }, true),
      });
    }
  }

  #privileges(): void {
    const { database, schemas } = this.#catalog;
    if (database === null) return;
    const closed = [...this.#tables.values()]
      .map(({ shape }) => shape.table)
      .filter((table) => schemas.get(table.schema)?.usable === false || this.#unwritable.includes(table));
    if (closed.length === 0) return;
    const names = closed.slice(0, 3).map(shownTable).join(', ');
    const more = closed.length > 3 ? ` and ${closed.length - 3} more` : '';
    this.findings.push({
      level: 'warning',
      code: 'privilege-missing',
      message: `the user ${quoted(database.user)} has no right to write to ${names}${more}`,
      advice:
        'if the sink logs in as this user: GRANT USAGE on the schema, and SELECT, INSERT, UPDATE, DELETE on the table',
    });
  }

  #collide<T>(
    known: Map<string, T>,
    key: string,
    item: T,
    finding: (first: T) => { readonly table: TableName; readonly column?: string; readonly message: string },
  ): void {
    const first = known.get(key);
    if (first === undefined) known.set(key, item);
    else {
      const advice = 'rename one, or set quote.identifiers to true in the connector';
      this.findings.push({ level: 'warning', code: 'name-collision', ...finding(first), advice });
    }
  }
}

function newColumn({ column, type }: { readonly column: ColumnShape; readonly type: WantedType }): NewColumn {
  return { name: column.name, type: type.sql, ...(type.check !== undefined && { check: type.check }) };
}

/** On times in descending order, and on geometries. */
function wantedIndexes(
  columns: readonly { readonly column: ColumnShape; readonly type: WantedType }[],
): { name: string; method: IndexMethod }[] {
  return columns.flatMap(({ column, type }): { name: string; method: IndexMethod }[] => {
    if (column.time && column.name !== 'recvtime') return [{ name: column.name, method: 'recent' }];
    return type.kind === 'geometry' ? [{ name: column.name, method: 'gist' }] : [];
  });
}
