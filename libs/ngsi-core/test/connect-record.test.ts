import { describe, expect, test } from '@jest/globals';
import type { Sink } from '../src/attribute.js';
import { recordWriter } from '../src/connect-record.js';
import { readEntity, type Entity } from '../src/notification.js';

const RECVTIME = '2025-05-06T07:08:09.012Z';

function entity(json: string): Entity {
  const read = readEntity(JSON.parse(json));
  if (read.kind === 'refused') throw new Error(read.refusal.message);
  return read;
}

interface Written {
  readonly schema: { readonly fields: readonly Record<string, unknown>[] };
  readonly payload: Readonly<Record<string, unknown>>;
}

/** The row of an entity, and the codes of its problems. */
function row(
  json: string,
  sink: Sink = 'kafnus',
  instant?: string,
): Written & { text: string; problems: readonly string[] } {
  const { value, problems } = recordWriter(sink).row(entity(json), instant, '/p', RECVTIME);
  return { ...(JSON.parse(value) as Written), text: value, problems: problems.map(({ message }) => message) };
}

describe('rows', () => {
  test('are this text, byte for byte', () => {
    const json =
      '{"id":"E\\"1","type":"T","TimeInstant":{"type":"DateTime","value":"2025-01-02"},"N":{"value":1},"x":{"type":"Boolean","value":null}}';
    expect(row(json, 'kafnus', '2025-01-02').text).toBe(
      '{"schema":{"type":"struct","fields":[{"field":"entityid","type":"string","optional":false},' +
        '{"field":"entitytype","type":"string","optional":false},{"field":"fiwareservicepath","type":"string","optional":false},' +
        '{"field":"timeinstant","type":"string","optional":false},{"field":"n","type":"double","optional":false},' +
        '{"field":"x","type":"boolean","optional":true},{"field":"recvtime","type":"string","optional":false}],"optional":false},' +
        '"payload":{"entityid":"E\\"1","entitytype":"T","fiwareservicepath":"/p","timeinstant":"2025-01-02","n":1,"x":null,' +
        `"recvtime":"${RECVTIME}"}}`,
    );
  });

  test('for Debezium: members of a field in the order field, type, name, fields, optional', () => {
    const json =
      '{"id":"E1","type":"T","TimeInstant":{"value":"2025-01-02"},"g":{"type":"geo:point","value":"1,2"},"j":{"value":{}},"d":{"type":"DateTime","value":"2025"}}';
    const { schema, payload } = row(json, 'debezium', '2025-01-02T00:00:00.000Z');
    expect(schema.fields.slice(3).map((field) => JSON.stringify(field))).toEqual([
      '{"field":"timeinstant","type":"string","name":"io.debezium.time.ZonedTimestamp","optional":false}',
      '{"field":"g","type":"struct","name":"io.debezium.data.geometry.Geometry","fields":[{"field":"wkb","type":"bytes"},{"field":"srid","type":"int32"}],"optional":false}',
      '{"field":"j","type":"string","name":"io.debezium.data.Json","optional":false}',
      '{"field":"d","type":"int64","name":"org.apache.kafka.connect.data.Timestamp","optional":false}',
      '{"field":"recvtime","type":"string","name":"io.debezium.time.ZonedTimestamp","optional":false}',
    ]);
    expect(payload).toMatchObject({ timeinstant: '2025-01-02T00:00:00.000Z', j: '{}' });
  });

  test('a TimeInstant that the record’s timestamp stands for is the first attribute', () => {
    const { payload } = row('{"id":"E1","a":{"value":1}}', 'kafnus', RECVTIME);
    expect(Object.keys(payload)).toEqual([
      'entityid',
      'entitytype',
      'fiwareservicepath',
      'timeinstant',
      'a',
      'recvtime',
    ]);
    expect(Object.keys(row('{"id":"E1","a":{"value":1},"TimeInstant":null}', 'kafnus', RECVTIME).payload)).toEqual(
      ['entityid', 'entitytype', 'fiwareservicepath', 'a', 'timeinstant', 'recvtime'], // prettier-ignore
    );
  });

  test('names that are array indices come first of all, as Kafnus has them', () => {
    const { schema, text, payload } = row(
      '{"id":"E1","a":{"value":1},"10":{"value":2},"2":{"value":3},"007":{"value":4},"4294967295":{"value":5}}',
    );
    expect(schema.fields.map((field) => field['field'])).toEqual(
      ['2', '10', 'entityid', 'entitytype', 'fiwareservicepath', 'a', '007', '4294967295', 'recvtime'], // prettier-ignore
    );
    expect(text).toMatch(/"payload":\{"2":3,"10":2,"entityid":"E1",/);
    expect(payload).toMatchObject({ 2: 3, 10: 2, a: 1, '007': 4 });
  });
});

describe('names', () => {
  test('are lower-cased as Unicode says, and nothing else', () => {
    const { schema } = row(
      '{"id":"E1","İstanbul":{"value":1},"ΟΔΟΣ":{"value":1},"with space":{"value":1},"a\\"b":{"value":1}}',
    );
    expect(schema.fields.slice(3, -1).map((field) => field['field'])).toEqual([
      'i̇stanbul',
      'οδος',
      'with space',
      'a"b',
    ]);
  });

  test('of Object.prototype are ordinary', () => {
    const json =
      '{"id":"E1","__proto__":{"value":1},"constructor":{"value":2},"toString":{"value":3},"hasOwnProperty":{"value":4}}';
    const { text, problems } = row(json);
    expect(text).toContain('"__proto__":1,"constructor":2,"tostring":3,"hasownproperty":4,');
    expect(problems).toEqual([]);
  });

  test('of base columns are never overridden, whatever their case', () => {
    const { payload, schema, problems } = row(
      '{"id":"E1","type":"T","EntityId":{"value":"x"},"recvTime":{"value":"x"},"entitytype":{"value":"x"},"fiwareServicePath":{"value":"x"}}',
    );
    expect(payload).toEqual({ entityid: 'E1', entitytype: 'T', fiwareservicepath: '/p', recvtime: RECVTIME });
    expect(schema.fields).toHaveLength(4);
    expect(problems).toHaveLength(4);
    expect(problems[0]).toBe('attribute "EntityId": its column name "entityid" is that of a base column');
  });

  test('that repeat: the first wins, the others are reported', () => {
    const { payload, problems } = row(
      '{"id":"E1","Temp":{"value":1},"mid":{"value":5},"temp":{"value":"two"},"TEMP":{"type":"DateTime","value":"bad"}}',
    );
    expect(payload).toMatchObject({ temp: 1, mid: 5 });
    expect(problems).toEqual([
      'attribute "temp": its column name "temp" is that of an attribute before it',
      'attribute "TEMP": its column name "temp" is that of an attribute before it',
    ]);
  });

  test('a second TimeInstant is a clash, too', () => {
    const { payload, problems } = row(
      '{"id":"E1","timeinstant":{"value":"2025"},"TimeInstant":{"value":"2026"}}',
      'kafnus',
      '2025',
    );
    expect(payload).toMatchObject({ timeinstant: '2025' });
    expect(problems).toHaveLength(1);
  });

  test('alterationType is no column in any case, and no problem', () => {
    const { payload, problems } = row(
      '{"id":"E1","alterationType":"entityUpdate","ALTERATIONTYPE":{"type":"DateTime","value":"bad"}}',
    );
    expect(Object.keys(payload)).toEqual(['entityid', 'entitytype', 'fiwareservicepath', 'recvtime']);
    expect(problems).toEqual([]);
  });
});

describe('what is remembered of one entity is never another’s', () => {
  const writer = recordWriter('kafnus');
  const written = (json: string): Written =>
    JSON.parse(writer.row(entity(json), undefined, '/p', RECVTIME).value) as Written;
  const fresh = (json: string): Written =>
    JSON.parse(recordWriter('kafnus').row(entity(json), undefined, '/p', RECVTIME).value) as Written;

  test('whether they have other values, types, nulls, names, order or lengths', () => {
    const entities = [
      '{"id":"E1","a":{"value":1},"b":{"value":"x"}}',
      '{"id":"E2","a":{"value":2},"b":{"value":"y"}}',
      '{"id":"E1","a":{"value":"1"},"b":{"value":"x"}}',
      '{"id":"E1","a":{"type":"Number","value":null},"b":{"value":"x"}}',
      '{"id":"E1","b":{"value":"x"},"a":{"value":1}}',
      '{"id":"E1","a":{"value":1}}',
      '{"id":"E1","A":{"value":1},"a":{"value":1}}',
      '{"id":"E1"}',
    ];
    for (let round = 0; round < 3; round++) for (const json of entities) expect(written(json)).toEqual(fresh(json));
  });

  test('however many shapes there are', () => {
    for (let round = 0; round < 2; round++) {
      for (let many = 0; many < 40; many++) {
        const json = JSON.stringify({
          id: 'E1',
          ...Object.fromEntries(Array.from({ length: many }, (_, place) => [`a${place}`, { value: place }])),
        });
        expect(written(json)).toEqual(fresh(json));
      }
    }
  });
});

test('keys', () => {
  const kafnus = recordWriter('kafnus');
  expect(kafnus.key(entity('{"id":"E\\"1"}'), undefined)).toBe(
    '{"schema":{"type":"struct","fields":[{"field":"entityid","type":"string","optional":false}],"optional":false},"payload":{"entityid":"E\\"1"}}',
  );
  expect(recordWriter('debezium').key(entity('{"id":"E1"}'), '2025-01-02T00:00:00Z')).toBe(
    '{"schema":{"type":"struct","fields":[{"field":"entityid","type":"string","optional":false},' +
      '{"field":"timeinstant","type":"string","name":"io.debezium.time.ZonedTimestamp","optional":false}],"optional":false},' +
      '"payload":{"entityid":"E1","timeinstant":"2025-01-02T00:00:00Z"}}',
  );
});

test('the TimeInstant is as received for Kafnus, a date with a zone for Debezium', () => {
  expect(recordWriter('kafnus').instantText('not-a-date')).toBe('not-a-date');
  expect(recordWriter('debezium').instantText('2025-01-02T03:04:05')).toBe('2025-01-02T03:04:05Z');
  expect(recordWriter('debezium').instantText('not-a-date')).toBeUndefined();
});
