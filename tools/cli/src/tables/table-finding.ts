/** The findings of `kafnus tables`. Their codes are part of the JSON output. */
import { sortedFindings, type Finding } from '@kafnus/kafka-admin';
import type { TableName } from './sql-names.js';

/** All codes with their meanings. docs/tables.md has the same list. */
export const findingCodes = {
  'schema-missing': 'the schema does not exist',
  'table-missing': 'the table does not exist',
  'column-missing': 'a column does not exist',
  'not-a-table': 'the relation of this name is a view or something else',
  'type-mismatch': 'the type of the column cannot store the values',
  'value-too-long': 'texts are longer than the column allows',
  'value-out-of-range': 'numbers are outside the range of the column',
  'value-altered': 'values are stored with a change',
  'value-invalid': 'the database cannot store a value',
  'geometry-mismatch': 'geometries have another type, dimension or SRID than the column',
  'not-null': 'rows have no value for a NOT NULL column',
  'column-generated': 'rows have a value for a generated column',
  'key-mismatch': 'no unique index has exactly the key columns of the records',
  'key-too-narrow': 'a unique index refuses different rows',
  'key-missing': 'records of a table have no key',
  'key-conflict': 'records of one table have different keys',
  'ids-shared': 'different entities have the same id, and so the same row',
  'services-share-table': 'several services write to one table',
  'types-conflict': 'a column has values of different types',
  'type-unsupported': 'no column can store values of the type',
  'name-too-long': 'PostgreSQL truncates names to 63 bytes',
  'name-illegal': 'PostgreSQL does not allow the name',
  'name-reserved': 'PostgreSQL reserves the name',
  'name-collision': 'names differ only in upper and lower case',
  'name-needs-quotes': 'the sink must quote identifiers',
  'too-many-columns': 'more columns than a table can have',
  'index-missing': 'an index that queries need does not exist',
  'postgis-missing': 'the database has no PostGIS',
  'postgis-schema': 'PostGIS is not in the schema that the sink uses',
  'privilege-missing': 'the user has no right to write',
  'record-unrouted': 'records without a usable target_table header',
  'record-invalid': 'records that are not Connect JSON',
  'sample-refused': 'an agent refuses part of the sample',
} as const;

export type TableFindingCode = keyof typeof findingCodes;

/**
 * error: rows fail, or the sink stops. warning: rows may fail, or are stored with a change. note:
 * no row fails.
 */
export interface TableFinding extends Finding<TableFindingCode> {
  readonly table?: TableName;
  readonly column?: string;
  /** SQL for an administrator; the command does not execute it. */
  readonly sql?: string;
}

/** By level, table and column. */
export function sortedTableFindings(findings: readonly TableFinding[]): TableFinding[] {
  return sortedFindings(
    findings,
    ({ table, column = '' }) => `${table?.schema ?? ''}\n${table?.name ?? ''}\n${column}`,
  );
}
