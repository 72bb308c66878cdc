import { describe, expect, test } from '@jest/globals';
import { toWkb } from '@kafnus/ngsi-core';
import { decodeStruct } from '../src/connect/decode.js';
import { wktOf } from '../src/connect/wkt.js';

describe('wktOf', () => {
  test.each([
    ['POINT (-8.5 41.25)', { type: 'Point', coordinates: [-8.5, 41.25] }],
    ['POINT Z (-8.5 41.25 7)', { type: 'Point', coordinates: [-8.5, 41.25, 7] }],
    [
      'LINESTRING (0 0, 1 1)',
      {
        type: 'LineString',
        coordinates: [
          [0, 0],
          [1, 1],
        ],
      },
    ],
    [
      'POLYGON ((0 0, 1 0, 1 1, 0 0))',
      {
        type: 'Polygon',
        coordinates: [
          [
            [0, 0],
            [1, 0],
            [1, 1],
            [0, 0],
          ],
        ],
      },
    ],
    [
      'MULTIPOINT ((0 0), (1 1))',
      {
        type: 'MultiPoint',
        coordinates: [
          [0, 0],
          [1, 1],
        ],
      },
    ],
    [
      'MULTILINESTRING ((0 0, 1 1))',
      {
        type: 'MultiLineString',
        coordinates: [
          [
            [0, 0],
            [1, 1],
          ],
        ],
      },
    ],
    [
      'MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))',
      {
        type: 'MultiPolygon',
        coordinates: [
          [
            [
              [0, 0],
              [1, 0],
              [1, 1],
              [0, 0],
            ],
          ],
        ],
      },
    ],
    [
      'GEOMETRYCOLLECTION (POINT (0 1))',
      { type: 'GeometryCollection', geometries: [{ type: 'Point', coordinates: [0, 1] }] },
    ],
  ])('%s', (wkt, geojson) => {
    for (const dialect of ['iso', 'ewkb'] as const) {
      const found = toWkb('geo:json', geojson, dialect);
      if (found.kind !== 'geometry') throw new Error(JSON.stringify(found));
      expect(wktOf(Buffer.from(found.wkb, 'base64'))).toBe(wkt);
    }
  });

  test('big-endian bytes, as PostGIS may send them', () => {
    expect(wktOf(Buffer.from('00000000013ff00000000000004000000000000000', 'hex'))).toBe('POINT (1 2)');
  });

  test.each([
    ['0101000000', 'it ends after 5 bytes'],
    ['0163000000', 'its type is 99'],
    ['0102000000ffffffff', 'it ends after 9 bytes'],
    ['0101000000000000000000f03f000000000000004007', '1 bytes follow it'],
  ])('refuses %s', (hex, message) => {
    expect(() => wktOf(Buffer.from(hex, 'hex'))).toThrow(message);
  });
});

describe('decodeStruct', () => {
  const struct = (fields: object[], payload: object): string =>
    JSON.stringify({ schema: { type: 'struct', fields }, payload });

  test('tells types by their logical names, and reads dates', () => {
    const fields = [
      { field: 'at', type: 'int64', name: 'org.apache.kafka.connect.data.Timestamp', optional: false },
      { field: 'n', type: 'double', optional: true },
      { field: '__proto__', type: 'string', optional: false },
    ];
    const payload = JSON.parse('{"at": 1714550400123, "n": null, "__proto__": "x"}');
    expect(decodeStruct(struct(fields, payload))).toEqual([
      { name: 'at', type: 'int64 Timestamp', optional: false, value: '2024-05-01T08:00:00.123Z' },
      { name: 'n', type: 'double', optional: true, value: null },
      { name: '__proto__', type: 'string', optional: false, value: 'x' },
    ]);
  });

  test.each([
    ['nonsense', 'JSON'],
    ['{"payload":{}}', 'its schema is not a JSON object'],
    [struct([{ field: 'a', type: 'string' }], {}), 'the payload has no a'],
    [struct([], { a: 1 }), 'the schema has no a'],
    ['{"schema":{"type":"string"},"payload":{}}', 'a string instead of a struct'],
  ])('refuses %s', (json, message) => {
    expect(() => decodeStruct(json)).toThrow(message);
  });
});
