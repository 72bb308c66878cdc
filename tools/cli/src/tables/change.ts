/** What is done to a database, and how SQL says it. */
import { quoteIdentifier, quoteTable, shownTable, type TableName } from './names.js';
import { printable } from '../terminal/text.js';

/** A column as it is made. */
export interface NewColumn {
  readonly name: string;
  /** Its type in SQL. */
  readonly type: string;
  /** A condition in SQL. */
  readonly check?: string;
}

export type Change =
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

/** `recent`: a B-tree from the newest on. */
export type IndexMethod = 'recent' | 'gist';

/** One statement, with its semicolon; without one name that is not quoted. */
export function changeSql(change: Change): string {
  switch (change.kind) {
    case 'extension':
      // Where the sink looks for it (dialect.postgres.postgis.schema), whatever the search path of the user is.
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
      // NOT VALID: without it the rows that are there would be read for a column that is null in all of them.
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

/** The index gets its name from PostgreSQL, which makes one that is short enough and free. */
export function indexSql(
  index: { readonly table: TableName; readonly column: string; readonly method: IndexMethod },
  concurrently = false,
): string {
  const column = quoteIdentifier(index.column);
  const on = index.method === 'gist' ? `USING gist (${column})` : `(${column} DESC)`;
  return `CREATE INDEX ${concurrently ? 'CONCURRENTLY ' : ''}ON ${quoteTable(index.table)} ${on};`;
}

/** For people: what a change is, in a line. */
export function changeText(change: Change): string {
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
