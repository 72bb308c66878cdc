/**
 * The vectors whose results differ from those of Kafnus 1.5: why, and what the result is instead.
 * All other vectors must give the same results.
 */
import type { AttributeCode, RejectCode, SkipReason } from '@kafnus/ngsi-core';

/** The result of our agents. */
export type Ending =
  | {
      readonly kind: 'emit';
      /** Columns of the first row, as `type=value`: `?` is optional, undefined is no column. */
      readonly columns?: Readonly<Record<string, string | undefined>>;
      /** The number of records; 1 by default. */
      readonly outputs?: number;
      readonly reports?: readonly (RejectCode | AttributeCode)[];
      readonly skipped?: readonly SkipReason[];
      /** The number of tombstones. */
      readonly tombstones?: number;
    }
  | { readonly kind: 'reject'; readonly code: RejectCode }
  | { readonly kind: 'skip'; readonly reason: SkipReason };

export interface Departure {
  readonly why: string;
  readonly ids: readonly string[];
  readonly ends: Ending;
}

const rejected = (why: string, code: RejectCode, ...ids: string[]): Departure => ({
  why,
  ids,
  ends: { kind: 'reject', code },
});

/** Rows with a single attribute `attr`, which becomes `column`. */
const attribute = (why: string, column: string, reports: readonly AttributeCode[], ...names: string[]): Departure => ({
  why,
  ids: names.map((name) => `attr/${name}`),
  ends: { kind: 'emit', columns: { attr: column }, reports },
});

const TYPED_NULLS = 'SPEC 9: typed nulls instead of string';
const INVALID_DATES = 'SPEC 9: invalid dates as typed null plus a report, instead of text';
const INVALID_GEOMETRIES = 'SPEC 9: invalid geometries as typed null plus a report, instead of text or a broken schema';
const DEAD_LETTERED = 'SPEC 9: rejects dead-lettered instead of skipped';
const SERVICE_NAMES = 'SPEC 9: service names checked';
const BASE_COLUMNS = 'SPEC 9: base columns that an attribute cannot override';
const NORMALIZED = 'SPEC 2 and 6: an attribute is {"type", "value", "metadata"}, and nothing disappears';
const STRINGS = 'SPEC 2: id and type are strings';

const everywhere: readonly Departure[] = [
  attribute(TYPED_NULLS, 'double?=null', [], 'Number-value-null', 'Number-value-missing', 'Float-value-missing'),
  attribute(TYPED_NULLS, 'boolean?=null', [], 'Boolean-value-null'),
  attribute(TYPED_NULLS, 'Timestamp?=null', [], 'DateTime-value-missing'),
  attribute(
    TYPED_NULLS,
    'Geometry?=null',
    [],
    'geo-point-value-null',
    'geo-line-null',
    'geo-json-null',
    'geo-json-value-missing',
  ),
  attribute(`${TYPED_NULLS}; SPEC 3: a null of type json stays null`, 'string?=null', [], 'json-null', 'jsonb-null'),
  attribute(
    'SPEC 6: a number beyond a double cannot be converted',
    'double?=null',
    ['number-invalid'],
    'Number-neg-overflow',
  ),
  attribute(
    INVALID_DATES,
    'Timestamp?=null',
    ['date-invalid'],
    ...['frac-minute', 'bad-month', 'feb29-no', 'h25', 'leap', 'empty', 'eu', 'now'].map((name) => `DateTime-${name}`),
    ...['epoch-string', 'epoch-s-string', 'null-string'].map((name) => `DateTime-${name}`),
    ...['number-s', 'float', 'true', 'false', 'object', 'empty-array'].map((name) => `DateTime-value-${name}`),
  ),
  attribute(
    INVALID_GEOMETRIES,
    'Geometry?=null',
    ['geometry-invalid'],
    ...['huge', 'empty', 'comma', 'text', 'text-pair', 'nan', 'spacepair', 'value-geojson', 'value-object'].map(
      (name) => `geo-point-${name}`,
    ),
    ...['two', 'one', 'numbers', 'string', 'geojson'].map((name) => `geo-polygon-${name}`),
    ...['nulls', 'out-of-range', 'nested', 'no-coords', 'null-coords', 'lower'].map((name) => `geo-json-Point-${name}`),
    ...[
      'Polygon-flat',
      'Polygon-empty-ring',
      'Feature-null',
      'Feature-GeometryCollection',
      'FeatureCollection-empty',
    ].map((name) => `geo-json-${name}`),
    ...['latlon-string', 'empty-string', 'number', 'true', 'array', 'unknown-type'].map((name) => `geo-json-${name}`),
  ),
  attribute(
    'SPEC 9: geo:line and geo:box as geometries',
    'Geometry={"wkb":"AQMAAAABAAAABQAAAJqZmZmZmQnAzczMzMwMREDNzMzMzMwIwM3MzMzMDERAzczMzMzMCMCamZmZmRlEQJqZmZmZmQnAmpmZmZkZRECamZmZmZkJwM3MzMzMDERA","srid":4326}',
    [],
    'geo-box',
  ),
  attribute(
    NORMALIZED,
    'string?=null',
    ['attribute-not-normalized'],
    'shape-keyvalue-string',
    'shape-keyvalue-true',
    'shape-Value-caps',
  ),
  attribute(
    'B18: a type that is no text is none, the value decides',
    'string="x"',
    [],
    'shape-type-number',
    'shape-type-object',
    'shape-type-array',
  ),
  {
    why: 'SPEC 3: __proto__ is an ordinary name',
    ids: ['name/35-__proto__'],
    ends: { kind: 'emit', columns: { first: 'double=1', ['__proto__']: 'string="val"', last: 'boolean=true' } },
  },
  {
    why: BASE_COLUMNS,
    ids: ['name/41-entityid', 'name/entityid-geo'],
    ends: { kind: 'emit', columns: { entityid: 'string="E1"' }, reports: ['name-clash'] },
  },
  {
    why: BASE_COLUMNS,
    ids: ['name/44-fiwareservicepath', 'name/45-fiwareServicePath'],
    ends: { kind: 'emit', columns: { fiwareservicepath: 'string="/p"' }, reports: ['name-clash'] },
  },
  {
    why: 'B15: only the members `id` and `type`, spelled so, are no attributes',
    ids: ['name/50-TYPE'],
    ends: { kind: 'emit', columns: { type: 'string="val"', entitytype: 'string="T"' } },
  },
  {
    why: 'SPEC 3: of names equal but for case the first wins, the others are reported',
    ids: ['name/case-dup'],
    ends: { kind: 'emit', columns: { temp: 'double=1', mid: 'double=5' }, reports: ['name-clash', 'name-clash'] },
  },
  {
    why: 'SPEC 3: of names equal but for case the first wins, the others are reported',
    ids: ['name/case-dup-geo-first'],
    ends: {
      kind: 'emit',
      columns: { loc: 'Geometry={"wkb":"AQEAAAAAAAAAAAAAQAAAAAAAAPA/","srid":4326}' },
      reports: ['name-clash'],
    },
  },
  rejected(
    STRINGS,
    'entity-id-invalid',
    'entity/id-empty',
    'entity/id-value-zero',
    'entity/id-value-false',
    'entity/id-value-object',
    'alt/delete-numeric-id',
  ),
  rejected(
    STRINGS,
    'entity-type-invalid',
    'entity/type-value-zero',
    'entity/type-value-object',
    'entity/type-value-array',
  ),
  {
    why: 'SPEC 3: type missing: Thing',
    ids: ['entity/type-value-null', 'entity/no-type'],
    ends: { kind: 'emit', columns: { entitytype: 'string="Thing"' } },
  },
  {
    why: 'SPEC 3: a reject of that entity only, its siblings go out',
    ids: ['notif/first-null'],
    ends: { kind: 'emit', columns: { entityid: 'string="E1"' }, reports: ['entity-invalid'] },
  },
  rejected(
    DEAD_LETTERED,
    'not-a-notification',
    ...['no-data', 'object-data', 'number-data', 'top-entity', 'top-number', 'double-encoded', 'ngsiv1', 'legacy'].map(
      (name) => `notif/${name}`,
    ),
  ),
  rejected(DEAD_LETTERED, 'not-json', 'notif/bom', 'notif/truncated', 'notif/trailing-comma', 'notif/nan-literal'),
  rejected(
    SERVICE_NAMES,
    'service-invalid',
    ...['dash', 'dot', 'unicode', 'long', 'comma'].map((name) => `hdr/service-${name}`),
    'alt/delete-headers',
  ),
  {
    why: 'B19: what is no text in a message read as a header is what it reads as',
    ids: ['hdr/none-body-datamodel-number'],
    ends: { kind: 'emit', columns: { v: 'double=1' } },
  },
];

const MISSING = 'SPEC 5: TimeInstant missing: reject (the default)';
const NOT_TEXT = 'B11: the key column timeinstant is a string';
const DELETE = 'SPEC 9: no row for a delete in historic and mutable';

const versions: readonly Departure[] = [
  rejected(
    MISSING,
    'timeinstant-missing',
    ...['missing', 'value-null', 'value-missing', 'underscore'].map((name) => `timeinstant/${name}`),
    'entity/no-attrs',
    'alt/null-attr',
  ),
  rejected(
    NOT_TEXT,
    'timeinstant-invalid',
    ...['number', 'true', 'object', 'array'].map((name) => `timeinstant/value-${name}`),
  ),
  rejected(NORMALIZED, 'timeinstant-invalid', 'timeinstant/keyvalue', 'notif/keyvalues'),
  {
    why: 'SPEC 3: timeinstant (any declared type) is a string, as received',
    ids: ['timeinstant/type-geo-point'],
    ends: { kind: 'emit', columns: { timeinstant: 'string="40,-3"', v: 'double=1' } },
  },
  {
    why: `${MISSING}, of that entity only`,
    ids: ['notif/second-bad-type'],
    ends: { kind: 'emit', outputs: 2, reports: ['timeinstant-missing'] },
  },
  {
    why: DELETE,
    ids: [
      ...[
        'entityDelete',
        'entitydelete',
        'EntityDelete',
        'name-lower',
        'name-caps',
        'delete-caps',
        'delete-no-type',
      ].map((name) => `alt/${name}`),
      ...['two-deletes', 'delete-noheaders', 'delete-body-context'].map((name) => `alt/${name}`),
    ],
    ends: { kind: 'skip', reason: 'delete' },
  },
  {
    why: DELETE,
    ids: ['alt/mixed-update-first'],
    ends: { kind: 'emit', columns: { entityid: 'string="E1"' }, skipped: ['delete'] },
  },
];

const NO_DATE = 'SPEC 4 and 9: lastdata compares TimeInstants; one that is no date is a reject';
const PER_ENTITY = 'SPEC 9: deletes per entity';

const latest: readonly Departure[] = [
  {
    why: 'B09: a TimeInstant of null is null',
    ids: ['timeinstant/value-null', 'timeinstant/value-missing'],
    ends: { kind: 'emit', columns: { timeinstant: 'string?=null', v: 'double=1' } },
  },
  rejected(
    NO_DATE,
    'timeinstant-invalid',
    ...['value-invalid', 'value-number', 'value-true', 'value-object', 'value-array', 'type-geo-point'].map(
      (name) => `timeinstant/${name}`,
    ),
  ),
  rejected(NORMALIZED, 'timeinstant-invalid', 'timeinstant/keyvalue', 'notif/keyvalues'),
  {
    why: 'B18: a type that is no text is none, the value decides',
    ids: ['notif/second-bad-type'],
    ends: { kind: 'emit', outputs: 3 },
  },
  {
    why: 'SPEC 3: type missing: Thing',
    ids: ['alt/delete-no-type'],
    ends: { kind: 'emit', tombstones: 1 },
  },
  { why: PER_ENTITY, ids: ['alt/mixed-update-first'], ends: { kind: 'emit', outputs: 2, tombstones: 1 } },
  { why: PER_ENTITY, ids: ['alt/two-deletes'], ends: { kind: 'emit', outputs: 2, tombstones: 2 } },
];

/** The departures of an agent. */
export const departures: Readonly<Record<'historic' | 'lastdata' | 'mutable', readonly Departure[]>> = {
  historic: [...everywhere, ...versions],
  mutable: [...everywhere, ...versions],
  lastdata: [...everywhere, ...latest],
};
