import { describe, expect, test } from '@jest/globals';

import { agent } from '../src/agent.js';
import {
  differences,
  kafnusSettings,
  recordOf,
  vectorsOf,
  type Vector,
} from '../../../libs/ngsi-core/test/golden/vectors.js';

const { decide } = agent.configure(kafnusSettings);
const noState = { get: () => undefined };

/** Kafnus's log records have the time of logging, ours the timestamp of the record. */
const vectors = vectorsOf('errors').map((vector): Vector => ({
  ...vector,
  out: vector.out.map((out) => ({
    ...out,
    value: out.value?.replaceAll('<NOW>', new Date(recordOf(vector).timestamp).toISOString()) ?? null,
  })),
}));

function decisionOf(vector: Vector) {
  const decision = decide(recordOf(vector), noState);
  // The agent is called as the runtime calls it.
  return decision;
}

function logOf(vector: Vector): { db: string; error: string; query: string | null } {
  const decision = decisionOf(vector);
  if (decision.kind !== 'emit') throw new Error(`not logged: ${JSON.stringify(decision)}`);
  const { topic, value } = decision.outputs[0] ?? {};
  const { error, query } = JSON.parse(String(value)).payload;
  return { db: /^smc_(.*)_error_log_processed$/.exec(topic ?? '')?.[1] ?? '', error, query };
}

const statement = (schema: string, table = 'access_errors') =>
  `INSERT INTO "${schema}"."${table}" ("entityid","entitytype","fiwareservicepath","timeinstant","averagestay","status","on","gone","recvtime") VALUES ('NPO-test','Errors','/access','2025-05-05T11:35:00.000Z',16,'o''clock',true,NULL,'2025-06-26T11:00:00.500Z')`;
const inserted = (values: string) =>
  `INSERT INTO "tests"."test"."access_errors" ("entityid","timeinstant","entitytype","fiwareservicepath","averagestay","status","recvtime") VALUES (${values})`;
const duplicate =
  'ERROR: duplicate key value violates unique constraint "access_errors_pkey" - Detail: Key (timeinstant, entityid)=(2025-05-05 11:35:00+00, NPO-test) already exists.  Call getNextException to see other errors in the batch.';
/** Kafnus takes the table only from the message; ours also from the headers (SPEC 7). */
const sameError = (vector: Vector): string => JSON.parse(vector.out[0]?.value ?? '').payload.error;

/** Our correct log record for each vector that shows a fault of Kafnus, by the kind of fault. */
const faults: Readonly<Record<string, (vector: Vector) => { db: string; error: string; query: string | null }>> = {
  // The query ends at the first `)`.
  'err/dup-new-driver': () => ({
    db: 'test',
    error: duplicate,
    query: inserted(
      `('NPO-test'),('2025-05-05 11:35:00+00'),('Errors'),('/access'),('16'::double precision),('open'),('2025-06-26 11:00:00.5+00')`,
    ),
  }),
  'err/paren-in-value': () => ({
    db: 'test',
    error: duplicate,
    query: inserted(`'NPO (test)','2025-05-05 11:35:00+00','Errors','/access','16','open','x'`),
  }),
  'err/paren-in-function': () => ({
    db: 'test',
    error: duplicate,
    query: inserted(`'a',ST_GeomFromText('POINT(1 2)'),'b'`),
  }),

  // The rebuilt query names a table "unknown_table".
  ...Object.fromEntries(
    [
      ...['missing-relation', 'missing-column', 'pk-fields', 'error-lowercase', 'fatal', 'multiline', 'unicode'],
      ...['message-null', 'cause-no-message', 'len-4001', 'len-9000', 'len-accents', 'topic-no-prefix'],
      // The severity is in French: no `ERROR:`, so the whole message stays.
      'error-localized',
    ].map((name) => [
      `err/${name}`,
      (vector: Vector) => ({ db: 'test', error: sameError(vector), query: statement('test') }),
    ]),
  ),
  'err/len-fallback-9000': () => {
    const start = `INSERT INTO "test"."access_errors" ("a") VALUES ('`;
    return {
      db: 'test',
      error: 'ERROR: x',
      query: `${start}${'f'.repeat(8_000 - start.length)}... [truncated 1052 chars]`,
    };
  },
  'err/topic-sgtr': () => ({ db: 'sgtr', error: 'ERROR: boom', query: statement('sgtr') }),
  'err/topic-sgtr-svc': () => ({ db: 'test_sgtr', error: 'ERROR: boom', query: statement('test_sgtr') }),
  'err/topic-svc-under': () => ({ db: 'my_svc', error: 'ERROR: boom', query: statement('my_svc') }),

  // The name of the service is cut at `_http`, not at all, or empty.
  'err/topic-svc-http': () => ({ db: 'a_http_b', error: 'ERROR: boom', query: statement('a_http_b') }),
  'err/topic-errorlog': () => ({ db: 'test', error: 'ERROR: boom', query: statement('test') }),
  'err/topic-prefix': () => ({ db: 'test', error: 'ERROR: boom', query: statement('test') }),
  'err/headers-none': (vector) => ({ db: 'default', error: 'Unknown error', query: vector.in.value }),
  'err/headers-fiware-only': (vector) => ({ db: 'test', error: 'Unknown error', query: vector.in.value }),

  // Error and detail of two errors; the text on the next line; half a character at the cut.
  'err/two-errors': () => ({ db: 'test', error: 'ERROR: one', query: statement('test') }),
  'err/error-empty': () => ({ db: 'test', error: 'ERROR: next', query: statement('test') }),
  'err/len-emoji-boundary': () => ({
    db: 'test',
    error: `${'x'.repeat(3_999)}... [truncated 22 chars]`,
    query: statement('test'),
  }),

  // Objects as `[object Object]`, arrays without brackets, text and arrays as rows.
  'err/values': () => ({
    db: 'test',
    error: 'ERROR: x',
    query: `INSERT INTO "test"."access_errors" ("s","n","i","t","z","o","arr","geo","empty","big") VALUES ('it''s "q"',1.5,3,true,NULL,'{"a":1}','[1,[2]]',ST_GeomFromWKB(decode('AQE=','base64'),4326),'',1e+21)`,
  }),
  'err/geo-value': () => ({
    db: 'test',
    error: 'Unsupported type geometry',
    query: `INSERT INTO "test"."access_errors" ("entityid","loc") VALUES ('E1','{"type":"Feature","geometry":null}')`,
  }),
  'err/payload-string': () => ({ db: 'test', error: 'ERROR: x', query: '{"payload":"abc"}' }),
  'err/payload-array': () => ({ db: 'test', error: 'ERROR: x', query: '{"payload":[1,"a"]}' }),

  // The error is lost.
  'err/value-false': () => ({ db: 'test', error: 'ERROR: x', query: 'false' }),
  'err/value-invalid-json': () => ({
    db: 'test',
    error: 'Converting byte[] to Kafka Connect data failed due to serialization error: ',
    query: '"{\\"schema\\":"',
  }),
  'err/value-empty': () => ({ db: 'test', error: 'ERROR: x', query: null }),
  'err/value-tombstone': () => ({ db: 'test', error: 'ERROR: relation "t" does not exist', query: null }),
};

/** Vectors whose results differ on purpose (SPEC 9). */
const departures: Readonly<Record<string, { why: string; code: string }>> = {
  'err/topic-dash': { why: 'service names are checked: my-svc is none', code: 'service-invalid' },
};

describe('what Kafnus 1.5 sends for a dead letter', () => {
  test('there are 49 vectors, and each is compared, corrected or left out by name', () => {
    expect(vectors).toHaveLength(49);
    const ids = new Set(vectors.map(({ id }) => id));
    for (const id of [...Object.keys(faults), ...Object.keys(departures)]) expect(ids).toContain(id);
    const handled = vectors.filter(({ id, bugs }) => id in faults || id in departures || bugs === undefined);
    expect(handled).toHaveLength(49);
  });

  test.each(
    vectors.filter(({ id }) => !(id in faults) && !(id in departures)).map((vector) => [vector.id, vector] as const),
  )('the same: %s', (_, vector) => {
    expect(differences(vector, decisionOf(vector))).toEqual([]);
  });

  test.each(vectors.filter(({ id }) => id in faults).map((vector) => [vector.id, vector.bugs, vector] as const))(
    'put right: %s (%j)',
    (id, bugs, vector) => {
      expect(bugs).not.toBeUndefined();
      expect(logOf(vector)).toEqual(faults[id]?.(vector));
    },
  );

  test.each(vectors.filter(({ id }) => id in departures).map((vector) => [vector.id, vector] as const))(
    'left out: %s',
    (id, vector) => {
      expect(decisionOf(vector)).toMatchObject({ kind: 'reject', rejections: [{ code: departures[id]?.code }] });
    },
  );
});
