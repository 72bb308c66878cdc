/** What there is in a database, as far as it concerns the tables that are wanted. */

export interface ExistingColumn {
  readonly name: string;
  /** As PostgreSQL writes it: `character varying(20)`, `geometry(Point,4326)`, ... */
  readonly type: string;
  /** The name of the type itself, below any domain: `varchar`, `geometry`, `float8`, ... */
  readonly base: string;
  /** Characters of a varchar(n) or char(n). */
  readonly maxLength: number | undefined;
  /** Digits before the point of a numeric(p,s), and after it. */
  readonly digits: { readonly whole: number; readonly fraction: number } | undefined;
  readonly notNull: boolean;
  /** Whether a row that leaves the column out gets a value all the same: a default, an identity. */
  readonly hasDefault: boolean;
  /** Whether a row must not bring a value: a computed column, an identity ALWAYS. */
  readonly generated: boolean;
}

/** A unique index that ON CONFLICT can use: valid, not deferrable, over plain columns of all rows. */
export interface UniqueIndex {
  readonly name: string;
  readonly columns: readonly string[];
  readonly primary: boolean;
  /** Whether it belongs to a constraint: that is dropped then, and not the index. */
  readonly constraint: boolean;
}

export interface ExistingTable {
  readonly schema: string;
  readonly name: string;
  /** Whether rows can be written to it as to a table. */
  readonly kind: 'table' | 'view' | 'materialized view' | 'foreign table';
  readonly columns: readonly ExistingColumn[];
  readonly unique: readonly UniqueIndex[];
  /** The first column of every index, with its access method. */
  readonly indexes: readonly { readonly column: string; readonly method: string }[];
  /** Whether the user may insert, update, select and delete. */
  readonly writable: boolean;
}

export interface Catalog {
  /** null: no database was asked, and an empty one is assumed. */
  readonly database: {
    readonly name: string;
    readonly user: string;
    readonly server: string;
    readonly version: string;
  } | null;
  /** Where types and functions are found without their schema. */
  readonly searchPath: readonly string[];
  readonly postgis: { readonly schema: string; readonly version: string } | undefined;
  /** Whether the server has the files of PostGIS. */
  readonly postgisAvailable: boolean;
  /** All schemas, and whether the user may use them. */
  readonly schemas: ReadonlyMap<string, { readonly usable: boolean }>;
  /** By {@link tableKey}: all tables of the schemas that are wanted. */
  readonly tables: ReadonlyMap<string, ExistingTable>;
}

/** A database without anything, where PostGIS can be had. */
export const emptyCatalog: Catalog = {
  database: null,
  searchPath: ['public'],
  postgis: undefined,
  postgisAvailable: true,
  schemas: new Map(),
  tables: new Map(),
};
