/**
 * The codes of all outcomes: why a record or a part of it is refused, and why a record is skipped.
 * The codes are the values of the metrics' label `reason`; the texts appear on the reference page.
 */

/** Why a record or an entity is refused (SPEC 2, 3, 6). The record is dead-lettered unchanged. */
export const rejectCodes = {
  'value-missing': 'The record has no value (a tombstone): a raw topic carries notifications only.',
  'not-utf8': 'The value is not UTF-8 text.',
  'not-json': 'The value is not JSON.',
  'not-a-notification': 'The JSON is not an NGSIv2 notification: no object, or without an array `data`.',
  'timestamp-invalid': 'The record has no timestamp, or one that no calendar has: recvtime cannot be told.',
  'service-invalid':
    'The fiware-service is no legal service name (`[a-z0-9_]`, 1 to 50 characters), or its topic would be another one’s.',
  'header-too-long':
    'The fiware-servicepath (512 characters), fiware-correlator (512) or fiware-datamodel (256) is longer than any of Orion: each output would carry it.',
  'servicepath-missing': 'The data model names the schema for the service path, and the service path is the root.',
  'table-missing': 'The data model names the table for the entity type, and nothing of the type can be part of a name.',
  'table-name-invalid':
    'sink=debezium: PostgreSQL can have no such table: its name or that of the schema has more than 63 bytes, or the schema begins with `pg_`.',
  'text-unstorable':
    'sink=debezium: the id or type of the entity, or the service path, holds what PostgreSQL cannot store (NUL, half a surrogate pair).',
  'entity-invalid': 'An element of `data` is not an object.',
  'entity-id-invalid':
    'An entity has no `id`, or one that is not a non-empty string, or one of more than 2,600 bytes, which no index of PostgreSQL takes.',
  'entity-type-invalid': 'The `type` of an entity is not a string, or has more than 2,600 bytes.',
  'attributes-too-many':
    'An entity has more than 1,595 attributes beside TimeInstant: with the base columns, a table of PostgreSQL has no more columns.',
  'output-too-large':
    'The entities of the record would become more output than the setting maxOutputBytes allows for one record.',
  'timeinstant-missing': 'The entity has no TimeInstant, which is part of the key (setting missingTimeInstant).',
  'timeinstant-invalid': 'The TimeInstant is not text, or not a date where one is needed.',
} as const;

/** Why an attribute is not converted (SPEC 6): its column is null, and the record is reported. */
export const attributeCodes = {
  'date-invalid': 'The value of a DateTime attribute is no ISO 8601 date.',
  'geometry-invalid': 'The value of a geo attribute is no sound geometry.',
  'number-invalid': 'The number is beyond the range of a double.',
  'nesting-too-deep': 'The value is nested too deeply to be written as JSON text.',
  'attribute-not-normalized':
    'The attribute is not of the form {"type", "value", "metadata"} (keyValues notifications are not).',
  'text-invalid': 'sink=debezium: the text holds what PostgreSQL cannot store (NUL, half a surrogate pair).',
  'name-invalid':
    'sink=debezium: no column can have the attribute’s name (empty, a double quote, NUL, more than 63 bytes, a system column): it is left out.',
  'name-clash': 'The lower-cased attribute name is a base column, or repeats another attribute’s: the first one wins.',
} as const;

/** Why a record or an entity is skipped: it is counted, and not dead-lettered. */
export const skipReasons = {
  empty: 'The notification has no entities (`data: []`).',
  stale: 'lastdata: a newer version, by TimeInstant, of the entity was emitted before.',
  delete: 'historic and mutable: the deletion of an entity is not a version of it.',
  'rekeyed-elsewhere': 'Another consumer group has re-keyed the record: this one processes the original.',
  'tenant-not-allowed': 'The service is not in the allow list (setting tenants).',
} as const;

export type RejectCode = keyof typeof rejectCodes;
export type AttributeCode = keyof typeof attributeCodes;
export type SkipReason = keyof typeof skipReasons;
