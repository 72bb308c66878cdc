/**
 * Any record is read in linear time. Otherwise, text that slows a regular expression down would
 * stop an agent, and with it all tenants, for minutes or for ever.
 */
import { describe, expect, test } from '@jest/globals';
import { jsonProblem, columnNameProblem, keyProblem, tableNameProblem, textProblem } from '../src/storable.js';
import { toWkb } from '../src/geometry.js';
import { parseInstant } from '../src/instant.js';
import { serviceOfTopic, serviceProblem, topicNames } from '../src/naming.js';
import { ngsiAgent } from '../src/ngsi-agent.js';
import { versionSettings, type VersionConfig } from '../src/settings.js';
import { failureLogger } from '../src/sink-failure.js';
import { postgresError } from '../src/sink-failure-error.js';
import { maskCredentials } from '../src/sink-failure-mask.js';
import { findInsert, mapLiterals } from '../src/sink-failure-sql.js';
import { clip } from '../src/sink-failure-text.js';
import { sanitise } from '../src/tenant.js';
import { quoted, shown } from '../src/text.js';
import { versions } from '../src/versions.js';

const defaults = Object.fromEntries(
  Object.entries(versionSettings).map(([key, setting]) => [key, setting.default]),
) as unknown as VersionConfig;
const names = topicNames({ naming: 'default', prefix: '', suffix: '', agent: 'errors' });
const logFailure = failureLogger({ names, sink: 'debezium', tenants: undefined });
const agents = (['kafnus', 'debezium'] as const).map((sink) => {
  const config = { ...defaults, sink };
  return ngsiAgent({ name: 'historic', suffix: '', keyedByTimeInstant: true }, config, versions(config));
});
const fiware = [{ 'fiware-service': 'city' }, { 'fiware-servicepath': '/air' }];
const TimeInstant = { type: 'DateTime', value: '2026-01-01T00:00:00.000Z' };

function decide(data: readonly object[], headers: readonly Readonly<Record<string, string>>[] = fiware): void {
  const value = Buffer.from(JSON.stringify({ subscriptionId: 's', data }));
  for (const agent of agents) agent.decide({ timestamp: 0, value, headers }, new Map());
}

function entity(attributes: object): object {
  return { id: 'e', type: 'T', TimeInstant, ...attributes };
}

function fail(headers: Readonly<Record<string, string>>, value: string | null = null): void {
  const list = Object.entries(headers).map(([name, text]) => ({ [name]: text }));
  logFailure({ timestamp: 0, value: value === null ? null : Buffer.from(value), headers: list });
}

const message = '__connect.errors.exception.message';

/** All functions that read text. */
const readers: Readonly<Record<string, (text: string) => unknown>> = {
  parseInstant,
  'geo:point': (text) => toWkb('geo:point', text),
  'geo:line': (text) => toWkb('geo:line', [text, text]),
  'geo:box': (text) => toWkb('geo:box', ['1,1', text]),
  'geo:polygon': (text) => toWkb('geo:polygon', [text, '1,1', '2,2', text]),
  sanitise,
  shown,
  quoted,
  textProblem,
  jsonProblem: (text) => jsonProblem(JSON.stringify(`\0${text}`)),
  keyProblem,
  columnNameProblem,
  tableNameProblem,
  serviceProblem: (text) => serviceProblem(names, text),
  serviceOfTopic: (text) => serviceOfTopic(names, text, text),
  maskCredentials,
  clip: (text) => clip(text, 4000),
  findInsert,
  mapLiterals: (text) => mapLiterals(text, maskCredentials),
  postgresError: (text) => postgresError(`ERROR: ${text}`, undefined),
  'a message of a sink': (text) => fail({ [message]: text }),
  'an INSERT in a message': (text) => fail({ [message]: `INSERT INTO "t" VALUES ('${text}', ${text}` }),
  'a stack trace': (text) => fail({ '__connect.errors.exception.stacktrace': `x\nCaused by: ${text}` }),
  'a topic that failed': (text) => fail({ '__connect.errors.topic': text, [message]: 'x' }),
  'the value of a failure': (text) => fail({ [message]: 'x' }, JSON.stringify({ payload: { a: text } })),
  'a value that is no JSON': (text) => fail({ [message]: 'x' }, text),
  'a service': (text) => decide([entity({})], [{ 'fiware-service': text }]),
  'a service path': (text) => decide([entity({})], [{ 'fiware-service': 'city' }, { 'fiware-servicepath': text }]),
  'a data model': (text) => decide([entity({})], [...fiware, { 'fiware-datamodel': text }]),
  'an id': (text) => decide([{ ...entity({}), id: text }]),
  'a type': (text) => decide([{ ...entity({}), type: text }]),
  'an attribute name': (text) => decide([entity({ [text]: { type: 'Number', value: 1 } })]),
  'a date': (text) => decide([entity({ d: { type: 'DateTime', value: text } })]),
  'a TimeInstant': (text) => decide([{ ...entity({}), TimeInstant: { type: 'DateTime', value: text } }]),
  'a text': (text) => decide([entity({ t: { type: 'Text', value: text } })]),
  'a text in JSON': (text) => decide([entity({ j: { type: 'json', value: { a: [text] } } })]),
  'a notification that is no JSON': (text) => {
    for (const agent of agents) agent.decide({ timestamp: 0, value: Buffer.from(text), headers: fiware }, new Map());
  },
};

/** The repeated text, with the texts before and after it. */
const attacks: readonly (readonly [head: string, piece: string, tail: string])[] = [
  ['', '1', 'x'],
  ['1', '1', ',1x'],
  ['1,', '1', 'x'],
  ['1.', '1', ',1.1x'],
  ['1e', '1', ',x'],
  ['', ' ', 'x'],
  ['1', ' ', ',x'],
  ['1,1', ' ', 'x'],
  ['1', '1', `,1${'1'.repeat(1000)}x`],
  ['2025-01-01T00:00:00.', '0', 'x'],
  ['2025-01-01T00:00:00Z[', 'a', 'x'],
  ['', '/', ''],
  ['', '_', ''],
  ['', '\n', 'x'],
  ['', '\\', 'x'],
  ['password=', '\\', '"x'],
  [`password=${'\\'.repeat(1000)}"`, '\\', 'x'],
  [`password="`, 'x\\', ''],
  ['', 'password', ''],
  ['', 'password=', ''],
  ['', "password=''", ''],
  ['', 'password "', ''],
  ['', 'bearer ', ''],
  ['bearer', ' ', 'x'],
  ['', '://', ''],
  ['', 'a://b:c', '@'],
  ['', '://a:@', ''],
  ['', '@', '://'],
  ['', 'insert into ', ''],
  ['', 'insert into t values (', ''],
  ['insert into t values ', "('a'),", ''],
  ['insert into t values (', '$a', ''],
  ['insert into t values (', '$a$', ''],
  ['', 'ERROR: ', ''],
  ['', 'Detail: ', ''],
  ['', '\n        Detail: ', ''],
  ['', '\nCaused by: ', ''],
  ['', "'", ''],
  ['', '"', ''],
  ['', '.0', 'x'],
  ['', '0.', 'x'],
  ['', '-', 'x'],
  ['', '\0', ''],
  ['', '\ud800', ''],
  ['', '😀', '\udc00'],
  ['', '{', ''],
  ['', '[', ''],
  ['', '{"a":', ''],
  ['', '_http', ''],
  ['', '_lastdata', ''],
];

/** Milliseconds of CPU for a text of 1 MB; some tens were measured. */
const mostMs = 1000;
/** Increasing lengths: a quadratic function fails at one before it takes minutes at the next. */
const lengths = [1 << 12, 1 << 15, 1 << 20];

function cpuMs(work: () => void): number {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

/** Two equal runs: a closing quote that is as long as its text. */
const twice = (length: number): string => `password=${'\\'.repeat(length / 2)}"${'\\'.repeat(length / 2)}x`;

/** For each length the name of an attack and its text. */
const texts = lengths.map((length) => [
  ...attacks.map(([head, piece, tail]): [string, string] => [
    JSON.stringify([head.slice(0, 40), piece, tail.slice(0, 40)]),
    Buffer.from(head + piece.repeat(Math.max(1, length / piece.length)) + tail, 'utf16le').toString('utf16le'),
  ]),
  ['a quote of backslashes', twice(length)] as [string, string],
]);

describe('text of a megabyte is read within a second', () => {
  test.each(Object.keys(readers))('%s', (name) => {
    const read = readers[name] ?? (() => undefined);
    for (const ofLength of texts) {
      for (const [attack, text] of ofLength) {
        const spent = cpuMs(() => read(text));
        if (spent > mostMs) throw new Error(`${text.length} characters of ${attack} took ${spent} ms`);
      }
    }
  });
});

describe('templates', () => {
  /** Sends enough entities of a kind to make a template. */
  function learn(attributes: object): void {
    for (let time = 0; time < 300; time += 1) decide([entity(attributes)]);
  }

  test.each<[string, object, (piece: string) => object]>([
    [
      'a long number, and no end',
      { a: { type: 'Number', value: 1.5, metadata: {} } },
      (long) => ({ a: { type: 'Number', value: '9'.repeat(long.length), metadata: {} } }),
    ],
    [
      'a long text',
      { a: { type: 'Text', value: 'x', metadata: {} } },
      (long) => ({ a: { type: 'Text', value: long } }),
    ],
    [
      'many values, the last one of another kind',
      { a: { type: 'StructuredValue', value: Array.from({ length: 300 }, (_, place) => place), metadata: {} } },
      (long) => ({ a: { type: 'StructuredValue', value: [...Array.from({ length: 299 }, () => 1e300), long] } }),
    ],
    [
      'a long text before what differs',
      { a: { type: 'Text', value: 'x', metadata: {} }, b: { type: 'Text', value: 'x', metadata: {} } },
      (long) => ({
        a: { type: 'Text', value: long, metadata: {} },
        b: { type: 'Text', value: long, metadata: { c: {} } },
      }),
    ],
  ])('meet %s', (_what, usual, hostile) => {
    learn(usual);
    for (const piece of ['x', '1', '\\', '"', '}', '","']) {
      for (const length of lengths) {
        const spent = cpuMs(() => decide([entity(usual), entity(hostile(piece.repeat(length / 2 / piece.length)))]));
        if (spent > mostMs) throw new Error(`${length} times ${piece}: ${spent} ms`);
      }
    }
  });

  test('a thousand near misses of eight templates take no longer than they are long', () => {
    for (let kind = 0; kind < 8; kind += 1) {
      learn({
        ...Object.fromEntries(Array.from({ length: 20 }, (_, place) => [`a${place}`, { value: 1 }])),
        [`k${kind}`]: { value: 1 },
      });
    }
    const miss = entity({
      ...Object.fromEntries(Array.from({ length: 20 }, (_, place) => [`a${place}`, { value: 1 }])),
      k9: { value: 1 },
    });
    expect(cpuMs(() => decide(Array.from({ length: 2000 }, () => miss)))).toBeLessThan(2 * mostMs);
  });
});
