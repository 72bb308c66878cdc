/**
 * Generates NGSIv2 notifications of a fictitious city: air quality stations, parking spots and
 * street lights of two tenants. The same options give the same bytes, so that demos, tests and
 * benchmarks can be repeated.
 */

export interface CityOptions {
  /** Default 1. Another seed gives other entity ids and other values. */
  readonly seed?: number;
  /** The number of entities. Default 60. */
  readonly entities?: number;
  /** The first TimeInstant, milliseconds since the epoch. Default 2026-05-01T08:00:00Z. */
  readonly start?: number;
  /** Milliseconds between two versions of an entity. Default 600,000. */
  readonly interval?: number;
}

/** A notification, with the headers and the key of its Kafka record. */
export interface CityNotification {
  readonly service: string;
  readonly servicepath: string;
  readonly correlator: string;
  readonly entityId: string;
  readonly entityType: string;
  /** ISO 8601 in UTC, as in the entity. */
  readonly timeInstant: string;
  /**
   * The JSON text of the notification: about 900 bytes for air quality, 700 for parking, 600 for
   * lights.
   */
  readonly value: string;
}

const defaults = { seed: 1, entities: 60, start: Date.UTC(2026, 4, 1, 8), interval: 600_000 };
const services = ['harbour', 'oldtown'];

interface Model {
  readonly type: string;
  readonly servicepath: string;
  readonly subscriptionId: string;
  readonly attributes: (place: Place, random: Random) => Readonly<Record<string, unknown>>;
}

/** The position and time of an entity. */
interface Place {
  readonly number: number;
  readonly timeInstant: string;
  readonly lat: number;
  readonly lon: number;
}

/** Of ten entities, four are stations, four parking spots and two street lights. */
const models: readonly Model[] = (() => {
  const air: Model = {
    type: 'AirQualityObserved',
    servicepath: '/environment/air',
    subscriptionId: '662f7d1a9c3b5e0d4a8f1c01',
    attributes: ({ timeInstant, lat, lon }, random) => ({
      TimeInstant: attribute('DateTime', timeInstant),
      dateObserved: attribute('DateTime', timeInstant.replace('.000Z', '+00:00')),
      location: attribute('geo:point', `${lat}, ${lon}`),
      NO2: concentration(random.between(5, 80)),
      O3: concentration(random.between(20, 120)),
      PM10: concentration(random.between(5, 60)),
      PM25: concentration(random.between(2, 40)),
      temperature: attribute('Number', random.between(8, 32)),
      relativeHumidity: attribute('Number', random.between(30, 95)),
      airQualityLevel: attribute('Text', random.of(['good', 'moderate', 'poor'])),
    }),
  };
  const parking: Model = {
    type: 'ParkingSpot',
    servicepath: '/mobility/parking',
    subscriptionId: '662f7d1a9c3b5e0d4a8f1c02',
    attributes: ({ number, timeInstant, lat, lon }, random) => ({
      TimeInstant: attribute('DateTime', timeInstant),
      status: attribute('Text', random.of(['free', 'occupied', 'closed'])),
      occupied: attribute('Boolean', random.between(0, 1) > 0.5),
      width: attribute('Number', 2.5),
      category: attribute('StructuredValue', ['onstreet', random.of(['blue', 'green', 'residents'])]),
      refParkingSite: attribute('Relationship', `urn:ngsi-ld:OnStreetParking:${Math.floor(number / 20)}`),
      location: attribute('geo:polygon', ring(lat, lon)),
    }),
  };
  const light: Model = {
    type: 'Streetlight',
    servicepath: '/lighting',
    subscriptionId: '662f7d1a9c3b5e0d4a8f1c03',
    attributes: ({ number, timeInstant, lat, lon }, random) => ({
      TimeInstant: attribute('DateTime', timeInstant),
      powerState: attribute('Text', random.of(['on', 'off', 'low'])),
      illuminanceLevel: attribute('Number', random.between(0, 1)),
      dateLastLampChange: attribute('DateTime', '2024-11-02T09:30:00+01:00'),
      circuit: attribute('json', { cabinet: Math.floor(number / 50), phase: random.of(['L1', 'L2', 'L3']) }),
      location: attribute('geo:json', { type: 'Point', coordinates: [lon, lat, 6.5] }),
    }),
  };
  return [air, parking, air, parking, light, air, parking, air, parking, light];
})();

/**
 * Never ends. It gives one version of each entity, then the next version of each. The TimeInstants
 * of an entity increase.
 */
export function* cityNotifications(options: CityOptions = {}): Generator<CityNotification, never> {
  const { seed, entities, start, interval } = { ...defaults, ...options };
  const random = new Random(seed);
  for (let version = 0; ; version += 1) {
    for (let number = 0; number < entities; number += 1) {
      // The versions of a round are spread over the interval, as those of real sensors.
      const offset = Math.floor((interval * number) / entities);
      yield notification(seed, number, start + version * interval + offset, random);
    }
  }
}

function notification(seed: number, number: number, at: number, random: Random): CityNotification {
  const model = models[number % models.length] ?? models[0];
  if (model === undefined) throw new Error('a city without models');
  const service = services[Math.floor(number / models.length) % services.length] ?? 'harbour';
  const timeInstant = new Date(at).toISOString();
  const entityId = `urn:ngsi-ld:${model.type}:${service}-${seed}-${String(number).padStart(4, '0')}`;
  const place = {
    number,
    timeInstant,
    lat: rounded(41.14 + (number % 100) * 0.0004, 6),
    lon: rounded(-8.63 + Math.floor(number / 100) * 0.0006, 6),
  };
  const entity = { id: entityId, type: model.type, ...model.attributes(place, random) };
  return {
    service,
    servicepath: model.servicepath,
    correlator: random.uuid(),
    entityId,
    entityType: model.type,
    timeInstant,
    value: JSON.stringify({ subscriptionId: model.subscriptionId, data: [entity] }),
  };
}

function attribute(type: string, value: unknown): object {
  return { type, value, metadata: {} };
}

/** A concentration in µg/m³, which is GQ in the codes of UN/CEFACT. */
function concentration(value: number): object {
  return { type: 'Number', value, metadata: { unitCode: { type: 'Text', value: 'GQ' } } };
}

/** A closed ring of about 2.5 by 5 metres. */
function ring(lat: number, lon: number): string[] {
  const corners: [number, number][] = [
    [lat, lon],
    [lat, lon + 0.00006],
    [lat + 0.00002, lon + 0.00006],
    [lat + 0.00002, lon],
    [lat, lon],
  ];
  return corners.map(([y, x]) => `${rounded(y, 6)}, ${rounded(x, 6)}`);
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** A pseudorandom number generator: mulberry32 by Tommy Ettinger, public domain. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to 2^32 - 1. */
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** A number with two decimals. */
  between(low: number, high: number): number {
    return rounded(low + (this.#next() / 2 ** 32) * (high - low), 2);
  }

  of(values: readonly string[]): string {
    return values[this.#next() % values.length] ?? '';
  }

  /** The form of a version 4 UUID (RFC 9562), which is what Orion sends as correlator. */
  uuid(): string {
    const hex = Array.from({ length: 4 }, () => this.#next().toString(16).padStart(8, '0')).join('');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
  }
}
