/** What is said about shapes and tables: a closed vocabulary, so that scripts can tell findings apart. */
import type { TableName } from './names.js';

/** Every code, with what it means. docs/tables.md lists the same ones. */
export const findingCodes = {
  'schema-missing': 'the schema is not there',
  'table-missing': 'the table is not there',
  'column-missing': 'a column is not there',
  'not-a-table': 'what has the name of the table is a view or something else',
  'type-mismatch': 'values do not fit the type of the column',
  'value-too-long': 'texts are longer than the column',
  'value-out-of-range': 'numbers are beyond the column',
  'value-altered': 'values are stored as other values than came',
  'value-invalid': 'a value is none that the database can hold',
  'geometry-mismatch': 'geometries have another type, dimension or SRID than the column',
  'not-null': 'rows leave out a column that must not be null',
  'column-generated': 'rows bring a value for a column that the database computes',
  'key-mismatch': 'no unique index is on just the key columns of the records',
  'key-too-narrow': 'a unique index refuses rows that are not the same',
  'key-missing': 'records of a table have no key',
  'key-conflict': 'records of one table have different keys',
  'ids-shared': 'entities that are not the same share an id, and so a row',
  'services-share-table': 'several services write to one table',
  'types-conflict': 'one column gets values of different types',
  'type-unsupported': 'a type that is no column',
  'name-too-long': 'PostgreSQL keeps 63 bytes of a name',
  'name-illegal': 'no name for PostgreSQL',
  'name-reserved': 'a name that PostgreSQL keeps for itself',
  'name-collision': 'names that are different only in their case',
  'name-needs-quotes': 'the sink must quote identifiers',
  'too-many-columns': 'more columns than a table can have',
  'index-missing': 'an index that queries would like is not there',
  'postgis-missing': 'the database has no PostGIS',
  'postgis-schema': 'PostGIS is not where the sink looks for it',
  'privilege-missing': 'the user may not write',
  'record-unrouted': 'records without a usable target_table header',
  'record-invalid': 'records that are no Connect JSON',
  'sample-refused': 'an agent refuses what is in the sample',
} as const;

export type FindingCode = keyof typeof findingCodes;

/** error: rows fail, or the sink stops. warning: they may, or are not stored as they came. note: nothing fails. */
export const levels = ['error', 'warning', 'note'] as const;
export type Level = (typeof levels)[number];

/** Something that a person should know, and what to do about it. */
export interface Finding {
  readonly level: Level;
  readonly code: FindingCode;
  readonly table?: TableName;
  readonly column?: string;
  /** What is the matter, with the offending value shortened. */
  readonly message: string;
  /** What to do. */
  readonly advice: string;
  /** SQL that a person may run; this program does not. */
  readonly sql?: string;
}

/** The worst first; then by table and column. */
export function sortedFindings(findings: readonly Finding[]): Finding[] {
  const place = ({ level, table, column = '' }: Finding): string =>
    `${levels.indexOf(level)} ${table?.schema ?? ''}\n${table?.name ?? ''}\n${column}`;
  return [...findings].sort((a, b) => (place(a) < place(b) ? -1 : place(a) > place(b) ? 1 : 0));
}
