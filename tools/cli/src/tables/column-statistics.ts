/** Statistics of the values of a column: enough to decide whether another type can store them. */
import { isObject, jsonProblem, parseInstant, textProblem } from '@kafnus/ngsi-core';
import { characters, excerpt } from '../terminal/text.js';
import type { Field } from './connect-row.js';
import { geometryKind } from './geometry-kind.js';

/** Whether the input function of a PostgreSQL type accepts a text. */
const parsers = {
  number: (text: string) =>
    /^\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*$|^\s*(nan|[+-]?inf(inity)?)\s*$/i.test(text),
  integer: (text: string) => /^\s*[+-]?\d+\s*$/.test(text),
  instant: (text: string) => parseInstant(text.trim()) !== undefined,
  boolean: (text: string) => /^\s*(t(rue)?|f(alse)?|y(es)?|no?|on|off|0|1)\s*$/i.test(text),
  json: (text: string) => isJson(text),
  uuid: (text: string) => /^\{?[0-9a-f]{4}(-?[0-9a-f]{4}){7}\}?$/i.test(text),
} as const;

export type Reading = keyof typeof parsers;
const readings = Object.keys(parsers) as readonly Reading[];

/**
 * The length of `2026-05-01 10:00:00.123456+00`. Some years are longer, and some time zones have
 * minutes.
 */
const instantLength = 29;
/** PostGIS writes a geometry as hexadecimal EWKB, which includes the SRID. */
const sridBytes = 4;
/** Maximum length of a value in a message. */
const maxShown = 40;

export interface ColumnStatistics {
  /** The length of the longest value when it is cast to text, in characters. */
  readonly longest: number;
  /** For each type that does not accept all texts, the first text that it refuses, shortened. */
  readonly unread: Readonly<Partial<Record<Reading, string>>>;
  /** The first text that PostgreSQL cannot store, shortened. */
  readonly unstorable: string | undefined;
  readonly smallest: number;
  readonly largest: number;
  /** The first number with a fraction. */
  readonly fraction: number | undefined;
  /** Rows by type of geometry, such as `Point` or `PointZ`. */
  readonly geometries: ReadonlyMap<string, number>;
  /** Whether a geometry has no Z. */
  readonly flat: boolean;
  /** Whether a geometry has Z. */
  readonly z: boolean;
  readonly srids: ReadonlySet<number>;
  /** The first geometry that is not WKB, shortened. */
  readonly noGeometry: string | undefined;
}

/** Collects {@link ColumnStatistics}. */
export class StatisticsCollector implements ColumnStatistics {
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

  /** @param field whose value is not null */
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
        this.#length(instantLength);
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
    // A character is one or two UTF-16 units, so a text with no more units than `longest` is not
    // longer.
    if (text.length > this.longest) this.#length(characters(text));
    for (const reading of readings) {
      if (this.unread[reading] === undefined && !parsers[reading](text)) this.unread[reading] = excerpt(text, maxShown);
    }
    // A numeric column would store the number.
    if (this.unread.number === undefined && Number.isFinite(Number(text))) this.#number(Number(text));
    if (problem(text) !== undefined) this.unstorable ??= excerpt(text, maxShown);
  }

  #number(value: number): void {
    this.smallest = Math.min(this.smallest, value);
    this.largest = Math.max(this.largest, value);
    if (!Number.isInteger(value)) this.fraction ??= value;
  }

  #geometry(value: unknown): void {
    const { wkb, srid } = isObject(value) ? value : {};
    const bytes = Buffer.from(typeof wkb === 'string' ? wkb : '', 'base64');
    this.#length((bytes.length + sridBytes) * 2);
    const kind = geometryKind(bytes);
    if (kind === undefined) {
      this.noGeometry ??= excerpt(JSON.stringify(value), maxShown);
      return;
    }
    const name = kind.z ? `${kind.type}Z` : kind.type;
    this.geometries.set(name, (this.geometries.get(name) ?? 0) + 1);
    if (kind.z) this.z = true;
    else this.flat = true;
    this.srids.add(typeof srid === 'number' ? srid : 0);
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
