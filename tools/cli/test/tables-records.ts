import type { SinkRecord } from '../src/tables/connect-row.js';
import { ShapeCollector, type Shapes, type TableShape } from '../src/tables/table-shapes.js';

/** A Connect field: its type (`string`, or `string io.debezium.data.Json`), and its value. */
export type TestField = readonly [type: string, value: unknown];

/** A record of an output topic as SPEC 3 has it. */
export function sinkRecord({
  topic = 'smartcity',
  table = 'smartcity.parks_park',
  service = 'smartcity',
  key = { entityid: ['string', 'urn:1'], timeinstant: ['string', '2026-05-01T10:00:00Z'] },
  columns,
}: {
  readonly topic?: string;
  /** undefined: no header. */
  readonly table?: string | null;
  readonly service?: string;
  readonly key?: Readonly<Record<string, TestField>> | null;
  /** null: a tombstone. */
  readonly columns: Readonly<Record<string, TestField>> | null;
}): SinkRecord {
  return {
    topic,
    key: key && connectJson(key),
    value: columns && connectJson(columns),
    headers: [{ 'fiware-service': service }, ...(table === null ? [] : [{ target_table: Buffer.from(table) }])],
  };
}

function connectJson(fields: Readonly<Record<string, TestField>>): string {
  const schema = Object.entries(fields).map(([field, [text, value]]) => {
    const [type, name] = text.split(' ');
    return { field, type, ...(name !== undefined && { name }), optional: value === null };
  });
  const payload = Object.fromEntries(Object.entries(fields).map(([field, [, value]]) => [field, value]));
  return JSON.stringify({ schema: { type: 'struct', fields: schema, optional: false }, payload });
}

/** The base columns of a row (SPEC 3), sink=debezium. */
export function baseColumns(id = 'urn:1', type = 'Park', path = '/parks'): Readonly<Record<string, TestField>> {
  return {
    entityid: ['string', id],
    entitytype: ['string', type],
    fiwareservicepath: ['string', path],
    timeinstant: ['string io.debezium.time.ZonedTimestamp', '2026-05-01T10:00:00Z'],
    recvtime: ['string io.debezium.time.ZonedTimestamp', '2026-05-01T10:00:01.000Z'],
  };
}

export function shapesOf(...records: readonly SinkRecord[]): Shapes {
  const collector = new ShapeCollector();
  for (const record of records) collector.add(record);
  return collector.shapes();
}

/** The shape of the only table. */
export function shapeOf(...records: readonly SinkRecord[]): TableShape {
  const { tables } = shapesOf(...records);
  const [table] = tables;
  if (table === undefined || tables.length > 1) throw new Error(`${tables.length} tables`);
  return table;
}

export const pointWkb: TestField = geometry(1);
export const pointZWkb: TestField = geometry(1001);
export const polygonWkb: TestField = geometry(3);

/** Of a type of ISO WKB, as far as its head. */
export function geometry(type: number, srid = 4326): TestField {
  const wkb = Buffer.alloc(29);
  wkb[0] = 1;
  wkb.writeUInt32LE(type, 1);
  return ['struct io.debezium.data.geometry.Geometry', { wkb: wkb.toString('base64'), srid }];
}
