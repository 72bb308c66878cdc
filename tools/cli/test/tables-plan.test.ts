import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  emptyCatalog,
  type DatabaseCatalog,
  type ExistingColumn,
  type ExistingTable,
} from '../src/tables/database-catalog.js';
import { changeSql, type TableChange } from '../src/tables/table-change.js';
import type { SinkRecord } from '../src/tables/connect-row.js';
import { tableKey } from '../src/tables/sql-names.js';
import { planTables, type TablesPlan } from '../src/tables/plan-tables.js';
import { findingsOf } from '../src/tables/tables-report.js';
import {
  baseColumns,
  pointWkb,
  pointZWkb,
  polygonWkb,
  shapesOf,
  sinkRecord,
  type TestField,
} from './tables-records.js';

const row = (columns: Readonly<Record<string, TestField>> = {}): SinkRecord =>
  sinkRecord({ columns: { ...baseColumns(), ...columns } });

function planned(
  records: readonly SinkRecord[],
  catalog: DatabaseCatalog = emptyCatalog,
  strictGeometry = false,
): TablesPlan {
  return planTables(shapesOf(...records), catalog, { strictGeometry });
}

function column(name: string, type: string, more: Partial<ExistingColumn> = {}): ExistingColumn {
  const aliases: Readonly<Record<string, string>> = {
    'double precision': 'float8',
    boolean: 'bool',
    bigint: 'int8',
    integer: 'int4',
    'timestamp with time zone': 'timestamptz',
    'character varying': 'varchar',
    real: 'float4',
  };
  const plain = type.replace(/\(.*$/, '').replace(/^"\w+"\./, '');
  const length = /^character varying\((\d+)\)$/.exec(type)?.[1];
  const digits = /^numeric\((\d+),(\d+)\)$/.exec(type);
  return {
    name,
    type,
    base: aliases[plain] ?? plain,
    maxLength: length === undefined ? undefined : Number(length),
    digits: digits ? { whole: Number(digits[1]) - Number(digits[2]), fraction: Number(digits[2]) } : undefined,
    notNull: false,
    hasDefault: false,
    generated: false,
    ...more,
  };
}

const entityKey = { name: 'parks_park_pkey', columns: ['entityid', 'timeinstant'], primary: true, constraint: true };

/** smartcity.parks_park with the base columns. */
function catalogWith(columns: readonly ExistingColumn[], more: Partial<ExistingTable> = {}): DatabaseCatalog {
  const table: ExistingTable = {
    schema: 'smartcity',
    name: 'parks_park',
    kind: 'table',
    columns: [
      column('entityid', 'text', { notNull: true }),
      column('entitytype', 'text'),
      column('fiwareservicepath', 'text'),
      column('timeinstant', 'timestamptz', { notNull: true }),
      column('recvtime', 'timestamptz'),
      ...columns,
    ],
    unique: [entityKey],
    indexes: [
      { column: 'timeinstant', method: 'btree' },
      { column: 'x', method: 'gist' },
    ],
    writable: true,
    ...more,
  };
  return {
    ...emptyCatalog,
    database: { name: 'city', user: 'sink', server: 'localhost:5432', version: '15.1' },
    postgis: { schema: 'public', version: '3.3' },
    schemas: new Map([['smartcity', { usable: true }]]),
    tables: new Map([[tableKey(table), table]]),
  };
}

/** What a database is like after the changes: a model of what the SQL does. */
function changed(catalog: DatabaseCatalog, changes: readonly TableChange[]): DatabaseCatalog {
  const tables = new Map(catalog.tables);
  const schemas = new Map(catalog.schemas);
  let { postgis } = catalog;
  for (const change of changes) {
    if (change.kind === 'extension') postgis = { schema: 'public', version: '3.3' };
    if (change.kind === 'schema') schemas.set(change.schema, { usable: true });
    if (change.kind === 'table') {
      if (tables.has(tableKey(change.table)) || !schemas.has(change.table.schema)) throw new Error(changeSql(change));
      tables.set(tableKey(change.table), {
        ...change.table,
        kind: 'table',
        columns: change.columns.map(({ name, type }) => column(name, type, { notNull: change.key.includes(name) })),
        unique: change.key.length === 0 ? [] : [{ name: 'pkey', columns: change.key, primary: true, constraint: true }],
        indexes: [],
        writable: true,
      });
    }
    if (change.kind === 'columns' || change.kind === 'index') {
      const table = tables.get(tableKey(change.table));
      if (table === undefined) throw new Error(changeSql(change));
      tables.set(
        tableKey(table),
        change.kind === 'columns'
          ? { ...table, columns: [...table.columns, ...change.columns.map(({ name, type }) => column(name, type))] }
          : {
              ...table,
              indexes: [
                ...table.indexes,
                { column: change.column, method: change.method === 'gist' ? 'gist' : 'btree' },
              ],
            },
      );
    }
  }
  return { ...catalog, database: catalogWith([]).database, tables, schemas, postgis };
}

/** `level code column` of each finding of a check. */
function checked(records: readonly SinkRecord[], catalog: DatabaseCatalog): string[] {
  return findingsOf({ command: 'check', plan: planned(records, catalog) }).map(({ level, code, column: name = '' }) =>
    `${level} ${code} ${name}`.trimEnd(),
  );
}

describe('what is missing', () => {
  test('is everything in an empty database', () => {
    const { changes } = planned([row({ noise: ['double', 1], location: pointWkb })]);
    expect(changes.map(changeSql)).toEqual([
      'CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;',
      'CREATE SCHEMA "smartcity";',
      `CREATE TABLE "smartcity"."parks_park" (
  "entityid" text,
  "entitytype" text,
  "fiwareservicepath" text,
  "timeinstant" timestamptz,
  "location" geometry CHECK (ST_SRID("location") = 4326),
  "noise" double precision,
  "recvtime" timestamptz,
  PRIMARY KEY ("entityid", "timeinstant")
);`,
      'CREATE INDEX ON "smartcity"."parks_park" ("timeinstant" DESC);',
      'CREATE INDEX ON "smartcity"."parks_park" USING gist ("location");',
    ]);
  });

  test('is a column, added without reading the rows that are there, and with no index that would lock them', () => {
    const plan = planned(
      [row({ noise: ['double', 1], place: pointWkb, 'a"; drop table x; --': ['string', 'x'] })],
      catalogWith([]),
    );
    expect(plan.changes.map(changeSql)).toEqual([
      `ALTER TABLE "smartcity"."parks_park"
  ADD COLUMN "a""; drop table x; --" text,
  ADD COLUMN "noise" double precision,
  ADD COLUMN "place" geometry,
  ADD CHECK (ST_SRID("place") = 4326) NOT VALID;`,
    ]);
    expect(plan.findings).toContainEqual(
      expect.objectContaining({
        code: 'index-missing',
        column: 'place',
        sql: 'CREATE INDEX CONCURRENTLY ON "smartcity"."parks_park" USING gist ("place");',
      }),
    );
  });

  test('is nothing where nothing needs PostGIS', () => {
    expect(planned([row()]).changes.map(({ kind }) => kind)).toEqual(['schema', 'table', 'index']);
    expect(planned([]).changes).toEqual([]);
  });

  test('is named with the schema of PostGIS, where that is not on the search path', () => {
    const catalog = { ...emptyCatalog, postgis: { schema: 'gis', version: '3.3' }, searchPath: ['public'] };
    const { changes, findings } = planned([row({ x: pointWkb })], catalog, true);
    expect(changes.map(changeSql).join()).toContain('"x" "gis".geometry(Point,4326)');
    expect(findings.map(({ code }) => code)).toContain('postgis-schema');
  });

  test('is nothing any more once it was made: of any records', () => {
    const name = fc.constantFrom(
      'a',
      'b',
      'order',
      'pm2.5',
      'x"y',
      'é',
      'xmax',
      'n'.repeat(70),
      '__proto__',
      'timeinstant',
    );
    const value = fc.constantFrom<TestField>(
      ['double', 1.5],
      ['string', 't'],
      ['string', null],
      ['boolean', true],
      ['int32', 4],
      pointWkb,
      pointZWkb,
      polygonWkb,
      ['string io.debezium.data.Json', '{}'],
      ['int64 org.apache.kafka.connect.data.Timestamp', 5],
      ['array', []],
    );
    const table = fc.constantFrom('s.t', 's.T', 'pg_x.t', 's.t_lastdata', `s.${'t'.repeat(64)}`, 's.s_error_log', 'x');
    const record = fc
      .record({
        table,
        fields: fc.array(fc.tuple(name, value), { maxLength: 5 }),
        alive: fc.boolean(),
        keyed: fc.boolean(),
      })
      .map(({ table, fields, alive, keyed }) =>
        sinkRecord({
          table,
          columns: alive ? { ...baseColumns(), ...Object.fromEntries(fields) } : null,
          ...(!keyed && { key: null }),
        }),
      );
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 8 }),
        fc.array(record, { maxLength: 4 }),
        fc.boolean(),
        (first, then, strict) => {
          const made = changed(emptyCatalog, planned(first, emptyCatalog, strict).changes);
          const again = planned(first, made, strict);
          expect(again.changes).toEqual([]);
          // What was planned from records takes these records: only keys that differ among them
          // cannot all be had.
          const own = again.findings.filter(
            ({ level, code }) => level === 'error' && !/^(name|value|record|key|type-unsupported)/.test(code),
          );
          expect(own).toEqual([]);
          // And what comes later is added to it, once.
          const both = [...first, ...then];
          const grown = changed(made, planned(both, made, strict).changes);
          expect(planned(both, grown, strict).changes).toEqual([]);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('what does not fit', () => {
  const text = (value: string): TestField => ['string', value];
  test.each<[string, string, TestField, string[]]>([
    ['double precision', 'text that is no number', text('many'), ['error type-mismatch x']],
    ['double precision', 'text that is a number so far', text('12.5'), ['warning type-mismatch x']],
    ['integer', 'text with a fraction', text('12.5'), ['error type-mismatch x']],
    ['integer', 'a fraction', ['double', 7.5], ['warning value-altered x']],
    ['integer', 'a large number', ['double', 3e9], ['error value-out-of-range x']],
    ['integer', 'a whole number', ['double', 7], []],
    ['numeric(4,1)', 'a number with too many digits', ['double', 1000], ['error value-out-of-range x']],
    ['numeric(4,0)', 'a fraction', ['double', 7.5], ['warning value-altered x']],
    ['numeric', 'any number', ['double', 1e200], []],
    ['boolean', 'a number', ['double', 1], ['error type-mismatch x']],
    ['boolean', 'text', text('maybe'), ['error type-mismatch x']],
    ['timestamptz', 'a number', ['double', 1], ['error type-mismatch x']],
    ['timestamptz', 'a time', ['int64 org.apache.kafka.connect.data.Timestamp', 1], []],
    ['timestamp', 'a time', ['int64 org.apache.kafka.connect.data.Timestamp', 1], ['note value-altered x']],
    ['date', 'a time', ['int64 org.apache.kafka.connect.data.Timestamp', 1], ['warning value-altered x']],
    ['jsonb', 'JSON', ['string io.debezium.data.Json', '{}'], []],
    ['jsonb', 'text that is no JSON', text('hello'), ['error type-mismatch x']],
    ['jsonb', 'a number', ['double', 1], ['error type-mismatch x']],
    ['character varying(5)', 'a longer text', text('123456'), ['error value-too-long x']],
    ['character varying(5)', 'five characters of more bytes', text('€€€€€'), []],
    ['text', 'a number', ['double', 1], []],
    ['text', 'a geometry', pointWkb, []],
    ['double precision', 'a geometry', pointWkb, ['error type-mismatch x']],
    ['geometry(Point,4326)', 'a point', pointWkb, []],
    ['geometry(Point,4326)', 'a polygon', polygonWkb, ['error geometry-mismatch x']],
    ['geometry(Point,25830)', 'a point of another SRID', pointWkb, ['error geometry-mismatch x']],
    ['geometry(Geometry,4326)', 'a point with Z', pointZWkb, ['error geometry-mismatch x']],
    ['geometry(GeometryZ,4326)', 'a point without Z', pointWkb, ['error geometry-mismatch x']],
    ['geometry', 'anything', pointZWkb, []],
    ['geometry', 'text', text('POINT(1 2)'), ['error type-mismatch x']],
    ['double precision', 'null', ['string', null], []],
  ])('%s: %s', (type, _what, value, expected) => {
    expect(checked([row({ x: value })], catalogWith([column('x', type)]))).toEqual(expected);
  });

  test.each<[string, TestField, string | undefined]>([
    ['geometry(Point,4326)', polygonWkb, 'geometry(Geometry,4326)'],
    ['geometry(Point,4326)', pointZWkb, 'geometry'],
    ['integer', ['double', 3e9], 'bigint'],
    ['integer', ['double', 7.5], 'double precision'],
    ['character varying(5)', text('123456'), 'text'],
    ['double precision', text('many'), 'text'],
    ['date', ['int64 org.apache.kafka.connect.data.Timestamp', 1], 'timestamptz'],
    ['geometry', text('no'), undefined],
  ])('%s: what a person could run', (type, value, better) => {
    const { findings } = planned([row({ x: value })], catalogWith([column('x', type)]));
    const sql = better && `ALTER TABLE "smartcity"."parks_park" ALTER COLUMN "x" TYPE ${better};`;
    expect(findings.find((finding) => finding.column === 'x')?.sql).toBe(sql);
  });

  test.each<[string, DatabaseCatalog, string[]]>([
    [
      'a column that rows leave out',
      catalogWith([column('owner', 'text', { notNull: true })]),
      ['error not-null owner'],
    ],
    ['one that has a default', catalogWith([column('owner', 'text', { notNull: true, hasDefault: true })]), []],
    [
      'a computed column',
      catalogWith([column('noise', 'float8', { generated: true })]),
      ['error column-generated noise'],
    ],
    ['no key', catalogWith([], { unique: [] }), ['error key-mismatch']],
    ['another key', catalogWith([], { unique: [{ ...entityKey, columns: ['entityid'] }] }), ['error key-mismatch']],
    [
      'the key and a narrower one',
      catalogWith([], { unique: [entityKey, { name: 'u', columns: ['entityid'], primary: false, constraint: false }] }),
      ['error key-too-narrow'],
    ],
    [
      'the key in another order',
      catalogWith([], { unique: [{ ...entityKey, columns: ['timeinstant', 'entityid'] }] }),
      [],
    ],
    ['no index by time', catalogWith([], { indexes: [] }), ['note index-missing timeinstant']],
    ['a view', catalogWith([], { kind: 'view' }), ['error not-a-table']],
    ['no rights', catalogWith([], { writable: false }), ['warning privilege-missing']],
  ])('%s', (_name, catalog, expected) => {
    const noisy = catalog.tables
      .get(tableKey({ schema: 'smartcity', name: 'parks_park' }))
      ?.columns.some(({ name }) => name === 'noise');
    expect(checked([row(noisy === true ? { noise: ['double', 1] } : {})], catalog)).toEqual(expected);
  });

  test('counts rows with a null, and rows without', () => {
    const { findings } = planned(
      [row({ owner: text('me') }), row({ owner: ['string', null] }), row()],
      catalogWith([column('owner', 'text', { notNull: true })]),
    );
    expect(findings[0]?.message).toBe("'owner' is NOT NULL without a default, and 2 of 3 rows have no value for it");
  });

  test('tells a column that differs in its case, and adds the other', () => {
    const plan = planned([row({ noise: ['double', 1] })], catalogWith([column('Noise', 'float8')]));
    expect(plan.findings).toMatchObject([{ level: 'warning', code: 'name-collision', column: 'noise' }]);
    expect(plan.changes).toMatchObject([{ kind: 'columns', columns: [{ name: 'noise' }] }]);
  });

  test('names that cannot be had are left out, and said', () => {
    const plan = planned([
      row({ xmax: ['double', 1], ['n'.repeat(64)]: ['double', 1] }),
      sinkRecord({ table: `s.${'t'.repeat(64)}`, columns: baseColumns() }),
    ]);
    expect(plan.findings.map(({ code }) => code).sort()).toEqual(['name-reserved', 'name-too-long', 'name-too-long']);
    expect(plan.tables.map(({ state }) => state)).toEqual(['impossible', 'missing']);
    expect(plan.changes.map(changeSql).join('\n')).not.toMatch(/xmax|nnnn|tttt/);
  });

  test('what is missing is a finding of check, and of nothing else', () => {
    expect(checked([row()], emptyCatalog)).toEqual(['error schema-missing', 'error table-missing']);
    expect(checked([row({ noise: ['double', 1] })], catalogWith([]))).toEqual(['error column-missing noise']);
    expect(findingsOf({ command: 'plan', plan: planned([row()], emptyCatalog) })).toEqual([]);
  });

  test('the server has no PostGIS', () => {
    const catalog = { ...emptyCatalog, postgisAvailable: false };
    expect(planned([row({ x: pointWkb })], catalog).findings).toMatchObject([
      { level: 'error', code: 'postgis-missing' },
    ]);
    expect(planned([row()], catalog).findings).toEqual([]);
  });
});
