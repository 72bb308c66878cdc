import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { withPostgis } from '@kafnus/agent-testkit';
import {
  connectorTemplate,
  createTopics,
  postgisVariables,
  produceAll,
  readAll,
  startConnectWorker,
  startLocalKafka,
  startLocalPostgis,
  type ConnectWorker,
  type LocalKafka,
  type LocalPostgis,
  type RecordToWrite,
} from '@kafnus/local-stack';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { compilePackage } from '../compiled.js';
import { eventually, isListening } from '../waiting.js';

jest.setTimeout(120_000);

/** As the agents write it with KAFNUS_SINK=debezium (SPEC 3). */
function row(topic: string, table: string | undefined, id: string, fields: readonly Field[]): RecordToWrite {
  const all = [text('entityid', id), ...fields];
  return { topic, key: struct([text('entityid', id)]), value: struct(all), headers: headers(table) };
}

interface Field {
  readonly schema: {
    readonly field: string;
    readonly type: string;
    readonly name?: string;
    readonly fields?: object[];
  };
  readonly value: unknown;
}

const text = (field: string, value: string, name?: string): Field => ({
  schema: { field, type: 'string', ...(name !== undefined && { name }) },
  value,
});
const number = (field: string, value: number): Field => ({ schema: { field, type: 'double' }, value });
const headers = (table: string | undefined): Record<string, string>[] =>
  table === undefined ? [] : [{ target_table: table }];
const struct = (fields: readonly Field[]): string =>
  JSON.stringify({
    schema: {
      type: 'struct',
      fields: fields.map(({ schema }) => ({ optional: false, ...schema })),
      optional: false,
    },
    payload: Object.fromEntries(fields.map(({ schema, value }) => [schema.field, value])),
  });

/** A point in WGS 84: little-endian WKB. */
function point(field: string, longitude: number, latitude: number): Field {
  const wkb = Buffer.alloc(21);
  wkb.writeUInt8(1, 0);
  wkb.writeUInt32LE(1, 1);
  wkb.writeDoubleLE(longitude, 5);
  wkb.writeDoubleLE(latitude, 13);
  const fields = [
    { field: 'wkb', type: 'bytes', optional: false },
    { field: 'srid', type: 'int32', optional: false },
  ];
  return {
    schema: { field, type: 'struct', name: 'io.debezium.data.geometry.Geometry', fields },
    value: { wkb: wkb.toString('base64'), srid: 4326 },
  };
}

withPostgis(describe)('a local Kafka Connect', () => {
  let kafka: LocalKafka;
  let postgis: LocalPostgis;
  let worker: ConnectWorker;

  beforeAll(async () => {
    [kafka, postgis] = await Promise.all([startLocalKafka({ partitions: 1 }), startLocalPostgis()]);
    const topics = ['city', 'city_lastdata', 'city_mutable', 'city_error_log', 'raw_errors'];
    await createTopics(
      kafka.bootstrapServers,
      topics.map((topic) => ({ topic, partitions: 1 })),
    );
    await postgis.query('create schema city');
    worker = await startConnectWorker({ brokers: kafka.bootstrapServers, env: postgisVariables(postgis) });
  });
  afterAll(async () => {
    await worker?.stop();
    await Promise.all([kafka?.stop(), postgis?.stop()]);
  });

  const rows = async (table: string): Promise<object[]> => {
    try {
      return await postgis.query(`select * from ${table} order by entityid`);
    } catch {
      // Not there yet.
      return [];
    }
  };
  const untilRows = (table: string, count: number): Promise<void> =>
    eventually(`${count} rows in ${table}`, async () => (await rows(table)).length === count, 30_000);

  test('makes rows of records, geometries included, and takes them away', async () => {
    await postgis.query(
      `create table city._lamp_lastdata
         (entityid text primary key, timeinstant timestamptz, level float8, location geometry, "order" text, "a.b" text)`,
    );
    await worker.putConnector('lastdata', connectorTemplate('debezium-lastdata.json'));
    await worker.awaitRunning('lastdata');
    const lamp = (id: string): RecordToWrite =>
      row('city_lastdata', 'city._lamp_lastdata', id, [
        text('timeinstant', '2026-05-01T10:00:00+02:00', 'io.debezium.time.ZonedTimestamp'),
        number('level', 0.5),
        point('location', -8.63, 41.14),
        // Names that SQL would take for its own, or not at all, without quotes.
        text('order', 'asc'),
        text('a.b', 'c'),
      ]);
    await produceAll(kafka.bootstrapServers, [lamp('E1'), lamp('E2')]);
    await untilRows('city._lamp_lastdata', 2);
    const seen = await postgis.query(
      `select entityid, timeinstant = '2026-05-01T08:00:00Z' as same, level, ST_AsEWKT(location) as location, "order", "a.b"
         from city._lamp_lastdata where entityid = 'E1'`,
    );
    expect(seen).toEqual([
      { entityid: 'E1', same: true, level: 0.5, location: 'SRID=4326;POINT(-8.63 41.14)', order: 'asc', 'a.b': 'c' },
    ]);

    const { key, ...tombstone } = { ...lamp('E1'), value: null };
    await produceAll(kafka.bootstrapServers, [{ ...tombstone, ...(key !== undefined && { key }) }]);
    await untilRows('city._lamp_lastdata', 1);
    expect(await rows('city._lamp_lastdata')).toMatchObject([{ entityid: 'E2' }]);
  });

  test('shows the password to nobody', async () => {
    const config = await (await fetch(`${worker.url}/connectors/lastdata/config`)).json();
    expect(config).toMatchObject({ 'connection.password': '${env:KAFNUS_POSTGIS_PASSWORD}' });
    const tasks = await (await fetch(`${worker.url}/connectors/lastdata/tasks`)).text();
    const topic = await readAll(kafka.bootstrapServers, 'kafnus-connect-configs');
    for (const output of [
      tasks,
      topic.map(({ value }) => String(value)).join(),
      readFileSync(worker.logFile, 'utf8'),
    ]) {
      expect(output.includes('connection.password')).toBe(true);
      expect(output.includes(postgis.password)).toBe(false);
    }
  });

  test('goes on after a crash', async () => {
    const before = worker.pid;
    await worker.kill();
    expect(worker.pid).toBeUndefined();
    await produceAll(kafka.bootstrapServers, [row('city_lastdata', 'city._lamp_lastdata', 'E3', [number('level', 1)])]);
    await worker.start();
    expect(worker.pid).not.toBe(before);
    await worker.awaitRunning('lastdata');
    await untilRows('city._lamp_lastdata', 2);
  });

  test('goes on after an outage of the database', async () => {
    await postgis.kill();
    await produceAll(kafka.bootstrapServers, [row('city_lastdata', 'city._lamp_lastdata', 'E4', [number('level', 1)])]);
    await eventually('it noticed', () => /refused/i.test(readFileSync(worker.logFile, 'utf8').slice(-50_000)));
    await postgis.start();
    await untilRows('city._lamp_lastdata', 3);
  });

  test('says why a task failed, and goes on when the cause is gone', async () => {
    await worker.putConnector('mutable', connectorTemplate('debezium-mutable.json'));
    await worker.awaitRunning('mutable');
    await produceAll(kafka.bootstrapServers, [row('city_mutable', 'city._lamp_mutable', 'E1', [number('level', 1)])]);
    await eventually('it failed', async () =>
      (await worker.status('mutable')).tasks.some(({ state }) => state === 'FAILED'),
    );
    await expect(worker.awaitRunning('mutable')).rejects.toThrow(/mutable has failed[^]*_lamp_mutable/);
    await postgis.query('create table city._lamp_mutable (entityid text primary key, level float8)');
    await worker.restartFailed('mutable');
    await untilRows('city._lamp_mutable', 1);
    await worker.awaitRunning('mutable');
    await worker.deleteConnector('mutable');
    await expect(worker.status('mutable')).rejects.toThrow('404');
  });

  test('adds rows without a key to the error log', async () => {
    await postgis.query('create table city.city_error_log (timestamp timestamptz, error text, query text)');
    await worker.putConnector('error-log', connectorTemplate('debezium-error-log.json'));
    await worker.putConnector('historic', connectorTemplate('debezium-historic.json', { 'schema.evolution': 'basic' }));
    const value = struct([text('timestamp', '2026-05-01T08:00:00.000Z'), text('error', 'twice')]);
    const failure = { topic: 'city_error_log', key: null, value, headers: headers('city.city_error_log') };
    await produceAll(kafka.bootstrapServers, [failure, failure, row('city', 'city._lamp', 'E1', [number('level', 1)])]);
    await untilRows('city._lamp', 1);
    await eventually(
      'two rows in the error log',
      async () => (await postgis.query('select * from city.city_error_log')).length === 2,
    );
  });

  test('dead-letters what is no record of Connect', async () => {
    await produceAll(kafka.bootstrapServers, [
      { topic: 'city', key: null, value: 'no JSON', headers: headers('city._lamp') },
    ]);
    const [deadLetter] = await readAll(kafka.bootstrapServers, 'raw_errors', { until: 1, timeoutMs: 20_000 });
    expect(String(deadLetter?.value)).toBe('no JSON');
    const names = deadLetter?.headers.flatMap((header) => Object.keys(header));
    expect(names).toEqual(expect.arrayContaining(['target_table', '__connect.errors.exception.message']));
  });

  test('dead-letters a record that does not name its table', async () => {
    await produceAll(kafka.bootstrapServers, [row('city', undefined, 'lost', [])]);
    const [, deadLetter] = await readAll(kafka.bootstrapServers, 'raw_errors', { until: 2, timeoutMs: 20_000 });
    expect(String(deadLetter?.value)).toContain('lost');
    await worker.awaitRunning('historic');
  });

  test('takes a topic that is named for its table', async () => {
    await createTopics(kafka.bootstrapServers, [{ topic: 'city._split', partitions: 1 }]);
    await postgis.query('create table city._split (entityid text primary key, level float8)');
    await worker.putConnector('split', connectorTemplate('debezium-topic-per-table.json'));
    await produceAll(kafka.bootstrapServers, [row('city._split', undefined, 'E1', [number('level', 1)])]);
    await untilRows('city._split', 1);
  });

  test('refuses settings that make no sense', async () => {
    await expect(worker.putConnector('bad', { 'connector.class': 'Nothing', topics: 'city' })).rejects.toThrow(
      /^PUT .connectors.bad.config: 400 Failed to find any class .* Nothing/,
    );
  });

  test('dies with its parent', async () => {
    const compiled = compilePackage();
    const program = `
      const { startConnectWorker } = await import(${JSON.stringify(compiled.program('connect-worker'))});
      const { url, logFile } = await startConnectWorker(${JSON.stringify({ brokers: kafka.bootstrapServers, name: 'orphan' })});
      console.log(JSON.stringify({ port: Number(new URL(url).port), logFile }));`;
    const cache = process.env['KAFNUS_CACHE'] ?? fileURLToPath(new URL('../../../../.cache/', import.meta.url));
    const parent = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, KAFNUS_CACHE: cache },
    });
    let line = '';
    for await (const chunk of parent.stdout) {
      line += String(chunk);
      if (line.includes('\n')) break;
    }
    const { port, logFile } = JSON.parse(line) as { port: number; logFile: string };
    expect(await isListening(port)).toBe(true);
    parent.kill('SIGKILL');
    await eventually('the worker is gone', async () => !(await isListening(port)));
    await eventually('its files are gone', () => !existsSync(logFile));
    compiled.remove();
  });
});
