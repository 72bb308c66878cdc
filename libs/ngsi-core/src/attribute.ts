/**
 * One NGSI attribute to one typed column: the table of SPEC 3.
 */
import type { AttributeCode } from './codes.js';
import { toWkb, type GeoType, type WkbDialect } from './geometry.js';
import { parseInstant } from './instant.js';
import { isObject, type JsonObject } from './notification.js';
import { isStorableDate, jsonProblem, textProblem } from './storable.js';
import { memo, quoted, shown } from './text.js';

/** Whose record format is written: that of Kafnus Connect's sinks, or of the stock Debezium JDBC sink. */
export type Sink = 'kafnus' | 'debezium';

/** The Connect type of a column. */
export interface ColumnType {
  /** The members of the schema between `field` and `optional`, as JSON text. */
  readonly schema: string;
}

/** The Connect types that a sink has. */
export interface ColumnTypes {
  readonly string: ColumnType;
  readonly double: ColumnType;
  readonly boolean: ColumnType;
  readonly timestamp: ColumnType;
  readonly geometry: ColumnType;
  /** How its bytes say that there is an altitude. */
  readonly wkb: WkbDialect;
  /** Whether what PostgreSQL cannot store must not reach the sink: see storable.ts. */
  readonly storable: boolean;
  /** Text that is JSON. */
  readonly json: ColumnType;
  /** The TimeInstant and recvtime. */
  readonly instant: ColumnType;
}

const WKB_FIELDS = '"fields":[{"field":"wkb","type":"bytes"},{"field":"srid","type":"int32"}]';
const TEXT: ColumnType = { schema: '"type":"string"' };
const DOUBLE: ColumnType = { schema: '"type":"double"' };
const BOOLEAN: ColumnType = { schema: '"type":"boolean"' };
const TIMESTAMP: ColumnType = { schema: '"type":"int64","name":"org.apache.kafka.connect.data.Timestamp"' };

/** SPEC 3, "Field members in this order: field, type, name, fields, optional". */
export const columnTypes: Readonly<Record<Sink, ColumnTypes>> = {
  kafnus: {
    string: TEXT,
    double: DOUBLE,
    boolean: BOOLEAN,
    timestamp: TIMESTAMP,
    geometry: {
      schema: `"type":"struct","name":"io.confluent.connect.jdbc.data.geometry.Geometry",${WKB_FIELDS}`,
    },
    wkb: 'iso',
    storable: false,
    json: TEXT,
    instant: TEXT,
  },
  debezium: {
    string: TEXT,
    double: DOUBLE,
    boolean: BOOLEAN,
    timestamp: TIMESTAMP,
    geometry: { schema: `"type":"struct","name":"io.debezium.data.geometry.Geometry",${WKB_FIELDS}` },
    // A geometry with an ISO type makes the sink's task fail: it looks at the lowest byte, and takes 1001 for 233.
    wkb: 'ewkb',
    storable: true,
    json: { schema: '"type":"string","name":"io.debezium.data.Json"' },
    instant: { schema: '"type":"string","name":"io.debezium.time.ZonedTimestamp"' },
  },
};

/** One column of a row. */
export interface Cell {
  readonly type: ColumnType;
  /** The value in the payload, as JSON text; `null` makes the column optional. */
  readonly json: string;
  /** Why it is null though the attribute has a value. */
  readonly problem?: CellProblem;
}

/** What is wrong with an attribute; the name of it is known to the caller. */
export interface CellProblem {
  readonly code: AttributeCode;
  readonly message: string;
}

/** What a declared NGSI type says about the column. */
type Declared = GeoType | 'date' | 'json' | 'number' | 'boolean' | 'other';

const GEO_TYPES: ReadonlySet<string> = new Set<GeoType>([
  'geo:point',
  'geo:line',
  'geo:box',
  'geo:polygon',
  'geo:json',
]);

function isGeoType(type: string): type is GeoType {
  return GEO_TYPES.has(type);
}

const declaredBy = memo<Declared>(1000, (type) => {
  if (isGeoType(type)) return type;
  if (type === 'json' || type === 'jsonb') return 'json';
  switch (type.toLowerCase()) {
    case 'datetime':
    case 'iso8601':
      return 'date';
    case 'number':
    case 'integer':
    case 'float':
      return 'number';
    case 'boolean':
      return 'boolean';
    default:
      return 'other';
  }
});

/**
 * Converts attributes for one sink.
 *
 * SPEC 3 is silent on these: a `type` that is no text counts as none, so the value decides; a DateTime or geo attribute whose
 * value is of another kind (a number, an object) has no date or geometry, rather than a column of another type.
 */
export function cellConverter(types: ColumnTypes): (attribute: unknown) => Cell {
  const nullOf = (type: ColumnType): Cell => ({ type, json: 'null' });
  const nulls: Readonly<Record<Declared, Cell>> = {
    date: nullOf(types.timestamp),
    json: nullOf(types.json),
    number: nullOf(types.double),
    boolean: nullOf(types.boolean),
    other: nullOf(types.string),
    'geo:point': nullOf(types.geometry),
    'geo:line': nullOf(types.geometry),
    'geo:box': nullOf(types.geometry),
    'geo:polygon': nullOf(types.geometry),
    'geo:json': nullOf(types.geometry),
  };
  const yes: Cell = { type: types.boolean, json: 'true' };
  const no: Cell = { type: types.boolean, json: 'false' };

  const jsonCell = (value: unknown): Cell => {
    const text = jsonText(value);
    if (text === undefined) return bad(types.json, 'nesting-too-deep', 'its value is nested too deeply');
    const problem = types.storable ? jsonProblem(text) : undefined;
    return problem === undefined
      ? { type: types.json, json: JSON.stringify(text) }
      : bad(types.json, 'text-invalid', `its value ${problem}`);
  };

  const textCell = (value: string): Cell => {
    const problem = types.storable ? textProblem(value) : undefined;
    return problem === undefined
      ? { type: types.string, json: quoted(value) }
      : bad(types.string, 'text-invalid', `its text ${problem}`);
  };

  const byValue = (value: unknown): Cell => {
    switch (typeof value) {
      case 'number':
        // JSON.parse turns 1e999 into Infinity, which JSON cannot write.
        return Number.isFinite(value)
          ? { type: types.double, json: String(value) }
          : bad(types.double, 'number-invalid', 'its number is beyond the range of a double');
      case 'string':
        return textCell(value);
      case 'boolean':
        return value ? yes : no;
      default:
        return jsonCell(value);
    }
  };

  const dateCell = (value: unknown): Cell => {
    const instant = typeof value === 'string' ? parseInstant(value) : undefined;
    if (instant === undefined) {
      const message = `${shown(value)} is no ISO 8601 date such as "2025-01-02T03:04:05.678Z"`;
      return bad(types.timestamp, 'date-invalid', message);
    }
    return types.storable && !isStorableDate(instant.millis)
      ? bad(types.timestamp, 'date-invalid', `${shown(value)} is before 4714 BC, where the dates of PostgreSQL begin`)
      : { type: types.timestamp, json: String(instant.millis) };
  };

  const geometryCell = (type: GeoType, value: unknown): Cell => {
    const result = toWkb(type, value, types.wkb);
    return result.kind === 'geometry'
      ? { type: types.geometry, json: `{"wkb":"${result.wkb}","srid":4326}` }
      : bad(types.geometry, 'geometry-invalid', `${shown(value)} is no sound ${type}: ${result.problem}`);
  };

  return (attribute) => {
    if (!isObject(attribute)) {
      return attribute === null
        ? nulls.other
        : bad(
            types.string,
            'attribute-not-normalized',
            `${shown(attribute)} is not {"type", "value", "metadata"}${KEY_VALUES}`,
          );
    }
    const { type, value } = attribute;
    const declared = typeof type === 'string' ? declaredBy(type) : 'other';
    if (value === undefined || value === null) {
      const stray = value === undefined ? strayMember(attribute) : undefined;
      return stray === undefined
        ? nulls[declared]
        : bad(nulls[declared].type, 'attribute-not-normalized', `it has no "value", but ${shown(stray)}${KEY_VALUES}`);
    }
    switch (declared) {
      case 'other':
      case 'number':
      case 'boolean':
        return byValue(value);
      case 'date':
        return dateCell(value);
      case 'json':
        return jsonCell(value);
      default:
        return geometryCell(declared, value);
    }
  };
}

/** The value of a column as JSON text, made of the JSON text of the attribute's value; undefined when there is none to be had. */
export type TextConverter = (value: string) => string | undefined;

/**
 * Numbers that JavaScript writes as they are here. A double tells 15 digits apart, and below 10^-6 there would be an exponent;
 * `1.50`, `1e3` and `-0` are written otherwise.
 */
const USUAL_NUMBER = /^(?:0|-?[1-9]\d{0,14}|-?(?:0|[1-9]\d{0,8})\.\d{0,5}[1-9])$/;
/** What in JSON text may be another number; the like in a text is taken for one, too. */
const UNUSUAL_NUMBERS = /\d[eE]|\.\d*0(?!\d)|\d{16}|[\d.]{17}|0\.0{6}|-0(?!\.)/;

/**
 * Converts the values of attributes like one that was converted without a problem: of the same type, their values of the same
 * kind. These are given as JSON text, compact and without escapes in its values, and converted to what {@link cellConverter}
 * makes of them.
 */
export function textConverter(toCell: (attribute: unknown) => Cell, { type, value }: JsonObject): TextConverter {
  const declared = typeof type === 'string' ? declaredBy(type) : 'other';
  const asUsual: TextConverter = (text) => {
    const other: unknown = text.startsWith('"') ? text.slice(1, -1) : JSON.parse(text);
    const cell = toCell({ type, value: other });
    return cell.problem === undefined ? cell.json : undefined;
  };
  if (declared === 'date' || isGeoType(declared)) return asUsual;
  // JSON without unusual numbers is what JSON.stringify would write.
  if (declared === 'json' || typeof value === 'object') {
    return (text) => (UNUSUAL_NUMBERS.test(text) ? asUsual(text) : JSON.stringify(text));
  }
  return typeof value === 'number' ? (text) => (USUAL_NUMBER.test(text) ? text : asUsual(text)) : (text) => text;
}

const KEY_VALUES = ': the subscription must send normalized attributes (not attrsFormat keyValues)';

/** A member that NGSIv2 does not know: without a `value` it says that this is no attribute, but a bare JSON object. */
function strayMember(attribute: JsonObject): string | undefined {
  for (const name in attribute) {
    if (name !== 'type' && name !== 'metadata') return name;
  }
  return undefined;
}

function bad(type: ColumnType, code: AttributeCode, message: string): Cell {
  return { type, json: 'null', problem: { code, message } };
}

/** Compact JSON text; undefined when the value is nested deeper than the stack. */
export function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    // A RangeError is all that a value from JSON.parse can cause.
    return undefined;
  }
}
