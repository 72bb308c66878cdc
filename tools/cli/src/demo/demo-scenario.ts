/**
 * What the demo publishes, and what it expects of the agents. Each step is published to the raw
 * topics of historic, lastdata and mutable, as three subscriptions of Orion would do.
 */

/** What one agent must do with a step. */
export type Outcome =
  | { readonly kind: 'row'; readonly columns: readonly ExpectedColumn[]; readonly report?: ExpectedRefusal }
  | { readonly kind: 'tombstone' }
  | { readonly kind: 'skip'; readonly reason: string }
  | ({ readonly kind: 'reject' } & ExpectedRefusal);

/**
 * Name, Connect type and value, as `connect/decode.ts` returns them. The columns that every row has
 * are added.
 */
type ExpectedColumn = readonly [name: string, type: string, value: string | number | boolean | null];

export interface ExpectedRefusal {
  /** The code of the rejection. */
  readonly code: string;
  /** Part of its message. */
  readonly says: string;
}

/** A notification, or text that should be one. */
export interface ScenarioStep {
  /** Identifies the step in code. */
  readonly id: string;
  /** Printed in the report. */
  readonly title: string;
  readonly service: string;
  readonly servicepath: string;
  /** null: published without key. */
  readonly key: string | null;
  /** The entity, or text that is sent unchanged. */
  readonly body: Entity | string;
  /** The table without its suffix: `<servicepath>_<entitytype>`, sanitised. */
  readonly table: string;
  readonly expect: {
    /** Of historic and mutable, which differ only in their topics. */
    readonly versions: Outcome;
    readonly lastdata: Outcome;
  };
}

interface Entity {
  readonly id: string;
  readonly type: string;
  readonly [attribute: string]: unknown;
}

const text = (value: string): object => ({ type: 'Text', value, metadata: {} });
const number = (value: number): object => ({ type: 'Number', value, metadata: {} });
const date = (value: string): object => ({ type: 'DateTime', value, metadata: {} });

const station = 'urn:ngsi-ld:AirQualityObserved:quay-7';
const spot = 'urn:ngsi-ld:ParkingSpot:quay-7-12';
const lamp = 'urn:ngsi-ld:Streetlight:mill-lane-3';
const kiosk = 'urn:ngsi-ld:AirQualityObserved:kiosk';
const bench = 'urn:ngsi-ld:Streetlight:bench';

const air = {
  service: 'harbour',
  servicepath: '/environment/air',
  table: 'environment_air_airqualityobserved',
} as const;

const measured = (time: string, no2: number): ScenarioStep['body'] => ({
  id: station,
  type: 'AirQualityObserved',
  TimeInstant: date(time),
  location: { type: 'geo:point', value: '41.1402, -8.6109', metadata: {} },
  NO2: number(no2),
  sensor: { type: 'StructuredValue', value: { model: 'AQ-3', firmware: [2, 1] }, metadata: {} },
});
const measuredRow = (time: string, no2: number): Outcome => ({
  kind: 'row',
  columns: [
    ['timeinstant', 'string', time],
    ['location', 'struct Geometry', 'POINT (-8.6109 41.1402) srid=4326'],
    ['no2', 'double', no2],
    ['sensor', 'string', '{"model":"AQ-3","firmware":[2,1]}'],
  ],
});

const early = '2026-05-01T08:00:00.000Z';
const late = '2026-05-01T08:05:00.000Z';
const newest = '2026-05-01T08:10:00.000Z';

const spotRow: Outcome = {
  kind: 'row',
  columns: [
    ['timeinstant', 'string', early],
    ['status', 'string', 'free'],
    ['occupied', 'boolean', false],
    [
      'location',
      'struct Geometry',
      'POLYGON ((-8.6111 41.1401, -8.611 41.1401, -8.611 41.1403, -8.6111 41.1403, -8.6111 41.1401)) srid=4326',
    ],
  ],
};
const lampRow: Outcome = {
  kind: 'row',
  columns: [
    ['timeinstant', 'string', early],
    ['powerstate', 'string', 'low'],
    ['datelastlampchange', 'int64 Timestamp', '2024-11-02T08:30:00.000Z'],
    ['illuminancelevel', 'double', null],
    ['location', 'struct Geometry', 'POINT Z (-8.6295 41.1579 6.5) srid=4326'],
  ],
};
const benchRow: Outcome = {
  kind: 'row',
  columns: [
    ['timeinstant', 'string', early],
    ['powerstate', 'string', 'on'],
  ],
};
const malformed: Outcome = { kind: 'reject', code: 'not-json', says: 'JSON' };
const badDate: Outcome = {
  kind: 'row',
  columns: [
    ['timeinstant', 'string', early],
    ['no2', 'double', 17],
    ['calibrated', 'int64 Timestamp', null],
  ],
  report: { code: 'date-invalid', says: 'last Tuesday' },
};

/** In the order in which they are published. */
export const scenarioSteps: readonly ScenarioStep[] = [
  {
    ...air,
    id: 'station',
    title: 'an air quality station',
    key: station,
    body: measured(early, 38.5),
    expect: { versions: measuredRow(early, 38.5), lastdata: measuredRow(early, 38.5) },
  },
  {
    id: 'spot',
    title: 'a parking spot, drawn as a polygon',
    service: 'harbour',
    servicepath: '/mobility/parking',
    table: 'mobility_parking_parkingspot',
    key: spot,
    body: {
      id: spot,
      type: 'ParkingSpot',
      TimeInstant: date(early),
      status: text('free'),
      occupied: { type: 'Boolean', value: false, metadata: {} },
      location: {
        type: 'geo:polygon',
        value: ['41.1401,-8.6111', '41.1401,-8.611', '41.1403,-8.611', '41.1403,-8.6111', '41.1401,-8.6111'],
        metadata: {},
      },
    },
    expect: { versions: spotRow, lastdata: spotRow },
  },
  {
    id: 'lamp',
    title: 'a street light of another tenant, with GeoJSON in three dimensions and a null',
    service: 'oldtown',
    servicepath: '/lighting',
    table: 'lighting_streetlight',
    key: lamp,
    body: {
      id: lamp,
      type: 'Streetlight',
      TimeInstant: date(early),
      powerState: text('low'),
      dateLastLampChange: date('2024-11-02T09:30:00+01:00'),
      illuminanceLevel: { type: 'Number', value: null, metadata: {} },
      location: { type: 'geo:json', value: { type: 'Point', coordinates: [-8.6295, 41.1579, 6.5] }, metadata: {} },
    },
    expect: { versions: lampRow, lastdata: lampRow },
  },
  {
    ...air,
    id: 'newest',
    title: 'the station measures again',
    key: station,
    body: measured(newest, 41.25),
    expect: { versions: measuredRow(newest, 41.25), lastdata: measuredRow(newest, 41.25) },
  },
  {
    ...air,
    id: 'stale',
    title: 'an older measurement arrives late',
    key: station,
    body: measured(late, 40),
    expect: { versions: measuredRow(late, 40), lastdata: { kind: 'skip', reason: 'stale' } },
  },
  {
    id: 'deletion',
    title: 'the parking spot is deleted',
    service: 'harbour',
    servicepath: '/mobility/parking',
    table: 'mobility_parking_parkingspot',
    key: spot,
    body: {
      id: spot,
      type: 'ParkingSpot',
      TimeInstant: date(newest),
      alterationType: text('entityDelete'),
    },
    expect: { versions: { kind: 'skip', reason: 'delete' }, lastdata: { kind: 'tombstone' } },
  },
  {
    ...air,
    id: 'malformed',
    title: 'a truncated notification',
    key: kiosk,
    body: `{"subscriptionId":"662f7d1a9c3b5e0d4a8f1c01","data":[{"id":"${kiosk}","type":`,
    expect: { versions: malformed, lastdata: malformed },
  },
  {
    ...air,
    id: 'bad-date',
    title: 'a measurement with an invalid date',
    key: kiosk,
    body: {
      id: kiosk,
      type: 'AirQualityObserved',
      TimeInstant: date(early),
      NO2: number(17),
      calibrated: date('last Tuesday'),
    },
    expect: { versions: badDate, lastdata: badDate },
  },
  {
    id: 'unkeyed',
    title: 'a record without key',
    service: 'oldtown',
    servicepath: '/lighting',
    table: 'lighting_streetlight',
    key: null,
    body: { id: bench, type: 'Streetlight', TimeInstant: date(early), powerState: text('on') },
    expect: { versions: benchRow, lastdata: benchRow },
  },
];

/** Generated notifications that follow the steps, see `city.ts`. */
export const cityLoad = { seed: 7, entities: 60, notifications: 360, perSecond: 150 } as const;

const failedInsert =
  `INSERT INTO "harbour"."environment_air_airqualityobserved" ("entityid","timeinstant","no2") ` +
  `VALUES ('${station}','${early}',38.5)`;

/**
 * The dead letter of a record that a JDBC sink could not write (KIP-298), and the expected log
 * record.
 */
export const sinkFailure = {
  service: 'harbour',
  key: `{"schema":{"type":"struct","fields":[{"field":"entityid","type":"string","optional":false}],"optional":false},"payload":{"entityid":"${station}"}}`,
  value: `{"schema":{"type":"struct","fields":[{"field":"no2","type":"double","optional":false}],"optional":false},"payload":{"no2":38.5}}`,
  /** All but `__connect.errors.topic`, which has the prefix of the run. */
  headers: {
    '__connect.errors.partition': '1',
    '__connect.errors.offset': '4711',
    '__connect.errors.connector.name': 'harbour-postgis',
    '__connect.errors.task.id': '0',
    '__connect.errors.stage': 'TASK_PUT',
    '__connect.errors.class.name': 'io.confluent.connect.jdbc.JdbcSinkTask',
    '__connect.errors.exception.class.name': 'org.apache.kafka.connect.errors.ConnectException',
    '__connect.errors.exception.message':
      `java.sql.BatchUpdateException: Batch entry 0 ${failedInsert} was aborted: ` +
      `ERROR: relation "harbour.environment_air_airqualityobserved" does not exist\n  Position: 13  ` +
      `Call getNextException to see other errors in the batch.`,
  },
  expect: {
    error: 'ERROR: relation "harbour.environment_air_airqualityobserved" does not exist',
    query: failedInsert,
  },
} as const;
