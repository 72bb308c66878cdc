import { describe, expect, test } from '@jest/globals';
import { readFileSync, writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findingCodes } from '../src/tables/table-finding.js';
import { chunks, kafnus } from './io.js';

const park = JSON.stringify({
  subscriptionId: 's',
  data: [
    {
      id: 'urn:1',
      type: 'Park',
      TimeInstant: { type: 'DateTime', value: '2026-05-01T10:00:00Z' },
      location: { type: 'geo:point', value: '41.5,-8.4' },
      openingHours: { type: 'json', value: { mo: '8-20' } },
      Trees: { type: 'Number', value: 120 },
    },
  ],
});

describe('kafnus tables', () => {
  const noDatabase = 'needs a database: --database URL, KAFNUS_DATABASE_URL, or PGHOST and PGDATABASE';
  test.each([
    [[], 'the action is missing: kafnus tables plan, apply or check'],
    [['drop'], "unknown action 'drop': kafnus tables plan, apply or check"],
    [['plan', 'now'], "unexpected argument 'now'"],
    [['apply'], `apply ${noDatabase}`],
    [['check'], `check ${noDatabase}`],
    [['plan', '--service', 'city'], '--service is for --sample'],
    [['plan', '--sample', '-', '--since', '1h'], '--since is for topics, not for --sample'],
    [['plan', '--topics', 'a', '--topics-regex', 'b'], '--topics-regex and --topics exclude each other: use one'],
    [['plan', '--topics-regex', '('], "--topics-regex '(' is not a regular expression: "],
    [['plan', '--topics', 'a', '--max-records', '0'], "--max-records must be a whole number of at least 1, not '0'"],
    [
      ['plan', '--topics', 'a', '--since', 'noon'],
      "--since must be a date such as 2026-05-01T08:00:00Z or an age such as 30m, not 'noon'",
    ],
    [['plan', '--sample', '-', '--datamodel', 'dm'], '--datamodel must be one of dm-by-entity-type-database, '],
    [['plan', '--sample', '-', '--agents', 'errors'], "--agents must be of historic, lastdata, mutable, not 'errors'"],
  ])('refuses %j', async (argv, message) => {
    const { code, stdout, stderr } = await kafnus(['tables', ...argv]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr.startsWith(`kafnus tables: ${message}`)).toBe(true);
    expect(stderr).toContain("'kafnus tables --help' shows the usage.");
  });

  test.each([
    ['--database', ['--database', 'jdbc:postgresql://localhost/x?password=s3cret'], {}, '--database is a JDBC URL'],
    ['the environment', [], { KAFNUS_DATABASE_URL: 's3cret' }, 'KAFNUS_DATABASE_URL is not a URL'],
    [
      'a server that is not there',
      ['--database', 'postgresql://sink:s3cret@127.0.0.1:1/city'],
      {},
      'no connection to the database city on 127.0.0.1:1 as sink: ',
    ],
    [
      'PG variables',
      [],
      { PGHOST: '127.0.0.1', PGPORT: '1', PGUSER: 'sink', PGDATABASE: 'city', PGPASSWORD: 's3cret' },
      'no connection to the database city on 127.0.0.1:1 as sink: ',
    ],
  ])('never prints the password of %s', async (_name, argv, env, message) => {
    const { code, stdout, stderr } = await kafnus(['tables', 'apply', '--sample', '-', ...argv], {
      env,
      stdin: chunks(park),
    });
    expect(code).not.toBe(0);
    expect(stderr).toContain(message);
    expect(stdout + stderr).not.toContain('s3cret');
  });

  test('reads the URL from a file, as other secrets', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kafnus-tables-'));
    try {
      writeFileSync(join(folder, 'url'), 'postgresql://sink:s3cret@127.0.0.1:1/city\n');
      const env = { KAFNUS_DATABASE_URL_FILE: join(folder, 'url') };
      const { stderr } = await kafnus(['tables', 'check', '--sample', '-'], { env, stdin: chunks(park) });
      expect(stderr).toContain('no connection to the database city on 127.0.0.1:1 as sink: ');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('kafnus tables plan --sample', () => {
  const sample = ['tables', 'plan', '--sample', '-', '--service', 'City', '--servicepath', '/Parks'];

  test('is SQL, and everything else in comments', async () => {
    const { code, stdout, stderr } = await kafnus([...sample, '--agents', 'lastdata'], { stdin: chunks(park) });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('-- no database was named: an empty one is assumed\n');
    expect(
      stdout
        .split('\n')
        .filter((line) => !line.startsWith('--'))
        .join('\n')
        .trim(),
    ).toBe(`BEGIN;
SET LOCAL lock_timeout = '10s';
SELECT pg_advisory_xact_lock(7737578259402150978);

CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;

CREATE SCHEMA "city";

CREATE TABLE "city"."parks_park_lastdata" (
  "entityid" text,
  "entitytype" text,
  "fiwareservicepath" text,
  "timeinstant" timestamptz,
  "location" geometry CHECK (ST_SRID("location") = 4326),
  "openinghours" jsonb,
  "trees" double precision,
  "recvtime" timestamptz,
  PRIMARY KEY ("entityid")
);

CREATE INDEX ON "city"."parks_park_lastdata" ("timeinstant" DESC);

CREATE INDEX ON "city"."parks_park_lastdata" USING gist ("location");

COMMIT;`);
  });

  test('tells scripts the same', async () => {
    const { stdout } = await kafnus([...sample, '--json', '--error-log', '--strict-geometry'], { stdin: chunks(park) });
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ command: 'plan', database: null, fits: true, applied: false, findings: [] });
    expect(
      report.tables.map(({ schema, name, key, state }: Record<string, unknown>) => [schema, name, key, state]),
    ).toEqual([
      ['city', 'city_error_log', [], 'missing'],
      ['city', 'parks_park', ['entityid', 'timeinstant'], 'missing'],
      ['city', 'parks_park_lastdata', ['entityid'], 'missing'],
      ['city', 'parks_park_mutable', ['entityid', 'timeinstant'], 'missing'],
    ]);
    expect(report.statements.join('\n')).toContain('"location" geometry(Point,4326)');
  });

  test.each([
    ['dm-by-entity-type-database-schema', '"parks"."parks_park"'],
    ['dm-by-fixed-entity-type-database-schema', '"parks"."park"'],
  ])('goes by the data model %s, of the option or the environment', async (datamodel, table) => {
    const option = await kafnus([...sample, '--agents', 'historic', '--datamodel', datamodel], { stdin: chunks(park) });
    const env = { KAFNUS_DATAMODEL: datamodel };
    const variable = await kafnus([...sample, '--agents', 'historic'], { env, stdin: chunks(park) });
    expect(option.stdout).toContain(`CREATE TABLE ${table} (`);
    expect(variable.stdout).toBe(option.stdout);
  });

  test('has plain text for JSON where the sinks of Kafnus write', async () => {
    const { stdout } = await kafnus(sample, { env: { KAFNUS_SINK: 'kafnus' }, stdin: chunks(park) });
    expect(stdout).toContain('"openinghours" text,');
    expect(stdout).toContain('"timeinstant" timestamptz,');
  });

  test('tells what the agents would refuse, and what is no notification', async () => {
    const bad = park.replace('2026-05-01T10:00:00Z', 'yesterday');
    const { code, stdout, stderr } = await kafnus(sample, { stdin: chunks(`${park}\n${bad}\n{"no":1}\n`) });
    expect(code).toBe(0);
    expect(stderr).toContain('(stdin):3: not a notification');
    expect(stdout).toMatch(/-- note {5}all {2}sample-refused\n-- {10}historic refuses 1 part of the sample/);
  });

  test('lets no name out of its quotes, and no line out of a comment', async () => {
    const hostile = 'x"); DROP TABLE a; --\nDROP TABLE b; --';
    const attributes = { [hostile]: { type: 'Number', value: 1 }, 'a\nb': { type: 'Text', value: 1 } };
    const notification = JSON.stringify({
      data: [
        { id: 'e', type: 'T', ...attributes },
        { id: 'e', type: 'T', 'a\nb': { type: 'Text', value: 'x' } },
      ],
    });
    const { stdout } = await kafnus([...sample, '--agents', 'lastdata'], {
      // With sink=debezium the agent leaves such a name out.
      env: { KAFNUS_SINK: 'kafnus' },
      stdin: chunks(notification),
    });
    expect(stdout).toContain('  U&"a\\000ab" text,');
    expect(stdout).toContain('  U&"x""); drop table a; --\\000adrop table b; --" double precision,');
    const code = stdout
      .split('\n')
      .filter((line) => !line.startsWith('--'))
      .join('\n');
    expect(code.replace(/(U&)?"([^"]|"")*"/g, '')).not.toMatch(/drop/i);
  });

  test('a file that is not there', async () => {
    const { code, stderr } = await kafnus(['tables', 'plan', '--sample', '/nowhere/x.json']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^kafnus tables: \/nowhere\/x\.json cannot be read: ENOENT/);
  });

  test('an empty sample says nothing about tables', async () => {
    const { code, stdout } = await kafnus(sample, { stdin: chunks('{"no":1}') });
    expect(code).toBe(0);
    expect(stdout).toContain('-- no record has a target_table: there are no tables to plan');
    expect(stdout).not.toContain('BEGIN');
  });
});

test('docs/tables.md has every finding, with what it means', () => {
  const doc = readFileSync(join(import.meta.dirname, '../../../docs/tables.md'), 'utf8');
  const listed = Object.fromEntries(
    [...doc.matchAll(/^\| `([a-z-]+)` +\| (.+)\|$/gm)].map(([, code, what]) => [code, what?.trim()]),
  );
  expect(listed).toEqual(findingCodes);
});
