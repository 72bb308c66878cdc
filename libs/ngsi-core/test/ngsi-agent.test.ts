import { describe, expect, test } from '@jest/globals';
import { ngsiAgent, skip, type EntityRule } from '../src/ngsi-agent.js';
import type { NgsiConfig } from '../src/settings.js';
import type { RecordHeader, Step } from '@kafnus/agent-contract';
import type { RawRecord } from '../src/rejection.js';

const config: NgsiConfig = {
  naming: 'default',
  topicPrefix: '',
  topicSuffix: '',
  inputTopic: '',
  outputTopic: '',
  deadLetterTopic: '',
  sink: 'kafnus',
  dataModel: 'dm-by-entity-type-database',
  attributeErrors: 'report',
  tenants: '',
  defaultService: 'default',
  defaultServicepath: '/',
  rekey: 'auto',
  inputPartitioner: 'consistent',
  maxOutputBytes: 1 << 25,
};
const profile = { name: 'historic', suffix: '', keyedByTimeInstant: false } as const;
const everything: EntityRule = (subject) => subject.row(undefined);
const svc: readonly RecordHeader[] = [{ 'fiware-service': 'svc' }];

function decide(
  value: unknown,
  options: { config?: Partial<NgsiConfig>; rule?: EntityRule; record?: Partial<RawRecord> } = {},
): Step {
  const bytes = typeof value === 'string' ? value : JSON.stringify(value);
  const record = { timestamp: 1_700_000_000_123, value: Buffer.from(bytes), headers: svc, ...options.record };
  return ngsiAgent(profile, { ...config, ...options.config }, options.rule ?? everything).decide(record, new Map());
}

const entities = (...data: unknown[]): unknown => ({ data });
const bad = { id: 'BAD', d: { type: 'DateTime', value: 'never' } };

describe('one decision of many', () => {
  test('an output per entity, in their order, with the time of the record', () => {
    const decision = decide(entities({ id: 'E1' }, { id: 'E2' }));
    expect(decision).toMatchObject({ kind: 'emit', tenant: 'svc', outputs: [{ timestamp: 1_700_000_000_123 }, {}] });
    const values = decision.kind === 'emit' ? decision.outputs.map(({ value }) => value) : [];
    expect(values[0]).toContain('"entityid":"E1"');
    expect(values[0]).toContain('"recvtime":"2023-11-14T22:13:20.123Z"');
    expect(values[1]).toContain('"entityid":"E2"');
    expect(decision).not.toHaveProperty('reports');
    expect(decision).not.toHaveProperty('skipped');
    expect(decision).not.toHaveProperty('puts');
  });

  test('no entities: a skip', () =>
    expect(decide(entities())).toEqual({ kind: 'skip', tenant: 'svc', reason: 'empty' }));

  test('refused entities are reported beside those that go out', () => {
    expect(decide(entities(5, { id: 'E1' }, { id: '' }))).toMatchObject({
      kind: 'emit',
      outputs: [{}],
      reports: [{ code: 'entity-invalid' }, { code: 'entity-id-invalid' }],
    });
  });

  test('nothing goes out and something was refused: a reject that names all', () => {
    expect(decide(entities(5, {}))).toMatchObject({
      kind: 'reject',
      rejections: [{ code: 'entity-invalid' }, { code: 'entity-id-invalid' }],
    });
  });

  test('a reject weighs more than a skip', () => {
    const rule: EntityRule = () => skip('stale');
    expect(decide(entities({ id: 'E1' }, 5), { rule })).toMatchObject({
      kind: 'reject',
      rejections: [{ code: 'entity-invalid' }],
    });
    expect(decide(entities({ id: 'E1' }, { id: 'E2' }), { rule })).toMatchObject({ kind: 'skip', reason: 'stale' });
  });

  test('what was left out on purpose is counted', () => {
    const rule: EntityRule = (subject) => (subject.entity.id === 'E1' ? skip('stale') : subject.row(undefined));
    expect(decide(entities({ id: 'E1' }, { id: 'E2' }, { id: 'E1' }), { rule })).toMatchObject({
      kind: 'emit',
      skipped: ['stale', 'stale'],
    });
  });

  test('a rule sees what it put for the entities before', () => {
    const seen: (number | undefined)[] = [];
    const rule: EntityRule = (subject, memory) => {
      seen.push(memory.get('key'));
      const outcome = subject.row(undefined);
      return outcome.kind === 'emit' ? { ...outcome, put: { key: 'key', value: seen.length } } : outcome;
    };
    expect(decide(entities({ id: 'E1' }, { id: 'E1' }), { rule })).toMatchObject({
      puts: [{ value: 1 }, { value: 2 }],
    });
    expect(seen).toEqual([undefined, 1]);
  });
});

describe('attributeErrors', () => {
  test('report: the row goes out with a null, and the record is reported', () => {
    const decision = decide(entities(bad));
    expect(decision).toMatchObject({ kind: 'emit', reports: [{ code: 'date-invalid' }] });
    expect(decision.kind === 'emit' && decision.reports?.[0]?.message).toMatch(
      /^Entity "BAD", attribute "d": "never" is no ISO 8601 date/,
    );
    expect(decision.kind === 'emit' && decision.outputs[0]?.value).toContain('"d":null');
  });

  test('reject: no row of that entity', () => {
    const strict = { config: { attributeErrors: 'reject' } } as const;
    expect(decide(entities(bad), strict)).toMatchObject({ kind: 'reject', rejections: [{ code: 'date-invalid' }] });
    expect(decide(entities(bad, { id: 'E1' }), strict)).toMatchObject({
      kind: 'emit',
      outputs: [{}],
      reports: [{ code: 'date-invalid' }],
    });
  });
});

describe('tenants', () => {
  test('others than the allowed ones are skipped, whatever they send', () => {
    const options = { config: { tenants: ' Other, town ' } };
    expect(decide(entities({ id: 'E1' }), options)).toEqual({
      kind: 'skip',
      tenant: 'svc',
      reason: 'tenant-not-allowed',
    });
    expect(decide('not json', options)).toMatchObject({ kind: 'skip' });
    expect(
      decide(entities({ id: 'E1' }), { ...options, record: { headers: [{ 'fiware-service': 'TOWN' }] } }),
    ).toMatchObject({ kind: 'emit', tenant: 'town' });
  });

  test('a service that is no name is rejected under one label, before anything is read', () => {
    const record = { headers: [{ 'fiware-service': 'my-svc' }], value: null };
    expect(decide('', { record })).toMatchObject({
      kind: 'reject',
      tenant: '_invalid',
      rejections: [{ code: 'service-invalid' }],
    });
  });

  test('the tenant is known of what is no notification', () => {
    expect(decide('not json')).toMatchObject({ kind: 'reject', tenant: 'svc', rejections: [{ code: 'not-json' }] });
    expect(decide('not json', { record: { headers: [] } })).toMatchObject({ kind: 'reject', tenant: 'default' });
  });

  test('without headers the message tells the tenant', () => {
    const message = { 'fiware-service': 'Body', data: [{ id: 'E1' }] };
    expect(decide(message, { record: { headers: [] } })).toMatchObject({
      kind: 'emit',
      tenant: 'body',
      outputs: [{ topic: 'body' }],
    });
  });

  test('the defaults are settings', () => {
    const defaults = { defaultService: 'Home', defaultServicepath: 'Floor' };
    const decision = decide(entities({ id: 'E1' }), { config: defaults, record: { headers: [] } });
    expect(decision).toMatchObject({ kind: 'emit', tenant: 'home', outputs: [{ topic: 'home' }] });
    expect(decision.kind === 'emit' && decision.outputs[0]?.value).toContain('"fiwareservicepath":"/floor"');
  });
});

test.each([-1, NaN, 8.64e15 + 1])('a record without a usable timestamp (%d) is rejected', (timestamp) => {
  expect(decide(entities({ id: 'E1' }), { record: { timestamp } })).toMatchObject({
    kind: 'reject',
    rejections: [{ code: 'timestamp-invalid' }],
  });
});

test.each([0, 999, 1000, 1_700_000_000_009, 1_700_000_000_099, 1_699_999_999_999, 8.64e15])(
  'recvtime of %d is what Date writes',
  (timestamp) => {
    const decision = decide(entities({ id: 'E1' }), { record: { timestamp } });
    expect(decision.kind === 'emit' && decision.outputs[0]?.value).toContain(
      `"recvtime":"${new Date(timestamp).toISOString()}"`,
    );
  },
);

describe('settings that do not fit together stop the start', () => {
  test.each<[Partial<NgsiConfig>, string]>([
    [{ tenants: 'town, my-svc' }, 'tenants (KAFNUS_TENANTS)'],
    [{ defaultService: 'my-svc' }, 'defaultService (KAFNUS_DEFAULT_SERVICE)'],
    [{ outputTopic: 'same-for-all' }, 'outputTopic (KAFNUS_OUTPUT_TOPIC)'],
  ])('%j names %s', (wrong, key) => expect(() => ngsiAgent(profile, { ...config, ...wrong }, everything)).toThrow(key));
});

test('topics by the naming', () => {
  const { inputTopic, deadLetterTopic } = ngsiAgent(profile, { ...config, topicPrefix: 'smc_' }, everything);
  expect({ inputTopic, deadLetterTopic }).toEqual({
    inputTopic: 'smc_raw_historic',
    deadLetterTopic: 'smc_raw_errors',
  });
});
