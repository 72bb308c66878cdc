/** Finds the table of a failed record. */
import type { FailureHeaders } from './sink-failure-headers.js';
import type { JsonObject } from './notification.js';
import { sanitise } from './tenant.js';

/** A table, each name unquoted. */
export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/**
 * The header target_table; without it, the table of the data model and the other headers (SPEC 3),
 * since Kafnus 1.5 sends no such header; undefined when these are incomplete: a guessed table would
 * mislead.
 * @param db the schema when the header names only a table
 * @param payload the row, which contains the service path as well
 */
export function targetTable(headers: FailureHeaders, db: string, payload: JsonObject): TableName | undefined {
  const { targetTable: header } = headers;
  if (header !== undefined) {
    const dot = header.indexOf('.');
    return dot < 0 ? { schema: db, table: header } : { schema: header.slice(0, dot), table: header.slice(dot + 1) };
  }
  if (headers.entityType === undefined) return undefined;
  const { fiwareservicepath } = payload;
  const path = sanitise(headers.servicePath ?? (typeof fiwareservicepath === 'string' ? fiwareservicepath : ''));
  const type = sanitise(headers.entityType);
  const suffix = sanitise(headers.suffix ?? '');
  switch (headers.dataModel ?? 'dm-by-entity-type-database') {
    case 'dm-by-entity-type-database':
      return { schema: db, table: `${path}_${type}${suffix}` };
    case 'dm-by-entity-type-database-schema':
      return path === '' ? undefined : { schema: path, table: `${path}_${type}${suffix}` };
    case 'dm-by-fixed-entity-type-database-schema':
      return path === '' ? undefined : { schema: path, table: type + suffix };
    default:
      return undefined;
  }
}
