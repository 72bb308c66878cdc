/** The type and dimension of a WKB geometry, from its first bytes. */

/** The OGC types by their WKB numbers, as PostGIS writes them in `geometry(Point,4326)`. */
const geometryTypes: Readonly<Record<number, string>> = {
  1: 'Point',
  2: 'LineString',
  3: 'Polygon',
  4: 'MultiPoint',
  5: 'MultiLineString',
  6: 'MultiPolygon',
  7: 'GeometryCollection',
};

export interface GeometryKind {
  readonly type: string;
  readonly z: boolean;
}

/** Flags of PostGIS's EWKB. All of them are Z, M and SRID. */
const ewkbZ = 0x80000000;
const ewkbFlags = 0xe0000000;

/** @returns undefined when the bytes do not begin like a WKB, ISO (type + 1000 for Z) or EWKB */
export function geometryKind(wkb: Buffer): GeometryKind | undefined {
  if (wkb.length < 5) return undefined;
  const code = wkb[0] === 1 ? wkb.readUInt32LE(1) : wkb.readUInt32BE(1);
  const plain = (code & ~ewkbFlags) >>> 0;
  const type = geometryTypes[plain % 1000];
  const dimensions = Math.floor(plain / 1000);
  if (type === undefined || dimensions > 3) return undefined;
  return { type, z: (code & ewkbZ) !== 0 || dimensions === 1 || dimensions === 3 };
}
