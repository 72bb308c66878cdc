/** Names in PostgreSQL: quoting, length, and names that are not allowed. */
import { maxNameBytes, systemColumns } from '@kafnus/ngsi-core';
import { printable, quoted } from '../terminal/text.js';
import type { TableFindingCode } from './table-finding.js';

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** MaxHeapAttributeNumber. */
export const maxColumns = 1600;

/**
 * Reserved key words of PostgreSQL (appendix C, "reserved" and "reserved (can be function or
 * type)").
 */
const reservedWords: ReadonlySet<string> = new Set(
  `all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column
  concurrently constraint create cross current_catalog current_date current_role current_schema current_time
  current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze from
  full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit localtime
  localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references returning right
  select session_user similar some symmetric system_user table tablesample then to trailing true union unique user using
  variadic verbose when where window with`.split(/\s+/),
);

/**
 * Quotes any name. A name with control or direction characters is written with escapes (`U&"..."`),
 * so that it stays on one line, also in a comment, and is visible.
 */
export function quoteIdentifier(name: string): string {
  const doubled = name.replaceAll('"', '""');
  if (printable(name) === name) return `"${doubled}"`;
  const escaped = [...doubled.replaceAll('\\', '\\\\')].map((character) =>
    printable(character) === character ? character : `\\${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `U&"${escaped.join('')}"`;
}

export function quoteTable({ schema, name }: TableName): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** `schema.table`, printable and not quoted. */
export function shownTable({ schema, name }: TableName): string {
  return printable(`${schema}.${name}`);
}

/** A key for maps. */
export function tableKey({ schema, name }: TableName): string {
  return JSON.stringify([schema, name]);
}

export function byteLength(name: string): number {
  return Buffer.byteLength(name);
}

/** The name that PostgreSQL truncates a longer one to: whole characters of the first 63 bytes. */
export function truncated(name: string): string {
  let bytes = 0;
  let result = '';
  for (const character of name) {
    bytes += byteLength(character);
    if (bytes > maxNameBytes) break;
    result += character;
  }
  return result;
}

/** PostgreSQL folds an unquoted name, in ASCII only, to lower case. */
export function folded(name: string): string {
  return name.replace(/[A-Z]+/g, (part) => part.toLowerCase());
}

/** Whether the name needs no quotes. */
export function isPlain(name: string): boolean {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !reservedWords.has(name);
}

/** Why PostgreSQL does not allow the name. */
export interface NameProblem {
  readonly code: Extract<TableFindingCode, 'name-illegal' | 'name-too-long' | 'name-reserved'>;
  readonly message: string;
}

export function nameProblem(what: 'schema' | 'table' | 'column', name: string): NameProblem | undefined {
  if (name === '') return { code: 'name-illegal', message: `the name of the ${what} is empty` };
  if (name.includes('\0') || /\p{Surrogate}/u.test(name)) {
    return {
      code: 'name-illegal',
      message: `${quoted(name)} has a NUL or half a surrogate pair, which no name can have`,
    };
  }
  if (byteLength(name) > maxNameBytes) {
    const message = `${quoted(name)} has ${byteLength(name)} bytes, and PostgreSQL would truncate it to ${printable(truncated(name))}`;
    return { code: 'name-too-long', message };
  }
  if (what === 'schema' && /^pg_/.test(name)) {
    return {
      code: 'name-reserved',
      message: `${quoted(name)} begins with pg_, which PostgreSQL reserves for system schemas`,
    };
  }
  if (what === 'column' && systemColumns.has(name)) {
    return { code: 'name-reserved', message: `${quoted(name)} is a system column of every table` };
  }
  return undefined;
}
