/**
 * `kafnus tables` on a real PostgreSQL with PostGIS: the tables it creates, its findings, and that
 * PostgreSQL agrees with them.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { withPostgis } from '@kafnus/agent-testkit';
import {
  createTopics,
  produceAll,
  startLocalKafka,
  startLocalPostgis,
  type LocalKafka,
  type LocalPostgis,
} from '@kafnus/local-stack';
import fc from 'fast-check';
import type { SinkRecord } from '../../tools/cli/src/tables/connect-row.js';
import {
  applyPlan,
  catalogOf,
  databaseAddress,
  withDatabase,
  type DatabaseAddress,
} from '../../tools/cli/src/tables/database.js';
import { nameProblem } from '../../tools/cli/src/tables/sql-names.js';
import { planTables, type TablesPlan } from '../../tools/cli/src/tables/plan-tables.js';
import { chunks, kafnus, type Outcome } from '../../tools/cli/test/io.js';
import {
  baseColumns,
  pointWkb,
  pointZWkb,
  polygonWkb,
  shapesOf,
  sinkRecord,
  type TestField,
} from '../../tools/cli/test/tables-records.js';

jest.setTimeout(240_000);

const parks = (attributes: object, type = 'Park'): string =>
  JSON.stringify({
    data: [{ id: 'urn:1', type, TimeInstant: { type: 'DateTime', value: '2026-05-01T10:00:00Z' }, ...attributes }],
  });
const PARK = parks({
  location: { type: 'geo:point', value: '41.5,-8.4' },
  hours: { type: 'json', value: { mo: '8-20' } },
  trees: { type: 'Number', value: 120 },
});

withPostgis(describe)('kafnus tables', () => {
  let postgis: LocalPostgis | undefined;
  let databases = 0;

  beforeAll(async () => {
    postgis = await startLocalPostgis();
  });

  afterAll(async () => {
    await postgis?.stop();
  });

  const server = (): LocalPostgis => {
    if (postgis === undefined) throw new Error('it was not started');
    return postgis;
  };

  /** A new empty database for one test. */
  async function emptyDatabase(): Promise<string> {
    const name = `t${(databases += 1)}`;
    await server().query(`CREATE DATABASE ${name}`);
    return server().url.replace(/\/kafnus$/, `/${name}`);
  }

  function addressOf(url: string): DatabaseAddress {
    return databaseAddress(url, {}) ?? { config: {} };
  }

  function query<R extends object = Record<string, unknown>>(
    url: string,
    sql: string,
    values: unknown[] = [],
  ): Promise<R[]> {
    return withDatabase(addressOf(url), async (client) => (await client.query<R>(sql, values)).rows);
  }

  function tables(action: string, url: string, notifications: string, ...more: readonly string[]): Promise<Outcome> {
    const argv = ['tables', action, '--sample', '-', '--service', 'city', '--servicepath', '/parks', ...more];
    return kafnus(argv, { env: { KAFNUS_DATABASE_URL: url }, stdin: chunks(notifications) });
  }

  function columnsOf(url: string, table: string): Promise<{ name: string; type: string }[]> {
    return query(
      url,
      `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
       WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
      [table],
    );
  }

  test('apply creates everything once, and check finds no error', async () => {
    const url = await emptyDatabase();
    const before = await tables('check', url, PARK);
    expect(before.code).toBe(1);
    expect(before.stdout).toContain('there is no schema "city"');
    const first = await tables('apply', url, PARK, '--error-log');
    expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: '' });
    expect(first.stdout).toContain('created table city.parks_park_lastdata (8 columns, key entityid)');
    expect(await columnsOf(url, 'city.parks_park')).toEqual([
      { name: 'entityid', type: 'text' },
      { name: 'entitytype', type: 'text' },
      { name: 'fiwareservicepath', type: 'text' },
      { name: 'timeinstant', type: 'timestamp with time zone' },
      { name: 'hours', type: 'jsonb' },
      { name: 'location', type: 'geometry' },
      { name: 'trees', type: 'double precision' },
      { name: 'recvtime', type: 'timestamp with time zone' },
    ]);
    expect(await query(url, `SELECT indexdef FROM pg_indexes WHERE tablename = 'parks_park' ORDER BY 1`)).toMatchObject(
      [
        { indexdef: expect.stringContaining('USING gist (location)') },
        { indexdef: expect.stringContaining('USING btree ("timeinstant" DESC)'.replaceAll('"', '')) },
        { indexdef: expect.stringContaining('UNIQUE INDEX') },
      ],
    );
    const second = await tables('apply', url, PARK, '--error-log');
    expect(second.stdout).toContain('nothing to do: every schema, table and column exists');
    const after = await tables('check', url, PARK, '--error-log', '--json');
    expect({ code: after.code, ...JSON.parse(after.stdout) }).toMatchObject({
      code: 0,
      fits: true,
      statements: [],
      findings: [],
    });
    expect(before.stdout + first.stdout + after.stdout).not.toContain(server().password);
  });

  test('the SQL of plan has the same effect as apply', async () => {
    const [byPlan, byApply] = [await emptyDatabase(), await emptyDatabase()];
    const { stdout } = await tables('plan', byPlan, PARK, '--strict-geometry');
    await query(byPlan, stdout);
    await tables('apply', byApply, PARK, '--strict-geometry');
    const columns = await columnsOf(byPlan, 'city.parks_park');
    expect(columns).toContainEqual({ name: 'location', type: 'geometry(Point,4326)' });
    expect(columns).toEqual(await columnsOf(byApply, 'city.parks_park'));
    expect((await tables('apply', byPlan, PARK)).stdout).toContain('nothing to do');
  });

  test('a new attribute becomes a new column, and existing ones are unchanged', async () => {
    const url = await emptyDatabase();
    await tables('apply', url, PARK);
    await query(url, `INSERT INTO city.parks_park (entityid, timeinstant, trees) VALUES ('a', now(), 1)`);
    const more = parks({ shape: { type: 'geo:point', value: '1,2' }, Owner: { type: 'Text', value: 'me' } });
    const check = await tables('check', url, more, '--agents', 'historic');
    expect(check.code).toBe(1);
    expect(check.stdout).toContain('there is no column "owner" (text): the sink stops at the first row that has it');
    const applied = await tables('apply', url, more, '--agents', 'historic');
    expect(applied.stdout).toContain('added columns city.parks_park: owner text, shape geometry');
    expect(await query(url, 'SELECT trees, owner FROM city.parks_park')).toEqual([{ trees: 1, owner: null }]);
    await expect(
      query(url, `UPDATE city.parks_park SET shape = ST_SetSRID(ST_MakePoint(1, 2), 25830)`),
    ).rejects.toThrow(/check/);
    // `apply` creates no index on an existing table: that is left to the operator.
    const notes = await tables('check', url, more, '--agents', 'historic', '--json');
    expect(notes.code).toBe(0);
    const [{ sql }] = JSON.parse(notes.stdout).findings as [{ sql: string }];
    await query(url, sql);
    expect(JSON.parse((await tables('check', url, more, '--agents', 'historic', '--json')).stdout).findings).toEqual(
      [],
    );
  });

  test('a geometry column takes every kind of geometry, and PostGIS knows its SRID', async () => {
    const url = await emptyDatabase();
    await tables('apply', url, PARK, '--agents', 'historic');
    const found = await query(url, `SELECT type, srid FROM geometry_columns WHERE f_table_name = 'parks_park'`);
    expect(found).toEqual([{ type: 'GEOMETRY', srid: 4326 }]);
    for (const wkt of ['POINT(1 2)', 'POINT Z (1 2 3)', 'POLYGON((0 0,1 0,1 1,0 0))', 'GEOMETRYCOLLECTION EMPTY']) {
      await query(
        url,
        `INSERT INTO city.parks_park (entityid, timeinstant, location) VALUES ($1, now(), ST_GeomFromText($1, 4326))`,
        [wkt],
      );
    }
  });

  test('names are quoted and kept as they are', async () => {
    const url = await emptyDatabase();
    const address = addressOf(url);
    await query(url, 'CREATE TABLE public.canary ()');
    const name = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }),
      fc.string({
        unit: fc.constantFrom('"', "'", '\\', '\n', ';', '--', '$$', 'é', '😀', '\u202e', 'A'),
        minLength: 1,
        maxLength: 12,
      }),
      fc.constantFrom(
        '"; DROP TABLE public.canary; --',
        'select',
        'user',
        'U&"\\0041"',
        'xmin',
        'é'.repeat(32),
        ' ',
        '%s',
        '$1',
      ),
    );
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(name, { minLength: 1, maxLength: 6 }), name, async (names, table) => {
        const target = `r${(round += 1)}.${table.replaceAll('.', '_')}`;
        const columns = {
          ...baseColumns(),
          ...Object.fromEntries(names.map((each): [string, TestField] => [each, ['double', 1]])),
        };
        const shapes = shapesOf(sinkRecord({ table: target, columns }));
        const schemas = shapes.tables.map((shape) => shape.table.schema);
        const planFor = (catalog: Parameters<typeof planTables>[1]): TablesPlan =>
          planTables(shapes, catalog, { strictGeometry: false });
        const { plan } = await applyPlan(address, schemas, planFor);
        const made = await query<{ relname: string; columns: string[] }>(
          url,
          `SELECT relname::text, array(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0) AS columns
           FROM pg_class c WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND relkind = 'r'`,
          [`r${round}`],
        );
        const wanted = Object.keys(columns).filter((each) => nameProblem('column', each) === undefined);
        if (nameProblem('table', target.slice(target.indexOf('.') + 1)) !== undefined) expect(made).toEqual([]);
        else {
          expect(made.map(({ relname }) => relname)).toEqual([target.slice(target.indexOf('.') + 1)]);
          expect([...(made[0]?.columns ?? [])].sort()).toEqual([...wanted].sort());
          // The created names must be found again by `check`.
          expect(planFor(await catalogOf(address, schemas)).changes).toEqual([]);
        }
        expect(
          plan.findings.filter(
            ({ code }) => code.startsWith('name-') && code !== 'name-needs-quotes' && code !== 'name-collision',
          ).length,
        ).toBeGreaterThanOrEqual(Object.keys(columns).length - wanted.length === 0 ? 0 : 1);
      }),
      { numRuns: 60 },
    );
    expect(await query(url, `SELECT to_regclass('public.canary') IS NOT NULL AS alive`)).toEqual([{ alive: true }]);
  });

  /**
   * How the stock sink binds a value: strings without a type (stringtype=unspecified), with a cast
   * for JSON; everything else with its type.
   */
  const bindings: readonly (readonly [field: TestField, sql: (type: string) => string, value: unknown])[] = [
    ...['many', '12', '12.5', 'true', '2026-05-01T10:00:00Z', '{"a":1}', '123456'].map(
      (text) => [['string', text], untyped, text] as const,
    ),
    [['string io.debezium.data.Json', '{"a":1}'], untyped, '{"a":1}'],
    ...[7, 7.5, 40_000, 3e9, 1e30].map((number) => [['double', number], () => '$1::float8', number] as const),
    [['boolean', true], () => '$1::boolean', true],
    [['int64 org.apache.kafka.connect.data.Timestamp', 5], () => '$1::timestamptz', new Date(5)],
    [pointWkb, () => 'ST_GeomFromText($1, 4326)', 'POINT(1 2)'],
    [pointZWkb, () => 'ST_GeomFromText($1, 4326)', 'POINT Z (1 2 3)'],
    [polygonWkb, () => 'ST_GeomFromText($1, 4326)', 'POLYGON((0 0,1 0,1 1,0 0))'],
  ];
  function untyped(type: string): string {
    return /^jsonb?$/.test(type) ? `cast($1 AS ${type})` : '$1';
  }

  test('check reports an error exactly when PostgreSQL rejects the value, for each type', async () => {
    const url = await emptyDatabase();
    await query(url, 'CREATE EXTENSION postgis');
    const types = [
      'text',
      'varchar(5)',
      'varchar',
      'char(20)',
      'double precision',
      'real',
      'numeric',
      'numeric(6,1)',
      'numeric(4,0)',
      'smallint',
      'integer',
      'bigint',
      'boolean',
      'timestamptz',
      'timestamp',
      'date',
      'json',
      'jsonb',
      'bytea',
      'uuid',
      'geometry',
      'geometry(Point,4326)',
      'geometry(Polygon,4326)',
      'geometry(Geometry,4326)',
      'geometry(GeometryZ,4326)',
      'geometry(PointZ,4326)',
      'geometry(Point,25830)',
      'geometry(GeometryCollection,4326)',
      'small',
      'geography(Point,4326)',
    ];
    await query(url, 'CREATE DOMAIN small AS numeric(4,0)');
    await query(url, 'CREATE SCHEMA s');
    const address = addressOf(url);
    const wrong: string[] = [];
    await withDatabase(addressOf(url), async (client) => {
      for (const [index, type] of types.entries()) {
        await client.query(`CREATE TABLE s.t${index} (entityid text PRIMARY KEY, entitytype text, fiwareservicepath text,
          timeinstant timestamptz, recvtime timestamptz, x ${type})`);
        const catalog = await catalogOf(address, ['s']);
        for (const [field, sql, value] of bindings) {
          const record = sinkRecord({
            table: `s.t${index}`,
            key: { entityid: ['string', 'urn:1'] },
            columns: { ...baseColumns(), x: field },
          });
          const { findings } = planTables(shapesOf(record), catalog, { strictGeometry: false });
          const verdict = findings.find(({ column, level }) => column === 'x' && level === 'error')?.message;
          await client.query('BEGIN');
          const refusal = await client
            .query(`INSERT INTO s.t${index} (entityid, x) VALUES ('a', ${sql(type)})`, [value])
            .then(
              () => undefined,
              (error: unknown) => String(error),
            );
          await client.query('ROLLBACK');
          if ((verdict === undefined) !== (refusal === undefined)) {
            wrong.push(
              `${type} <- ${JSON.stringify(field)}: ${verdict ?? 'no finding'}; PostgreSQL: ${refusal ?? 'takes it'}`,
            );
          }
        }
      }
    });
    expect(wrong).toEqual([]);
  });

  test('the SQL of each finding resolves it', async () => {
    const url = await emptyDatabase();
    await query(
      url,
      `CREATE EXTENSION postgis; CREATE SCHEMA city; CREATE TABLE city.parks_park (
      entityid text, entitytype varchar(2), fiwareservicepath text, "timeinstant" timestamptz, recvtime timestamptz,
      trees integer, hours double precision, location geometry(Polygon,4326), owner text NOT NULL, "Noise" double precision,
      CONSTRAINT "the key" PRIMARY KEY (entityid))`,
    );
    const notification = parks({
      trees: { type: 'Number', value: 7.5 },
      hours: { type: 'json', value: {} },
      location: { type: 'geo:point', value: '41.5,-8.4' },
      noise: { type: 'Number', value: 1 },
    });
    const { code, stdout } = await tables('check', url, notification, '--agents', 'historic', '--json');
    const { findings } = JSON.parse(stdout) as { findings: { code: string; column?: string; sql?: string }[] };
    expect(code).toBe(1);
    expect(findings.map((finding) => `${finding.code} ${finding.column ?? ''}`.trimEnd()).sort()).toEqual([
      'column-missing noise',
      'geometry-mismatch location',
      'index-missing location',
      'index-missing timeinstant',
      'key-mismatch',
      'name-collision noise',
      'not-null owner',
      'type-mismatch hours',
      'value-altered trees',
      'value-too-long entitytype',
    ]);
    for (const { sql } of findings) if (sql !== undefined) await query(url, sql);
    const after = await tables('check', url, notification, '--agents', 'historic', '--json');
    expect({ code: after.code, findings: JSON.parse(after.stdout).findings }).toEqual({ code: 0, findings: [] });
  });

  test('two concurrent runs do not conflict', async () => {
    const url = await emptyDatabase();
    const types = ['Park', 'Lamp', 'Bench', 'Tree'];
    const runs = await Promise.all(types.map((type) => tables('apply', url, `${parks({}, type)}\n${PARK}`)));
    expect(runs.map(({ code, stderr }) => ({ code, stderr }))).toEqual(types.map(() => ({ code: 0, stderr: '' })));
    expect(await query(url, `SELECT count(*)::int AS tables FROM pg_tables WHERE schemaname = 'city'`)).toEqual([
      { tables: 12 },
    ]);
  });

  test('without the right, it says what to grant, and changes nothing', async () => {
    const url = await emptyDatabase();
    await query(url, `CREATE ROLE guest LOGIN PASSWORD 'guest'`);
    const guest = url.replace(/\/\/.*@/, '//guest:guest@');
    const extension = await tables('apply', guest, PARK);
    expect(extension.code).toBe(1);
    expect(extension.stderr).toMatch(
      /nothing was changed: .*Let a superuser run CREATE EXTENSION postgis in this database/,
    );
    await query(url, 'CREATE EXTENSION postgis');
    const schema = await tables('apply', guest, PARK);
    expect(schema.stderr).toMatch(
      /nothing was changed: permission denied for database .*GRANT CREATE .*CREATE SCHEMA "city"/,
    );
    await tables('apply', url, PARK);
    const check = await tables('check', guest, PARK, '--json');
    expect(JSON.parse(check.stdout).findings).toMatchObject([{ level: 'warning', code: 'privilege-missing' }]);
    await query(
      url,
      'GRANT USAGE ON SCHEMA city TO guest; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA city TO guest',
    );
    expect((await tables('check', guest, PARK)).code).toBe(0);
  });

  test('gives up waiting for a lock', async () => {
    const url = await emptyDatabase();
    await tables('apply', url, PARK, '--agents', 'historic');
    await withDatabase(addressOf(url), async (client) => {
      await client.query('BEGIN; LOCK TABLE city.parks_park IN ACCESS SHARE MODE');
      const { code, stderr } = await tables(
        'apply',
        url,
        parks({ more: { type: 'Text', value: '' } }),
        '--agents',
        'historic',
      );
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /nothing was changed: .*Another session holds a lock for longer than 10s .*ADD COLUMN "more" text/s,
      );
    });
  });

  test('a view is reported', async () => {
    const url = await emptyDatabase();
    await query(
      url,
      'CREATE EXTENSION postgis; CREATE SCHEMA city; CREATE VIEW city.parks_park AS SELECT 1 AS entityid',
    );
    const { code, stdout } = await tables('check', url, PARK, '--agents', 'historic');
    expect(code).toBe(1);
    expect(stdout).toContain('city.parks_park is a view, to which a sink cannot write');
  });

  describe('from topics', () => {
    let kafka: LocalKafka | undefined;

    beforeAll(async () => {
      kafka = await startLocalKafka();
    });

    afterAll(async () => {
      await kafka?.stop();
    });

    const brokers = (): string => {
      if (kafka === undefined) throw new Error('it was not started');
      return kafka.bootstrapServers;
    };

    async function publish(topic: string, timestamp: number, ...records: readonly SinkRecord[]): Promise<void> {
      await produceAll(
        brokers(),
        records.map(({ key, value, headers }) => ({
          topic,
          key: key === null ? null : key.toString(),
          value: value === null ? null : value.toString(),
          headers: headers.map((header) => ({ ...header })),
          timestamp,
        })),
      );
    }

    async function seen(...options: readonly string[]): Promise<Record<string, number>> {
      const { code, stdout, stderr } = await kafnus(['tables', 'plan', '--json', '--brokers', brokers(), ...options]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const { tables: found } = JSON.parse(stdout) as {
        tables: { schema: string; name: string; rows: number; tombstones: number }[];
      };
      return Object.fromEntries(
        found.map(({ schema, name, rows, tombstones }) => [`${schema}.${name}`, rows + tombstones]),
      );
    }

    test('reads the selected topics up to the given limit', async () => {
      await createTopics(
        brokers(),
        ['city', 'city_lastdata', 'raw_historic', 'elsewhere.topic'].map((topic) => ({ topic, partitions: 1 })),
      );
      const row = sinkRecord({ table: 'city.parks_park', columns: baseColumns() });
      const dead = sinkRecord({ table: 'city.parks_park_lastdata', key: { entityid: ['string', 'x'] }, columns: null });
      const old = Date.now() - 3_600_000 * 24;
      await publish('city', old, ...Array.from({ length: 30 }, () => row));
      await publish('city', Date.now(), ...Array.from({ length: 10 }, () => row));
      await publish('city_lastdata', Date.now(), dead, dead);
      await publish('raw_historic', Date.now(), { ...row, headers: [] });
      await publish('elsewhere.topic', Date.now(), sinkRecord({ table: 'else.where', columns: baseColumns() }));

      expect(await seen()).toEqual({ 'city.parks_park': 40, 'city.parks_park_lastdata': 2 });
      expect(await seen('--topics', 'city_lastdata, elsewhere.topic')).toEqual({
        'city.parks_park_lastdata': 2,
        'else.where': 1,
      });
      expect(await seen('--topic', 'city', '--max-records', '5')).toEqual({ 'city.parks_park': 5 });
      expect(await seen('--topic', 'city', '--since', '1h')).toEqual({ 'city.parks_park': 10 });
      expect(await seen('--topic', 'city', '--since', '2031-01-01')).toEqual({});
      expect(await seen('--topics-regex', 'city.*')).toEqual({ 'city.parks_park': 40, 'city.parks_park_lastdata': 2 });
      const missing = await kafnus(['tables', 'plan', '--brokers', brokers(), '--topics', 'nowhere']);
      expect(missing.stderr).toMatch(/^kafnus tables: the topic 'nowhere' does not exist: /);
      const none = await kafnus(['tables', 'plan', '--brokers', brokers(), '--topics-regex', 'no.*']);
      expect(none.stderr).toMatch(/^kafnus tables: no topic matches --topics-regex 'no\.\*'/);
    });
  });
});
