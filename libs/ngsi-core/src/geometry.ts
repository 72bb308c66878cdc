/**
 * Converts NGSIv2 `geo:*` values and GeoJSON (RFC 7946) to WKB in EPSG:4326, x = longitude, y =
 * latitude. The result is valid: finite numbers in range, closed rings, enough points, and the same
 * number of dimensions in all positions.
 */
import { isObject, type JsonObject } from './notification.js';

/** The NGSIv2 attribute types that have a geometry; they are case-sensitive, as in Orion. */
export type GeoType = 'geo:point' | 'geo:line' | 'geo:box' | 'geo:polygon' | 'geo:json';

/** A geometry, or why there is none. */
export type GeometryResult =
  { readonly kind: 'geometry'; readonly wkb: string } | { readonly kind: 'unsound'; readonly problem: string };

/** Deeper collections are refused: PostGIS has a limit as well, and the stack is finite. */
const maxCollectionDepth = 16;

/**
 * How the type of a geometry marks an altitude: 1000 is added (ISO 13249-3), or the flag of
 * PostGIS's EWKB is set.
 */
export type WkbDialect = 'iso' | 'ewkb';

/** WKB geometry types, without Z. */
const wkbType = {
  Point: 1,
  LineString: 2,
  Polygon: 3,
  MultiPoint: 4,
  MultiLineString: 5,
  MultiPolygon: 6,
  GeometryCollection: 7,
} as const;

/**
 * The WKB of an attribute's value, in base64.
 *
 * SPEC 3 does not cover these cases. An empty Polygon, Multi* or GeometryCollection becomes the
 * empty geometry of its kind; an empty Point or LineString is refused (RFC 7946 3.1). A geo:box
 * becomes a counter-clockwise polygon. A Feature, or a FeatureCollection with exactly one, becomes
 * its geometry, as in Orion; it is refused when that is a GeometryCollection, as in Kafnus. Other
 * members (`crs`, `bbox`) are ignored (RFC 7946).
 */
export function toWkb(type: GeoType, value: unknown, dialect: WkbDialect = 'iso'): GeometryResult {
  const writer = new WkbWriter(dialect);
  const problem = type === 'geo:json' ? writeGeoJson(writer, value) : writeSimple(writer, type, value);
  return problem === undefined ? { kind: 'geometry', wkb: writer.base64() } : { kind: 'unsound', problem };
}

/** What is wrong with a geometry; undefined when it was written. */
type Problem = string | undefined;

// ---- geo:point, geo:line, geo:box, geo:polygon (NGSIv2, "Geospatial properties of entities")

const numberSource = String.raw`([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)`;
const latLon = new RegExp(String.raw`^\s*${numberSource}\s*,\s*${numberSource}\s*$`);

function writeSimple(writer: WkbWriter, type: Exclude<GeoType, 'geo:json'>, value: unknown): Problem {
  if (type === 'geo:point') {
    writer.header(wkbType.Point, false);
    return writeLatLon(writer, value);
  }
  if (!Array.isArray(value)) return `${type} must be an array of "latitude, longitude"`;
  const corners: readonly unknown[] = value;
  switch (type) {
    case 'geo:line':
      if (corners.length < 2) return `a line needs 2 points, not ${corners.length}`;
      writer.header(wkbType.LineString, false);
      break;
    case 'geo:polygon':
      if (corners.length < 4) return `a polygon needs 4 points, the last equal to the first, not ${corners.length}`;
      writer.header(wkbType.Polygon, false);
      writer.count(1);
      break;
    case 'geo:box':
      return writeBox(writer, corners);
  }
  const start = writer.count(corners.length);
  for (const corner of corners) {
    const problem = writeLatLon(writer, corner);
    if (problem !== undefined) return problem;
  }
  return type === 'geo:polygon' && !writer.isClosed(start, 16)
    ? 'the last point of a polygon must equal the first'
    : undefined;
}

function writeLatLon(writer: WkbWriter, value: unknown): Problem {
  const match = typeof value === 'string' ? latLon.exec(value) : null;
  if (!match) return 'a point must be the text "latitude, longitude"';
  return writer.position(Number(match[2]), Number(match[1]));
}

function writeBox(writer: WkbWriter, corners: readonly unknown[]): Problem {
  if (corners.length !== 2) return `a box has 2 corners, not ${corners.length}`;
  const [first, second] = corners.map((corner) => (typeof corner === 'string' ? latLon.exec(corner) : null));
  if (!first || !second) return 'a corner must be the text "latitude, longitude"';
  const south = Math.min(Number(first[1]), Number(second[1]));
  const north = Math.max(Number(first[1]), Number(second[1]));
  const west = Math.min(Number(first[2]), Number(second[2]));
  const east = Math.max(Number(first[2]), Number(second[2]));
  if (south === north || west === east) return 'the corners of a box must differ in latitude and longitude';
  writer.header(wkbType.Polygon, false);
  writer.count(1);
  writer.count(5);
  return (
    writer.position(west, south) ??
    writer.position(east, south) ??
    writer.position(east, north) ??
    writer.position(west, north) ??
    writer.position(west, south)
  );
}

// ---- geo:json

function writeGeoJson(writer: WkbWriter, value: unknown): Problem {
  let geometry = value;
  if (isObject(value) && value['type'] === 'FeatureCollection') {
    const features: unknown = value['features'];
    if (!Array.isArray(features) || features.length !== 1) return 'a FeatureCollection must have exactly one Feature';
    geometry = features[0];
  }
  if (isObject(geometry) && geometry['type'] === 'Feature') {
    geometry = geometry['geometry'];
    if (isObject(geometry) && geometry['type'] === 'GeometryCollection') return 'a Feature of a GeometryCollection';
  } else if (geometry !== value) {
    return 'a FeatureCollection must have exactly one Feature';
  }
  return writeGeometry(writer, geometry, hasZ(geometry, 0), 0);
}

/** Whether the first position has an altitude. PostGIS requires the same of all positions. */
function hasZ(geometry: unknown, depth: number): boolean {
  if (!isObject(geometry) || depth > maxCollectionDepth) return false;
  let inner: unknown = geometry['coordinates'];
  if (geometry['type'] === 'GeometryCollection' && Array.isArray(geometry['geometries'])) {
    // The first member that has a position decides.
    for (const member of geometry['geometries'] as readonly unknown[]) {
      if (isObject(member) && !isEmpty(member)) return hasZ(member, depth + 1);
    }
    return false;
  }
  for (let level = 0; level < 4 && Array.isArray(inner); level++) {
    const array: readonly unknown[] = inner;
    if (typeof array[0] === 'number') return array.length > 2;
    inner = array[0];
  }
  return false;
}

function isEmpty(geometry: JsonObject): boolean {
  const members = geometry['type'] === 'GeometryCollection' ? geometry['geometries'] : geometry['coordinates'];
  return Array.isArray(members) && members.length === 0;
}

function writeGeometry(writer: WkbWriter, geometry: unknown, z: boolean, depth: number): Problem {
  if (!isObject(geometry)) return 'not a GeoJSON object';
  const type = geometry['type'];
  if (type === 'GeometryCollection') {
    if (depth >= maxCollectionDepth) return `GeometryCollections are nested more than ${maxCollectionDepth} deep`;
    const members = geometry['geometries'];
    if (!Array.isArray(members)) return 'a GeometryCollection needs an array "geometries"';
    writer.header(wkbType.GeometryCollection, z);
    return writeEach(writer, members, (member) => writeGeometry(writer, member, z, depth + 1));
  }
  const coordinates = geometry['coordinates'];
  if (!Array.isArray(coordinates)) return `no array "coordinates"`;
  switch (type) {
    case 'Point':
      return writePoint(writer, coordinates, z);
    case 'LineString':
      return writeLine(writer, coordinates, z);
    case 'Polygon':
      return writePolygon(writer, coordinates, z);
    case 'MultiPoint':
      writer.header(wkbType.MultiPoint, z);
      return writeEach(writer, coordinates, (member) => writePoint(writer, member, z));
    case 'MultiLineString':
      writer.header(wkbType.MultiLineString, z);
      return writeEach(writer, coordinates, (member) => writeLine(writer, member, z));
    case 'MultiPolygon':
      writer.header(wkbType.MultiPolygon, z);
      return writeEach(writer, coordinates, (member) => writePolygon(writer, member, z));
    default:
      return 'not one of the geometry types of GeoJSON (Point, LineString, Polygon, Multi..., GeometryCollection)';
  }
}

function writeEach(writer: WkbWriter, members: readonly unknown[], write: (member: unknown) => Problem): Problem {
  writer.count(members.length);
  for (const member of members) {
    const problem = write(member);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function writePoint(writer: WkbWriter, position: unknown, z: boolean): Problem {
  writer.header(wkbType.Point, z);
  return writePosition(writer, position, z);
}

function writeLine(writer: WkbWriter, positions: unknown, z: boolean): Problem {
  if (!Array.isArray(positions)) return 'a line must be an array of positions';
  if (positions.length < 2) return `a line needs 2 positions, not ${positions.length}`;
  writer.header(wkbType.LineString, z);
  return writeEach(writer, positions, (position) => writePosition(writer, position, z));
}

function writePolygon(writer: WkbWriter, rings: unknown, z: boolean): Problem {
  if (!Array.isArray(rings)) return 'a polygon must be an array of rings';
  writer.header(wkbType.Polygon, z);
  return writeEach(writer, rings, (ring) => {
    if (!Array.isArray(ring)) return 'a ring must be an array of positions';
    if (ring.length < 4) return `a ring needs 4 positions, the last equal to the first, not ${ring.length}`;
    const start = writer.count(ring.length);
    for (const position of ring as readonly unknown[]) {
      const problem = writePosition(writer, position, z);
      if (problem !== undefined) return problem;
    }
    return writer.isClosed(start, z ? 24 : 16) ? undefined : 'the last position of a ring must equal the first';
  });
}

function writePosition(writer: WkbWriter, position: unknown, z: boolean): Problem {
  if (!Array.isArray(position)) return 'a position must be an array of numbers';
  const [x, y, altitude] = position as readonly unknown[];
  if (position.length !== (z ? 3 : 2)) {
    return position.length === 2 || position.length === 3
      ? 'some positions have an altitude and some have none'
      : `a position has 2 or 3 numbers, not ${position.length}`;
  }
  if (typeof x !== 'number' || typeof y !== 'number') return 'a position must be an array of numbers';
  if (!z) return writer.position(x, y);
  return typeof altitude === 'number' ? writer.position(x, y, altitude) : 'a position must be an array of numbers';
}

/** The buffer for all geometries: decisions are made one at a time. */
let scratch = Buffer.alloc(1024);
/** A larger buffer is released after use. */
const maxKeptBytes = 256 * 1024;

class WkbWriter {
  #length = 0;
  readonly #dialect: WkbDialect;

  constructor(dialect: WkbDialect) {
    this.#dialect = dialect;
    if (scratch.length > maxKeptBytes) scratch = Buffer.alloc(1024);
  }

  /** Byte order and type of a geometry. */
  header(type: number, z: boolean): void {
    this.#reserve(5);
    scratch[this.#length] = 1;
    const altitude = this.#dialect === 'iso' ? 1000 : 0x8000_0000;
    scratch.writeUInt32LE(z ? type + altitude : type, this.#length + 1);
    this.#length += 5;
  }

  /** Writes the number of members that follow. @returns where they start */
  count(members: number): number {
    this.#reserve(4);
    this.#length = scratch.writeUInt32LE(members, this.#length);
    return this.#length;
  }

  position(x: number, y: number, altitude?: number): Problem {
    if (!(x >= -180 && x <= 180)) return `longitude ${x} is not within -180 and 180`;
    if (!(y >= -90 && y <= 90)) return `latitude ${y} is not within -90 and 90`;
    this.#reserve(24);
    this.#length = scratch.writeDoubleLE(x, this.#length);
    this.#length = scratch.writeDoubleLE(y, this.#length);
    if (altitude !== undefined) {
      if (!Number.isFinite(altitude)) return `altitude ${altitude} is no number`;
      this.#length = scratch.writeDoubleLE(altitude, this.#length);
    }
    return undefined;
  }

  /** Whether the last position written equals the one at `start`; 0 and -0 are equal. */
  isClosed(start: number, size: number): boolean {
    const end = this.#length - size;
    for (let at = 0; at < size; at += 8) {
      if (scratch.readDoubleLE(start + at) !== scratch.readDoubleLE(end + at)) return false;
    }
    return true;
  }

  base64(): string {
    return scratch.toString('base64', 0, this.#length);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= scratch.length) return;
    const larger = Buffer.alloc(scratch.length * 2);
    scratch.copy(larger, 0, 0, this.#length);
    scratch = larger;
  }
}
