/** Names in PostgreSQL: quoting, length, and those that cannot be had. */
import { LONGEST_NAME, SYSTEM_COLUMNS } from '@kafnus/ngsi-core';
import { printable, quoted } from '../terminal/text.js';
import type { FindingCode } from './finding.js';

/** A table, by its schema and its own name. */
export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** MaxHeapAttributeNumber. */
export const MAX_COLUMNS = 1600;

/** Reserved key words of PostgreSQL (appendix C, "reserved" and "reserved (can be function or type)"). */
const RESERVED: ReadonlySet<string> = new Set(
  `all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column
  concurrently constraint create cross current_catalog current_date current_role current_schema current_time
  current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze from
  full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit localtime
  localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references returning right
  select session_user similar some symmetric system_user table tablesample then to trailing true union unique user using
  variadic verbose when where window with`.split(/\s+/),
);

/**
 * A name as SQL takes it, whatever is in it. One with control or direction characters is written with escapes (`U&"..."`): it
 * stays on its line, also within a comment, and a person sees what it is.
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

/** For people: `schema.table`, printable. */
export function shownTable({ schema, name }: TableName): string {
  return printable(`${schema}.${name}`);
}

/** One text for one table, for maps. */
export function tableKey({ schema, name }: TableName): string {
  return JSON.stringify([schema, name]);
}

export function byteLength(name: string): number {
  return Buffer.byteLength(name);
}

/** What PostgreSQL makes of a name that is too long: whole characters of the first 63 bytes. */
export function truncated(name: string): string {
  let bytes = 0;
  let kept = '';
  for (const character of name) {
    bytes += byteLength(character);
    if (bytes > LONGEST_NAME) break;
    kept += character;
  }
  return kept;
}

/** As PostgreSQL folds a name without quotes: ASCII letters only. */
export function folded(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Whether the name means the same without quotes. */
export function isPlain(name: string): boolean {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !RESERVED.has(name);
}

/** Why there can be no schema, table or column of the name. */
export interface NameProblem {
  readonly code: Extract<FindingCode, 'name-illegal' | 'name-too-long' | 'name-reserved'>;
  readonly message: string;
}

export function nameProblem(what: 'schema' | 'table' | 'column', name: string): NameProblem | undefined {
  if (name === '') return { code: 'name-illegal', message: `the name of the ${what} is empty` };
  if (name.includes('\0') || /\p{Surrogate}/u.test(name)) {
    return { code: 'name-illegal', message: `${quoted(name)} holds what no name may: a NUL, or half a character` };
  }
  if (byteLength(name) > LONGEST_NAME) {
    const message = `${quoted(name)} has ${byteLength(name)} bytes, and PostgreSQL would cut it to ${printable(truncated(name))}`;
    return { code: 'name-too-long', message };
  }
  if (what === 'schema' && /^pg_/.test(name)) {
    return {
      code: 'name-reserved',
      message: `${quoted(name)} begins with pg_, which is kept for PostgreSQL's own schemas`,
    };
  }
  if (what === 'column' && SYSTEM_COLUMNS.has(name)) {
    return { code: 'name-reserved', message: `${quoted(name)} is a system column of every table` };
  }
  return undefined;
}
