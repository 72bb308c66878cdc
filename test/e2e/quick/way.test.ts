/** The shortest proof that the whole way is open: one notification for each agent, and a refusal. */
import { expect, test } from '@jest/globals';
import { any, expectRows, geometry, instant, tableName } from '../harness/rows.js';
import { describeWay } from '../harness/suite.js';
import { attribute, notification, subscriptionId, type Entity } from '../harness/way.js';

describeWay('from a notification to PostGIS', (way) => {
  test('rows of historic, lastdata and mutable with a geometry, and a line in the error table', async () => {
    const service = 'quick';
    const entity: Entity = {
      id: 'urn:ngsi:Park:1',
      type: 'Park',
      TimeInstant: attribute('DateTime', '2026-05-01T10:00:00Z'),
      location: attribute('geo:point', '40.4314, -3.7247'),
      area: attribute('Number', 98.6),
    };
    const older = {
      ...entity,
      TimeInstant: attribute('DateTime', '2026-05-01T09:00:00Z'),
      area: attribute('Number', 1),
    };
    await way().publish(
      [entity, older].flatMap((version) =>
        ['raw_historic', 'raw_lastdata', 'raw_mutable'].map((topic) =>
          notification(topic, version, { service, key: subscriptionId }),
        ),
      ),
    );
    await way().publish([
      { topic: 'raw_mutable', key: 'x', value: 'nonsense', headers: [{ 'fiware-service': service }] },
    ]);
    for (const agent of ['historic', 'lastdata', 'mutable', 'errors'] as const) await way().digested(agent);
    const topics = [service, `${service}_lastdata`, `${service}_mutable`, `${service}_error_log`];
    await way().applyTables(topics);
    const templates = ['historic', 'lastdata', 'mutable', 'error-log'].map((name) => `debezium-${name}.json`);
    for (const [place, template] of templates.entries())
      await way().written(await way().sink(template, topics[place] ?? ''));

    const row = (time: string, area: number) => ({
      entityid: entity.id,
      entitytype: 'Park',
      fiwareservicepath: '/parks',
      timeinstant: instant(time),
      recvtime: any,
      location: geometry('POINT(-3.7247 40.4314)'),
      area,
    });
    const both = [row('2026-05-01T10:00:00Z', 98.6), row('2026-05-01T09:00:00Z', 1)];
    const key = ['entityid', 'timeinstant'];
    await expectRows(way().postgis, [service, 'parks_park'], key, both);
    await expectRows(way().postgis, [service, 'parks_park_mutable'], key, both);
    await expectRows(way().postgis, [service, 'parks_park_lastdata'], key, [row('2026-05-01T10:00:00Z', 98.6)]);
    const errors = await way().postgis.query<{ error: string }>(
      `select error from ${tableName(service, `${service}_error_log`)}`,
    );
    expect(errors).toEqual([{ error: expect.stringMatching(/JSON/) as unknown }]);
  });
});
