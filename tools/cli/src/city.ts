/**
 * A city that talks NGSIv2: air quality stations, parking spots and street lights of two tenants, as Orion would notify
 * them. Nothing in it is random or of the moment: the same options give the same bytes, so that demos, tests and benchmarks
 * can be repeated.
 */

export interface CityOptions {
  /** Default 1. Another seed is another city: other entities, other measurements. */
  readonly seed?: number;
  /** How many entities there are. Default 60. */
  readonly entities?: number;
  /** The first TimeInstant, milliseconds since the epoch. Default 2026-05-01T08:00:00Z. */
  readonly start?: number;
  /** Between two versions of an entity, in milliseconds. Default 600,000. */
  readonly interval?: number;
}

/** One notification, with what goes into the Kafka record around it. */
export interface CityNotification {
  readonly service: string;
  readonly servicepath: string;
  readonly correlator: string;
  readonly entityId: string;
  readonly entityType: string;
  /** ISO 8601 in UTC, as in the entity. */
  readonly timeInstant: string;
  /** The JSON text of the notification: about 900 bytes for air quality, 700 for parking, 600 for lights. */
  readonly value: string;
}

const DEFAULTS = { seed: 1, entities: 60, start: Date.UTC(2026, 4, 1, 8), interval: 600_000 };
const SERVICES = ['harbour', 'oldtown'];

interface Model {
  readonly type: string;
  readonly servicepath: string;
  readonly subscriptionId: string;
  readonly attributes: (place: Place, random: Random) => Readonly<Record<string, unknown>>;
}

/** Where an entity stands, from its number. */
interface Place {
  readonly number: number;
  readonly timeInstant: string;
  readonly lat: number;
  readonly lon: number;
}

/** In turn: of ten entities four are stations, four parking spots, two street lights. */
const MODELS: readonly Model[] = (() => {
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
 * Notifications without end: each entity in turn, then the next version of each. Every entity's TimeInstants rise.
 * Callers take as many as they want.
 */
export function* cityNotifications(options: CityOptions = {}): Generator<CityNotification, never> {
  const { seed, entities, start, interval } = { ...DEFAULTS, ...options };
  const random = new Random(seed);
  for (let version = 0; ; version += 1) {
    for (let number = 0; number < entities; number += 1) {
      // Within a round the entities follow each other, as their sensors would.
      const offset = Math.floor((interval * number) / entities);
      yield notification(seed, number, start + version * interval + offset, random);
    }
  }
}

function notification(seed: number, number: number, at: number, random: Random): CityNotification {
  const model = MODELS[number % MODELS.length] ?? MODELS[0];
  if (model === undefined) throw new Error('a city without models');
  const service = SERVICES[Math.floor(number / MODELS.length) % SERVICES.length] ?? 'harbour';
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

/** A parking spot of about 2.5 by 5 metres, its ring closed. */
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

/** A small generator of numbers that look random: mulberry32, public domain, by Tommy Ettinger. */
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

  /** With two decimals. */
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
