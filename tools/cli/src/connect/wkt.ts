/** Converts ISO WKB, or EWKB without SRID, to WKT (OGC 06-103r4). */

const geometryTypes: Readonly<Record<number, string>> = {
  1: 'POINT',
  2: 'LINESTRING',
  3: 'POLYGON',
  4: 'MULTIPOINT',
  5: 'MULTILINESTRING',
  6: 'MULTIPOLYGON',
  7: 'GEOMETRYCOLLECTION',
};

/** The EWKB flag of a Z coordinate. ISO WKB adds 1000 to the type instead. */
const ewkbZ = 0x8000_0000;

/** @throws Error when the bytes are not WKB of one of the seven types, 2D or Z */
export function wktOf(wkb: Uint8Array): string {
  const reader = new Reader(wkb);
  const text = geometry(reader, true);
  reader.end();
  return text;
}

/** @param named whether the type is written, which it is not for the members of a MULTI... */
function geometry(reader: Reader, named: boolean): string {
  reader.byteOrder();
  const written = reader.integer();
  const code = written >= ewkbZ ? written - ewkbZ + 1000 : written;
  const type = code % 1000;
  const name = geometryTypes[type];
  const dimensions = code < 1000 ? 2 : 3;
  if (name === undefined || code >= 2000) throw new Error(`not a WKB geometry: its type is ${written}`);
  const point = (): string => Array.from({ length: dimensions }, () => String(reader.double())).join(' ');
  const points = (): string => list(reader, point);
  const members = (named: boolean): string => list(reader, () => geometry(reader, named));
  const bodies: Readonly<Record<number, () => string>> = {
    1: () => `(${point()})`,
    2: points,
    3: () => list(reader, points),
    4: () => members(false),
    5: () => members(false),
    6: () => members(false),
    7: () => members(true),
  };
  const body = bodies[type]?.() ?? '';
  return named ? `${name}${dimensions === 3 ? ' Z ' : ' '}${body}` : body;
}

function list(reader: Reader, element: () => string): string {
  const count = reader.integer();
  const parts: string[] = [];
  for (let index = 0; index < count; index += 1) parts.push(element());
  return `(${parts.join(', ')})`;
}

class Reader {
  readonly #view: DataView;
  #at = 0;
  #little = true;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  byteOrder(): void {
    this.#little = this.#view.getUint8(this.#advance(1)) === 1;
  }

  integer(): number {
    return this.#view.getUint32(this.#advance(4), this.#little);
  }

  double(): number {
    return this.#view.getFloat64(this.#advance(8), this.#little);
  }

  end(): void {
    const left = this.#view.byteLength - this.#at;
    if (left > 0) throw new Error(`not a WKB geometry: ${left} bytes follow it`);
  }

  #advance(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    if (this.#at > this.#view.byteLength)
      throw new Error(`not a WKB geometry: it ends after ${this.#view.byteLength} bytes`);
    return at;
  }
}
