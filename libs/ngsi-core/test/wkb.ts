/** A small reader of ISO WKB, written from the standard, independently of the writer. */

/** A GeoJSON geometry. */
export interface Geometry {
  readonly type: string;
  readonly coordinates?: unknown;
  readonly geometries?: readonly Geometry[];
}

const TYPES = ['Point', 'LineString', 'Polygon', 'MultiPoint', 'MultiLineString', 'MultiPolygon', 'GeometryCollection'];

/** @throws Error when the bytes are not one whole geometry */
export function readWkb(base64: string): Geometry {
  const bytes = Buffer.from(base64, 'base64');
  let at = 0;
  const uint = (): number => bytes.readUInt32LE((at += 4) - 4);
  const double = (): number => bytes.readDoubleLE((at += 8) - 8);
  const times = <T>(read: () => T): T[] => Array.from({ length: uint() }, read);
  const geometry = (): Geometry => {
    if (bytes[at++] !== 1) throw new Error('not little-endian');
    const code = uint();
    const dimensions = code >= 1000 ? 3 : 2;
    const type = TYPES[(code % 1000) - 1];
    const position = (): number[] => Array.from({ length: dimensions }, double);
    const ring = (): number[][] => times(position);
    switch (type) {
      case 'Point':
        return { type, coordinates: position() };
      case 'LineString':
        return { type, coordinates: ring() };
      case 'Polygon':
        return { type, coordinates: times(ring) };
      case 'MultiPoint':
      case 'MultiLineString':
      case 'MultiPolygon':
        return { type, coordinates: times(() => geometry().coordinates) };
      case 'GeometryCollection':
        return { type, geometries: times(geometry) };
      default:
        throw new Error(`no such type: ${code}`);
    }
  };
  const result = geometry();
  if (at !== bytes.length) throw new Error(`${bytes.length - at} bytes are left`);
  return result;
}
