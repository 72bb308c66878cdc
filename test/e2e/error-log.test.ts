/**
 * A record that cannot become a row ends as a readable line in the tenant's error table, and no
 * record loops.
 */
import { expect, test } from '@jest/globals';
import { readAll, type RecordToWrite } from '@kafnus/local-stack';
import { readFileSync } from 'node:fs';
import { any, expectRows, instant, tableName } from './harness/rows.js';
import { describePipeline } from './harness/suite.js';
import { attribute, notification, type Entity, type Pipeline } from './harness/pipeline.js';

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

async function errorsOf(pipeline: Pipeline, db: string): Promise<ErrorRow[]> {
  return pipeline.postgis.query<ErrorRow>(
    `select * from ${tableName(db, `${db}_error_log`)} order by timestamp, error`,
  );
}

/** The error log of a tenant, from its topic to its table. */
async function logErrors(pipeline: Pipeline, db: string): Promise<void> {
  await pipeline.applyTables([`${db}_error_log`]);
  await pipeline.awaitWritten(await pipeline.sink('debezium-error-log.json', `${db}_error_log`));
}

describePipeline('the error log', (pipeline) => {
  test('rejected records, and attributes that cannot be converted in an emitted row', async () => {
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
    await pipeline().publish([
      malformed,
      notification('raw_historic', half, { service, timestamp: Date.UTC(2026, 4, 1, 10, 0, 2) }),
      notification('raw_lastdata', park('dateless', { TimeInstant: at('soon') }), {
        service,
        timestamp: Date.UTC(2026, 4, 1, 10, 0, 3),
      }),
    ]);
    for (const agent of ['historic', 'lastdata', 'errors'] as const) await pipeline().awaitConsumed(agent);
    await pipeline().applyTables([service]);
    await pipeline().awaitWritten(await pipeline().sink('debezium-historic.json', service));
    await logErrors(pipeline(), service);

    await expectRows(
      pipeline().postgis,
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
    const errors = await errorsOf(pipeline(), service);
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

  test('records that the stock sink cannot convert, or that have no table', async () => {
    const service = 'foreign';
    await pipeline().publish([notification('raw_historic', park('fine'), { service })]);
    await pipeline().awaitConsumed('historic');
    await pipeline().applyTables([service]);
    const sink = await pipeline().sink('debezium-historic.json', service);
    await pipeline().awaitWritten(sink);
    const headers = [
      { 'fiware-service': service },
      { 'fiware-servicepath': '/parks' },
      { target_table: `${service}.parks_park` },
    ];
    const [fine] = await readAll(pipeline().kafka.bootstrapServers, [service]);
    const partition = fine?.partition ?? 0;
    await pipeline().publish([
      { topic: service, partition, key: 'x', value: '{not json', headers, timestamp: Date.UTC(2026, 4, 1, 11, 0, 1) },
      // A record of another producer, without the header that names the table.
      {
        topic: service,
        partition,
        key: String(fine?.key),
        value: String(fine?.value),
        timestamp: Date.UTC(2026, 4, 1, 11, 0, 2),
      },
      // A good record at the end, because the sink commits no offset after its last good record.
      { topic: service, partition, key: String(fine?.key), value: String(fine?.value), headers },
    ]);
    await pipeline().awaitWritten(sink);
    await pipeline().awaitConsumed('errors');
    await logErrors(pipeline(), service);
    const errors = await errorsOf(pipeline(), service);
    expect(errors.map(({ error }) => error)).toEqual([
      expect.stringMatching(/serialization error/),
      expect.stringMatching(/target_table/),
    ]);
    // The connector is still running.
    expect((await pipeline().worker.status(sink.name)).tasks.map(({ state }) => state)).toEqual(['RUNNING']);
  });

  test('SQL errors that other sinks report', async () => {
    const file = new URL('../../libs/ngsi-core/test/golden/connect-dead-letters.json', import.meta.url);
    const deadLetters = JSON.parse(readFileSync(file, 'utf8')) as readonly {
      readonly headers: readonly string[];
      readonly key: string | null;
      readonly payload: string | null;
      readonly ts: number;
    }[];
    const records = deadLetters.map(({ headers, key, payload, ts }): RecordToWrite => {
      const pairs = Array.from({ length: headers.length / 2 }, (_, place) => ({
        [headers[place * 2] ?? '']: headers[place * 2 + 1] ?? '',
      }));
      return { topic: 'raw_errors', key, value: payload, headers: pairs, timestamp: ts };
    });
    await pipeline().publish(records);
    await pipeline().awaitConsumed('errors');
    await logErrors(pipeline(), 'tenant0');
    const errors = await errorsOf(pipeline(), 'tenant0');
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
    // The column holds the statement, so that an operator can run it once the cause is removed.
    for (const { query } of sql) expect(query).toMatch(/^INSERT INTO "?tenant0"?\."?parks_/i);
  });

  test('a record of the error log that cannot be written ends in raw_errors_dead, and nowhere else', async () => {
    const service = 'circles';
    await pipeline().publish([
      { topic: 'raw_historic', key: 'c', value: 'no json', headers: [{ 'fiware-service': service }] },
    ]);
    await pipeline().awaitConsumed('historic');
    await pipeline().awaitConsumed('errors');
    await pipeline().applyTables([`${service}_error_log`]);
    const sink = await pipeline().sink('debezium-error-log.json', `${service}_error_log`);
    await pipeline().awaitWritten(sink);
    const { bootstrapServers } = pipeline().kafka;
    const count = async (topic: string): Promise<number> => (await readAll(bootstrapServers, [topic])).length;
    const [failures, dead] = [await count('raw_errors'), await count('raw_errors_dead')];
    // In another partition than the good record, because the sink commits no offset after its last
    // good record.
    const [good] = await readAll(bootstrapServers, [sink.topic]);
    const partition = good?.partition === 0 ? 1 : 0;

    await pipeline().publish([
      {
        topic: `${service}_error_log`,
        partition,
        key: null,
        value: '{broken',
        headers: [{ target_table: `${service}.${service}_error_log` }],
      },
    ]);
    await pipeline().awaitWritten(sink);
    await pipeline().awaitConsumed('errors');
    expect(await count('raw_errors')).toBe(failures);
    expect(await count('raw_errors_dead')).toBe(dead + 1);
    expect(await errorsOf(pipeline(), service)).toHaveLength(1);
  });

  test('a tenant without tables stops its own connector only, and the failure is reported', async () => {
    await pipeline().publish([
      notification('raw_historic', park('lost'), { service: 'unprepared' }),
      notification('raw_historic', park('p1'), { service: 'prepared' }),
    ]);
    await pipeline().awaitConsumed('historic');
    await pipeline().applyTables(['prepared']);
    const check = pipeline().kafnus('tables', 'check', '--topic', 'unprepared');
    await expect(check).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining('unprepared') as unknown });

    const stopped = await pipeline().sink('debezium-historic.json', 'unprepared');
    await expect(pipeline().awaitWritten(stopped, 10_000)).rejects.toThrow('FAILED');
    const sink = await pipeline().sink('debezium-historic.json', 'prepared');
    await pipeline().publish([notification('raw_historic', park('p2'), { service: 'prepared' })]);
    await pipeline().awaitConsumed('historic');
    await pipeline().awaitWritten(sink);
    const rows = await pipeline().postgis.query<{ entityid: string }>(
      `select entityid from ${tableName('prepared', 'parks_park')} order by entityid`,
    );
    expect(rows.map(({ entityid }) => entityid)).toEqual(['p1', 'p2']);

    // The operator creates the tables and restarts the task: no row is lost.
    await pipeline().applyTables(['unprepared']);
    await pipeline().restartUntilWritten(stopped);
    const repaired = await pipeline().postgis.query(`select from ${tableName('unprepared', 'parks_park')}`);
    expect(repaired).toHaveLength(1);
  });
});
