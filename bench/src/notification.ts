/**
 * The load: NGSIv2 notifications of air quality stations in Orion's format. A notification of one
 * entity with ten attributes has 900 bytes.
 */
import type { RecordToWrite } from '@kafnus/local-stack';

/** What varies between benchmarks; what is not given is {@link typicalLoad}. */
export interface Load {
  readonly entities: number;
  readonly tenants: number;
  readonly entitiesPerNotification: number;
  /** Attributes of an entity, TimeInstant included. */
  readonly attributes: number;
}

export const typicalLoad: Load = { entities: 10_000, tenants: 1, entitiesPerNotification: 1, attributes: 10 };

export const entityType = 'AirQualityObserved';
export const servicePath = '/stations';

export function tenantName(index: number): string {
  return `city${String(index).padStart(4, '0')}`;
}

export function tenantNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => tenantName(index));
}

export function entityId(index: number): string {
  return `urn:ngsi-ld:${entityType}:${String(index).padStart(7, '0')}`;
}

/** The TimeInstant of version 0, milliseconds since the epoch. */
export const firstInstant = Date.UTC(2025, 0, 1);
const filler = 'Roadside station, calibrated twice a year; run by the city laboratory.';

/** The attributes in turn; an entity with more than these has them again under other names. */
const makers: readonly ((place: number) => unknown)[] = [
  (n) => ({ type: 'geo:point', value: `${(40 + (n % 1000) / 1000).toFixed(4)},${(-3 - (n % 777) / 1000).toFixed(4)}` }),
  (n) => ({ type: 'Number', value: ((n % 450) - 50) / 10 }),
  (n) => ({ type: 'Number', value: n % 101 }),
  (n) => ({ type: 'Number', value: (n % 1313) / 100 }),
  (n) => ({ type: 'Boolean', value: n % 7 !== 0 }),
  (n) => ({ type: 'Text', value: n % 3 === 0 ? 'moderate' : 'good' }),
  (n) => ({ type: 'DateTime', value: new Date(firstInstant + n * 1000).toISOString() }),
  (n) => ({ type: 'StructuredValue', value: { street: 'Calle Mayor', number: n % 300, city: 'Madrid' } }),
  () => ({ type: 'Text', value: filler }),
];
const names = [
  'location',
  'temperature',
  'humidity',
  'pm10',
  'reliable',
  'airQualityLevel',
  'dateObserved',
  'address',
  'description',
];

/** @param version the newer, the greater: it is what the TimeInstant and the values follow from */
function entity(index: number, version: number, attributes: number): Record<string, unknown> {
  const result: Record<string, unknown> = { id: entityId(index), type: entityType };
  result['TimeInstant'] = { type: 'DateTime', value: new Date(firstInstant + version).toISOString(), metadata: {} };
  for (let place = 0; place < attributes - 1; place++) {
    const again = Math.floor(place / names.length);
    const name = names[place % names.length] ?? '';
    const made = makers[place % makers.length]?.(version + place);
    result[again === 0 ? name : `${name}${again}`] = { ...Object(made), metadata: {} };
  }
  return result;
}

const subscriptionId = '5f8ac2d34b1e0d0b9c7a6e51';

/** The value of notification number `place`. */
export function notification(place: number, load: Load): string {
  const data = Array.from({ length: load.entitiesPerNotification }, (_, offset) =>
    entity(entityAt(place, offset, load), place, load.attributes),
  );
  return JSON.stringify({ subscriptionId, data });
}

/**
 * Entities come in an order without pattern; those of one notification are always the same ones.
 */
function entityAt(place: number, offset: number, { entities, entitiesPerNotification }: Load): number {
  const groups = Math.max(1, Math.floor(entities / entitiesPerNotification));
  return ((place * 7919) % groups) * entitiesPerNotification + offset;
}

/**
 * Records for a raw topic. Tenants take turns; each next version of an entity has a later
 * TimeInstant.
 */
export function* rawRecords(topic: string, count: number, load: Load): Generator<RecordToWrite> {
  for (let place = 0; place < count; place++) {
    yield {
      topic,
      key: entityId(entityAt(place, 0, load)),
      value: notification(place, load),
      headers: rawHeaders(tenantName(place % load.tenants), `${place}`),
    };
  }
}

export function rawHeaders(tenant: string, correlator: string): Record<string, string>[] {
  return [{ 'fiware-service': tenant }, { 'fiware-servicepath': servicePath }, { 'fiware-correlator': correlator }];
}

/**
 * Records for the errors agent: what a JDBC sink of Kafka Connect leaves when PostgreSQL refuses a
 * row.
 */
export function* sinkFailures(topic: string, count: number, load: Load): Generator<RecordToWrite> {
  for (let place = 0; place < count; place++) {
    const tenant = tenantName(place % load.tenants);
    const id = entityId(entityAt(place, 0, load));
    const table = `"${tenant}"."stations_airqualityobserved"`;
    const message =
      `java.sql.BatchUpdateException: Batch entry 0 INSERT INTO ${table} ("entityid","entitytype","temperature") ` +
      `VALUES ('${id}','${entityType}',${place % 40}) was aborted: ERROR: value too long for type character varying(8)` +
      `\n  Detail: Failing row contains (${id}).  Call getNextException to see other errors in the batch.`;
    yield {
      topic,
      key: JSON.stringify({ schema: { type: 'string', optional: false }, payload: id }),
      value: JSON.stringify({ schema: { type: 'struct', fields: [], optional: false }, payload: { entityid: id } }),
      headers: [
        ...rawHeaders(tenant, `${place}`),
        { '__connect.errors.topic': tenant },
        { '__connect.errors.partition': '0' },
        { '__connect.errors.offset': `${place}` },
        { '__connect.errors.stage': 'TASK_PUT' },
        { '__connect.errors.exception.class.name': 'org.apache.kafka.connect.errors.ConnectException' },
        { '__connect.errors.exception.message': message },
      ],
    };
  }
}
