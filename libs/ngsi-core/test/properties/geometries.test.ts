import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { toWkb } from '../../src/geometry.js';
import { readWkb } from '../wkb.js';

/** -0 and 0 are the same coordinate, but toEqual distinguishes them. */
const degrees = (limit: number): fc.Arbitrary<number> =>
  fc.double({ min: -limit, max: limit, noNaN: true }).map((number) => number + 0);

function geometry(z: boolean): fc.Arbitrary<object> {
  const position: fc.Arbitrary<number[]> = z
    ? fc.tuple(degrees(180), degrees(90), degrees(9000))
    : fc.tuple(degrees(180), degrees(90));
  const line = fc.array(position, { minLength: 2 });
  const ring = fc.array(position, { minLength: 3 }).map((positions) => [...positions, positions[0] ?? []]);
  const rings = fc.array(ring, { minLength: 1, maxLength: 3 });
  const many = { minLength: 1, maxLength: 3 };
  const of = (type: string, coordinates: fc.Arbitrary<unknown>): fc.Arbitrary<object> =>
    coordinates.map((inner) => ({ type, coordinates: inner }));
  const simple = fc.oneof(
    of('Point', position),
    of('LineString', line),
    of('Polygon', rings),
    of('MultiPoint', fc.array(position, many)),
    of('MultiLineString', fc.array(line, many)),
    of('MultiPolygon', fc.array(rings, many)),
  );
  const collection = fc.array(simple, many).map((geometries) => ({ type: 'GeometryCollection', geometries }));
  return fc.oneof(simple, collection);
}

test('every sound geometry is read back from its WKB as it was', () => {
  fc.assert(
    fc.property(fc.boolean().chain(geometry), (sound) => {
      const result = toWkb('geo:json', sound);
      expect(result.kind === 'geometry' ? readWkb(result.wkb) : result.problem).toEqual(sound);
    }),
    { numRuns: 500 },
  );
});

test('any point of NGSIv2', () => {
  fc.assert(
    fc.property(degrees(90), degrees(180), (latitude, longitude) => {
      const result = toWkb('geo:point', `${latitude}, ${longitude}`);
      expect(result.kind === 'geometry' && readWkb(result.wkb)).toEqual({
        type: 'Point',
        coordinates: [longitude, latitude],
      });
    }),
  );
});

test('any other value has no geometry, or one that can be read', () => {
  const type = fc.constantFrom(
    'geo:point' as const,
    'geo:line' as const,
    'geo:box' as const,
    'geo:polygon' as const,
    'geo:json' as const,
  );
  const pairs = fc.array(
    fc.tuple(fc.integer({ min: -95, max: 95 }), fc.integer({ min: -185, max: 185 })).map((pair) => pair.join(',')),
  );
  fc.assert(
    fc.property(type, fc.oneof(fc.jsonValue(), pairs, fc.boolean().chain(geometry)), (declared, value) => {
      const result = toWkb(declared, value);
      if (result.kind === 'geometry') readWkb(result.wkb);
      else expect(result.problem).not.toBe('');
    }),
    { numRuns: 1000 },
  );
});
