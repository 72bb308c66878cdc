/** From a notification to a row: every type, data model, kind of name, version and new column. */
import { expect, test } from '@jest/globals';
import { any, expectRows, geometry, instant, json, tableName } from './harness/rows.js';
import { describePipeline } from './harness/suite.js';
import { attribute, notification, type Entity } from './harness/pipeline.js';

const recorded = Date.UTC(2026, 4, 1, 10, 0, 0, 250);
const recvtime = instant('2026-05-01T10:00:00.250Z');
const at = (time: string): object => attribute('DateTime', time);

describePipeline('rows', (pipeline) => {
  test('every type of attribute and geometry becomes a column of the right type', async () => {
    const entity: Entity = {
      id: 'urn:ngsi:Park:1',
      type: 'Park',
      TimeInstant: at('2026-05-01T12:00:00.5+02:00'),
      name: attribute('Text', 'Parque del Oeste'),
      area: attribute('Number', 98.6),
      visitors: attribute('Integer', 12_345),
      open: attribute('Boolean', true),
      opened: attribute('DateTime', '1906-04-12T00:00:00Z'),
      inspected: attribute('ISO8601', '2026-04-30T08:15:30.123+02:00'),
      day: attribute('DateTime', '2026-05-01'),
      address: attribute('StructuredValue', { street: 'Paseo de Moret', numbers: [1, 2] }),
      tags: attribute('json', ['big', 'green']),
      remark: attribute('Text', null),
      unknown: attribute('Number', null),
      point: attribute('geo:point', '40.4314, -3.7247'),
      line: attribute('geo:line', ['40.1, -3.1', '40.2, -3.2', '40.3, -3.3']),
      box: attribute('geo:box', ['40.1, -3.3', '40.3, -3.1']),
      polygon: attribute('geo:polygon', ['40.1, -3.1', '40.1, -3.2', '40.2, -3.2', '40.1, -3.1']),
      jsonpoint: attribute('geo:json', { type: 'Point', coordinates: [-3.7, 40.4] }),
      multipoint: attribute('geo:json', {
        type: 'MultiPoint',
        coordinates: [
          [-3.7, 40.4],
          [-3.8, 40.5],
        ],
      }),
      linestring: attribute('geo:json', {
        type: 'LineString',
        coordinates: [
          [-3.7, 40.4],
          [-3.8, 40.5],
        ],
      }),
      multiline: attribute('geo:json', {
        type: 'MultiLineString',
        coordinates: [
          [
            [-3.7, 40.4],
            [-3.8, 40.5],
          ],
          [
            [-3.1, 40.1],
            [-3.2, 40.2],
          ],
        ],
      }),
      area2d: attribute('geo:json', {
        type: 'Polygon',
        coordinates: [
          [
            [-4, 40],
            [-3, 40],
            [-3, 41],
            [-4, 41],
            [-4, 40],
          ],
          [
            [-3.6, 40.4],
            [-3.6, 40.6],
            [-3.4, 40.6],
            [-3.4, 40.4],
            [-3.6, 40.4],
          ],
        ],
      }),
      multipolygon: attribute('geo:json', {
        type: 'MultiPolygon',
        coordinates: [
          [
            [
              [-4, 40],
              [-3, 40],
              [-3, 41],
              [-4, 40],
            ],
          ],
          [
            [
              [-2, 40],
              [-1, 40],
              [-1, 41],
              [-2, 40],
            ],
          ],
        ],
      }),
      collection: attribute('geo:json', {
        type: 'GeometryCollection',
        geometries: [
          { type: 'Point', coordinates: [-3.7, 40.4] },
          {
            type: 'LineString',
            coordinates: [
              [-3.7, 40.4],
              [-3.8, 40.5],
            ],
          },
        ],
      }),
      summit: attribute('geo:json', { type: 'Point', coordinates: [-3.7, 40.4, 667.5] }),
      nowhere: attribute('geo:point', null),
    };
    const { kafka, postgis } = pipeline();
    expect(kafka.bootstrapServers).not.toBe('');
    await pipeline().publish([notification('raw_historic', entity, { service: 'types', timestamp: recorded })]);
    await pipeline().awaitConsumed('historic');
    await pipeline().applyTables(['types']);
    await pipeline().awaitWritten(await pipeline().sink('debezium-historic.json', 'types'));

    await expectRows(
      postgis,
      ['types', 'parks_park'],
      ['entityid'],
      [
        {
          entityid: 'urn:ngsi:Park:1',
          entitytype: 'Park',
          fiwareservicepath: '/parks',
          timeinstant: instant('2026-05-01T10:00:00.500Z'),
          recvtime,
          name: 'Parque del Oeste',
          area: 98.6,
          visitors: 12_345,
          open: true,
          opened: instant('1906-04-12T00:00:00Z'),
          inspected: instant('2026-04-30T06:15:30.123Z'),
          day: instant('2026-05-01T00:00:00Z'),
          address: json({ street: 'Paseo de Moret', numbers: [1, 2] }),
          tags: json(['big', 'green']),
          remark: null,
          unknown: null,
          point: geometry('POINT(-3.7247 40.4314)'),
          line: geometry('LINESTRING(-3.1 40.1, -3.2 40.2, -3.3 40.3)'),
          box: geometry('POLYGON((-3.3 40.1, -3.1 40.1, -3.1 40.3, -3.3 40.3, -3.3 40.1))'),
          polygon: geometry('POLYGON((-3.1 40.1, -3.2 40.1, -3.2 40.2, -3.1 40.1))'),
          jsonpoint: geometry('POINT(-3.7 40.4)'),
          multipoint: geometry('MULTIPOINT((-3.7 40.4), (-3.8 40.5))'),
          linestring: geometry('LINESTRING(-3.7 40.4, -3.8 40.5)'),
          multiline: geometry('MULTILINESTRING((-3.7 40.4, -3.8 40.5), (-3.1 40.1, -3.2 40.2))'),
          area2d: geometry(
            'POLYGON((-4 40, -3 40, -3 41, -4 41, -4 40), (-3.6 40.4, -3.6 40.6, -3.4 40.6, -3.4 40.4, -3.6 40.4))',
          ),
          multipolygon: geometry('MULTIPOLYGON(((-4 40, -3 40, -3 41, -4 40)), ((-2 40, -1 40, -1 41, -2 40)))'),
          collection: geometry('GEOMETRYCOLLECTION(POINT(-3.7 40.4), LINESTRING(-3.7 40.4, -3.8 40.5))'),
          summit: geometry('POINT Z (-3.7 40.4 667.5)'),
          nowhere: null,
        },
      ],
    );
    // A map server needs a bounding box, a spatial index and a known reference system.
    const [map] = await postgis.query<{ found: string }>(
      `select count(*) as found from ${tableName('types', 'parks_park')}
       where point && ST_MakeEnvelope(-4, 40, -3, 41, 4326)`,
    );
    expect(map?.found).toBe('1');
    const indexes = await postgis.query<{ indexdef: string }>(
      `select indexdef from pg_indexes where schemaname = 'types' and tablename = 'parks_park'`,
    );
    expect(indexes.map(({ indexdef }) => indexdef).join('\n')).toMatch(/using gist \("?point"?\)/i);
  });

  test('numbers keep every digit that a double has, to its limits', async () => {
    const numbers = [
      0,
      -0.1,
      1e-320,
      Number.MIN_VALUE,
      Number.MAX_VALUE,
      Number.MAX_SAFE_INTEGER,
      0.1 + 0.2,
      1 / 3,
      -1e21,
    ];
    const entity = (value: number, place: number): Entity => ({
      id: `n${place}`,
      type: 'N',
      TimeInstant: at('2026-05-01T10:00:00Z'),
      value: attribute('Number', value),
    });
    await pipeline().publish(
      numbers.map((value, place) => notification('raw_historic', entity(value, place), { service: 'numbers' })),
    );
    await pipeline().awaitConsumed('historic');
    await pipeline().applyTables(['numbers']);
    await pipeline().awaitWritten(await pipeline().sink('debezium-historic.json', 'numbers'));
    const rows = await pipeline().postgis.query<{ entityid: string; value: number }>(
      `select entityid, value from ${tableName('numbers', 'parks_n')} order by entityid`,
    );
    expect(rows.map(({ value }) => value)).toEqual(numbers);
  });

  test('the data model names schema and table: the header, else the default; service paths and the root too', async () => {
    const entity: Entity = {
      id: 'b1',
      type: 'Bench',
      TimeInstant: at('2026-05-01T10:00:00Z'),
      seats: attribute('Number', 3),
    };
    const service = 'models';
    const cases = [
      [{ service }, 'models', 'parks_bench'],
      [{ service, servicepath: '/' }, 'models', '_bench'],
      [{ service, servicepath: '/North Side/Old-Town' }, 'models', 'north_side_old_town_bench'],
      [{ service, datamodel: 'dm-by-entity-type-database' }, 'models', 'parks_bench'],
      [{ service, servicepath: '/east', datamodel: 'dm-by-entity-type-database-schema' }, 'east', 'east_bench'],
      [{ service, servicepath: '/west', datamodel: 'dm-by-fixed-entity-type-database-schema' }, 'west', 'bench'],
      [{ service: 'models2' }, 'models2', 'parks_bench'],
    ] as const;
    await pipeline().publish(
      cases.map(([options], place) => notification('raw_historic', { ...entity, id: `b${place}` }, options)),
    );
    await pipeline().awaitConsumed('historic');
    await pipeline().applyTables(['models', 'models2']);
    for (const topic of ['models', 'models2'])
      await pipeline().awaitWritten(await pipeline().sink('debezium-historic.json', topic));
    for (const [place, [options, schema, table]] of cases.entries()) {
      const [row] = await pipeline().postgis.query<{ seats: number; fiwareservicepath: string }>(
        `select seats, fiwareservicepath from ${tableName(schema, table)} where entityid = $1`,
        [`b${place}`],
      );
      const servicepath = 'servicepath' in options ? options.servicepath.toLowerCase() : '/parks';
      expect([place, row]).toEqual([place, { seats: 3, fiwareservicepath: servicepath }]);
    }
  });

  test('names may contain Unicode, quotes and reserved words', async () => {
    const names = [
      'select',
      'ñandú',
      "it's",
      'two words',
      'semi;colon',
      '温度',
      'order',
      'constructor',
      '$1',
      '100%',
      'back\\slash',
    ];
    const entity: Entity = {
      id: `urn:"quoted":'id'; drop table x; -- \\ ñ 温`,
      type: 'Größe; DROP',
      TimeInstant: at('2026-05-01T10:00:00Z'),
      ...Object.fromEntries(names.map((name, place) => [name, attribute('Number', place)])),
      'quo"te': attribute('Number', 1),
      ['long'.repeat(16)]: attribute('Number', 1),
      nul: attribute('Text', 'a\0b'),
      nested: attribute('json', { half: '\ud800' }),
      text: attribute('Text', `"; drop schema names cascade; -- 'ñ' \\ 温度 \u{1F333}`),
    };
    await pipeline().publish([notification('raw_historic', entity, { service: 'names', timestamp: recorded })]);
    await pipeline().awaitConsumed('historic');
    await pipeline().applyTables(['names']);
    await pipeline().awaitWritten(await pipeline().sink('debezium-historic.json', 'names'));
    await expectRows(
      pipeline().postgis,
      ['names', 'parks_gr__e__drop'],
      ['entityid'],
      [
        {
          entityid: entity.id,
          entitytype: 'Größe; DROP',
          fiwareservicepath: '/parks',
          timeinstant: instant('2026-05-01T10:00:00Z'),
          recvtime,
          nul: null,
          nested: null,
          text: `"; drop schema names cascade; -- 'ñ' \\ 温度 \u{1F333}`,
          ...Object.fromEntries(names.map((name, place) => [name, place])),
        },
      ],
    );
  });

  test('historic keeps every version, lastdata the newest, mutable the last; a replay changes nothing', async () => {
    const version = (id: string, time: string, level: number): Entity => ({
      id,
      type: 'Tank',
      TimeInstant: at(time),
      level: attribute('Number', level),
    });
    const removal: Entity = {
      id: 'gone',
      type: 'Tank',
      TimeInstant: at('2026-05-01T11:00:00Z'),
      alterationType: attribute('Text', 'entityDelete'),
    };
    const removed: Entity = { ...removal, id: 'back' };
    const created: Entity = {
      ...version('back', '2026-05-01T12:00:00Z', 9),
      alterationType: attribute('Text', 'entityCreate'),
    };
    const entities = [
      version('late', '2026-05-01T10:00:00Z', 1),
      version('late', '2026-05-01T12:00:00Z', 3),
      version('late', '2026-05-01T11:00:00Z', 2),
      // The same instant in another time zone is a correction.
      version('late', '2026-05-01T14:00:00+02:00', 4),
      version('gone', '2026-05-01T10:00:00Z', 1),
      removal,
      version('gone', '2026-05-01T10:30:00Z', 2),
      version('back', '2026-05-01T10:00:00Z', 1),
      removed,
      // Announced: the replay deletes the entity, and an update at its newest time stays out.
      created,
    ];
    const records = entities.flatMap((entity) =>
      ['raw_historic', 'raw_lastdata', 'raw_mutable'].map((topic) =>
        notification(topic, entity, { service: 'versions' }),
      ),
    );
    await pipeline().publish(records);
    const awaitConsumed = async (): Promise<void> => {
      for (const agent of ['historic', 'lastdata', 'mutable'] as const) await pipeline().awaitConsumed(agent);
    };
    await awaitConsumed();
    await pipeline().applyTables(['versions', 'versions_lastdata', 'versions_mutable']);
    const sinks = [
      await pipeline().sink('debezium-historic.json', 'versions'),
      await pipeline().sink('debezium-lastdata.json', 'versions_lastdata'),
      await pipeline().sink('debezium-mutable.json', 'versions_mutable'),
    ];
    const check = async (): Promise<void> => {
      for (const sink of sinks) await pipeline().awaitWritten(sink);
      const rows = async (table: string): Promise<string[]> =>
        (
          await pipeline().postgis.query<{ entityid: string; timeinstant: Date; level: number }>(
            `select entityid, timeinstant, level from ${tableName('versions', table)} order by entityid, timeinstant`,
          )
        ).map(({ entityid, timeinstant, level }) => `${entityid} ${timeinstant.toISOString().slice(11, 16)} ${level}`);
      const everyVersion = [
        'back 10:00 1',
        'back 12:00 9',
        'gone 10:00 1',
        'gone 10:30 2',
        'late 10:00 1',
        'late 11:00 2',
      ];
      expect(await rows('parks_tank')).toEqual([...everyVersion, 'late 12:00 4']);
      expect(await rows('parks_tank_mutable')).toEqual([...everyVersion, 'late 12:00 4']);
      expect(await rows('parks_tank_lastdata')).toEqual(['back 12:00 9', 'late 12:00 4']);
    };
    await check();
    // The whole topic again, as in a disaster recovery: each row is upserted with the same values.
    await pipeline().publish(records);
    await awaitConsumed();
    await check();
  });

  test('a new attribute is stored after kafnus tables apply, and check reports it before', async () => {
    const version = (minute: number, more: Readonly<Record<string, unknown>>): Entity => ({
      id: 'g1',
      type: 'Lamp',
      TimeInstant: at(`2026-05-01T10:0${minute}:00Z`),
      power: attribute('Number', minute),
      ...more,
    });
    const sink = { name: 'debezium-historic-growth', topic: 'growth' };
    await pipeline().publish([notification('raw_historic', version(1, {}), { service: 'growth' })]);
    await pipeline().awaitConsumed('historic');
    await pipeline().applyTables(['growth']);
    await pipeline().awaitWritten(await pipeline().sink('debezium-historic.json', 'growth'));

    await pipeline().publish([
      notification('raw_historic', version(2, { colour: attribute('Text', 'warm') }), { service: 'growth' }),
    ]);
    await pipeline().awaitConsumed('historic');
    const check = pipeline().kafnus('tables', 'check', '--topic', 'growth');
    await expect(check).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining('colour') as unknown });
    await pipeline().applyTables(['growth']);
    // When a row arrived before its column, the task has failed and must be restarted.
    await pipeline().restartUntilWritten(sink);
    await expectRows(
      pipeline().postgis,
      ['growth', 'parks_lamp'],
      ['power'],
      [
        { entityid: any, entitytype: any, fiwareservicepath: any, timeinstant: any, recvtime: any, power: 1 },
        {
          entityid: any,
          entitytype: any,
          fiwareservicepath: any,
          timeinstant: any,
          recvtime: any,
          power: 2,
          colour: 'warm',
        },
      ],
    );
  });
});
