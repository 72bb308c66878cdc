import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { topicNames } from '../src/naming.js';
import { failureLogger, readFailure } from '../src/sink-failure.js';
import { maskCredentials } from '../src/sink-failure-mask.js';
import { findInsert, mapLiterals } from '../src/sink-failure-sql.js';
import type { RecordHeader } from '@kafnus/agent-contract';
import type { RawRecord } from '../src/rejection.js';

const names = topicNames({ naming: 'default', prefix: '', suffix: '', agent: 'errors' });
const decide = failureLogger({ names, sink: 'kafnus', tenants: undefined });

const known = [
  ...['topic', 'exception.message', 'exception.cause.message', 'exception.stacktrace', 'exception.class.name'].map(
    (name) => `__connect.errors.${name}`,
  ),
  ...['fiware-service', 'fiware-servicepath', 'fiware-datamodel', 'entityType', 'suffix', 'target_table'],
];
/** Text of pieces that the code looks for, and of any others. */
const piece = fc.oneof(
  fc.constantFrom(
    ...[
      `INSERT INTO "a"."b" VALUES (`,
      `'`,
      `''`,
      `"`,
      `$$`,
      `$x$`,
      `(`,
      `)`,
      `;`,
      `,`,
      `--`,
      `\\`,
      `\n`,
      ` ON CONFLICT DO `,
    ],
    ...[
      'ERROR: ',
      '\n  Detail: ',
      '\nCaused by: ',
      '\n\tat ',
      '://',
      '@',
      ':',
      '=',
      'password',
      'token"',
      '{"payload":',
      'Bearer ',
    ],
    ...['\0', '\ud800', '🌍', 'town', '_lastdata', 'raw_historic', 'kafnus.rejected.', '{}', '[', ' '],
  ),
  fc.string({ unit: 'binary', maxLength: 8 }),
);
const text = fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(''));
const bytes = fc.oneof(
  text.map((value) => Buffer.from(value)),
  fc.uint8Array({ maxLength: 200 }).map((value) => Buffer.from(value)),
);
const header: fc.Arbitrary<RecordHeader> = fc
  .tuple(fc.oneof(fc.constantFrom(...known), text), fc.oneof(text, bytes))
  .map(([name, value]) => ({ [name]: value }));
const record: fc.Arbitrary<RawRecord> = fc.record({
  timestamp: fc.oneof(fc.integer(), fc.double()),
  value: fc.oneof(
    fc.constant(null),
    bytes,
    fc.jsonValue().map((value) => Buffer.from(JSON.stringify({ payload: value }))),
  ),
  headers: fc.array(header, { maxLength: 12 }),
});

describe('any dead letter', () => {
  test('is logged or refused, the same way each time; the log record is JSON within its limits', () => {
    let logs = 0;
    fc.assert(
      fc.property(record, (deadLetter) => {
        const decision = decide(deadLetter);
        expect(decide(deadLetter)).toEqual(decision);
        if (decision.kind !== 'emit') return expect(decision.kind).toBe('reject');
        logs += 1;
        const [output] = decision.outputs;
        const { error, query, timestamp } = JSON.parse(String(output?.value)).payload;
        expect(error.length).toBeGreaterThan(0);
        expect(error.length).toBeLessThan(4_100);
        expect(query === null || query.length < 8_100).toBe(true);
        expect(new Date(timestamp).toISOString()).toBe(timestamp);
        expect(error + String(query)).not.toMatch(/\0|[\ud800-\udfff]/u);
        expect(output?.topic).toMatch(/^[a-z0-9_]+_error_log$/);
      }),
      { numRuns: 2_000 },
    );
    expect(logs).toBeGreaterThan(500);
  });
});

/** The literals of a statement, as PostgreSQL would read them. */
function literalsOf(sql: string): string[] {
  const literals: string[] = [];
  mapLiterals(sql, (content) => {
    literals.push(content);
    return content;
  });
  return literals;
}

describe('a rebuilt statement', () => {
  const hostile = text.map((value) => value.replaceAll('\0', '')).filter((value) => maskCredentials(value) === value);

  test('is one INSERT whose literals are the values', () => {
    fc.assert(
      fc.property(fc.dictionary(hostile, hostile, { minKeys: 1, maxKeys: 6 }), hostile, (payload, table) => {
        fc.pre(table !== '');
        const deadLetter = {
          timestamp: 0,
          value: Buffer.from(JSON.stringify({ payload })),
          headers: [{ '__connect.errors.topic': 'town' }, { target_table: `town.${table}` }],
        };
        const sql = readFailure(names, deadLetter).query ?? '';
        const insert = findInsert(sql);
        expect(insert).toMatchObject({ start: 0, end: sql.length, schema: 'town' });
        expect(literalsOf(sql)).toEqual(['town', table, ...Object.keys(payload), ...Object.values(payload)]);
      }),
      { numRuns: 1_000 },
    );
  });

  test('is found again, whole, in a message', () => {
    fc.assert(
      fc.property(fc.array(hostile, { minLength: 1, maxLength: 6 }), fc.boolean(), (values, parenthesised) => {
        const literals = values.map((value) => `'${value.replaceAll("'", "''")}'`);
        const list = literals.map((literal) => (parenthesised ? `(${literal})` : literal)).join(',');
        const sql = `INSERT INTO "db"."town"."t" ("a") VALUES (${list}) ON CONFLICT ("a") DO UPDATE SET "a"=EXCLUDED."a"`;
        const message = `Exception chain:\nBatch entry 0 ${sql} was aborted: ERROR: boom\n  Detail: d`;
        const deadLetter = { timestamp: 0, value: null, headers: [{ '__connect.errors.exception.message': message }] };
        expect(readFailure(names, deadLetter)).toEqual({ db: 'town', error: 'ERROR: boom - Detail: d', query: sql });
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('credentials', () => {
  /** Marked, so that its remains are distinguishable from the text around it. */
  const secret = fc.stringMatching(/^[a-zA-Z0-9!$%()*+.~_-]{0,12}$/).map((rest) => `S3CR3T${rest}S3CR3T`);
  const unescaped = fc.stringMatching(/^[a-z/@:?#&=]{0,8}$/).map((rest) => `S3CR3T${rest}`);
  const around = text
    .filter((value) => !/["'\\`]|[\s\S]:\/\/|@/.test(value))
    .map((value) => value.replace(/[^ -~\n]/g, ''));

  const templates: readonly ((secret: string) => string)[] = [
    (s) => `jdbc:postgresql://user:${s}@host:5432/db`,
    (s) => `postgres://${s}:${s}@host/db`,
    (s) => `mongodb+srv://:${s}@a,b/db?x=y`,
    (s) => `jdbc:postgresql://host/db?user=u&password=${s}&ssl=true`,
    (s) => `password=${s}`,
    (s) => `{"connection.password": "${s}", "x": 1}`,
    (s) => `sasl.jaas.config=x required username="u" password="${s}";`,
    (s) => `client_secret=${s}`,
    (s) => `passwd='${s}'`,
  ];

  test('do not survive in error or query', () => {
    fc.assert(
      fc.property(around, secret, fc.constantFrom(...templates), around, (before, value, template, after) => {
        const leak = `${before} ${template(value)} ${after}`;
        const target = [{ '__connect.errors.topic': 'town' }, { target_table: 'town.t' }];
        const literal = `'${leak.replaceAll("'", "''")}'`;
        const failures = [
          readFailure(names, { timestamp: 0, value: null, headers: [{ '__connect.errors.exception.message': leak }] }),
          readFailure(names, {
            timestamp: 0,
            value: Buffer.from(JSON.stringify({ payload: { leak } })),
            headers: target,
          }),
          readFailure(names, { timestamp: 0, value: Buffer.from(JSON.stringify({ leak })), headers: target }),
          readFailure(names, { timestamp: 0, value: Buffer.from(leak), headers: target }),
          readFailure(names, {
            timestamp: 0,
            value: null,
            headers: [{ '__connect.errors.exception.message': `INSERT INTO town.t VALUES (${literal}) was aborted` }],
          }),
        ];
        for (const { error, query } of failures) expect(`${error} ${query ?? ''}`).not.toContain('S3CR3T');
      }),
      { numRuns: 1_000 },
    );
  });

  test('nor in a URL whose password was never escaped', () => {
    fc.assert(
      fc.property(unescaped, (value) => {
        expect(maskCredentials(`postgres://user:${value}@host/db`)).not.toContain('S3CR3T');
      }),
    );
  });
});

describe('a megabyte', () => {
  const size = 1_000_000;
  const fill = (unit: string) => unit.repeat(Math.ceil(size / unit.length));
  test.each(
    [
      ...[
        'x',
        ' ',
        '\n',
        "'",
        '(',
        '1,',
        '$',
        '$a$',
        '\\',
        '"',
        '`',
        '@',
        ':',
        '://',
        '://a:',
        '://a@',
        'a://b:c@d ',
        '\0',
        '🌍',
      ],
      ...[
        'INSERT INTO a VALUES (',
        "INSERT INTO a VALUES ('",
        'INSERT INTO a VALUES (1),(',
        "INSERT INTO a VALUES ('x') ON CONFLICT ",
      ],
      ...[
        'ERROR:',
        'ERROR: ',
        '_ERROR:',
        'ERROR: x\n',
        'Detail: ',
        '\nDetail:',
        '\nCaused by: ',
        'password',
        'password ',
        'password=',
        'password=password=',
      ],
      ...[
        'password="',
        "password='",
        'password=\\"',
        "token='' ",
        'bearer ',
        'Bearer  x',
        'authorization:basic ',
        'insert into ',
      ],
    ].map((unit) => [unit]),
  )('of %j takes no longer than its length', (unit) => {
    const message = Buffer.from(fill(unit));
    const deadLetter: RawRecord = {
      timestamp: 0,
      value: message,
      headers: [
        { '__connect.errors.exception.message': message },
        { '__connect.errors.exception.stacktrace': message },
        { '__connect.errors.topic': message },
        { target_table: message },
      ],
    };
    const start = performance.now();
    expect(decide(deadLetter).kind).toBe('emit');
    // Linear time is tens of milliseconds, and more on a busy machine; quadratic time is minutes.
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});
