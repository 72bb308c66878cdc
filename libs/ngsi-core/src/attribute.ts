/** Converts one NGSI attribute to one typed column: the table of SPEC 3. */
import type { AttributeCode } from './codes.js';
import { toWkb, type GeoType, type WkbDialect } from './geometry.js';
import { parseInstant } from './instant.js';
import { isObject, type JsonObject } from './notification.js';
import { isStorableDate, jsonProblem, textProblem } from './storable.js';
import { memo, quoted, shown } from './text.js';

/**
 * Whose record format is written: that of Kafnus Connect's sinks, or of the stock Debezium JDBC
 * sink.
 */
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
  /** How the bytes of a geometry mark an altitude. */
  readonly wkb: WkbDialect;
  /** Whether values that PostgreSQL cannot store are refused here: see storable.ts. */
  readonly storable: boolean;
  /** Text that is JSON. */
  readonly json: ColumnType;
  /** The TimeInstant and recvtime. */
  readonly instant: ColumnType;
}

const wkbFields = '"fields":[{"field":"wkb","type":"bytes"},{"field":"srid","type":"int32"}]';
const textType: ColumnType = { schema: '"type":"string"' };
const doubleType: ColumnType = { schema: '"type":"double"' };
const booleanType: ColumnType = { schema: '"type":"boolean"' };
const timestampType: ColumnType = { schema: '"type":"int64","name":"org.apache.kafka.connect.data.Timestamp"' };

/** SPEC 3, "Field members in this order: field, type, name, fields, optional". */
export const columnTypes: Readonly<Record<Sink, ColumnTypes>> = {
  kafnus: {
    string: textType,
    double: doubleType,
    boolean: booleanType,
    timestamp: timestampType,
    geometry: {
      schema: `"type":"struct","name":"io.confluent.connect.jdbc.data.geometry.Geometry",${wkbFields}`,
    },
    wkb: 'iso',
    storable: false,
    json: textType,
    instant: textType,
  },
  debezium: {
    string: textType,
    double: doubleType,
    boolean: booleanType,
    timestamp: timestampType,
    geometry: { schema: `"type":"struct","name":"io.debezium.data.geometry.Geometry",${wkbFields}` },
    // A geometry with an ISO type makes the sink's task fail: it looks at the lowest byte, and
    // takes 1001 for 233.
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
  /** Why `json` is null although the attribute has a value. */
  readonly problem?: CellProblem;
}

/** What is wrong with an attribute. The caller adds the name of the attribute. */
export interface CellProblem {
  readonly code: AttributeCode;
  readonly message: string;
}

/** The kind of column that a declared NGSI type asks for. */
type Declared = GeoType | 'date' | 'json' | 'number' | 'boolean' | 'other';

const geoTypes: ReadonlySet<string> = new Set<GeoType>(['geo:point', 'geo:line', 'geo:box', 'geo:polygon', 'geo:json']);

function isGeoType(type: string): type is GeoType {
  return geoTypes.has(type);
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
 * SPEC 3 does not cover these cases: a `type` that is not text counts as missing, so the value
 * decides the column. A DateTime or geo attribute whose value is of another kind (a number, an
 * object) becomes null in a column of the declared type.
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
            `${shown(attribute)} is not {"type", "value", "metadata"}${keyValuesHint}`,
          );
    }
    const { type, value } = attribute;
    const declared = typeof type === 'string' ? declaredBy(type) : 'other';
    if (value === undefined || value === null) {
      const stray = value === undefined ? strayMember(attribute) : undefined;
      return stray === undefined
        ? nulls[declared]
        : bad(
            nulls[declared].type,
            'attribute-not-normalized',
            `it has no "value", but ${shown(stray)}${keyValuesHint}`,
          );
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

/**
 * Converts the JSON text of an attribute's value to the JSON text of the column's value. Returns
 * undefined when the value cannot be converted.
 */
export type TextConverter = (value: string) => string | undefined;

/**
 * Numbers that JSON.parse and JSON.stringify return unchanged: at most 15 digits, which a double
 * holds exactly, and not below 10^-6, where JavaScript writes an exponent. `1.50`, `1e3` and `-0`
 * are written differently.
 */
const canonicalNumber = /^(?:0|-?[1-9]\d{0,14}|-?(?:0|[1-9]\d{0,8})\.\d{0,5}[1-9])$/;
/** Matches JSON text that may contain any other number, also where it is part of a string. */
const otherNumbers = /\d[eE]|\.\d*0(?!\d)|\d{16}|[\d.]{17}|0\.0{6}|-0(?!\.)/;

/**
 * Returns a converter for attributes that have the same type, and a value of the same kind, as one
 * that was converted without a problem. It takes the value as compact JSON text without escapes,
 * and its result is that of {@link cellConverter}.
 */
export function textConverter(toCell: (attribute: unknown) => Cell, { type, value }: JsonObject): TextConverter {
  const declared = typeof type === 'string' ? declaredBy(type) : 'other';
  const viaCell: TextConverter = (text) => {
    const other: unknown = text.startsWith('"') ? text.slice(1, -1) : JSON.parse(text);
    const cell = toCell({ type, value: other });
    return cell.problem === undefined ? cell.json : undefined;
  };
  if (declared === 'date' || isGeoType(declared)) return viaCell;
  // JSON whose numbers are all canonical is what JSON.stringify would write.
  if (declared === 'json' || typeof value === 'object') {
    return (text) => (otherNumbers.test(text) ? viaCell(text) : JSON.stringify(text));
  }
  return typeof value === 'number' ? (text) => (canonicalNumber.test(text) ? text : viaCell(text)) : (text) => text;
}

const keyValuesHint = ': the subscription must send normalized attributes (not attrsFormat keyValues)';

/**
 * The first member that NGSIv2 does not define. In an object without `value` it shows that the
 * object is not a normalized attribute.
 */
function strayMember(attribute: JsonObject): string | undefined {
  for (const name in attribute) {
    if (name !== 'type' && name !== 'metadata') return name;
  }
  return undefined;
}

function bad(type: ColumnType, code: AttributeCode, message: string): Cell {
  return { type, json: 'null', problem: { code, message } };
}

/** Compact JSON text; undefined when the value is nested too deeply for the stack. */
export function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    // A value from JSON.parse can cause only a RangeError: the stack is exhausted.
    return undefined;
  }
}
