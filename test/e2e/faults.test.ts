/**
 * Faults in the pipeline under load. Afterwards the tables must hold exactly the rows that follow
 * from the input.
 */
import { expect, test } from '@jest/globals';
import type { RecordToWrite } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { tableName } from './harness/rows.js';
import { describePipeline } from './harness/suite.js';
import { attribute, notification, type Pipeline } from './harness/pipeline.js';

const entities = 40;
const tables = [
  ['raw_historic', '', 'debezium-historic.json'],
  ['raw_lastdata', '_lastdata', 'debezium-lastdata.json'],
  ['raw_mutable', '_mutable', 'debezium-mutable.json'],
] as const;

/**
 * Version `version` of every entity, for each raw topic. Every fifth version has an older
 * TimeInstant than the one before.
 */
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

/** The expected rows as `entityid TimeInstant version`, computed from the input alone. */
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

/** Publishes versions continuously while `work` runs, and checks all tables at the end. */
async function whileRowsFlow(pipeline: Pipeline, service: string, work: () => Promise<void>): Promise<void> {
  let published = 0;
  const publish = async (): Promise<void> => {
    await pipeline.publish(versions(service, published));
    published += 1;
  };
  await publish();
  for (const agent of ['historic', 'lastdata', 'mutable'] as const) await pipeline.awaitConsumed(agent);
  await pipeline.applyTables(tables.map(([, suffix]) => `${service}${suffix}`));
  const sinks = [];
  for (const [, suffix, template] of tables) sinks.push(await pipeline.sink(template, `${service}${suffix}`));

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
  for (const agent of ['historic', 'lastdata', 'mutable'] as const) await pipeline.awaitConsumed(agent);
  for (const sink of sinks) await pipeline.restartUntilWritten(sink, 120_000);
  for (const [, suffix] of tables) {
    const rows = await pipeline.postgis.query<{ entityid: string; timeinstant: Date; version: number }>(
      `select entityid, timeinstant, version from ${tableName(service, `parks_sensor${suffix}`)}`,
    );
    const found = rows.map(
      ({ entityid, timeinstant, version }) => `${entityid} ${timeinstant.toISOString()} ${version}`,
    );
    expect([suffix, found.sort()]).toEqual([suffix, expected(published, suffix)]);
  }
}

describePipeline('faults under load', (pipeline) => {
  test('the database is down for 30 s', async () => {
    await whileRowsFlow(pipeline(), 'outage', async () => {
      await sleep(2000);
      await pipeline().postgis.kill();
      await expect(pipeline().postgis.query('select 1')).rejects.toThrow();
      await sleep(30_000);
      await pipeline().postgis.start();
      await sleep(2000);
    });
  });

  test('agents and the Kafka Connect worker are killed', async () => {
    await whileRowsFlow(pipeline(), 'crashes', async () => {
      await sleep(2000);
      for (const agent of ['historic', 'lastdata'] as const) {
        const before = pipeline().agent(agent);
        await before.kill();
        expect(before.end).toEqual({ code: null, signal: 'SIGKILL' });
        await pipeline().startAgent(agent).ready();
      }
      const { pid } = pipeline().worker;
      await pipeline().worker.kill();
      await sleep(1000);
      await pipeline().worker.start();
      expect(pipeline().worker.pid).not.toBe(pid);
      await sleep(2000);
    });
  });
});
