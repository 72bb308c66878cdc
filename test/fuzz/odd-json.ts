/**
 * JSON text that is legal and odd, nearly JSON, or a trap for a parser: written as text, for no
 * serializer writes it.
 */
import type { Dice } from './dice.js';

export const oddNumbers = [
  ...['0', '-0', '-0.0', '1e400', '-1e400', '1e-400', '9007199254740993', '-9007199254740993', '1E+2', '0.1', '5e-324'],
  ...[
    '1.7976931348623157e308',
    '123456789012345678901234567890',
    '1.0000000000000000000000000001',
    '4294967296',
    '1e21',
  ],
] as const;
/** No JSON, but what some serializers write. */
const noNumbers = [
  'NaN',
  'Infinity',
  '-Infinity',
  '01',
  '+1',
  '.5',
  '1.',
  '0x10',
  '1_000',
  'undefined',
  '--1',
] as const;

/** String literals with their quotes. */
export const oddStrings = [
  ...[
    '""',
    '" "',
    '"\\u0000"',
    '"a\\u0000b"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\ud83d\\ude00"',
    '"\\u2028"',
    '"\\ufeff"',
  ],
  ...[
    '"\\\\"',
    '"\\""',
    '"\\/"',
    '"\\n\\t\\r\\b\\f"',
    '"<script>"',
    '"İ"',
    '"ſ"',
    '"ﬃ"',
    '"e\u0301"',
    '"\u202e"',
    '"null"',
    '"true"',
  ],
  ...[
    '"__proto__"',
    '"constructor"',
    '"\'; drop table x; --"',
    '"${jndi:ldap://x}"',
    '"%s%n%x"',
    '"\u{1f600}"',
    '"-"',
    '"NaN"',
  ],
] as const;
const noStrings = ['"\\x41"', '"\\u12"', "'single'", '"\u0001"', '"open', '"\\u{1f600}"', '"a\nb"'] as const;

export const oddNames = [
  ...[
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'hasOwnProperty',
    '__defineGetter__',
    'then',
    'toJSON',
    'length',
  ],
  ...[
    'id',
    'type',
    'ID',
    'Type',
    'entityid',
    'EntityType',
    'fiwareServicePath',
    'recvtime',
    'RECVTIME',
    'timeInstant',
    'TIMEINSTANT',
  ],
  ...[
    '',
    ' ',
    '.',
    '"',
    "'",
    '\\',
    '\u0000',
    '\ud800',
    'İ',
    'I',
    'ı',
    'ß',
    'ẞ',
    'K',
    '\u2028',
    '$&',
    '$1',
    '0',
    '-1',
    'ctid',
    'xmin',
  ],
  ...[
    'alterationType',
    'AlterationType',
    'headers',
    'data',
    'a b',
    'a-b',
    'a.b',
    'A',
    'a',
    'n'.repeat(63),
    'n'.repeat(64),
  ],
] as const;

/** A member: `"name":value`. */
export function member(name: string, value: string): string {
  return `${JSON.stringify(name)}:${value}`;
}

/** A JSON value of any kind, mostly legal. @param depth how many levels below it there may be */
export function anyValue(dice: Dice, depth = 3): string {
  return dice.weighted(
    [6, () => dice.pick(oddNumbers)],
    [6, () => dice.pick(oddStrings)],
    [3, () => dice.pick(['null', 'true', 'false'])],
    [0.3, () => dice.pick(noNumbers)],
    [0.3, () => dice.pick(noStrings)],
    [2, () => JSON.stringify('x'.repeat(dice.below(200)))],
    [depth > 0 ? 3 : 0, () => `[${dice.times(dice.below(5), () => anyValue(dice, depth - 1)).join(',')}]`],
    [depth > 0 ? 3 : 0, () => `{${dice.times(dice.below(5), () => anyMember(dice, depth - 1)).join(',')}}`],
  );
}

export function anyMember(dice: Dice, depth = 3): string {
  const name = dice.chance(0.5) ? dice.pick(oddNames) : `a${dice.below(6)}`;
  return member(name, anyValue(dice, depth));
}

export function nested(kind: 'arrays' | 'objects', depth: number, core = '1'): string {
  return kind === 'arrays'
    ? '['.repeat(depth) + core + ']'.repeat(depth)
    : '{"a":'.repeat(depth) + core + '}'.repeat(depth);
}

/** Damages bytes as a broken publisher, network or disk does. */
export function damaged(dice: Dice, bytes: Buffer): Buffer {
  const at = dice.below(bytes.length + 1);
  const insert = (what: Buffer): Buffer => Buffer.concat([bytes.subarray(0, at), what, bytes.subarray(at)]);
  return dice.weighted(
    [3, () => bytes.subarray(0, at)],
    [1, () => bytes.subarray(at)],
    [3, () => flipped(dice, bytes)],
    [2, () => insert(dice.pick(strayBytes))],
    [1, () => insert(dice.bytes(dice.between(1, 20)))],
    [2, () => insert(Buffer.from(dice.pick(['{', '}', '[', ']', ',', ':', '"', '\\', '\0', ' ', '\n', 'null'])))],
    [1, () => Buffer.concat([bytes, bytes])],
    [1, () => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes])],
    [0.5, () => Buffer.from(bytes.toString(), 'utf16le')],
    [0.5, () => Buffer.from(JSON.stringify(bytes.toString()))],
  );
}

/**
 * UTF-8 that is cut, overlong, of surrogates, beyond Unicode; and the replacement character, which
 * is fine.
 */
const strayBytes = [
  ...[
    [0xff],
    [0xc3],
    [0xe2, 0x82],
    [0xf0, 0x9f, 0x98],
    [0xc0, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0x80],
  ],
  ...[[0xef, 0xbf, 0xbd], [0xef, 0xbb, 0xbf], [0x00], [0xfe, 0xff]],
].map((bytes) => Buffer.from(bytes));

function flipped(dice: Dice, bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (let left = dice.between(1, 4); left > 0 && copy.length > 0; left -= 1)
    copy[dice.below(copy.length)] = dice.below(256);
  return copy;
}
