/** Changes of a database, as SQL and as text. */
import { quoteIdentifier, quoteTable, shownTable, type TableName } from './sql-names.js';
import { printable } from '../terminal/text.js';

/** A column to create. */
export interface NewColumn {
  readonly name: string;
  /** Its type in SQL. */
  readonly type: string;
  /** The expression of a CHECK constraint. */
  readonly check?: string;
}

export type TableChange =
  | { readonly kind: 'extension' }
  | { readonly kind: 'schema'; readonly schema: string }
  | {
      readonly kind: 'table';
      readonly table: TableName;
      readonly columns: readonly NewColumn[];
      /** Empty: no primary key. */
      readonly key: readonly string[];
    }
  | { readonly kind: 'columns'; readonly table: TableName; readonly columns: readonly NewColumn[] }
  | { readonly kind: 'index'; readonly table: TableName; readonly column: string; readonly method: IndexMethod };

/** `recent`: a B-tree in descending order. */
export type IndexMethod = 'recent' | 'gist';

/** One statement with its semicolon. All names are quoted. */
export function changeSql(change: TableChange): string {
  switch (change.kind) {
    case 'extension':
      // The default of the sink (dialect.postgres.postgis.schema), whatever the search_path of the
      // user is.
      return 'CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;';
    case 'schema':
      return `CREATE SCHEMA ${quoteIdentifier(change.schema)};`;
    case 'table': {
      const lines = change.columns.map(
        ({ name, type, check }) => `${quoteIdentifier(name)} ${type}${check === undefined ? '' : ` CHECK (${check})`}`,
      );
      if (change.key.length > 0) lines.push(`PRIMARY KEY (${change.key.map(quoteIdentifier).join(', ')})`);
      return `CREATE TABLE ${quoteTable(change.table)} (\n  ${lines.join(',\n  ')}\n);`;
    }
    case 'columns': {
      // NOT VALID: PostgreSQL need not scan the existing rows, in which the column is null.
      const lines = change.columns.flatMap(({ name, type, check }) => [
        `ADD COLUMN ${quoteIdentifier(name)} ${type}`,
        ...(check === undefined ? [] : [`ADD CHECK (${check}) NOT VALID`]),
      ]);
      return `ALTER TABLE ${quoteTable(change.table)}\n  ${lines.join(',\n  ')};`;
    }
    case 'index':
      return indexSql(change);
  }
}

/** PostgreSQL chooses the name of the index: a free one of legal length. */
export function indexSql(
  index: { readonly table: TableName; readonly column: string; readonly method: IndexMethod },
  concurrently = false,
): string {
  const column = quoteIdentifier(index.column);
  const on = index.method === 'gist' ? `USING gist (${column})` : `(${column} DESC)`;
  return `CREATE INDEX ${concurrently ? 'CONCURRENTLY ' : ''}ON ${quoteTable(index.table)} ${on};`;
}

/** The change in one line of text. */
export function changeText(change: TableChange): string {
  switch (change.kind) {
    case 'extension':
      return 'extension postgis';
    case 'schema':
      return `schema ${printable(change.schema)}`;
    case 'table': {
      const key = change.key.length === 0 ? 'no key' : `key ${printable(change.key.join(', '))}`;
      return `table ${shownTable(change.table)} (${change.columns.length} columns, ${key})`;
    }
    case 'columns':
      return `${change.columns.length === 1 ? 'column' : 'columns'} ${shownTable(change.table)}: ${printable(
        change.columns.map(({ name, type }) => `${name} ${type}`).join(', '),
      )}`;
    case 'index':
      return `index on ${shownTable(change.table)} (${printable(change.column)})`;
  }
}
