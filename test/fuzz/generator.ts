/**
 * Records for the raw topics, made of a seed: the same seed and burst, the same bytes. A burst
 * holds sound records and odd ones side by side, because what an odd one leaves behind (a
 * template, a cache, a state) meets the next.
 */
import { wireBytes, type WireHeader, type WireRecord } from '@kafnus/agent-testkit';
import type { AgentName } from '../faults/harness/workload.js';
import { Dice, seedOf } from './dice.js';
import { failedValue, failureHeaders, repeated, trapFailures } from './failures.js';
import { anyNotification, bait, notification, trapNotifications } from './notifications.js';
import { damaged } from './odd-json.js';

/** A record, and what is special about it. */
export interface FuzzRecord extends WireRecord {
  readonly name: string;
}

/**
 * The time of records that have a sound one: in the past of every clock that runs this, and the
 * same in every run.
 */
const soundTime = 1_767_225_600_000n;
/**
 * What a raw topic takes in a batch by default, less the head of the batch and the margin of the
 * agents' own limit.
 */
const largestRecord = 1_046_000;
/** Large records of a burst, in bytes: a burst must be over within seconds. */
const largeBytesOfBurst = 6_000_000;

/**
 * Tenants whose topics are created: few, for each one costs partitions. No one of them is the
 * tenant of the good records.
 */
const services = ['town', 'city', 'harbour', 'a', '_', '0', 'my_historic_town', 's'.repeat(50)];
const oddServices = [
  ...[
    '',
    ' ',
    'Town',
    'TOWN',
    'raw_errors',
    'raw_historic',
    'raw_errors_dead',
    'town_lastdata',
    'town_mutable',
    'town_error_log',
    '_lastdata',
  ],
  ...[
    '__consumer_offsets',
    '__transaction_state',
    '../town',
    'a.b',
    'a-b',
    'ñ',
    'to\0wn',
    'town ',
    's'.repeat(51),
    's'.repeat(300),
    'İ',
    '\n',
    '{service}',
  ],
  ...['constructor', '__proto__', 'null', "';--"],
];
const servicePaths = [
  '/',
  '/parks',
  '/lights/north',
  '',
  'parks',
  '/a_b',
  '/a/b',
  '/UPPER',
  '//',
  '/lights,/bins',
  '/ñ/ß',
  '/\0',
  `/${'x'.repeat(63)}`,
];
const dataModels = [
  ...[
    'dm-by-entity-type-database',
    'dm-by-entity-type-database-schema',
    'dm-by-fixed-entity-type-database-schema',
    'dm-postgis-errors',
  ],
  ...['', 'DM-BY-ENTITY-TYPE-DATABASE', 'dm-by-nothing', 'constructor', ' dm-postgis-errors '],
];
const correlators = [
  '',
  '0a1b2c3d-0000-4000-8000-000000000001; cbnotif=1',
  '\0',
  'x'.repeat(300),
  '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
];
const oddHeaderNames = [
  ...[
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    '',
    ' ',
    'kafnus-rekeyed',
    'fiware-service ',
    'FIWARE-SERVICE',
    'ﬁware-service',
    'traceparent',
    'length',
  ],
  ...[
    'kafnus-replay',
    '__connect.errors.topic',
    '__connect.errors.exception.message',
    'target_table',
    'x'.repeat(1000),
    'nul\0inside',
    '😀',
    '0',
  ],
].map((name) => Buffer.from(name));
const binaryNames = [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0x61, 0xff, 0x62]].map((bytes) => Buffer.from(bytes));
const times = [
  -1n,
  0n,
  1n,
  -2n,
  999n,
  2n ** 31n,
  2n ** 53n - 1n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  8_640_000_000_000_000n,
  8_640_000_000_000_001n,
  253_402_300_800_000n,
];

export function header(name: string | Buffer, value: string | Buffer | null): WireHeader {
  return { name: Buffer.from(name), value: value === null ? null : Buffer.from(value) };
}

/** Burst 0 holds each trap once, the next ones what chance makes. */
export function burst(agent: AgentName, seed: number, index: number, size: number): FuzzRecord[] {
  const dice = new Dice(seedOf(seed, agent, index));
  const make = agent === 'errors' ? anyFailure : anyRaw;
  if (index === 0) return [...trapsOf(agent, seed)];
  const records = dice.times(size, () => make(dice));
  const large = shuffled(dice, trapsOf(agent, seed));
  let bytes = 0;
  for (const record of large) {
    const more = wireBytes(record);
    if (bytes + more > largeBytesOfBurst) break;
    bytes += more;
    records.splice(dice.below(records.length), 0, record);
  }
  return records.filter((record) => wireBytes(record) <= largestRecord);
}

/** Made once: they are megabytes. */
const known = new Map<string, readonly FuzzRecord[]>();

function trapsOf(agent: AgentName, seed: number): readonly FuzzRecord[] {
  const name = `${agent} ${seed}`;
  const made = known.get(name) ?? traps(agent, new Dice(seedOf(seed, agent)));
  known.set(name, made);
  return made;
}

function shuffled<T>(dice: Dice, items: readonly T[]): T[] {
  const left = [...items];
  return dice.times(items.length, () => left.splice(dice.below(left.length), 1)).flat();
}

/** All traps: those of the value, then those of headers, key and time around a sound value. */
export function traps(agent: AgentName, dice: Dice): FuzzRecord[] {
  const valued =
    agent === 'errors'
      ? trapFailures(dice).flatMap(([name, message, value]) => failureTraps(name, message, value))
      : trapNotifications(dice).map(([name, text]) => ({ ...soundRaw(), name, value: Buffer.from(text) }));
  const sound = agent === 'errors' ? soundFailure() : soundRaw();
  return [...valued, ...envelopeTraps(sound, dice)].filter((record) => wireBytes(record) <= largestRecord);
}

function failureTraps(name: string, message: string, value: string): FuzzRecord[] {
  const base = soundFailure();
  const without = base.headers.filter((each) => !each.name.toString().includes('exception'));
  const asMessage = [...without, header('__connect.errors.exception.message', message)];
  const asTrace = [...without, header('__connect.errors.exception.stacktrace', `x\nCaused by: ${message}`)];
  const values = Buffer.from(value);
  return [
    { ...base, name, headers: asMessage, value: values },
    { ...base, name: `${name}, in the stack trace`, headers: asTrace, value: values },
  ].slice(0, message.length > 1 ? 2 : 1);
}

function envelopeTraps(sound: FuzzRecord, dice: Dice): FuzzRecord[] {
  const made: FuzzRecord[] = [{ ...sound, name: 'sound' }];
  const add = (name: string, changes: Partial<FuzzRecord>): void => void made.push({ ...sound, ...changes, name });
  const more = (name: string, ...headers: WireHeader[]): void => add(name, { headers: [...sound.headers, ...headers] });
  for (const [index, name] of [...oddHeaderNames, ...binaryNames].entries()) {
    more(`header name ${name.toString('latin1')} ${index}`, header(name, 'value'));
    more(`header name ${name.toString('latin1')} ${index}, null`, header(name, null));
    add(`only header ${name.toString('latin1')} ${index}`, { headers: [header(name, '')] });
  }
  for (const time of times) add(`timestamp ${time}`, { timestamp: time });
  for (const service of [...services, ...oddServices]) more(`service ${service}`, header('Fiware-Service', service));
  for (const path of servicePaths) more(`service path ${path}`, header('Fiware-ServicePath', path));
  for (const model of dataModels) more(`data model ${model}`, header('fiware-datamodel', model));
  for (const correlator of correlators) more(`correlator ${correlator}`, header('Fiware-Correlator', correlator));
  for (const name of [
    'Fiware-Service',
    'Fiware-ServicePath',
    'fiware-datamodel',
    'Fiware-Correlator',
    'traceparent',
    'tracestate',
  ]) {
    more(`${name} null`, header(name, null));
    more(`${name} empty`, header(name, ''));
    more(`${name} binary`, header(name, Buffer.from([0xff, 0x00, 0xc3, 0x28])));
    more(`${name} of 200 KB`, header(name, 'x'.repeat(200_000)));
    more(`${name} bait`, header(name, bait(dice, 20_000)));
    more(`${name} repeated`, header(name, 'town'), header(name, null), header(name.toUpperCase(), 'x'));
  }
  add('no headers', { headers: [] });
  add('no value', { value: null });
  add('an empty value', { value: Buffer.alloc(0) });
  add('a value that is not UTF-8', { value: Buffer.from([0xff, 0x00, 0xc3, 0x28, 0xed, 0xa0, 0x80]) });
  add('no key', { key: null });
  add('an empty key', { key: Buffer.alloc(0) });
  add('a key of 64 KB', { key: dice.bytes(65_536) });
  add('a binary key', { key: Buffer.from([0x00, 0xff, 0xfe, 0xc3]) });
  more('1,000 headers', ...dice.times(1000, (index) => header(`h${index}`, 'x')));
  more('50,000 headers', ...dice.times(50_000, (index) => header(`h${index % 10}`, null)));
  more('a header of 900 KB', header('h', dice.bytes(900_000)));
  more('a header name of 900 KB', header('h'.repeat(900_000), 'x'));
  add('a key of 900 KB', { key: Buffer.alloc(900_000, 'k') });
  add('nothing at all', { key: null, value: null, headers: [], timestamp: -1n });
  if (sound.name === 'sound notification') {
    const instant = '"TimeInstant":{"type":"DateTime","value":"2026-06-24T10:05:00.000Z"}';
    const many = Buffer.from(notification(dice.times(500, (n) => `{"id":"e${n}","type":"T",${instant}}`)));
    for (const name of ['Fiware-ServicePath', 'fiware-datamodel', 'Fiware-Correlator'])
      add(`500 entities, ${name} of 20 KB`, {
        value: many,
        headers: [...sound.headers, header(name, `/${'x'.repeat(20_000)}`)],
      });
  }
  return made;
}

function soundRaw(): FuzzRecord {
  const attributes =
    '"TimeInstant":{"type":"DateTime","value":"2026-06-24T10:05:00.000Z","metadata":{}},"no2":{"type":"Number","value":12.5,"metadata":{}}';
  return {
    name: 'sound notification',
    key: Buffer.from('urn:ngsi-ld:Lamp:1'),
    value: Buffer.from(notification([`{"id":"urn:ngsi-ld:Lamp:1","type":"Lamp",${attributes}}`])),
    headers: [header('Fiware-Service', 'town'), header('Fiware-ServicePath', '/parks')],
    timestamp: soundTime,
  };
}

function soundFailure(): FuzzRecord {
  return {
    name: 'sound failure',
    key: null,
    value: Buffer.from('{"schema":null,"payload":{"entityid":"l1"}}'),
    headers: [
      header('fiware-service', 'town'),
      header('__connect.errors.topic', 'town_lastdata'),
      header('__connect.errors.exception.class.name', 'java.sql.BatchUpdateException'),
      header('__connect.errors.exception.message', 'ERROR: relation "town.lamp" does not exist'),
    ],
    timestamp: soundTime,
  };
}

function anyTime(dice: Dice): bigint {
  return dice.chance(0.02) ? dice.pick(times) : soundTime + BigInt(dice.below(100_000));
}

function anyKey(dice: Dice): Buffer | null {
  return dice.weighted(
    [10, () => Buffer.from(`urn:ngsi-ld:Lamp:${dice.below(500)}`)],
    [2, () => null],
    [0.5, () => Buffer.alloc(0)],
    [0.5, () => dice.bytes(dice.below(100))],
  );
}

function oddHeader(dice: Dice): WireHeader {
  const name = dice.chance(0.8)
    ? dice.pick(oddHeaderNames)
    : dice.chance(0.5)
      ? dice.pick(binaryNames)
      : dice.bytes(dice.below(10));
  return header(
    name,
    dice.weighted<string | Buffer | null>(
      [3, () => 'value'],
      [1, () => null],
      [1, () => ''],
      [1, () => dice.bytes(dice.below(50))],
    ),
  );
}

function fiwareHeaders(dice: Dice, strange: number): WireHeader[] {
  const text = (value: string): string | Buffer | null =>
    dice.chance(strange * 0.05) ? null : dice.chance(strange * 0.05) ? dice.bytes(8) : value;
  const cased = (name: string): string =>
    dice.chance(strange) ? dice.pick([name.toLowerCase(), name.toUpperCase()]) : name;
  const service = dice.chance(strange * 0.4) ? dice.pick(oddServices) : dice.pick(services);
  const headers = [
    header(cased('Fiware-Service'), text(service)),
    header(cased('Fiware-ServicePath'), text(dice.pick(servicePaths))),
  ];
  if (dice.chance(0.3)) headers.push(header(cased('fiware-datamodel'), text(dice.pick(dataModels))));
  if (dice.chance(0.5)) headers.push(header(cased('Fiware-Correlator'), text(dice.pick(correlators))));
  if (dice.chance(strange * 0.1)) headers.push(dice.pick(headers));
  if (dice.chance(strange * 0.1)) headers.splice(dice.below(headers.length), 1);
  if (dice.chance(strange * 0.1)) headers.reverse();
  while (dice.chance(strange * 0.3)) headers.splice(dice.below(headers.length + 1), 0, oddHeader(dice));
  return dice.chance(strange * 0.05) ? [] : headers;
}

function anyRaw(dice: Dice): FuzzRecord {
  const strange = dice.pick([0, 0, 0.05, 0.3]);
  const text = Buffer.from(anyNotification(dice, strange));
  const value = dice.weighted<Buffer | null>(
    [20, () => text],
    [strange * 20, () => damaged(dice, text)],
    [strange, () => dice.bytes(dice.below(200))],
    [strange, () => null],
  );
  const headers = fiwareHeaders(dice, strange);
  return { name: `strange ${strange}`, key: anyKey(dice), value, headers, timestamp: anyTime(dice) };
}

function anyFailure(dice: Dice): FuzzRecord {
  const strange = dice.pick([0, 0.05, 0.3]);
  const headers = dice.chance(0.7) ? fiwareHeaders(dice, strange) : [];
  if (dice.chance(0.2)) return { ...anyRaw(dice), headers: [...fiwareHeaders(dice, strange), ...ownContext(dice)] };
  headers.push(...failureHeaders(dice).map(([name, value]) => header(name, value)));
  while (dice.chance(strange * 0.3)) headers.splice(dice.below(headers.length + 1), 0, oddHeader(dice));
  const text = Buffer.from(dice.chance(0.01) ? repeated(dice, dice.below(20_000)) : failedValue(dice));
  const value = dice.chance(strange) ? damaged(dice, text) : dice.chance(0.05) ? null : text;
  return { name: `failure, strange ${strange}`, key: anyKey(dice), value, headers, timestamp: anyTime(dice) };
}

/** The context with which an agent dead-letters a record. */
function ownContext(dice: Dice): WireHeader[] {
  return [
    header('__connect.errors.topic', dice.pick(['raw_historic', 'raw_lastdata', 'other_input'])),
    header('__connect.errors.partition', '0'),
    header('__connect.errors.offset', String(dice.below(1000))),
    header('__connect.errors.stage', 'TRANSFORMATION'),
    header('__connect.errors.exception.class.name', 'kafnus.rejected.not-json'),
    header('__connect.errors.exception.message', bait(dice, dice.between(10, 300))),
  ];
}
