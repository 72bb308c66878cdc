/**
 * Notifications: sound ones in the forms that Orion and IoT agents send, and the same with
 * something odd in every place.
 */
import type { Dice } from './dice.js';
import { anyMember, anyValue, member, nested, oddNames, oddNumbers, oddStrings } from './odd-json.js';

/** What makes a backtracking expression slow: a long run that nearly fits. */
export function bait(dice: Dice, length: number): string {
  const ones = '1'.repeat(length);
  return dice.pick([
    `${ones},${ones}x`,
    `${ones}.${ones},${ones}.${ones} x`,
    `${' '.repeat(length)}x`,
    `1,${' '.repeat(length)}1x`,
    `${'1,'.repeat(length / 2)}x`,
    `-${ones}e${ones}`,
    `${'+'.repeat(length)}1`,
    `2026-01-01T00:00:00.${ones}x`,
    `2026-01-01T00:00:00.${ones}Z`,
    `${ones}-01-01T00:00:00Z`,
    `2026-01-01${' '.repeat(length)}T`,
    `${'a'.repeat(length)}!`,
    `${'\\'.repeat(length)}x`,
    `${'"'.repeat(length)}`,
  ]);
}

const dates = [
  ...[
    '2026-06-24T10:05:00.000Z',
    '2026-06-24T10:05:00Z',
    '2026-06-24T10:05:00+02:00',
    '2026-06-24',
    '2026-06-24 10:05:00',
  ],
  ...[
    '2016-12-31T23:59:60Z',
    '0000-00-00T00:00:00Z',
    '9999-12-31T23:59:59.999999999Z',
    '+275760-09-13T00:00:00Z',
    '-000001-01-01T00:00:00Z',
  ],
  ...[
    '1969-12-31T23:59:59.999Z',
    '2026-02-30T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-06-24T24:00:00Z',
    '2026-06-24T25:61:61Z',
  ],
  ...[
    '2026-06-24T10:05:00.123456789012345678901234567890Z',
    '1735689600',
    '1735689600000',
    'null',
    '',
    ' ',
    'now',
    '20260624T100500Z',
  ],
  ...[
    '2026-W26-3',
    '2026-175',
    '2026-06-24T10:05:00+99:99',
    '2026-06-24T10:05:00−02:00',
    '２０２６-06-24T10:05:00Z',
    '2029-09-09T09:09:09.990Z',
  ],
] as const;

const points = [
  ...[
    '41.14, -8.63',
    '41.14,-8.63',
    '0,0',
    '-90,180',
    '90.0000001,0',
    '0,181',
    '41.14',
    '',
    ',',
    'a,b',
    '1e2,1e2',
    'NaN,NaN',
    '41,14,-8,63',
  ],
  ...['41.14;-8.63', ' 41.14 , -8.63 ', '0x10,1', '1e400,1', '-0,-0', '41.14, -8.63, 100'],
] as const;

const geoJson = [
  '{"type":"Point","coordinates":[-8.63,41.14]}',
  '{"type":"Point","coordinates":[-8.63,41.14,12.5]}',
  '{"type":"Point","coordinates":[]}',
  '{"type":"Point","coordinates":["-8.63","41.14"]}',
  '{"type":"Point","coordinates":[1e400,0]}',
  '{"type":"Point"}',
  '{"type":"MultiPoint","coordinates":[[0,0],[1,1]]}',
  '{"type":"LineString","coordinates":[[0,0],[1,1]]}',
  '{"type":"LineString","coordinates":[[0,0]]}',
  '{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}',
  '{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1]]]}',
  '{"type":"Polygon","coordinates":[[]]}',
  '{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]]]}',
  '{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,1]}]}',
  '{"type":"GeometryCollection","geometries":[]}',
  '{"type":"Feature","geometry":{"type":"Point","coordinates":[1,1]},"properties":{}}',
  '{"type":"FeatureCollection","features":[]}',
  '{"type":"constructor","coordinates":[1,1]}',
  '{"type":"__proto__","coordinates":[1,1]}',
] as const;

const soundTypes = [
  'Number',
  'Text',
  'Boolean',
  'DateTime',
  'StructuredValue',
  'geo:point',
  'geo:json',
  'json',
  'Integer',
  'Float',
];
const oddTypes = [
  ...[
    '',
    'number',
    'ISO8601',
    'iso8601',
    'geo:line',
    'geo:box',
    'geo:polygon',
    'GEO:POINT',
    'geo:',
    'jsonb',
    'JSON',
    'Relationship',
  ],
  ...['None', 'Property', 'GeoProperty', '__proto__', 'constructor', 'command', 'commandStatus', 'Text\u0000', 'İ'],
];

const entityIds = [
  ...[
    '',
    ' ',
    '/',
    '__proto__',
    'constructor',
    'a\u0000b',
    '\ud800',
    'ID',
    'id/with/slashes',
    'ñandú',
    "'; drop table x; --",
    '\n',
  ],
  ...['urn:ngsi-ld:Lamp:1', 'x'.repeat(256), '$&', '{service}', '..', '-', '😀'],
];

/** The value that goes with a type, mostly. */
function valueOf(dice: Dice, type: string): string {
  if (dice.chance(0.2)) return anyValue(dice);
  if (/^(datetime|iso8601)$/i.test(type)) return JSON.stringify(dice.pick(dates));
  if (/^geo:(line|box|polygon)$/i.test(type))
    return dice.chance(0.2)
      ? JSON.stringify(dice.pick(points))
      : `[${dice.times(dice.below(6), () => JSON.stringify(dice.pick(points))).join(',')}]`;
  if (/^geo:json$/i.test(type)) return dice.pick(geoJson);
  if (/^geo:/i.test(type))
    return JSON.stringify(dice.chance(0.02) ? bait(dice, dice.between(10, 3000)) : dice.pick(points));
  if (/^(number|integer|float)$/i.test(type))
    return dice.chance(0.7) ? String(dice.below(1000) / 10) : dice.pick(oddNumbers);
  if (/^boolean$/i.test(type)) return dice.pick(['true', 'false', '"true"', '1', 'null']);
  return dice.chance(0.5) ? JSON.stringify(`text ${dice.below(1000)}`) : dice.pick(oddStrings);
}

function attribute(dice: Dice, strange: number): string {
  if (dice.chance(strange * 0.2)) return anyValue(dice);
  const type = dice.chance(strange) ? dice.pick(oddTypes) : dice.pick(soundTypes);
  const parts = [member('type', JSON.stringify(type)), member('value', valueOf(dice, type)), member('metadata', '{}')];
  if (dice.chance(strange * 0.3)) parts.splice(dice.below(3), 1);
  if (dice.chance(strange * 0.3)) parts.push(anyMember(dice));
  if (dice.chance(strange * 0.2)) parts.push(dice.pick(parts));
  if (dice.chance(strange * 0.3)) parts.reverse();
  return `{${parts.join(',')}}`;
}

/** @param strange how likely each part is to be odd: 0 to 1 */
function entity(dice: Dice, strange: number): string {
  const id = dice.chance(strange) ? dice.pick(entityIds) : `urn:ngsi-ld:Lamp:${dice.below(500)}`;
  const type = dice.chance(strange)
    ? dice.pick([...oddTypes, ...entityIds])
    : dice.pick(['Lamp', 'Park', 'AirQualityObserved']);
  const instant = dice.chance(0.5) ? dice.pick(dates) : `2026-06-24T10:${dice.between(10, 59)}:00.000Z`;
  const parts = [member('id', JSON.stringify(id)), member('type', JSON.stringify(type))];
  if (dice.chance(strange * 0.3)) parts[0] = member('id', anyValue(dice));
  if (dice.chance(strange * 0.3)) parts[1] = member('type', anyValue(dice));
  if (!dice.chance(strange * 0.2)) {
    const name = dice.chance(strange) ? dice.pick(['timeinstant', 'TIMEINSTANT', 'timeInstant']) : 'TimeInstant';
    const value = JSON.stringify({ type: 'DateTime', value: instant, metadata: {} });
    parts.push(member(name, dice.chance(strange * 0.3) ? anyValue(dice) : value));
  }
  if (dice.chance(0.1)) {
    const name = dice.chance(strange) ? dice.pick(['alterationtype', 'ALTERATIONTYPE']) : 'alterationType';
    const kind = dice.pick(['entityDelete', 'ENTITYDELETE', 'entityCreate', 'entityUpdate', 'entitydelete ', '']);
    parts.push(
      member(name, dice.chance(strange) ? anyValue(dice) : JSON.stringify({ type: 'Text', value: kind, metadata: {} })),
    );
  }
  // The same names in the same order, mostly: what is read by templates.
  for (let index = dice.below(6); index >= 0; index -= 1) {
    const name = dice.chance(strange)
      ? dice.pick(oddNames)
      : ['no2', 'name', 'location', 'open', 'power', 'Level'][index];
    parts.push(member(name ?? 'a', attribute(dice, strange)));
  }
  if (dice.chance(strange * 0.3)) parts.push(dice.pick(parts));
  if (dice.chance(strange * 0.3)) parts.splice(dice.below(parts.length), 1);
  if (dice.chance(strange * 0.2)) parts.reverse();
  return `{${parts.join(',')}}`;
}

export function notification(entities: readonly string[], ...before: readonly string[]): string {
  return `{${['"subscriptionId":"51c0ac9ed714fb3b37d7d5a8"', ...before, `"data":[${entities.join(',')}]`].join(',')}}`;
}

/** @param strange how likely each part is to be odd: 0 to 1 */
export function anyNotification(dice: Dice, strange: number): string {
  const count = dice.weighted(
    [10, () => 1],
    [2, () => dice.between(2, 5)],
    [strange, () => 0],
    [strange / 10, () => 200],
  );
  const entities = dice.times(count, () => (dice.chance(strange * 0.1) ? anyValue(dice) : entity(dice, strange)));
  const extra = dice.chance(strange * 0.3) ? [anyMember(dice)] : [];
  if (dice.chance(strange * 0.3))
    extra.push(member('headers', `{${anyMember(dice)},"fiware-service":${anyValue(dice, 1)}}`));
  if (dice.chance(strange * 0.1)) return `{${[...extra, member('data', anyValue(dice))].join(',')}}`;
  if (dice.chance(strange * 0.1)) return anyValue(dice, 5);
  return notification(entities, ...extra);
}

/** One entity with one attribute of this type and value text. */
function withAttribute(type: string, value: string, name = 'probed'): string {
  const instant = '"TimeInstant":{"type":"DateTime","value":"2026-06-24T10:05:00.000Z","metadata":{}}';
  const probed = member(name, `{${member('type', JSON.stringify(type))},${member('value', value)},"metadata":{}}`);
  return notification([`{"id":"probed","type":"Lamp",${instant},${probed}}`]);
}

/** Notifications that are one trap each, by name. Some have a megabyte. */
export function trapNotifications(dice: Dice): [name: string, text: string][] {
  const traps: [string, string][] = [];
  for (const kind of ['arrays', 'objects'] as const) {
    for (const depth of [1000, 5000, 10_000, 100_000]) {
      traps.push([`${depth} ${kind} in a structured value`, withAttribute('StructuredValue', nested(kind, depth))]);
      traps.push([`${depth} ${kind} in a json value`, withAttribute('json', nested(kind, depth))]);
      traps.push([`${depth} ${kind} in geo:json`, withAttribute('geo:json', nested(kind, depth))]);
      traps.push([`${depth} ${kind} as the value of the record`, nested(kind, depth)]);
      traps.push([`${depth} ${kind} as data`, `{"data":${nested(kind, depth)}}`]);
      traps.push([`${depth} ${kind} as an entity`, notification([nested(kind, depth, '{"id":"x"}')])]);
      traps.push([`${depth} ${kind} as an id`, notification([`{"id":${nested(kind, depth)},"type":"T"}`])]);
      traps.push([
        `${depth} ${kind} as the service of the message`,
        `{"fiware-service":${nested(kind, depth)},"data":[]}`,
      ]);
    }
  }
  const collections = (depth: number): string =>
    '{"type":"GeometryCollection","geometries":['.repeat(depth) +
    '{"type":"Point","coordinates":[1,1]}' +
    ']}'.repeat(depth);
  for (const depth of [100, 5000, 10_000])
    traps.push([`${depth} GeometryCollections`, withAttribute('geo:json', collections(depth))]);
  for (const type of ['geo:point', 'geo:line', 'geo:json', 'DateTime', 'Number', 'Text', 'json', 'Boolean']) {
    for (const length of [1000, 20_000]) {
      const text = JSON.stringify(bait(dice, length));
      traps.push([`bait of ${length} in ${type}`, withAttribute(type, text)]);
      traps.push([`bait of ${length} in a list of ${type}`, withAttribute(type, `[${text},${text}]`)]);
    }
  }
  for (const name of oddNames) traps.push([`attribute ${JSON.stringify(name)}`, withAttribute('Text', '"x"', name)]);
  for (const number of oddNumbers) {
    traps.push([`number ${number}`, withAttribute('Number', number)]);
    traps.push([`number ${number} in a structure`, withAttribute('StructuredValue', `{"a":[${number}]}`)]);
  }
  const instant = '"TimeInstant":{"type":"DateTime","value":"2026-06-24T10:05:00.000Z"}';
  traps.push(
    ['text of 1 MB', withAttribute('Text', JSON.stringify('x'.repeat(1_000_000)))],
    ['text of 1 MB of escapes', withAttribute('Text', `"${'\\u0041'.repeat(160_000)}"`)],
    ['text of 900 KB of NUL', withAttribute('Text', `"${'\\u0000'.repeat(150_000)}"`)],
    ['id of 200 KB', notification([`{"id":"${'i'.repeat(200_000)}","type":"T",${instant}}`])],
    ['type of 200 KB', notification([`{"id":"i","type":"${'T'.repeat(200_000)}",${instant}}`])],
    ['attribute name of 200 KB', withAttribute('Text', '"x"', 'n'.repeat(200_000))],
    ['TimeInstant of 200 KB', notification([`{"id":"i","type":"T","TimeInstant":{"value":"${'1'.repeat(200_000)}"}}`])],
    [
      '20,000 attributes',
      notification([
        `{"id":"i","type":"T",${instant},${dice.times(20_000, (n) => `"a${n}":{"value":${n}}`).join(',')}}`,
      ]),
    ],
    [
      '20,000 bad attributes',
      notification([`{"id":"i","type":"T",${instant},${dice.times(20_000, (n) => `"a${n}":${n}`).join(',')}}`]),
    ],
    [
      '20,000 times one attribute',
      notification([`{"id":"i","type":"T",${instant},${dice.times(20_000, () => '"a":{"value":1}').join(',')}}`]),
    ],
    ['3,000 entities', notification(dice.times(3000, (n) => `{"id":"e${n}","type":"T",${instant}}`))],
    ['3,000 times one entity', notification(dice.times(3000, () => `{"id":"e","type":"T",${instant}}`))],
    ['30,000 bad entities', notification(dice.times(30_000, () => '{"id":7}'))],
    ['300,000 nulls as entities', notification(dice.times(200_000, () => 'null'))],
    [
      'line of 30,000 points',
      withAttribute('geo:line', `[${dice.times(30_000, (n) => `"${n % 90},${n % 180}"`).join(',')}]`),
    ],
    [
      'polygon of 30,000 points',
      withAttribute('geo:polygon', `[${dice.times(30_000, (n) => `"${n % 90},${n % 180}"`).join(',')},"0,0"]`),
    ],
    ['no data', '{"subscriptionId":"x"}'],
    ['data twice', '{"data":[],"data":[{"id":"x"}]}'],
    ['null', 'null'],
    ['empty', ''],
    ['a byte order mark', `\ufeff${notification([])}`],
    ['blank of 1 MB', ' '.repeat(1_000_000)],
    ['a string of 1 MB', JSON.stringify('x'.repeat(1_000_000))],
  );
  return traps;
}
