/** From the shapes that flow and the tables that are there to what is missing, and what does not fit. Pure. */
import type { Catalog, ExistingColumn, ExistingTable } from './catalog.js';
import { indexSql, type Change, type IndexMethod, type NewColumn } from './change.js';
import { wantedType, type TypeOptions, type WantedType } from './column-type.js';
import type { Finding } from './finding.js';
import { misfits } from './fit.js';
import {
  folded,
  MAX_COLUMNS,
  nameProblem,
  quoteIdentifier,
  quoteTable,
  shownTable,
  tableKey,
  type TableName,
} from './names.js';
import type { ColumnShape, Shapes, TableShape } from './shapes.js';
import { shapeFindings } from './shape-findings.js';
import { printable, quoted } from '../terminal/text.js';

/** How a table stands, besides its findings. */
export interface TableState {
  readonly shape: TableShape;
  readonly state: 'missing' | 'incomplete' | 'present' | 'impossible';
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

export interface Plan {
  /** In the order in which they are to be done. */
  readonly changes: readonly Change[];
  /** What is not a matter of something missing: no change mends it. */
  readonly findings: readonly Finding[];
  readonly tables: readonly TableState[];
}

export interface PlanOptions {
  readonly strictGeometry: boolean;
}

export function planTables(shapes: Shapes, catalog: Catalog, options: PlanOptions): Plan {
  const planner = new Planner(catalog, options);
  for (const finding of shapeFindings(shapes)) planner.findings.push(finding);
  for (const shape of shapes.tables) planner.table(shape);
  planner.collisions(shapes);
  return planner.plan();
}

class Planner {
  readonly findings: Finding[] = [];
  readonly #catalog: Catalog;
  readonly #types: TypeOptions;
  readonly #schemas = new Set<string>();
  readonly #changes: Change[] = [];
  readonly #tables: TableState[] = [];
  readonly #unwritable: TableName[] = [];
  #geometry = false;

  constructor(catalog: Catalog, { strictGeometry }: PlanOptions) {
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
        message: `${shownTable(table)} is a ${existing.kind}, which takes no rows from a sink`,
        advice: 'rename it: apply makes a table of the name then',
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

  /** Names that are the same to whoever does not quote them. */
  collisions(shapes: Shapes): void {
    const tables = new Map<string, TableName>();
    for (const { table, columns } of shapes.tables) {
      this.#collide(tables, folded(tableKey(table)), table, (first) => ({
        table,
        message: `${shownTable(table)} and ${shownTable(first)} are one name to a sink that does not quote identifiers`,
      }));
      const names = new Map<string, string>();
      for (const { name } of columns) {
        this.#collide(names, folded(name), name, (first) => ({
          table,
          column: name,
          message: `${quoted(name)} and ${quoted(first)} are one column to a sink that does not quote identifiers`,
        }));
      }
    }
  }

  plan(): Plan {
    const { postgis, postgisAvailable, schemas, database } = this.#catalog;
    const before: Change[] = [];
    if (this.#geometry && postgis === undefined) {
      before.push({ kind: 'extension' });
      if (!postgisAvailable) {
        this.findings.push({
          level: 'error',
          code: 'postgis-missing',
          message: `the server${database ? ` (PostgreSQL ${database.version})` : ''} does not have PostGIS, and geometries flow`,
          advice: 'install its package on the server, e.g. postgresql-15-postgis-3',
        });
      }
    }
    if (this.#geometry && postgis !== undefined && postgis.schema !== 'public') {
      this.findings.push({
        level: 'note',
        code: 'postgis-schema',
        message: `PostGIS is in the schema ${printable(postgis.schema)}, and the sink looks for it in public`,
        advice: `set dialect.postgres.postgis.schema to ${printable(postgis.schema)} in the connector`,
      });
    }
    for (const schema of [...this.#schemas].sort()) if (!schemas.has(schema)) before.push({ kind: 'schema', schema });
    this.#privileges();
    return { changes: [...before, ...this.#changes], findings: this.findings, tables: this.#tables };
  }

  /** The column with the type it should have; nothing when there can be no such column. */
  #column({ table }: TableShape, column: ColumnShape): { column: ColumnShape; type: WantedType }[] {
    const { name } = column;
    const problem = nameProblem('column', name);
    if (problem !== undefined) {
      const advice = 'rename the attribute, or leave it out by a transform of the connector (ReplaceField, exclude)';
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
        message: `${quoted(name)} is of the Connect type ${printable(column.otherType ?? 'unknown')}, which is not one that the agents write`,
        advice: 'leave it out by a transform of the connector (ReplaceField, exclude)',
      });
      return [];
    }
    if (type.kind === 'geometry') this.#geometry = true;
    return [{ column, type }];
  }

  #create({ table, key }: TableShape, columns: readonly { column: ColumnShape; type: WantedType }[]): void {
    this.#schemas.add(table.schema);
    const made = new Set(columns.map(({ column }) => column.name));
    const fits = columns.length <= MAX_COLUMNS;
    if (!fits) {
      this.findings.push({
        level: 'error',
        code: 'too-many-columns',
        table,
        message: `${shownTable(table)} would have ${columns.length} columns, and a table has ${MAX_COLUMNS} at most`,
        advice: 'are ids or times used as attribute names? Send fewer attributes, or other entity types',
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
        message: `there is a column ${quoted(alike.name)}: ${quoted(column.name)}, which flows, is another one to PostgreSQL`,
        advice: 'rename the column that is there, if it is meant to be this one',
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
        message: `${quoted(name)} is computed by the database, and the records bring a value for it`,
        advice: 'rename the column: apply makes one for the values then',
      });
    }
    const seen = new Set<string>();
    for (const { level, code, message, better } of misfits(column, existing)) {
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
            ? 'give the column the wider type (it may rewrite the table, and what uses the column must cope)'
            : kind === 'instant'
              ? 'correct what the context broker sends: the column is a time'
              : 'give the attribute another name, or rename the column',
        ...(better !== undefined && { sql: alter }),
      });
    }
  }

  /** A row that leaves a column out, or has a null for it. */
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
        advice: 'let it be null, or see to it that every notification has the attribute',
        sql: `ALTER TABLE ${quoteTable(table)} ALTER COLUMN ${quoteIdentifier(name)} DROP NOT NULL;`,
      });
    }
  }

  /** An upsert needs a unique index on just the key columns, and any narrower one gets in its way. */
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
        message: `the key of the records is (${printable(key.join(', '))}), and the table has no unique index on just these: ${has}`,
        advice: 'give the table the key of the records (the rows that are there must allow it)',
        sql: `${on} ${drop}ADD PRIMARY KEY (${columns});`,
      });
    }
    for (const index of unique) {
      if (isKey(index) || index.columns.some((name) => !wanted.has(name))) continue;
      // Said above already.
      if (index.primary && !unique.some(isKey)) continue;
      this.findings.push({
        level: 'error',
        code: 'key-too-narrow',
        table,
        message: `${quoted(index.name)} lets each (${printable(index.columns.join(', '))}) be there once, and the key of the records is (${printable(key.join(', '))})`,
        advice: 'drop it: it refuses every further version of an entity',
        sql: index.constraint
          ? `${on} DROP CONSTRAINT ${quoteIdentifier(index.name)};`
          : `DROP INDEX ${quoteTable({ schema: table.schema, name: index.name })};`,
      });
    }
  }

  /** To build one takes a lock that stops the sink while it lasts: that is for a person to decide. */
  #indexes(
    { table }: TableShape,
    existing: ExistingTable,
    columns: readonly { column: ColumnShape; type: WantedType }[],
  ): void {
    for (const { name, method } of wantedIndexes(columns)) {
      const wanted = method === 'gist' ? ['gist', 'spgist', 'brin'] : ['btree', 'brin'];
      if (existing.indexes.some((index) => index.column === name && wanted.includes(index.method))) continue;
      // It is added by this plan as another type, or it is one already.
      const there = existing.columns.find((column) => column.name === name);
      if (method === 'gist' && there !== undefined && !there.base.startsWith('geo')) continue;
      this.findings.push({
        level: 'note',
        code: 'index-missing',
        table,
        column: name,
        message: `no index begins with ${quoted(name)}`,
        advice: 'make one if queries select by it; CONCURRENTLY, so that the sink goes on meanwhile',
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
      message: `the user ${quoted(database.user)} may not write to ${names}${more}`,
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

/** By time, the newest first, and by place. */
function wantedIndexes(
  columns: readonly { readonly column: ColumnShape; readonly type: WantedType }[],
): { name: string; method: IndexMethod }[] {
  return columns.flatMap(({ column, type }): { name: string; method: IndexMethod }[] => {
    if (column.time && column.name !== 'recvtime') return [{ name: column.name, method: 'recent' }];
    return type.kind === 'geometry' ? [{ name: column.name, method: 'gist' }] : [];
  });
}
