/** What breaks on the way, in the middle of a load: afterwards the tables are what the input says, row for row. */
import { expect, test } from '@jest/globals';
import type { RecordToWrite } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { tableName } from './harness/rows.js';
import { describeWay } from './harness/suite.js';
import { attribute, notification, type Way } from './harness/way.js';

const entities = 40;
const tables = [
  ['raw_historic', '', 'debezium-historic.json'],
  ['raw_lastdata', '_lastdata', 'debezium-lastdata.json'],
  ['raw_mutable', '_mutable', 'debezium-mutable.json'],
] as const;

/** Version `version` of every entity, on each raw topic: every fifth comes with an older TimeInstant than the one before. */
function versions(service: string, version: number): RecordToWrite[] {
  const minute = version % 5 === 4 ? version - 2 : version;
  const time = new Date(Date.UTC(2026, 4, 1) + minute * 60_000).toISOString();
  return Array.from({ length: entities }, (_, entity) =>
    tables.map(([topic]) =>
      notification(
        topic,
        {
          id: `e${entity}`,
          type: 'Sensor',
          TimeInstant: attribute('DateTime', time),
          version: attribute('Number', version),
          place: attribute('geo:point', `40.${entity}, -3.${entity}`),
        },
        { service },
      ),
    ),
  ).flat();
}

/** entityid, TimeInstant and version as the tables must hold them, from the input alone. */
function expected(count: number, kind: (typeof tables)[number][1]): string[] {
  const rows: string[] = [];
  for (let entity = 0; entity < entities; entity += 1) {
    const byTime = new Map<number, number>();
    for (let version = 0; version < count; version += 1) byTime.set(version % 5 === 4 ? version - 2 : version, version);
    const all = [...byTime].sort(([a], [b]) => a - b);
    const kept = kind === '_lastdata' ? all.slice(-1) : all;
    for (const [minute, version] of kept) {
      rows.push(`e${entity} ${new Date(Date.UTC(2026, 4, 1) + minute * 60_000).toISOString()} ${version}`);
    }
  }
  return rows.sort();
}

/** Publishes versions all the time while something happens, and checks all tables at the end. */
async function whileRowsFlow(way: Way, service: string, work: () => Promise<void>): Promise<void> {
  let published = 0;
  const publish = async (): Promise<void> => {
    await way.publish(versions(service, published));
    published += 1;
  };
  await publish();
  for (const agent of ['historic', 'lastdata', 'mutable'] as const) await way.digested(agent);
  await way.applyTables(tables.map(([, suffix]) => `${service}${suffix}`));
  const sinks = [];
  for (const [, suffix, template] of tables) sinks.push(await way.sink(template, `${service}${suffix}`));

  const load = { on: true };
  const flow = (async () => {
    while (load.on) {
      await publish();
      await sleep(200);
    }
  })();
  try {
    await work();
  } finally {
    load.on = false;
    await flow;
  }
  for (const agent of ['historic', 'lastdata', 'mutable'] as const) await way.digested(agent);
  for (const sink of sinks) await way.repaired(sink, 120_000);
  for (const [, suffix] of tables) {
    const rows = await way.postgis.query<{ entityid: string; timeinstant: Date; version: number }>(
      `select entityid, timeinstant, version from ${tableName(service, `parks_sensor${suffix}`)}`,
    );
    const found = rows.map(
      ({ entityid, timeinstant, version }) => `${entityid} ${timeinstant.toISOString()} ${version}`,
    );
    expect([suffix, found.sort()]).toEqual([suffix, expected(published, suffix)]);
  }
}

describeWay('in the middle of a load', (way) => {
  test('the database is away for 30 s', async () => {
    await whileRowsFlow(way(), 'outage', async () => {
      await sleep(2000);
      await way().postgis.kill();
      await expect(way().postgis.query('select 1')).rejects.toThrow();
      await sleep(30_000);
      await way().postgis.start();
      await sleep(2000);
    });
  });

  test('an agent is killed, and the worker of Kafka Connect', async () => {
    await whileRowsFlow(way(), 'crashes', async () => {
      await sleep(2000);
      for (const agent of ['historic', 'lastdata'] as const) {
        const before = way().agent(agent);
        await before.kill();
        expect(before.end).toEqual({ code: null, signal: 'SIGKILL' });
        await way().startAgent(agent).ready();
      }
      const { pid } = way().worker;
      await way().worker.kill();
      await sleep(1000);
      await way().worker.start();
      expect(way().worker.pid).not.toBe(pid);
      await sleep(2000);
    });
  });
});
