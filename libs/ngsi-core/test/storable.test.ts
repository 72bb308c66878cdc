/** Values that PostgreSQL cannot store do not reach the sink that they would stop. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { recordWriter } from '../src/connect-record.js';
import { topicNames } from '../src/naming.js';
import { ngsiAgent } from '../src/ngsi-agent.js';
import type { NgsiConfig } from '../src/settings.js';
import { failureLogger } from '../src/sink-failure.js';
import type { Step } from '@kafnus/agent-contract';
import { columnNameProblem, jsonProblem, textProblem } from '../src/storable.js';

const config: NgsiConfig = {
  naming: 'default',
  topicPrefix: '',
  topicSuffix: '',
  inputTopic: '',
  outputTopic: '',
  deadLetterTopic: '',
  sink: 'debezium',
  dataModel: 'dm-by-entity-type-database',
  attributeErrors: 'report',
  tenants: '',
  defaultService: 'default',
  defaultServicepath: '/',
  maxOutputBytes: 1 << 25,
  rekey: 'auto',
  inputPartitioner: 'consistent',
};

function decide(entity: object, sink: NgsiConfig['sink'] = 'debezium', servicepath = '/p', service = 'svc'): Step {
  const profile = { name: 'historic', suffix: '', keyedByTimeInstant: false } as const;
  const agent = ngsiAgent(profile, { ...config, sink }, (subject) => subject.row(undefined));
  const value = Buffer.from(JSON.stringify({ data: [entity] }));
  const headers = [{ 'fiware-service': service }, { 'fiware-servicepath': servicepath }];
  return agent.decide({ timestamp: 1_700_000_000_123, value, headers }, new Map());
}

const column = (value: unknown, type = 'Text'): object => ({ type, value, metadata: {} });

describe('a value that cannot be stored', () => {
  const entity = {
    id: 'E',
    type: 'T',
    text: column('a\0b'),
    half: column('\ud800'),
    json: column(['\0'], 'json'),
    whole: column('\u{1F333}'),
  };

  test('is null, and reported; the others are written', () => {
    const decision = decide(entity);
    if (decision.kind !== 'emit') throw new Error(decision.kind);
    const { payload } = JSON.parse(String(decision.outputs[0]?.value)) as { payload: object };
    expect(payload).toMatchObject({ text: null, half: null, json: null, whole: '\u{1F333}' });
    expect(decision.reports?.map(({ code }) => code)).toEqual(['text-invalid', 'text-invalid', 'text-invalid']);
  });

  test('goes as it is to sinks that report what they cannot write', () => {
    expect(decide(entity, 'kafnus')).not.toHaveProperty('reports');
  });
});

test.each(['', 'a"b', 'a\0b', '\ud800', 'XMIN', 'x'.repeat(64), 'ñ'.repeat(32)])(
  'an attribute called %j is left out, and reported',
  (name) => {
    const decision = decide({ id: 'E', type: 'T', [name]: column(1), n: column(2) });
    if (decision.kind !== 'emit') throw new Error(decision.kind);
    const { schema, payload } = JSON.parse(String(decision.outputs[0]?.value)) as {
      schema: { fields: { field: string }[] };
      payload: object;
    };
    expect(schema.fields.map(({ field }) => field)).toEqual([
      'entityid',
      'entitytype',
      'fiwareservicepath',
      'n',
      'recvtime',
    ]);
    expect(payload).not.toHaveProperty([name]);
    expect(decision.reports).toMatchObject([{ code: 'name-invalid' }]);
  },
);

test.each(['x'.repeat(63), 'ñ'.repeat(31), "it's", 'a b', '温度'])('an attribute may be called %j', (name) => {
  expect(decide({ id: 'E', type: 'T', [name]: column(1) })).not.toHaveProperty('reports');
});

test.each([
  [{ id: 'E\0', type: 'T' }, '/p', 'text-unstorable'],
  [{ id: 'E', type: '\udc00' }, '/p', 'text-unstorable'],
  [{ id: 'E', type: 'T' }, '/\0', 'text-unstorable'],
  [{ id: 'E', type: 'T'.repeat(62) }, '/p', 'table-name-invalid'],
])('%j of %j is refused: %s', (entity, servicepath, code) => {
  expect(decide(entity, 'debezium', servicepath)).toMatchObject({ kind: 'reject', rejections: [{ code }] });
  expect(decide(entity, 'kafnus', servicepath)).toMatchObject({ kind: 'emit' });
});

test('a schema that PostgreSQL keeps for itself is refused', () => {
  expect(decide({ id: 'E', type: 'T' }, 'debezium', '/p', 'pg_city')).toMatchObject({
    kind: 'reject',
    rejections: [{ code: 'table-name-invalid' }],
  });
});

test('the longest name of a table is kept', () => {
  expect(decide({ id: 'E', type: 'T'.repeat(61) })).toMatchObject({ kind: 'emit' });
});

test('a date before those of PostgreSQL is null, and reported', () => {
  const decision = decide({
    id: 'E',
    type: 'T',
    first: column('-004713-11-24', 'DateTime'),
    d: column('-010000-01-01', 'DateTime'),
  });
  if (decision.kind !== 'emit') throw new Error(decision.kind);
  const { payload } = JSON.parse(String(decision.outputs[0]?.value)) as { payload: object };
  expect(payload).toMatchObject({ first: -210_866_803_200_000, d: null });
  expect(decision.reports).toMatchObject([{ code: 'date-invalid' }]);
});

test.each([
  ['2026-05-01T10:00:00+18:00', '2026-05-01T10:00:00+18:00'],
  // java.time ends there.
  ['2026-05-01T10:00:00-18:01', '2026-05-02T04:01:00.000Z'],
  ['2026-05-01T10:00:00+19:00', '2026-04-30T15:00:00.000Z'],
  ['-010000-01-01T00:00:00Z', undefined],
])('the TimeInstant %s is written as %s', (received, written) => {
  expect(recordWriter('debezium').instantText(received)).toBe(written);
});

test('the errors agent logs for no service that can have no table', () => {
  const names = topicNames({ naming: 'default', prefix: '', suffix: '', agent: 'errors' });
  const record = { timestamp: 1, value: null, headers: [{ '__connect.errors.topic': 'pg_city' }] };
  const logged = (sink: NgsiConfig['sink']): Step => failureLogger({ names, sink, tenants: undefined })(record);
  expect(logged('debezium')).toMatchObject({ kind: 'reject', rejections: [{ code: 'service-invalid' }] });
  expect(logged('kafnus')).toMatchObject({ kind: 'emit', tenant: 'pg_city' });
});

describe('the text of a JSON value tells what is in it', () => {
  const anything = fc.jsonValue({ maxDepth: 3 }).chain((value) => fc.constantFrom(value, { nested: [value] }));
  const strings = fc.string({ unit: fc.constantFrom('\0', '\\', 'u0000', '"', '\ud800', '\udc00', 'x', '\n') });

  test.each([['any JSON', anything] as const, ['hostile strings', strings] as const])('%s', (_name, values) => {
    fc.assert(
      fc.property(values, (value) => {
        const unfit: boolean[] = [];
        JSON.stringify(value, (key, member: unknown) => {
          unfit.push(
            textProblem(key) !== undefined || (typeof member === 'string' && textProblem(member) !== undefined),
          );
          return member;
        });
        expect(jsonProblem(JSON.stringify(value)) !== undefined).toBe(unfit.includes(true));
      }),
    );
  });
});

test('a name is a problem or short enough, and has no quote', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (name) => {
      const fits =
        name !== '' &&
        !/^([cx]m(in|ax)|ctid|tableoid)$/.test(name) &&
        Buffer.byteLength(name) <= 63 &&
        !/["\0]/.test(name);
      expect(columnNameProblem(name) === undefined).toBe(fits && textProblem(name) === undefined);
    }),
  );
});
