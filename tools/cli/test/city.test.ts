import { describe, expect, test } from '@jest/globals';
import { AgentDriver } from '@kafnus/agent-testkit';
import { agent as historic } from '../../../services/historic/src/agent.js';
import { agent as lastdata } from '../../../services/lastdata/src/agent.js';
import { agent as mutable } from '../../../services/mutable/src/agent.js';
import { cityNotifications, type CityNotification, type CityOptions } from '../src/city.js';

function take(count: number, options: CityOptions = {}): CityNotification[] {
  const city = cityNotifications(options);
  return Array.from({ length: count }, () => city.next().value);
}

describe('cityNotifications', () => {
  test('is the same for the same options, and another for another seed', () => {
    expect(take(200, { seed: 5 })).toEqual(take(200, { seed: 5 }));
    const [one, other] = [take(60, { seed: 5 }), take(60, { seed: 6 })];
    const ids = new Set(one.map(({ entityId }) => entityId));
    expect(other.filter(({ entityId }) => ids.has(entityId))).toEqual([]);
    expect(new Set([...one, ...other].map(({ value }) => value)).size).toBe(120);
  });

  test('never changes: benchmarks of different days are of the same bytes', () => {
    const [first] = take(1);
    expect(first).toMatchObject({
      service: 'harbour',
      servicepath: '/environment/air',
      entityId: 'urn:ngsi-ld:AirQualityObserved:harbour-1-0000',
      timeInstant: '2026-05-01T08:00:00.000Z',
      correlator: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/),
    });
  });

  test('is NGSIv2 normalized, with a realistic mix and size', () => {
    const notifications = take(60);
    for (const { value, entityId, entityType, timeInstant } of notifications) {
      const { subscriptionId, data } = JSON.parse(value);
      expect(subscriptionId).toMatch(/^[0-9a-f]{24}$/);
      expect(data).toHaveLength(1);
      const { id, type, ...attributes } = data[0];
      expect([id, type, attributes.TimeInstant.value]).toEqual([entityId, entityType, timeInstant]);
      for (const attribute of Object.values(attributes)) {
        expect(Object.keys(attribute as object)).toEqual(['type', 'value', 'metadata']);
      }
    }
    const air = notifications.filter(({ entityType }) => entityType === 'AirQualityObserved');
    expect(Object.keys(JSON.parse(air[0]!.value).data[0])).toHaveLength(2 + 10);
    for (const { value } of air) expect(Math.abs(value.length - 920)).toBeLessThan(30);
    const types = notifications.map(({ entityType }) => entityType);
    expect(new Set(types)).toEqual(new Set(['AirQualityObserved', 'ParkingSpot', 'Streetlight']));
    expect(new Set(notifications.map(({ service }) => service))).toEqual(new Set(['harbour', 'oldtown']));
  });

  test('has TimeInstants that rise for every entity, and a round of versions per interval', () => {
    const last = new Map<string, number>();
    for (const { entityId, timeInstant } of take(35, { entities: 7, start: Date.UTC(2030, 0), interval: 60_000 })) {
      const at = Date.parse(timeInstant);
      const before = last.get(entityId);
      if (before !== undefined) expect(at - before).toBe(60_000);
      last.set(entityId, at);
    }
    expect(last.size).toBe(7);
  });

  test.each([
    ['historic', new AgentDriver(historic)],
    ['lastdata', new AgentDriver(lastdata)],
    ['mutable', new AgentDriver(mutable)],
  ])('is sound to the agent %s: one row each, nothing to report', (_, driver) => {
    for (const { service, servicepath, entityId, value } of take(130)) {
      const headers = { 'fiware-service': service, 'fiware-servicepath': servicepath };
      const step = driver.pipe({ key: entityId, value, headers });
      expect(step).toMatchObject({ kind: 'emit', tenant: service, outputs: [{}] });
      expect(step).not.toHaveProperty('reports');
    }
  });
});
