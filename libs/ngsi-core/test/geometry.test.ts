import { describe, expect, test } from '@jest/globals';
import { toWkb, type GeoType } from '../src/geometry.js';
import { readWkb, type Geometry } from './wkb.js';

function written(type: GeoType, value: unknown): Geometry | string {
  const result = toWkb(type, value);
  return result.kind === 'geometry' ? readWkb(result.wkb) : result.problem;
}

const square = [[0, 0], [0, 10], [10, 10], [10, 0], [0, 0]]; // prettier-ignore
const hole = [[2, 2], [2, 4], [4, 4], [2, 2]]; // prettier-ignore

describe('GeoJSON', () => {
  test.each<Geometry>([
    { type: 'Point', coordinates: [-3.7, 40.4] },
    { type: 'Point', coordinates: [-180, -90] },
    { type: 'Point', coordinates: [180, 90, 650.5] },
    { type: 'LineString', coordinates: [[0, 0], [1, 1]] }, // prettier-ignore
    { type: 'LineString', coordinates: [[0, 0, 1], [1, 1, 2]] }, // prettier-ignore
    { type: 'Polygon', coordinates: [square, hole] },
    { type: 'Polygon', coordinates: [] },
    { type: 'MultiPoint', coordinates: [[0, 0], [1, 1]] }, // prettier-ignore
    { type: 'MultiPoint', coordinates: [[0, 0, 5]] },
    { type: 'MultiPoint', coordinates: [] },
    { type: 'MultiLineString', coordinates: [[[0, 0], [1, 1]], [[2, 2], [3, 3]]] }, // prettier-ignore
    { type: 'MultiPolygon', coordinates: [[square, hole], [hole]] },
    { type: 'GeometryCollection', geometries: [{ type: 'Point', coordinates: [1, 2] }, { type: 'Polygon', coordinates: [square] }] }, // prettier-ignore
    { type: 'GeometryCollection', geometries: [{ type: 'GeometryCollection', geometries: [{ type: 'Point', coordinates: [1, 2, 3] }] }] }, // prettier-ignore
    { type: 'GeometryCollection', geometries: [] },
  ])('%j is written as it is', (geometry) => expect(written('geo:json', geometry)).toEqual(geometry));

  test('altitude is told by the ISO type, 1000 more', () => {
    const point = toWkb('geo:json', { type: 'Point', coordinates: [1, 2, 3] });
    expect(point.kind === 'geometry' && Buffer.from(point.wkb, 'base64').readUInt32LE(1)).toBe(1001);
    const many = toWkb('geo:json', { type: 'MultiPolygon', coordinates: [[hole.map((position) => [...position, 7])]] });
    expect(many.kind === 'geometry' && Buffer.from(many.wkb, 'base64').readUInt32LE(1)).toBe(1006);
  });

  test('in EWKB, by a flag on every geometry: where the stock sink looks for it', () => {
    const geometries = [{ type: 'Point', coordinates: [1, 2, 3] }];
    const collection = toWkb('geo:json', { type: 'GeometryCollection', geometries }, 'ewkb');
    const wkb = Buffer.from(collection.kind === 'geometry' ? collection.wkb : '', 'base64');
    expect([wkb.readUInt32LE(1), wkb.readUInt32LE(10)]).toEqual([0x8000_0007, 0x8000_0001]);
    expect(toWkb('geo:point', '2, 1', 'ewkb')).toEqual(toWkb('geo:point', '2, 1'));
  });

  test('the first member that is not empty tells the dimension of a collection', () => {
    const geometries = [
      { type: 'MultiPoint', coordinates: [] },
      { type: 'Point', coordinates: [1, 2, 3] },
    ];
    expect(written('geo:json', { type: 'GeometryCollection', geometries })).toEqual({
      type: 'GeometryCollection',
      geometries,
    });
  });

  test('a Feature, and a collection of exactly one, stands for its geometry', () => {
    const geometry = { type: 'Point', coordinates: [1, 2] };
    const feature = { type: 'Feature', properties: {}, geometry };
    expect(written('geo:json', feature)).toEqual(geometry);
    expect(written('geo:json', { type: 'FeatureCollection', features: [feature] })).toEqual(geometry);
    expect(written('geo:json', { type: 'FeatureCollection', features: [feature, feature] })).toMatch('exactly one');
    expect(written('geo:json', { type: 'FeatureCollection', features: [geometry] })).toMatch('exactly one');
    expect(written('geo:json', { type: 'Feature', geometry: null })).toMatch('not a GeoJSON object');
  });

  test.each<[string, unknown, string]>([
    ['text', '40.4,-3.7', 'not a GeoJSON object'],
    ['an array', [1, 2], 'not a GeoJSON object'],
    ['an unknown type', { type: 'Circle', coordinates: [1, 2] }, 'not one of'],
    ['another case', { type: 'point', coordinates: [1, 2] }, 'not one of'],
    ['a name of Object.prototype', { type: 'constructor', coordinates: [1, 2] }, 'not one of'],
    ['no coordinates', { type: 'Point' }, 'coordinates'],
    ['an empty point', { type: 'Point', coordinates: [] }, '2 or 3 numbers'],
    ['one number', { type: 'Point', coordinates: [1] }, '2 or 3 numbers'],
    ['four numbers', { type: 'Point', coordinates: [1, 2, 3, 4] }, '2 or 3 numbers'],
    ['text for numbers', { type: 'Point', coordinates: ['1', '2'] }, 'array of numbers'],
    ['nulls', { type: 'Point', coordinates: [null, null] }, 'array of numbers'],
    ['an altitude that is none', { type: 'Point', coordinates: [1, 2, 'x'] }, 'array of numbers'],
    ['infinity', { type: 'Point', coordinates: [1, 2, Infinity] }, 'altitude Infinity'],
    ['a longitude beyond 180', { type: 'Point', coordinates: [180.1, 2] }, 'longitude 180.1'],
    ['a latitude beyond 90', { type: 'Point', coordinates: [1, -90.1] }, 'latitude -90.1'],
    ['a line of one', { type: 'LineString', coordinates: [[1, 2]] }, '2 positions, not 1'],
    ['a line of none', { type: 'LineString', coordinates: [] }, '2 positions, not 0'],
    ['an empty ring', { type: 'Polygon', coordinates: [[]] }, '4 positions, not 0'.replace('positions,', 'positions, the last equal to the first,')], // prettier-ignore
    ['an open ring', { type: 'Polygon', coordinates: [square.slice(0, 4)] }, 'equal the first'],
    ['a ring that closes but in altitude', { type: 'Polygon', coordinates: [[[0, 0, 1], [0, 1, 1], [1, 1, 1], [0, 0, 2]]] }, 'equal the first'], // prettier-ignore
    ['a flat polygon', { type: 'Polygon', coordinates: square }, '4 positions'],
    ['a hole that is open', { type: 'Polygon', coordinates: [square, hole.slice(1)] }, '4 positions'],
    ['mixed dimensions', { type: 'LineString', coordinates: [[0, 0], [1, 1, 1]] }, 'altitude'], // prettier-ignore
    ['mixed dimensions of a collection', { type: 'GeometryCollection', geometries: [{ type: 'Point', coordinates: [0, 0] }, { type: 'Point', coordinates: [0, 0, 0] }] }, 'altitude'], // prettier-ignore
    ['a collection without geometries', { type: 'GeometryCollection' }, 'geometries'],
  ])('%s is unsound', (_what, value, problem) => expect(written('geo:json', value)).toMatch(problem));

  test('collections may be nested, but not without end', () => {
    const nested = (depth: number): unknown =>
      depth === 0
        ? { type: 'Point', coordinates: [1, 2] }
        : { type: 'GeometryCollection', geometries: [nested(depth - 1)] };
    expect(written('geo:json', nested(16))).toMatchObject({ type: 'GeometryCollection' });
    expect(written('geo:json', nested(17))).toMatch('nested');
    expect(written('geo:json', nested(3000))).toMatch('nested');
  });

  test('a large geometry needs more than the first buffer', () => {
    const coordinates = Array.from({ length: 20_000 }, (_, place) => [place / 1000, place / 1000]);
    const line = { type: 'LineString', coordinates };
    expect(written('geo:json', line)).toEqual(line);
    expect(written('geo:json', { type: 'Point', coordinates: [1, 2] })).toEqual({ type: 'Point', coordinates: [1, 2] });
  });
});

describe('geo:point', () => {
  test.each([
    ['40.4,-3.7', [-3.7, 40.4]],
    [' +40.4 , -3.7 ', [-3.7, 40.4]],
    ['1e1,2.', [2, 10]],
    ['.5,-.5', [-0.5, 0.5]],
    ['-90,180', [180, -90]],
  ])('%j has x = longitude, y = latitude', (text, coordinates) =>
    expect(written('geo:point', text)).toEqual({ type: 'Point', coordinates }),
  );

  test.each([
    '',
    ',',
    '40.4',
    '40.4,',
    ',3.7',
    '40.4 -3.7',
    '40.4,-3.7,5',
    'a,b',
    'NaN,NaN',
    'Infinity,1',
    '0x10,1',
    '1e400,1',
    '91,0',
    '0,181',
    5,
    null,
    ['40,3'],
    {},
  ])('%j is unsound', (value) => expect(toWkb('geo:point', value).kind).toBe('unsound'));
});

describe('geo:line, geo:polygon, geo:box', () => {
  test('a line', () =>
    expect(written('geo:line', ['40,-3', '41,-4'])).toEqual({ type: 'LineString', coordinates: [[-3, 40], [-4, 41]] })); // prettier-ignore

  test('a polygon', () =>
    expect(written('geo:polygon', ['0,0', '0,1', '1,1', '0,0'])).toEqual({ type: 'Polygon', coordinates: [[[0, 0], [1, 0], [1, 1], [0, 0]]] })); // prettier-ignore

  test('a box is a counter-clockwise polygon, from whatever corners', () => {
    const box = { type: 'Polygon', coordinates: [[[1, 2], [3, 2], [3, 4], [1, 4], [1, 2]]] }; // prettier-ignore
    expect(written('geo:box', ['2,1', '4,3'])).toEqual(box);
    expect(written('geo:box', ['4,1', '2,3'])).toEqual(box);
  });

  test.each<[GeoType, unknown]>([
    ['geo:line', ['40,-3']],
    ['geo:line', ['40,-3', 'x']],
    ['geo:line', [[40, -3], [41, -4]]], // prettier-ignore
    ['geo:line', '40,-3;41,-4'],
    ['geo:polygon', ['0,0', '0,1', '1,1']],
    ['geo:polygon', ['0,0', '0,1', '1,1', '1,0']],
    ['geo:polygon', { type: 'Polygon', coordinates: [square] }],
    ['geo:box', ['0,0']],
    ['geo:box', ['0,0', '1,1', '2,2']],
    ['geo:box', ['0,0', '0,1']],
    ['geo:box', ['0,0', '91,1']],
    ['geo:box', [null, '1,1']],
  ])('%s %j is unsound', (type, value) => expect(toWkb(type, value).kind).toBe('unsound'));
});
