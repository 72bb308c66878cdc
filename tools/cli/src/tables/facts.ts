/** What was seen of the values of a column: as much as it takes to tell whether they fit another type. */
import { jsonProblem, parseInstant, textProblem } from '@kafnus/ngsi-core';
import { isObject } from '../connect/decode.js';
import { characters, clipped, printable } from '../terminal/text.js';
import type { Field } from './connect-row.js';
import { geometryKind } from './geometry-kind.js';

/** Types into which PostgreSQL reads text, with what is none of them. */
const READINGS = {
  number: (text: string) =>
    /^\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*$|^\s*(nan|[+-]?inf(inity)?)\s*$/i.test(text),
  integer: (text: string) => /^\s*[+-]?\d+\s*$/.test(text),
  instant: (text: string) => parseInstant(text.trim()) !== undefined,
  boolean: (text: string) => /^\s*(t(rue)?|f(alse)?|y(es)?|no?|on|off|0|1)\s*$/i.test(text),
  json: (text: string) => isJson(text),
  uuid: (text: string) => /^\{?[0-9a-f]{4}(-?[0-9a-f]{4}){7}\}?$/i.test(text),
} as const;

export type Reading = keyof typeof READINGS;
const readings = Object.keys(READINGS) as readonly Reading[];

/** `2026-05-01 10:00:00.123456+00`, and some years have more digits, some zones minutes. */
const INSTANT_LENGTH = 29;
/** PostGIS writes a geometry as hexadecimal EWKB, which has its SRID in it. */
const SRID_BYTES = 4;
/** A value for a message. */
const SHOWN = 40;

export interface Facts {
  /** Characters of the longest value, as the text that PostgreSQL would make of it. */
  readonly longest: number;
  /** For each reading a text that is none, shortened; a reading that all texts have is not in it. */
  readonly unread: Readonly<Partial<Record<Reading, string>>>;
  /** A text that PostgreSQL cannot store, shortened. */
  readonly unstorable: string | undefined;
  readonly smallest: number;
  readonly largest: number;
  /** A number with a fraction. */
  readonly fraction: number | undefined;
  /** Rows by type of geometry, as `Point` or `PointZ`. */
  readonly geometries: ReadonlyMap<string, number>;
  readonly flat: boolean;
  readonly z: boolean;
  readonly srids: ReadonlySet<number>;
  /** A geometry that is none, shortened. */
  readonly noGeometry: string | undefined;
}

/** Collects {@link Facts}. */
export class FactCollector implements Facts {
  longest = 0;
  readonly unread: Partial<Record<Reading, string>> = {};
  unstorable: string | undefined;
  smallest = Infinity;
  largest = -Infinity;
  fraction: number | undefined;
  readonly geometries = new Map<string, number>();
  flat = false;
  z = false;
  readonly srids = new Set<number>();
  noGeometry: string | undefined;

  /** @param field with a value that is not null */
  add({ kind, value }: Field): void {
    switch (kind) {
      case 'text':
      case 'json':
        this.#text(
          typeof value === 'string' ? value : JSON.stringify(value),
          kind === 'json' ? jsonProblem : textProblem,
        );
        break;
      case 'instant':
        if (typeof value === 'string') this.#text(value, textProblem);
        this.#length(INSTANT_LENGTH);
        break;
      case 'double':
      case 'integer':
        if (typeof value === 'number') this.#number(value);
        this.#length(String(value).length);
        break;
      case 'boolean':
        this.#length(String(value).length);
        break;
      case 'geometry':
        this.#geometry(value);
        break;
      case 'bytes':
      case 'other':
        break;
    }
  }

  #length(length: number): void {
    this.longest = Math.max(this.longest, length);
  }

  #text(text: string, problem: (text: string) => string | undefined): void {
    // Not counted when it cannot be longer: a character is one or two units.
    if (text.length > this.longest) this.#length(characters(text));
    for (const reading of readings) {
      if (this.unread[reading] === undefined && !READINGS[reading](text)) this.unread[reading] = shown(text);
    }
    // What a column of numbers would make of it.
    if (this.unread.number === undefined && Number.isFinite(Number(text))) this.#number(Number(text));
    if (problem(text) !== undefined) this.unstorable ??= shown(text);
  }

  #number(value: number): void {
    this.smallest = Math.min(this.smallest, value);
    this.largest = Math.max(this.largest, value);
    if (!Number.isInteger(value)) this.fraction ??= value;
  }

  #geometry(value: unknown): void {
    const { wkb, srid } = isObject(value) ? value : {};
    const bytes = Buffer.from(typeof wkb === 'string' ? wkb : '', 'base64');
    this.#length((bytes.length + SRID_BYTES) * 2);
    const kind = geometryKind(bytes);
    if (kind === undefined) {
      this.noGeometry ??= shown(JSON.stringify(value));
      return;
    }
    const name = kind.z ? `${kind.type}Z` : kind.type;
    this.geometries.set(name, (this.geometries.get(name) ?? 0) + 1);
    if (kind.z) this.z = true;
    else this.flat = true;
    this.srids.add(typeof srid === 'number' ? srid : 0);
  }
}

function shown(text: string): string {
  return clipped(printable(text), SHOWN);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
