/** The existing schemas, tables, columns and indexes of a database. */

export interface ExistingColumn {
  readonly name: string;
  /** From format_type: `character varying(20)`, `geometry(Point,4326)`, ... */
  readonly type: string;
  /** From pg_type, for a domain its base type: `varchar`, `geometry`, `float8`, ... */
  readonly base: string;
  /** The n of varchar(n) or char(n), in characters. */
  readonly maxLength: number | undefined;
  /** The digits of a numeric(p,s) before and after the point. */
  readonly digits: { readonly whole: number; readonly fraction: number } | undefined;
  readonly notNull: boolean;
  /** Whether a row without the column gets a value: it has a default or is an identity. */
  readonly hasDefault: boolean;
  /** Whether an INSERT must not have a value: it is GENERATED ALWAYS. */
  readonly generated: boolean;
}

/**
 * A unique index that ON CONFLICT can use: valid, not deferrable, not partial, without expressions.
 */
export interface UniqueIndex {
  readonly name: string;
  readonly columns: readonly string[];
  readonly primary: boolean;
  /** Whether it belongs to a constraint. Then the constraint is dropped, and not the index. */
  readonly constraint: boolean;
}

export interface ExistingTable {
  readonly schema: string;
  readonly name: string;
  readonly kind: 'table' | 'view' | 'materialized view' | 'foreign table';
  readonly columns: readonly ExistingColumn[];
  readonly unique: readonly UniqueIndex[];
  /** The first column of every index, with its access method. */
  readonly indexes: readonly { readonly column: string; readonly method: string }[];
  /** Whether the user may insert, update, select and delete. */
  readonly writable: boolean;
}

export interface DatabaseCatalog {
  /** Null: no database was named, and an empty one is assumed. */
  readonly database: {
    readonly name: string;
    readonly user: string;
    readonly server: string;
    readonly version: string;
  } | null;
  /** The effective search_path. */
  readonly searchPath: readonly string[];
  readonly postgis: { readonly schema: string; readonly version: string } | undefined;
  /** Whether the extension is installed on the server. */
  readonly postgisAvailable: boolean;
  /** All schemas, and whether the user has USAGE. */
  readonly schemas: ReadonlyMap<string, { readonly usable: boolean }>;
  /** All tables of the planned schemas, by {@link tableKey}. */
  readonly tables: ReadonlyMap<string, ExistingTable>;
}

/** An empty database, on a server that has PostGIS. */
export const emptyCatalog: DatabaseCatalog = {
  database: null,
  searchPath: ['public'],
  postgis: undefined,
  postgisAvailable: true,
  schemas: new Map(),
  tables: new Map(),
};
