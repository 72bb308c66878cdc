/** The smallest end-to-end test: one notification for each agent, and one rejected record. */
import { expect, test } from '@jest/globals';
import { any, expectRows, geometry, instant, tableName } from '../harness/rows.js';
import { describePipeline } from '../harness/suite.js';
import { attribute, notification, subscriptionId, type Entity } from '../harness/pipeline.js';

describePipeline('from a notification to PostGIS', (pipeline) => {
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
    await pipeline().publish(
      [entity, older].flatMap((version) =>
        ['raw_historic', 'raw_lastdata', 'raw_mutable'].map((topic) =>
          notification(topic, version, { service, key: subscriptionId }),
        ),
      ),
    );
    await pipeline().publish([
      { topic: 'raw_mutable', key: 'x', value: 'nonsense', headers: [{ 'fiware-service': service }] },
    ]);
    for (const agent of ['historic', 'lastdata', 'mutable', 'errors'] as const) await pipeline().awaitConsumed(agent);
    const topics = [service, `${service}_lastdata`, `${service}_mutable`, `${service}_error_log`];
    await pipeline().applyTables(topics);
    const templates = ['historic', 'lastdata', 'mutable', 'error-log'].map((name) => `debezium-${name}.json`);
    for (const [place, template] of templates.entries())
      await pipeline().awaitWritten(await pipeline().sink(template, topics[place] ?? ''));

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
    await expectRows(pipeline().postgis, [service, 'parks_park'], key, both);
    await expectRows(pipeline().postgis, [service, 'parks_park_mutable'], key, both);
    await expectRows(pipeline().postgis, [service, 'parks_park_lastdata'], key, [row('2026-05-01T10:00:00Z', 98.6)]);
    const errors = await pipeline().postgis.query<{ error: string }>(
      `select error from ${tableName(service, `${service}_error_log`)}`,
    );
    expect(errors).toEqual([{ error: expect.stringMatching(/JSON/) as unknown }]);
  });
});
