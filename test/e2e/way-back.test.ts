/** What cannot become a row comes back as a readable line in the tenant's error table, and nothing turns in circles. */
import { expect, test } from '@jest/globals';
import { readAll, type RecordToWrite } from '@kafnus/local-stack';
import { readFileSync } from 'node:fs';
import { any, expectRows, instant, tableName } from './harness/rows.js';
import { describeWay } from './harness/suite.js';
import { attribute, notification, type Entity, type Way } from './harness/way.js';

const at = (time: string): object => attribute('DateTime', time);

const park = (id: string, more: Readonly<Record<string, unknown>> = {}): Entity => ({
  id,
  type: 'Park',
  TimeInstant: at('2026-05-01T10:00:00Z'),
  area: attribute('Number', 1),
  ...more,
});

interface ErrorRow {
  readonly timestamp: Date;
  readonly error: string;
  readonly query: string | null;
}

async function errorsOf(way: Way, db: string): Promise<ErrorRow[]> {
  return way.postgis.query<ErrorRow>(`select * from ${tableName(db, `${db}_error_log`)} order by timestamp, error`);
}

/** The error log of a tenant, from its topic to its table. */
async function logErrors(way: Way, db: string): Promise<void> {
  await way.applyTables([`${db}_error_log`]);
  await way.written(await way.sink('debezium-error-log.json', `${db}_error_log`));
}

describeWay('the way back', (way) => {
  test('what the agents refuse, and what they cannot convert of a row that goes on', async () => {
    const service = 'refusals';
    const malformed: RecordToWrite = {
      topic: 'raw_historic',
      key: 'm1',
      value: '{"subscriptionId":"s","data":[',
      headers: [{ 'fiware-service': service }, { 'fiware-servicepath': '/parks' }],
      timestamp: Date.UTC(2026, 4, 1, 10, 0, 1),
    };
    const half = park('half', {
      opened: at('yesterday'),
      place: attribute('geo:point', '140.1, 3'),
      name: attribute('Text', 'Half'),
    });
    await way().publish([
      malformed,
      notification('raw_historic', half, { service, timestamp: Date.UTC(2026, 4, 1, 10, 0, 2) }),
      notification('raw_lastdata', park('dateless', { TimeInstant: at('soon') }), {
        service,
        timestamp: Date.UTC(2026, 4, 1, 10, 0, 3),
      }),
    ]);
    for (const agent of ['historic', 'lastdata', 'errors'] as const) await way().digested(agent);
    await way().applyTables([service]);
    await way().written(await way().sink('debezium-historic.json', service));
    await logErrors(way(), service);

    await expectRows(
      way().postgis,
      [service, 'parks_park'],
      ['entityid'],
      [
        {
          entityid: 'half',
          entitytype: 'Park',
          fiwareservicepath: '/parks',
          timeinstant: instant('2026-05-01T10:00:00Z'),
          recvtime: any,
          area: 1,
          name: 'Half',
          opened: null,
          place: null,
        },
      ],
    );
    const errors = await errorsOf(way(), service);
    expect(errors.map(({ timestamp }) => timestamp.toISOString())).toEqual([
      '2026-05-01T10:00:01.000Z',
      '2026-05-01T10:00:02.000Z',
      '2026-05-01T10:00:03.000Z',
    ]);
    expect(errors[0]?.error).toMatch(/JSON/);
    expect(errors[1]?.error).toMatch(/opened.*yesterday/);
    expect(errors[1]?.error).toMatch(/place/);
    expect(errors[2]?.error).toMatch(/soon/);
  });

  test('what the stock sink cannot convert, and what has no table to go to', async () => {
    const service = 'foreign';
    await way().publish([notification('raw_historic', park('fine'), { service })]);
    await way().digested('historic');
    await way().applyTables([service]);
    const sink = await way().sink('debezium-historic.json', service);
    await way().written(sink);
    const headers = [
      { 'fiware-service': service },
      { 'fiware-servicepath': '/parks' },
      { target_table: `${service}.parks_park` },
    ];
    const [fine] = await readAll(way().kafka.bootstrapServers, [service]);
    const partition = fine?.partition ?? 0;
    await way().publish([
      { topic: service, partition, key: 'x', value: '{not json', headers, timestamp: Date.UTC(2026, 4, 1, 11, 0, 1) },
      // A record of somebody else: no header says where it belongs.
      {
        topic: service,
        partition,
        key: String(fine?.key),
        value: String(fine?.value),
        timestamp: Date.UTC(2026, 4, 1, 11, 0, 2),
      },
      // Last: the sink commits no offset behind its last good record.
      { topic: service, partition, key: String(fine?.key), value: String(fine?.value), headers },
    ]);
    await way().written(sink);
    await way().digested('errors');
    await logErrors(way(), service);
    const errors = await errorsOf(way(), service);
    expect(errors.map(({ error }) => error)).toEqual([
      expect.stringMatching(/serialization error/),
      expect.stringMatching(/target_table/),
    ]);
    // The sink goes on.
    expect((await way().worker.status(sink.name)).tasks.map(({ state }) => state)).toEqual(['RUNNING']);
  });

  test('what sinks that report SQL errors say of a row', async () => {
    const file = new URL('../../libs/ngsi-core/test/golden/connect-dead-letters.json', import.meta.url);
    const letters = JSON.parse(readFileSync(file, 'utf8')) as readonly {
      readonly headers: readonly string[];
      readonly key: string | null;
      readonly payload: string | null;
      readonly ts: number;
    }[];
    const records = letters.map(({ headers, key, payload, ts }): RecordToWrite => {
      const pairs = Array.from({ length: headers.length / 2 }, (_, place) => ({
        [headers[place * 2] ?? '']: headers[place * 2 + 1] ?? '',
      }));
      return { topic: 'raw_errors', key, value: payload, headers: pairs, timestamp: ts };
    });
    await way().publish(records);
    await way().digested('errors');
    await logErrors(way(), 'tenant0');
    const errors = await errorsOf(way(), 'tenant0');
    expect(errors).toHaveLength(records.length);
    const sql = errors.filter(({ error }) => error.startsWith('ERROR: '));
    expect(sql.map(({ error }) => error).sort()).toEqual([
      expect.stringMatching(/^ERROR: column "nocolumn" of relation "parks_park" does not exist/),
      expect.stringMatching(/^ERROR: duplicate key value violates unique constraint "parks_park_pkey" - Detail: Key/),
      expect.stringMatching(/^ERROR: invalid input syntax for type double precision: "notanumber"/),
      expect.stringMatching(
        /^ERROR: null value in column "name" of relation "parks_park" violates not-null constraint/,
      ),
      expect.stringMatching(/^ERROR: relation "tenant0.parks_nosuchtable" does not exist/),
    ]);
    // What was to be written can be read, and written by hand once the cause is gone.
    for (const { query } of sql) expect(query).toMatch(/^INSERT INTO "?tenant0"?\."?parks_/i);
  });

  test('a record of the error log that cannot be written ends in raw_errors_dead, and nowhere else', async () => {
    const service = 'circles';
    await way().publish([
      { topic: 'raw_historic', key: 'c', value: 'no json', headers: [{ 'fiware-service': service }] },
    ]);
    await way().digested('historic');
    await way().digested('errors');
    await way().applyTables([`${service}_error_log`]);
    const sink = await way().sink('debezium-error-log.json', `${service}_error_log`);
    await way().written(sink);
    const { bootstrapServers } = way().kafka;
    const count = async (topic: string): Promise<number> => (await readAll(bootstrapServers, [topic])).length;
    const [failures, dead] = [await count('raw_errors'), await count('raw_errors_dead')];
    // Not in the partition of the good one: the sink commits no offset behind its last good record.
    const [good] = await readAll(bootstrapServers, [sink.topic]);
    const partition = good?.partition === 0 ? 1 : 0;

    await way().publish([
      {
        topic: `${service}_error_log`,
        partition,
        key: null,
        value: '{broken',
        headers: [{ target_table: `${service}.${service}_error_log` }],
      },
    ]);
    await way().written(sink);
    await way().digested('errors');
    expect(await count('raw_errors')).toBe(failures);
    expect(await count('raw_errors_dead')).toBe(dead + 1);
    expect(await errorsOf(way(), service)).toHaveLength(1);
  });

  test('a tenant without tables stops its own sink, says so, and stops nobody else', async () => {
    await way().publish([
      notification('raw_historic', park('lost'), { service: 'unprepared' }),
      notification('raw_historic', park('p1'), { service: 'prepared' }),
    ]);
    await way().digested('historic');
    await way().applyTables(['prepared']);
    const check = way().kafnus('tables', 'check', '--topic', 'unprepared');
    await expect(check).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining('unprepared') as unknown });

    const stopped = await way().sink('debezium-historic.json', 'unprepared');
    await expect(way().written(stopped, 10_000)).rejects.toThrow('FAILED');
    const sink = await way().sink('debezium-historic.json', 'prepared');
    await way().publish([notification('raw_historic', park('p2'), { service: 'prepared' })]);
    await way().digested('historic');
    await way().written(sink);
    const rows = await way().postgis.query<{ entityid: string }>(
      `select entityid from ${tableName('prepared', 'parks_park')} order by entityid`,
    );
    expect(rows.map(({ entityid }) => entityid)).toEqual(['p1', 'p2']);

    // The operator's repair: tables, and a restart. Nothing was lost.
    await way().applyTables(['unprepared']);
    await way().repaired(stopped);
    const repaired = await way().postgis.query(`select from ${tableName('unprepared', 'parks_park')}`);
    expect(repaired).toHaveLength(1);
  });
});
