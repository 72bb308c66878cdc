import { maxNameBytes } from '@kafnus/ngsi-core';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  byteLength,
  folded,
  isPlain,
  nameProblem,
  quoteIdentifier,
  quoteTable,
  truncated,
} from '../src/tables/sql-names.js';

/**
 * Reads an identifier as PostgreSQL's lexer does ("Lexical Structure", 4.1.1), and what is left
 * behind it.
 */
function lexed(sql: string): { readonly name: string; readonly rest: string } {
  const escapes = sql.startsWith('U&');
  let at = escapes ? 3 : 1;
  if (sql[at - 1] !== '"') throw new Error(`no quoted identifier: ${sql}`);
  let name = '';
  for (;;) {
    const character = sql[at];
    if (character === undefined) throw new Error(`it does not end: ${sql}`);
    if (character === '"' && sql[at + 1] !== '"') return { name, rest: sql.slice(at + 1) };
    if (character === '"') {
      name += '"';
      at += 2;
    } else if (escapes && character === '\\' && sql[at + 1] === '\\') {
      name += '\\';
      at += 2;
    } else if (escapes && character === '\\') {
      const code = /^[0-9a-f]{4}$/.exec(sql.slice(at + 1, at + 5))?.[0];
      if (code === undefined) throw new Error(`no escape at ${sql.slice(at)}`);
      name += String.fromCharCode(parseInt(code, 16));
      at += 5;
    } else {
      name += character;
      at += 1;
    }
  }
}

const hostile = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1 }),
  fc.string({
    unit: fc.constantFrom('"', '\\', "'", '\n', '\u202e', 'U', '&', ';', '-', '*', '/', 'a', 'é', '😀'),
    minLength: 1,
  }),
  fc.constantFrom('"; drop table x; --', 'U&"\\0041"', '\\', '"', '""', '*/', 'select', 'naïve', '\u2028'),
);

describe('quoteIdentifier', () => {
  test('is read back as what it was, whatever it was', () => {
    fc.assert(
      fc.property(hostile, hostile, (schema, name) => {
        const sql = quoteTable({ schema, name });
        const first = lexed(sql);
        expect(first.name).toBe(schema);
        expect(first.rest[0]).toBe('.');
        expect(lexed(first.rest.slice(1))).toEqual({ name, rest: '' });
      }),
      { numRuns: 2000 },
    );
  });

  test('stays on its line, and shows what would hide', () => {
    fc.assert(
      fc.property(hostile, (name) => {
        expect(quoteIdentifier(name)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/);
      }),
    );
    expect(quoteIdentifier('a\nb"\\')).toBe('U&"a\\000ab""\\\\"');
  });

  test.each([
    ['noise', '"noise"'],
    ['pm2.5', '"pm2.5"'],
    ['say "hi"', '"say ""hi"""'],
    ['back\\slash', '"back\\slash"'],
    ['straße', '"straße"'],
  ])('%s', (name, sql) => {
    expect(quoteIdentifier(name)).toBe(sql);
  });
});

describe('truncated', () => {
  test('keeps whole characters, as many as fit, from the start', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'é', '€', '😀'), maxLength: 80 }), (name) => {
        const kept = truncated(name);
        expect(name.startsWith(kept)).toBe(true);
        expect(byteLength(kept)).toBeLessThanOrEqual(maxNameBytes);
        const next = [...name.slice(kept.length)][0];
        if (next !== undefined) expect(byteLength(kept + next)).toBeGreaterThan(maxNameBytes);
      }),
    );
  });
});

describe('nameProblem', () => {
  test.each([
    ['column', 'a'.repeat(64), 'name-too-long', /^'a+…' has 64 bytes, and PostgreSQL would truncate it to a{63}$/],
    ['column', '€'.repeat(22), 'name-too-long', /66 bytes/],
    ['column', 'xmin', 'name-reserved', /system column/],
    ['schema', 'pg_city', 'name-reserved', /pg_/],
    ['table', '', 'name-illegal', /the name of the table is empty/],
    ['column', 'a\0b', 'name-illegal', /NUL/],
    ['column', 'a\ud800', 'name-illegal', /half a surrogate pair/],
  ] as const)('%s %j', (what, name, code, message) => {
    expect(nameProblem(what, name)).toEqual({ code, message: expect.stringMatching(message) });
  });

  test.each([
    ['column', '€'.repeat(21)],
    ['column', 'pg_city'],
    ['table', 'xmin'],
    ['column', '"; drop table x; --'],
  ] as const)('none with %s %j', (what, name) => {
    expect(nameProblem(what, name)).toBeUndefined();
  });
});

test('folded changes ASCII only, as PostgreSQL does in UTF-8 databases', () => {
  expect(folded('Straße ÄÖ pM2.5')).toBe('straße ÄÖ pm2.5');
});

test.each([
  ['noise_2', true],
  ['2noise', false],
  ['order', false],
  ['user', false],
  ['pm2.5', false],
  ['café', false],
  ['timestamp', true],
])('%s is a name without quotes: %s', (name, plain) => {
  expect(isPlain(name)).toBe(plain);
});
