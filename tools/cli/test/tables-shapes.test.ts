import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { SinkRecord } from '../src/tables/connect-row.js';
import { mergedKind, wantedType } from '../src/tables/column-type.js';
import { shapeFindings } from '../src/tables/shape-findings.js';
import { ShapeCollector, type TableShape } from '../src/tables/table-shapes.js';
import {
  baseColumns,
  geometry,
  pointWkb,
  pointZWkb,
  polygonWkb,
  shapeOf,
  shapesOf,
  sinkRecord,
  type TestField,
} from './tables-records.js';

const row = (columns: Readonly<Record<string, TestField>>): SinkRecord =>
  sinkRecord({ columns: { ...baseColumns(), ...columns } });

function types({ columns }: TableShape, strictGeometry = false): Record<string, string> {
  return Object.fromEntries(
    columns.map((column) => [column.name, wantedType(column, { strictGeometry, postgis: '' }).sql]),
  );
}

function codes(...records: readonly SinkRecord[]): string[] {
  return shapeFindings(shapesOf(...records)).map(({ level, code, column = '' }) =>
    `${level} ${code} ${column}`.trimEnd(),
  );
}

describe('the type of a column', () => {
  const json = 'string io.debezium.data.Json';
  const timestamp = 'int64 org.apache.kafka.connect.data.Timestamp';
  test.each<[string, readonly TestField[], string]>([
    ['text', [['string', 'a']], 'text'],
    ['double', [['double', 1.5]], 'double precision'],
    ['boolean', [['boolean', false]], 'boolean'],
    ['timestamp', [[timestamp, 0]], 'timestamptz'],
    ['JSON', [[json, '{}']], 'jsonb'],
    [
      'whole numbers of other writers',
      [
        ['int32', 1],
        ['int64', 2],
      ],
      'bigint',
    ],
    [
      'whole numbers and others',
      [
        ['int32', 1],
        ['double', 2.5],
      ],
      'double precision',
    ],
    ['bytes', [['bytes', 'AA==']], 'bytea'],
    ['a null of no type, as its schema says', [['string', null]], 'text'],
    ['a typed null', [['double', null]], 'double precision'],
    [
      'nulls, of which one says more',
      [
        ['string', null],
        [timestamp, null],
      ],
      'timestamptz',
    ],
    [
      'a null without a type, and values',
      [
        ['string', null],
        ['double', 3],
      ],
      'double precision',
    ],
    [
      'number and text',
      [
        ['double', 1],
        ['string', 'x'],
      ],
      'text',
    ],
    [
      'JSON and text',
      [
        [json, '[]'],
        ['string', 'x'],
      ],
      'text',
    ],
    ['geometry', [pointWkb], 'geometry'],
    [
      'geometry of the Confluent name',
      [['struct io.confluent.connect.jdbc.data.geometry.Geometry', pointWkb[1]]],
      'geometry',
    ],
  ])('%s', (_name, fields, expected) => {
    const shape = shapeOf(...fields.map((field) => row({ x: field })));
    expect(types(shape)['x']).toBe(expected);
  });

  test('times are times in both styles, though they are text for the sinks of Kafnus', () => {
    const kafnus = row({
      timeinstant: ['string', '2026-05-01T10:00:00'],
      recvtime: ['string', '2026-05-01T10:00:01.000Z'],
    });
    expect(types(shapeOf(kafnus))).toMatchObject({ timeinstant: 'timestamptz', recvtime: 'timestamptz' });
    expect(types(shapeOf(row({})))).toEqual({
      entityid: 'text',
      entitytype: 'text',
      fiwareservicepath: 'text',
      timeinstant: 'timestamptz',
      recvtime: 'timestamptz',
    });
    const log = sinkRecord({
      table: 'city.city_error_log',
      key: null,
      columns: {
        timestamp: ['string', '2026-05-01T10:00:00.000Z'],
        error: ['string', 'ERROR'],
        query: ['string', null],
      },
    });
    expect(types(shapeOf(log))).toEqual({ timestamp: 'timestamptz', error: 'text', query: 'text' });
    expect(codes(log)).toEqual([]);
  });

  test.each([
    ['one type', [pointWkb], 'geometry(Point,4326)'],
    ['one type, Z', [pointZWkb], 'geometry(PointZ,4326)'],
    ['several types', [pointWkb, polygonWkb], 'geometry(Geometry,4326)'],
    ['several types, Z', [pointZWkb, geometry(1003)], 'geometry(GeometryZ,4326)'],
    ['with and without Z, which no modifier lets in', [pointWkb, pointZWkb], 'geometry'],
    ['nulls only', [['struct io.debezium.data.geometry.Geometry', null]], 'geometry'],
    ['several SRIDs', [pointWkb, geometry(1, 25830)], 'geometry'],
    ['another SRID', [geometry(1, 25830)], 'geometry(Point,25830)'],
  ] as const)('a strict geometry: %s', (_name, fields, expected) => {
    expect(types(shapeOf(...fields.map((field) => row({ x: field }))), true)['x']).toBe(expected);
  });

  test('a geometry keeps its SRID by a check', () => {
    const [column] = shapeOf(row({ 'a"b': pointWkb })).columns.filter(({ name }) => name === 'a"b');
    expect(column && wantedType(column, { strictGeometry: false, postgis: '"gis".' })).toMatchObject({
      sql: '"gis".geometry',
      check: '"gis".ST_SRID("a""b") = 4326',
    });
  });
});

describe('a table', () => {
  test('has columns in the order of a row, attributes by name, whatever order the records came in', () => {
    const records = [
      row({ b: ['double', 1] }),
      row({ a: ['string', 'x'], b: ['string', null] }),
      row({ c: pointWkb }),
      row({ b: ['string', 'text'] }),
      sinkRecord({ columns: null }),
      sinkRecord({ columns: null, key: { entityid: ['string', 'x'] } }),
    ];
    const expected = shapesOf(...records);
    expect(expected.tables[0]?.columns.map(({ name }) => name)).toEqual([
      'entityid',
      'entitytype',
      'fiwareservicepath',
      'timeinstant',
      'a',
      'b',
      'c',
      'recvtime',
    ]);
    const picture = (all: readonly SinkRecord[]): unknown =>
      shapesOf(...all).tables.map(({ table, key, rows, tombstones, columns }) => ({
        table,
        key,
        rows,
        tombstones,
        columns: columns.map((column) => [column.name, column.values, column.nulls, mergedKind(column).kind]),
      }));
    fc.assert(
      fc.property(fc.shuffledSubarray(records, { minLength: records.length }), (shuffled) => {
        expect(picture(shuffled)).toEqual(picture(records));
      }),
    );
  });

  test('of which only deletions came has what its rows will have', () => {
    const shape = shapeOf(sinkRecord({ columns: null, key: { entityid: ['string', 'urn:1'] } }));
    expect(shape).toMatchObject({ rows: 0, tombstones: 1, key: ['entityid'] });
    expect(types(shape)).toEqual({
      entityid: 'text',
      entitytype: 'text',
      fiwareservicepath: 'text',
      recvtime: 'timestamptz',
    });
  });

  test('holds names that are members of every object', () => {
    const columns = JSON.parse('{"__proto__":["double",1],"constructor":["string","x"]}') as Record<string, TestField>;
    const shape = shapeOf(sinkRecord({ columns: { ...baseColumns(), ...columns, ['__proto__']: ['double', 1] } }));
    expect(types(shape)).toMatchObject({ constructor: 'text' });
    expect(shape.columns.map(({ name }) => name)).toContain('__proto__');
  });

  test('has the key of most of its records', () => {
    const byId = sinkRecord({ columns: baseColumns(), key: { entityid: ['string', 'x'] } });
    expect(shapeOf(row({}), row({}), byId).key).toEqual(['entityid', 'timeinstant']);
    expect(codes(row({}), row({}), byId)).toContain('error key-conflict');
    expect(codes(row({}), row({}))).toEqual([]);
  });

  test('of sink failures is made for every service, though none has failed yet', () => {
    const collector = new ShapeCollector();
    collector.add(row({}));
    collector.add(sinkRecord({ service: 'port', table: 'docks.docks_ship', columns: baseColumns() }));
    collector.addErrorLogs();
    const logs = collector.shapes().tables.filter(({ table }) => table.name.endsWith('_error_log'));
    expect(logs.map(({ table, key }) => [table.schema, table.name, key])).toEqual([
      ['port', 'port_error_log', []],
      ['smartcity', 'smartcity_error_log', []],
    ]);
    expect(logs[0] && types(logs[0])).toEqual({ timestamp: 'timestamptz', error: 'text', query: 'text' });
  });
});

describe('what is wrong with records', () => {
  test.each<[string, readonly SinkRecord[], string[]]>([
    [
      'values of different types',
      [row({ x: ['double', 1] }), row({ x: ['string', 'a'] })],
      ['warning types-conflict x'],
    ],
    [
      'an id that entities share',
      [row({}), sinkRecord({ columns: baseColumns('urn:1', 'Garden') })],
      ['warning ids-shared'],
    ],
    ['the same entity twice', [row({}), row({})], []],
    [
      'services in one table',
      [row({}), sinkRecord({ service: 'port', columns: baseColumns('urn:2') })],
      ['warning services-share-table'],
    ],
    ['no key', [sinkRecord({ key: null, columns: baseColumns() })], ['error key-missing']],
    ['no route', [sinkRecord({ table: null, columns: baseColumns() })], ['note record-unrouted']],
    [
      'no route, in a topic that has some',
      [row({}), sinkRecord({ table: null, columns: baseColumns() })],
      ['warning record-unrouted'],
    ],
    [
      'a route to a table without schema',
      [sinkRecord({ table: 'parks', columns: baseColumns() })],
      ['note record-unrouted'],
    ],
    ['no JSON', [{ ...row({}), value: '{nope' }], ['error record-invalid']],
    ['no schema', [{ ...row({}), value: '{"a":1}' }], ['error record-invalid']],
    ['a time that is none', [row({ timeinstant: ['string', 'yesterday'] })], ['error value-invalid timeinstant']],
    ['a NUL in a text', [row({ x: ['string', 'a\0b'] })], ['error value-invalid x']],
    ['a NUL in JSON', [row({ x: ['string io.debezium.data.Json', '"a\\u0000"'] })], ['error value-invalid x']],
    ['no NUL in JSON', [row({ x: ['string io.debezium.data.Json', '"a\\\\u0000"'] })], []],
    [
      'a geometry that is none',
      [row({ x: ['struct io.debezium.data.geometry.Geometry', { wkb: 'AA==', srid: 4326 }] })],
      ['error value-invalid x'],
    ],
    ['half a surrogate pair', [row({ x: ['string', 'a\ud800'] })], ['error value-invalid x']],
    ['names that need quotes', [row({ 'pm2.5': ['double', 1] })], ['note name-needs-quotes']],
    ['a quote in a name', [row({ 'a"b': ['double', 1] })], ['error name-needs-quotes', 'note name-needs-quotes']],
  ])('%s', (_name, records, expected) => {
    expect(codes(...records)).toEqual(expected);
  });

  test('says which record, which value, and what to do', () => {
    const [finding] = shapeFindings(shapesOf(sinkRecord({ topic: 'raw_historic', table: null, columns: null })));
    expect(finding).toEqual({
      level: 'note',
      code: 'record-unrouted',
      message: '1 record of raw_historic cannot be routed: it has no header target_table',
      advice: 'check that it is a topic of the agents',
    });
  });
});
