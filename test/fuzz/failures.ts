/**
 * Dead letters of sinks and of agents, for the errors agent: sound ones, and hostile texts in
 * every header.
 */
import type { Dice } from './dice.js';
import { anyValue, nested, oddStrings } from './odd-json.js';

const prefix = '__connect.errors.';

const messages = [
  'Exception chain:\norg.postgresql.util.PSQLException: ERROR: relation "town.lamp" does not exist\n  Position: 13',
  'java.sql.BatchUpdateException: Batch entry 0 INSERT INTO "town"."lamp" ("entityid","name") VALUES (\'l1\',\'it\'\'s\') ON CONFLICT ("entityid") DO UPDATE SET "name"=EXCLUDED."name" was aborted: ERROR: duplicate key value violates unique constraint "lamp_pkey"\n  Detail: Key (entityid)=(l1) already exists.  Call getNextException to see other errors in the batch.',
  'Converting byte[] to Kafka Connect data failed due to serialization error: ',
  'ERROR: invalid byte sequence for encoding "UTF8": 0x00',
  'FEHLER: Relation »town.lamp« existiert nicht',
  'Connection to jdbc:postgresql://user:secret@db:5432/kafnus?password=secret refused',
  'insert into town.lamp values (1, (2, (3))) returning *',
  'INSERT INTO "town"."lamp" VALUES (?, ?)',
];

/** Pieces of which hostile texts are put together. */
const pieces = [
  ...[
    'INSERT INTO ',
    'insert\tinto',
    '"a"."b" ',
    '"a""b"',
    ' VALUES ',
    '(',
    ')',
    '((',
    "'",
    "''",
    '"',
    '$1',
    '$tag$',
    '$$',
    '?',
    ';',
    '--',
    '/*',
    '*/',
  ],
  ...[
    'ON CONFLICT ',
    'DO UPDATE SET ',
    'DO NOTHING',
    'RETURNING ',
    'ERROR: ',
    'ERROR:',
    '\n  Detail: ',
    '\nDetail: ',
    '; nested exception is ',
  ],
  ...[
    'password=',
    'PASSWORD ',
    '"password": "',
    'token=',
    'Authorization: Bearer ',
    'postgres://',
    'u:p@',
    '@',
    '://',
    ':',
    '\\',
    '\n',
    '\nCaused by: ',
    '\n\t',
  ],
  ...["E'", "U&'", "x'", ',', '.', '::', ' ', '\0', '\ud800', '😀', 'a', '1', 'e', '-', '%', 'null', 'values', 'into'],
];

function hostile(dice: Dice, count: number): string {
  let text = '';
  for (let left = count; left > 0; left -= 1) text += dice.pick(pieces);
  return text;
}

/** A run of one piece, or of a few: what is quadratic shows. */
export function repeated(dice: Dice, bytes: number): string {
  const unit = dice.times(dice.between(1, 3), () => dice.pick(pieces)).join('') || 'x';
  return unit.repeat(Math.max(1, Math.floor(bytes / Math.max(1, Buffer.byteLength(unit)))));
}

function message(dice: Dice): string {
  return dice.weighted(
    [4, () => dice.pick(messages)],
    [3, () => hostile(dice, dice.between(1, 60))],
    [2, () => dice.pick(messages) + hostile(dice, dice.between(1, 20))],
    [1, () => repeated(dice, dice.between(1, 5000))],
    [0.01, () => repeated(dice, 200_000)],
  );
}

const topics = [
  ...[
    'town',
    'town_lastdata',
    'town_mutable',
    'city_error_log',
    'raw_historic',
    'raw_errors',
    'raw_lastdata',
    'town_http',
    'town_mongo',
    '',
  ],
  ...[
    '__consumer_offsets',
    '../x',
    'UPPER',
    'x'.repeat(300),
    'my_historic_town',
    '_lastdata',
    'init',
    'a-changelog',
    '\0',
    'constructor',
    '__proto__',
  ],
];

/** Headers of a dead letter, by name. */
export function failureHeaders(dice: Dice): [string, string | Buffer | null][] {
  const headers: [string, string | Buffer | null][] = [];
  const add = (probability: number, name: string, value: () => string): void => {
    if (!dice.chance(probability)) return;
    const odd = dice.chance(0.03);
    headers.push([
      odd ? name.toUpperCase() : name,
      dice.chance(0.03) ? null : dice.chance(0.03) ? dice.bytes(20) : value(),
    ]);
    if (dice.chance(0.03)) headers.push([name, value()]);
  };
  add(0.9, `${prefix}topic`, () => dice.pick(topics));
  add(0.9, `${prefix}partition`, () => dice.pick(['0', '-1', '', 'x', '99999999999999999999']));
  add(0.9, `${prefix}offset`, () => String(dice.below(1000)));
  add(0.9, `${prefix}exception.class.name`, () =>
    dice.pick([
      'org.apache.kafka.connect.errors.DataException',
      'kafnus.rejected.not-json',
      'kafnus.rejected.',
      '',
      'x'.repeat(2000),
    ]),
  );
  add(0.9, `${prefix}exception.message`, () => message(dice));
  add(0.2, `${prefix}exception.cause.message`, () => message(dice));
  add(
    0.5,
    `${prefix}exception.stacktrace`,
    () => `${message(dice)}\n\tat a.b.C(D.java:1)\nCaused by: ${message(dice)}\n\tat x`,
  );
  add(0.4, 'target_table', () => dice.pick(['town.lamp', 'lamp', '.', 'a.b.c', '"', hostile(dice, 5), '']));
  add(0.4, 'entityType', () => dice.pick(['Lamp', '', '__proto__', '"; drop', 'x'.repeat(1000)]));
  add(0.2, 'suffix', () => dice.pick(['', '_lastdata', "'"]));
  return headers;
}

/** What a sink could not write: Connect JSON, mostly. */
export function failedValue(dice: Dice): string {
  const fields = dice.times(dice.below(6), (index) => `{"field":"f${index}","type":"string","optional":true}`);
  const members = dice.times(
    dice.below(6),
    (index) => `"f${index}":${dice.chance(0.5) ? dice.pick(oddStrings) : anyValue(dice)}`,
  );
  return dice.weighted(
    [5, () => `{"schema":{"type":"struct","fields":[${fields.join(',')}]},"payload":{${members.join(',')}}}`],
    [1, () => `{"payload":${anyValue(dice)}}`],
    [1, () => anyValue(dice)],
    [1, () => hostile(dice, 30)],
  );
}

/** Messages and values that are one trap each, by name. */
export function trapFailures(dice: Dice): [name: string, message: string, value: string][] {
  const traps: [string, string, string][] = [];
  for (const piece of pieces) {
    const text = piece.repeat(Math.ceil(100_000 / Buffer.byteLength(piece)));
    traps.push([`100 KB of ${JSON.stringify(piece)}`, text, '{}']);
    traps.push([`an INSERT and 100 KB of ${JSON.stringify(piece)}`, `INSERT INTO a.b VALUES ('${text}`, '{}']);
  }
  for (const depth of [1000, 5000, 10_000, 100_000]) {
    traps.push([`${depth} parentheses`, `INSERT INTO a.b VALUES ${'('.repeat(depth)}1${')'.repeat(depth)}`, '{}']);
    traps.push([`a payload of ${depth} arrays`, 'x', `{"payload":{"a":${nested('arrays', depth)}}}`]);
    traps.push([`a value of ${depth} objects`, 'x', nested('objects', depth)]);
  }
  traps.push(
    ['a message of 1 MB', 'x'.repeat(1_000_000), '{}'],
    ['a value of 1 MB', 'x', JSON.stringify('y'.repeat(1_000_000))],
    ['a value of 1 MB of quotes', 'x', `{"payload":{"a":"${"'".repeat(900_000)}"}}`],
    ['20,000 columns', 'x', `{"payload":{${dice.times(20_000, (n) => `"c${n}":"password=x"`).join(',')}}}`],
    [
      '1,000 values of blanks',
      `INSERT INTO a.b VALUES (${dice.times(1000, () => `'${' '.repeat(300)}'`).join(',')}`,
      '{}',
    ],
  );
  return traps;
}
