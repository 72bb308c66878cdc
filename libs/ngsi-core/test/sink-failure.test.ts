import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { topicNames } from '../src/naming.js';
import { partitionHash } from '../src/route.js';
import { failureLogger, readFailure, type FailureLogOptions } from '../src/sink-failure.js';
import type { RecordHeader } from '@kafnus/agent-contract';
import type { RawRecord } from '../src/rejection.js';

const names = topicNames({ naming: 'default', prefix: '', suffix: '', agent: 'errors' });
const timestamp = Date.parse('2025-05-06T07:08:09.012Z');

const bytes = (value: unknown) =>
  value === null ? null : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

/** A dead letter; `topic`, `message`, `cause`, `stacktrace` and `class` are Connect's headers. */
function deadLetter(headers: Record<string, string>, value: unknown = null): RawRecord {
  const context: Record<string, string> = {
    topic: '__connect.errors.topic',
    class: '__connect.errors.exception.class.name',
    message: '__connect.errors.exception.message',
    cause: '__connect.errors.exception.cause.message',
    stacktrace: '__connect.errors.exception.stacktrace',
  };
  return {
    timestamp,
    value: bytes(value),
    headers: Object.entries(headers).map(([name, text]) => ({ [context[name] ?? name]: Buffer.from(text) })),
  };
}

const read = (headers: Record<string, string>, value?: unknown) => readFailure(names, deadLetter(headers, value));

function logged(record: RawRecord, options: Partial<FailureLogOptions> = {}) {
  const decision = failureLogger({ names, sink: 'kafnus', tenants: undefined, ...options })(record);
  if (decision.kind !== 'emit') throw new Error(`not logged: ${JSON.stringify(decision)}`);
  const [output, ...more] = decision.outputs;
  if (!output || more.length > 0) throw new Error('not one record');
  return { ...output, tenant: decision.tenant, value: JSON.parse(String(output.value)) };
}

describe('the log record', () => {
  const record = deadLetter({ topic: 'town_lastdata', message: 'ERROR: boom' });

  test('is a Connect record for the tenant, keyless, in one partition', () => {
    const text = JSON.stringify({
      schema: {
        type: 'struct',
        fields: [
          { field: 'timestamp', type: 'string', optional: false },
          { field: 'error', type: 'string', optional: false },
          { field: 'query', type: 'string', optional: true },
        ],
        optional: false,
      },
      payload: { timestamp: '2025-05-06T07:08:09.012Z', error: 'ERROR: boom', query: null },
    });
    expect(failureLogger({ names, sink: 'kafnus', tenants: undefined })(record)).toEqual({
      kind: 'emit',
      tenant: 'town',
      outputs: [
        {
          topic: 'town_error_log',
          partitionHash: partitionHash('town'),
          key: null,
          value: text,
          headers: [
            { 'fiware-service': 'town' },
            { 'fiware-servicepath': 'town' },
            { 'fiware-datamodel': 'dm-postgis-errors' },
            { entityType: '_error_log' },
            { target_table: 'town.town_error_log' },
          ],
          timestamp,
        },
      ],
    });
  });

  test('for the Debezium sink the timestamp is typed', () => {
    const { value } = logged(record, { sink: 'debezium' });
    expect(value.schema.fields[0]).toEqual({
      field: 'timestamp',
      type: 'string',
      name: 'io.debezium.time.ZonedTimestamp',
      optional: false,
    });
    expect(value.payload.timestamp).toBe('2025-05-06T07:08:09.012Z');
  });

  test.each([-1, Number.NaN, 9e15])(
    'a record without a possible timestamp (%p) is logged all the same',
    (impossible) => {
      expect(logged({ ...record, timestamp: impossible }).value.payload.timestamp).toBe('1970-01-01T00:00:00.000Z');
    },
  );

  test('a tenant that could be no service is refused, with the name and what is allowed', () => {
    const decide = failureLogger({ names, sink: 'kafnus', tenants: undefined });
    for (const service of ['my-svc', 'town_lastdata', 'raw_errors']) {
      expect(decide(deadLetter({ 'fiware-service': service, message: 'x' }))).toMatchObject({
        kind: 'reject',
        tenant: '_invalid',
        rejections: [{ code: 'service-invalid', message: expect.stringContaining(`"${service}"`) }],
      });
    }
  });

  test('tenants beyond the allow list are skipped', () => {
    const decide = failureLogger({ names, sink: 'kafnus', tenants: new Set(['town']) });
    expect(decide(record).kind).toBe('emit');
    expect(decide(deadLetter({ topic: 'city' }))).toEqual({
      kind: 'skip',
      tenant: 'city',
      reason: 'tenant-not-allowed',
    });
  });
});

describe('db', () => {
  const insert = 'Batch entry 0 INSERT INTO "d"."from_insert"."t" ("a") VALUES (1) was aborted';

  test.each<[string, Record<string, string>, string]>([
    ['the topic first', { topic: 'town_mutable', 'fiware-service': 'header', message: insert }, 'town'],
    ['then the header', { 'fiware-service': 'Header', message: insert }, 'header'],
    [
      'the header when the topic says nothing',
      { topic: 'Some.Topic', 'fiware-service': 'header', message: insert },
      'header',
    ],
    ['then the schema of the INSERT', { message: insert }, 'from_insert'],
    ['an unqualified INSERT says nothing', { message: 'INSERT INTO t VALUES (1)' }, 'default'],
    ['then the default', { message: 'x' }, 'default'],
    ['empty headers are missing headers', { topic: '', 'fiware-service': '', message: insert }, 'from_insert'],
    ['header names in any case', { 'FIWARE-Service': 'header' }, 'header'],
    ['an input topic is nobody’s', { topic: 'raw_historic', 'fiware-service': 'header' }, 'header'],
    ['nor is a dead-letter topic', { topic: 'raw_errors_dead' }, 'default'],
  ])('%s', (_, headers, db) => {
    expect(read(headers).db).toBe(db);
  });

  test('of a repeated header the last counts: a replayed record that failed again', () => {
    const headers: RecordHeader[] = [
      { '__connect.errors.topic': 'first' },
      { '__connect.errors.exception.message': 'one' },
      { '__connect.errors.topic': 'second' },
      { '__connect.errors.exception.message': 'two' },
    ];
    expect(readFailure(names, { timestamp, value: null, headers })).toMatchObject({ db: 'second', error: 'two' });
  });
});

describe('error', () => {
  test.each<[string, Record<string, string>, string]>([
    ['message', { message: 'line1\nline2' }, 'line1\nline2'],
    ['no message', {}, 'Unknown error'],
    ['a cause that adds something', { message: 'a', cause: 'b' }, 'a\nCaused by: b'],
    ['a cause that adds nothing', { message: 'a: because of b', cause: 'because of b' }, 'a: because of b'],
    ['a cause alone', { cause: 'b' }, 'Unknown error\nCaused by: b'],
    [
      'the root cause of the stack trace',
      {
        message: 'a',
        stacktrace: 'A: a\n\tat x\nCaused by: B: b\n\tat y\nCaused by: C: c\n at [line 1]\n\tat z\n\t... 1 more',
      },
      'a\nCaused by: C: c\n at [line 1]',
    ],
    ['a stack trace without cause', { message: 'a', stacktrace: 'A: a\n\tat x' }, 'a'],
    [
      'a PostgreSQL error',
      { message: 'x was aborted: ERROR: one\n  Detail: d.\n  Where: w' },
      'ERROR: one - Detail: d.',
    ],
    ['without detail', { message: 'x; ERROR: one\n  Position: 13' }, 'ERROR: one'],
    ['in the cause', { message: 'a', cause: 'PSQLException: ERROR: one' }, 'ERROR: one'],
    ['the detail of another error', { message: 'ERROR: one\nERROR: two\n  Detail: d2' }, 'ERROR: one'],
    ['repeated by Spring', { message: 'x; ERROR: one; nested exception is P: ERROR: one' }, 'ERROR: one'],
    ['text on the next line', { message: 'ERROR: \nnext\nlast' }, 'ERROR: next'],
    ['nothing after the label', { message: 'ERROR:  \n' }, 'ERROR:  \n'],
    ['another word', { message: 'SQL_ERROR: x' }, 'SQL_ERROR: x'],
    ['other severities stay as they are', { message: 'FATAL: x\n  Detail: d' }, 'FATAL: x\n  Detail: d'],
    [
      'not what a value says',
      { message: `Batch entry 0 INSERT INTO t VALUES ('ERROR: fake\n  Detail: fake') was aborted: ERROR: true` },
      'ERROR: true',
    ],
  ])('%s', (_, headers, error) => {
    expect(read(headers).error).toBe(error);
  });

  test('credentials are masked, in the error of the database too', () => {
    expect(read({ message: 'jdbc:postgresql://u:p@h/db?password=s' }).error).toBe(
      'jdbc:postgresql://***@h/db?password=***',
    );
    expect(read({ message: 'ERROR: could not connect\n  Detail: password=s host=h' }).error).toBe(
      'ERROR: could not connect - Detail: password=*** host=h',
    );
  });

  test('4,000 characters are kept, the cut is marked', () => {
    const errorOf = (message: string): string => logged(deadLetter({ message })).value.payload.error;
    expect(errorOf('x'.repeat(4_000))).toBe('x'.repeat(4_000));
    expect(errorOf('x'.repeat(4_001))).toBe(`${'x'.repeat(4_000)}... [truncated 1 chars]`);
    expect(errorOf(`${'x'.repeat(3_999)}🌍`)).toBe(`${'x'.repeat(3_999)}... [truncated 2 chars]`);
    expect(errorOf(`${'x'.repeat(3_998)}🌍y`)).toBe(`${'x'.repeat(3_998)}🌍... [truncated 1 chars]`);
  });

  test('a credential across the cut does not show', () => {
    const { error } = logged(deadLetter({ message: `${'x'.repeat(3_985)} password=${'s3cret'.repeat(5)}` })).value
      .payload;
    expect(error).not.toContain('s3');
  });

  test('what PostgreSQL cannot store is replaced', () => {
    const headers = [{ '__connect.errors.exception.message': 'a\0b\ud800c' }];
    expect(logged({ timestamp, value: null, headers }).value.payload.error).toBe('ab\ufffdc');
    const invalid = [{ '__connect.errors.exception.message': Buffer.from([0x61, 0xff, 0x62]) }];
    expect(logged({ timestamp, value: null, headers: invalid }).value.payload.error).toBe('a\ufffdb');
  });
});

describe('query', () => {
  const row = { schema: { type: 'struct', fields: [] }, payload: { entityid: 'E', n: 1.5 } };
  const target = { topic: 'town', target_table: 'town.parks_park' };

  test('the INSERT of the message wins', () => {
    const sql = `INSERT INTO "town"."t" ("a") VALUES ('x; (''y'')') ON CONFLICT ("a") DO UPDATE SET "b"=EXCLUDED."b"`;
    const message = `java.sql.BatchUpdateException: Batch entry 0 ${sql} was aborted: ERROR: x`;
    expect(read({ ...target, message }, row).query).toBe(sql);
  });

  test('one with placeholders tells less than the record', () => {
    const message = '[INSERT INTO "town"."t" ("a") VALUES (?)]';
    expect(read({ ...target, message }, row).query).toBe(
      `INSERT INTO "town"."parks_park" ("entityid","n") VALUES ('E',1.5)`,
    );
    expect(read({ topic: 'town', message }).query).toBe('INSERT INTO "town"."t" ("a") VALUES (?)');
  });

  test('values by type, escaped', () => {
    const payload = {
      text: `it's; \\ "x" -- ñ🌍\n`,
      'col"umn': `'); DROP TABLE t; --`,
      yes: true,
      none: null,
      big: 1e21,
      object: { a: ["o'clock"] },
      when: 1746515289012,
      count: 1746515289012,
      place: { wkb: 'AQEAAAA=', srid: 4326 },
      trick: { wkb: "x'); DROP TABLE t; --", srid: 4326 },
      constructor: 'c',
    };
    const schema = {
      type: 'struct',
      fields: [
        { field: 'when', type: 'int64', name: 'org.apache.kafka.connect.data.Timestamp', optional: false },
        { field: 'count', type: 'int64', optional: false },
      ],
    };
    expect(read(target, { schema, payload }).query).toBe(
      `INSERT INTO "town"."parks_park" ("text","col""umn","yes","none","big","object","when","count","place","trick","constructor") VALUES (` +
        `'it''s; \\ "x" -- ñ🌍\n','''); DROP TABLE t; --',true,NULL,1e+21,'{"a":["o''clock"]}','2025-05-06T07:08:09.012Z',1746515289012,` +
        `ST_GeomFromWKB(decode('AQEAAAA=','base64'),4326),'{"wkb":"x''); DROP TABLE t; --","srid":4326}','c')`,
    );
  });

  test.each<[string, Record<string, string>, string]>([
    ['header', { target_table: 'a.b.c' }, '"a"."b.c"'],
    ['header without schema', { target_table: 'only' }, '"town"."only"'],
    [
      'header that tries',
      { target_table: 'a".x.b" VALUES (1); DROP TABLE t; --' },
      '"a"""."x.b"" VALUES (1); DROP TABLE t; --"',
    ],
    ['headers of Kafnus', { entityType: 'Park', 'fiware-servicepath': '/north' }, '"town"."north_park"'],
    ['headers of Kafnus, lastdata', { entityType: 'park', suffix: '_lastdata' }, '"town"."_park_lastdata"'],
    [
      'schema by service path',
      { entityType: 'park', 'fiware-servicepath': 'n', 'fiware-datamodel': 'dm-by-entity-type-database-schema' },
      '"n"."n_park"',
    ],
    [
      'fixed table',
      { entityType: 'park', 'fiware-servicepath': 'n', 'fiware-datamodel': 'dm-by-fixed-entity-type-database-schema' },
      '"n"."park"',
    ],
  ])('the table by %s', (_, headers, table) => {
    expect(read({ topic: 'town', ...headers }, row).query).toBe(
      `INSERT INTO ${table} ("entityid","n") VALUES ('E',1.5)`,
    );
  });

  test.each<[string, unknown, string | undefined]>([
    ['no payload', { a: 1 }, '{"a":1}'],
    ['payload that is no struct', { payload: [1, 'a'] }, '{"payload":[1,"a"]}'],
    ['empty payload', { payload: {} }, '{"payload":{}}'],
    ['a number', '5', '5'],
    ['JSON on several lines', '{\r\n\t"a": 1.000000000000000000001\n}', '{ "a": 1.000000000000000000001 }'],
    ['not JSON', 'not\n"json"', '"not\\n\\"json\\""'],
    ['credentials', { password: 's3cret', url: 'a://u:p@h' }, '{"password":"***","url":"a://***@h"}'],
    ['empty', '', undefined],
    ['tombstone', null, undefined],
  ])('without a row the value itself: %s', (_, value, query) => {
    expect(read(target, value).query).toBe(query);
  });

  test('a row without a known table: the value itself, no statement with a table that was guessed', () => {
    expect(read({ topic: 'town' }, row).query).toBe(JSON.stringify(row));
    expect(read({ topic: 'town', entityType: 'park', 'fiware-datamodel': 'dm-of-others' }, row).query).toBe(
      JSON.stringify(row),
    );
    expect(
      read({ topic: 'town', entityType: 'park', 'fiware-datamodel': 'dm-by-entity-type-database-schema' }, row).query,
    ).toBe(JSON.stringify(row));
  });

  test('credentials in values are masked, the statement stays one', () => {
    const message = `INSERT INTO t (a,b) VALUES ('jdbc:x://u:p@h?password=s''x','password=','b') was aborted`;
    expect(read({ message }).query).toBe(`INSERT INTO t (a,b) VALUES ('jdbc:x://***@h?password=***','password=','b')`);
    const value = { payload: { a: "password='s3cret'", b: 1 } };
    expect(read(target, value).query).toBe(`INSERT INTO "town"."parks_park" ("a","b") VALUES ('password=''***''',1)`);
  });

  test('8,000 characters are kept, the cut is marked', () => {
    const query: string = logged(deadLetter(target, { other: 'o'.repeat(9_000) })).value.payload.query;
    expect(query).toBe(`{"other":"${'o'.repeat(7_990)}... [truncated 1012 chars]`);
  });

  test('no statement is made of more than what is kept of it, many times over', () => {
    for (const field of ['v'.repeat(100_000), null]) {
      const payload = Object.fromEntries(
        Array.from({ length: field === null ? 300_000 : 1_000 }, (_, n) => [`f${n}`, field]),
      );
      const made = read(target, { payload }).query ?? '';
      expect(made).toMatch(/^INSERT INTO "town"."parks_park" \("f0","f1",/);
      expect(made.length).toBeLessThan(400_000);
    }
  });

  test('nesting deeper than any stack', () => {
    const deep = `{"payload":{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}}`;
    expect(logged(deadLetter(target, deep)).value.payload.query).toMatch(/^\{"payload":\{"a":\[\[\[/);
  });
});

describe('dead letters of the agents (SPEC 6)', () => {
  const notification = { subscriptionId: 's', data: [{ id: 'E', type: 'T' }] };

  test('are logged for the tenant in the words of the agent', () => {
    const message = `attribute "a": "ERROR: x INSERT INTO "v"."t" VALUES (1)" is no date`;
    expect(read({ 'fiware-service': 'Town', topic: 'raw_historic', message }, notification)).toEqual({
      db: 'town',
      error: message,
      query: undefined,
    });
  });

  test('a notification that came without headers names its service itself', () => {
    const context = { topic: 'raw_historic', message: 'm' };
    expect(read(context, { ...notification, headers: { 'fiware-service': 'Town' } }).db).toBe('town');
    expect(read(context, { ...notification, 'fiware-service': 'town' }).db).toBe('town');
    expect(read(context, notification).db).toBe('default');
    expect(read(context, '{').db).toBe('default');
    expect(read({ ...context, other: 'x' }, { ...notification, 'fiware-service': 'town' }).db).toBe('default');
  });

  test('are known by their class when the input topic has another name', () => {
    const context = { topic: 'orion', class: 'kafnus.rejected.not-json', message: 'm' };
    expect(read({ ...context, 'fiware-service': 'town' }).db).toBe('town');
    expect(read({ ...context, class: 'java.lang.Exception', 'fiware-service': 'town' }).db).toBe('orion');
  });
});

describe('dead letters of a real Kafka Connect', () => {
  interface Captured {
    readonly ts: number;
    readonly headers: readonly string[];
    readonly payload: string;
  }
  const file = new URL('golden/connect-dead-letters.json', import.meta.url);
  const captured = JSON.parse(readFileSync(file, 'utf8')) as readonly Captured[];
  const records = captured.map(({ ts, headers, payload }): RawRecord => {
    const pairs: RecordHeader[] = [];
    for (let i = 0; i + 1 < headers.length; i += 2)
      pairs.push({ [headers[i] ?? '']: Buffer.from(headers[i + 1] ?? '') });
    return { timestamp: ts, value: Buffer.from(payload), headers: pairs };
  });
  const columns = '"entityid","entitytype","fiwareservicepath","timeinstant","recvtime"';
  const values = `'urn:ngsi:Park:1','Park','/parks','2026-05-01T10:00:01.000Z','2026-05-01T10:00:01.000Z'`;
  const statement = `INSERT INTO "tenant0"."parks_park" (${columns}) VALUES (${values})`;
  const also = (column: string, value: string) =>
    `INSERT INTO "tenant0"."parks_park" (${columns},"${column}") VALUES (${values},${value})`;

  const expected: readonly (readonly [what: string, error: string | RegExp, query: string])[] = [
    [
      'a value that is not JSON',
      /^Converting byte\[\] to Kafka Connect data failed due to serialization error: \nCaused by: com\.fasterxml\.jackson\.core\.JsonParseException: Unexpected character \('n' \(code 110\)\): was expecting double-quote to start field name\n at \[Source: .*column: 2\]$/,
      '"{not json"',
    ],
    [
      'no envelope',
      /^JsonConverter with schemas\.enable requires .* in your converter configuration\.$/,
      '{"entityid":"urn:ngsi:Park:1","temperature":1}',
    ],
    ['a key that is not JSON', /^Converting byte\[\] .*\nCaused by: .*Unrecognized token 'rawkey'/, statement],
    [
      'a required field that is null',
      'Invalid null value for required STRING field',
      `INSERT INTO "tenant0"."parks_park" ("entitytype","fiwareservicepath","timeinstant","recvtime") VALUES ('Park','/parks','2026-05-01T10:00:01.000Z','2026-05-01T10:00:01.000Z')`,
    ],
    [
      'a transformation that failed',
      /^Error while evaluating expression .*\nCaused by: java\.lang\.NullPointerException: Cannot get property 'value' on null object$/s,
      statement,
    ],
    [
      'a type mismatch',
      'ERROR: invalid input syntax for type double precision: "notanumber"',
      also('temperature', `'notanumber'`),
    ],
    [
      'a duplicate key',
      'ERROR: duplicate key value violates unique constraint "parks_park_pkey" - Detail: Key (timeinstant, entityid)=(2026-05-01 10:00:01+00, urn:ngsi:Park:1) already exists.',
      also('temperature', '2'),
    ],
    [
      'a missing value',
      'ERROR: null value in column "name" of relation "parks_park" violates not-null constraint - Detail: Failing row contains (urn:ngsi:Park:1, Park, /parks, 2026-05-01 10:00:01+00, 2026-05-01 10:00:01+00, null, null, null).',
      also('name', 'NULL'),
    ],
    ['a missing table', 'ERROR: relation "tenant0.parks_nosuchtable" does not exist', statement],
    ['a missing column', 'ERROR: column "nocolumn" of relation "parks_park" does not exist', also('nocolumn', `'x'`)],
  ];

  test('all are looked at', () => {
    expect(records).toHaveLength(expected.length);
  });

  test.each(expected.map((row, place) => [row[0], place] as const))('%s', (_, place) => {
    const record = records[place];
    const [, error, query] = expected[place] ?? [];
    if (!record || error === undefined || query === undefined) throw new Error('no such record');
    const { topic, value, timestamp: time } = logged(record);
    expect(topic).toBe('tenant0_error_log');
    expect(time).toBe(record.timestamp);
    expect(value.payload.timestamp).toBe(new Date(record.timestamp).toISOString());
    expect(value.payload.error).toEqual(typeof error === 'string' ? error : expect.stringMatching(error));
    expect(value.payload.query).toBe(query);
  });
});
