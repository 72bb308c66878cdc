/** The size of the output of one record is bounded, and checked before the output is made. */
import { describe, expect, test } from '@jest/globals';
import v8 from 'node:v8';
import vm from 'node:vm';
import fc from 'fast-check';
import { ngsiAgent, type EntityRule } from '../src/ngsi-agent.js';
import { outputSize } from '../src/output-size.js';
import { versionSettings, type VersionConfig } from '../src/settings.js';
import type { RecordHeader, Step } from '@kafnus/agent-contract';
import { versions } from '../src/versions.js';

const defaults = Object.fromEntries(
  Object.entries(versionSettings).map(([key, setting]) => [key, setting.default]),
) as unknown as VersionConfig;
const config: VersionConfig = { ...defaults, missingTimeInstant: 'record-timestamp' };
const profile = { name: 'historic', suffix: '', keyedByTimeInstant: true } as const;
const city: readonly RecordHeader[] = [{ 'fiware-service': 'city' }, { 'fiware-servicepath': '/air' }];

function decide(
  data: readonly unknown[],
  headers: readonly RecordHeader[] = city,
  changes: Partial<VersionConfig> = {},
  rule: EntityRule = versions(config),
): Step {
  const value = Buffer.from(JSON.stringify({ data }));
  return ngsiAgent(profile, { ...config, ...changes }, rule).decide({ timestamp: 0, value, headers }, new Map());
}

function entities(count: number): object[] {
  return Array.from({ length: count }, (_, place) => ({ id: `${place}` }));
}

function codesOf(decision: Step): readonly string[] {
  return decision.kind === 'reject' ? decision.rejections.map(({ code }) => code) : [];
}

describe('a header that each output would carry', () => {
  test.each([
    ['fiware-servicepath', 512],
    ['fiware-correlator', 512],
    ['fiware-datamodel', 256],
  ])('%s may have %d characters; a longer one refuses the record, with the limit in the message', (name, most) => {
    const headers = (length: number): RecordHeader[] => [
      { 'fiware-service': 'city' },
      { [name]: '/'.padEnd(length, 'x') },
    ];
    expect(decide(entities(2), headers(most)).kind).toBe('emit');
    const decision = decide(entities(2), headers(most + 1));
    expect(decision).toMatchObject({ kind: 'reject', tenant: 'city', rejections: [{ code: 'header-too-long' }] });
    expect(JSON.stringify(decision)).toContain(`${name} is `);
    expect(JSON.stringify(decision)).toContain(`may have ${most} characters`);
  });

  test('is bounded where the message names it, too', () => {
    const value = Buffer.from(JSON.stringify({ data: entities(2), 'fiware-correlator': 'x'.repeat(600) }));
    const decision = ngsiAgent(profile, config, versions(config)).decide(
      { timestamp: 0, value, headers: [] },
      new Map(),
    );
    expect(codesOf(decision)).toEqual(['header-too-long']);
  });

  test('is measured before it is lower-cased, sanitised or remembered', () => {
    // The service is illegal as well, but that is checked later, with the scope.
    const headers = [{ 'fiware-service': 'no-name' }, { 'fiware-servicepath': '-'.repeat(513) }];
    expect(decide(entities(1), headers)).toMatchObject({
      kind: 'reject',
      tenant: '_invalid',
      rejections: [{ code: 'header-too-long' }],
    });
  });

  test('of a tenant that is not allowed is skipped like all that the tenant sends', () => {
    const skipped = { kind: 'skip', tenant: 'city', reason: 'tenant-not-allowed' };
    const headers = [{ 'fiware-service': 'City' }, { 'fiware-servicepath': '-'.repeat(513) }];
    expect(decide(entities(1), headers, { tenants: 'town' })).toEqual(skipped);
    // This data model has no table for the root, but that is checked later as well.
    const root = [{ 'fiware-service': 'city' }, { 'fiware-datamodel': 'dm-by-entity-type-database-schema' }];
    expect(decide(entities(1), root, { tenants: 'town' })).toEqual(skipped);
    expect(codesOf(decide(entities(1), root, { tenants: 'city' }))).toEqual(['servicepath-missing']);
    const illegal = decide(entities(1), [{ 'fiware-service': 'no-name' }], { tenants: 'town' });
    expect(codesOf(illegal)).toEqual(['service-invalid']);
  });

  test('of 250 KB and 8,000 entities take no time and no memory', () => {
    const long = 'x'.repeat(250_000);
    const before = process.memoryUsage().heapUsed;
    const cpu = process.cpuUsage();
    for (const name of ['fiware-servicepath', 'fiware-correlator', 'fiware-datamodel', 'fiware-service']) {
      expect(decide(entities(8000), [{ 'fiware-service': 'city' }, { [name]: long }]).kind).toBe('reject');
    }
    expect(process.cpuUsage(cpu).user).toBeLessThan(1_000_000);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(100 << 20);
  });
});

describe('the outputs of one record', () => {
  test('are refused together when they are larger than the setting, which the message names', () => {
    const decision = decide(entities(100), city, { maxOutputBytes: 10_000 });
    expect(decision).toMatchObject({ kind: 'reject', tenant: 'city', rejections: [{ code: 'output-too-large' }] });
    expect(JSON.stringify(decision)).toContain('KAFNUS_MAX_OUTPUT_BYTES');
  });

  test('are not made beyond it', () => {
    let made = 0;
    const counting: EntityRule = (subject, memory) => {
      made += 1;
      return versions(config)(subject, memory);
    };
    expect(decide(entities(50_000), city, { maxOutputBytes: 100_000 }, counting).kind).toBe('reject');
    expect(made).toBeLessThan(200);
  });

  test('may be as large as the setting, to the last character', () => {
    const decision = decide(entities(50));
    const size = decision.kind === 'emit' ? decision.outputs.reduce((sum, output) => sum + outputSize(output), 0) : 0;
    expect(decide(entities(50), city, { maxOutputBytes: size })).toEqual(decision);
    expect(codesOf(decide(entities(50), city, { maxOutputBytes: size - 1 }))).toEqual(['output-too-large']);
  });

  test('of a single entity are bounded by what a record may have', () => {
    expect(decide(entities(1), city, { maxOutputBytes: 1 }).kind).toBe('emit');
  });

  test('count reports as well: a hundred thousand of them are no smaller than rows', () => {
    const broken = entities(2000).map((entity) => ({ ...entity, a: 1, b: 2 }));
    expect(codesOf(decide(broken, city, { maxOutputBytes: 100_000 }))).toEqual(['output-too-large']);
    const refused = Array.from({ length: 2000 }, () => ({ id: 7 }));
    expect(codesOf(decide(refused, city, { maxOutputBytes: 10_000 }))).toEqual(['output-too-large']);
    // Their messages are much shorter than their size in memory.
    expect(codesOf(decide(refused, city, { maxOutputBytes: 400_000 }))).toEqual(['output-too-large']);
  });

  test('end the reading: of two million elements that are no entities most are never looked at', () => {
    const value = Buffer.from(`{"data":[${'1,'.repeat(2_000_000)}1]}`);
    for (const headers of [city, []]) {
      const cpu = process.cpuUsage();
      const decision = ngsiAgent(profile, config, versions(config)).decide({ timestamp: 0, value, headers }, new Map());
      const { user, system } = process.cpuUsage(cpu);
      expect(codesOf(decision)).toEqual(['output-too-large']);
      expect(user + system).toBeLessThan(1_000_000);
    }
  });

  test('whatever the entities and headers are, stay within the setting', () => {
    const text = fc.oneof(fc.string({ maxLength: 20 }), fc.string({ minLength: 300, maxLength: 900 }));
    const attributes = fc.dictionary(text, fc.oneof(fc.record({ value: fc.jsonValue() }), fc.jsonValue()), {
      maxKeys: 5,
    });
    const entity = fc.tuple(text, text, attributes).map(([id, type, rest]) => ({ ...rest, id, type }));
    const headers = fc
      .record({ path: text, correlator: text, model: text })
      .map(({ path, correlator, model }): RecordHeader[] => [
        { 'fiware-servicepath': path },
        { 'fiware-correlator': correlator },
        { 'fiware-datamodel': model },
      ]);
    fc.assert(
      fc.property(fc.array(entity, { minLength: 2, maxLength: 20 }), headers, (data, list) => {
        const decision = decide(data, list, { maxOutputBytes: 20_000 });
        const outputs = decision.kind === 'emit' ? decision.outputs : [];
        expect(outputs.reduce((sum, output) => sum + outputSize(output), 0)).toBeLessThanOrEqual(20_000);
      }),
    );
  });
});

describe('one entity', () => {
  const withAttributes = (count: number, rest: object = {}): object => ({
    id: 'e',
    type: 'T',
    TimeInstant: { type: 'DateTime', value: '2025-01-02T03:04:05.678Z' },
    ...Object.fromEntries(Array.from({ length: count }, (_, place) => [`a${place}`, null])),
    ...rest,
  });

  test('has as many attributes as a table has columns beside the base columns, and no more', () => {
    const decision = decide([withAttributes(1595)]);
    const [output] = decision.kind === 'emit' ? decision.outputs : [];
    const { schema } = JSON.parse(String(output?.value)) as { schema: { fields: unknown[] } };
    expect(schema.fields).toHaveLength(1600);
    const refused = decide([withAttributes(1596)]);
    expect(codesOf(refused)).toEqual(['attributes-too-many']);
    expect(JSON.stringify(refused)).toContain('has 1596 attributes');
    expect(codesOf(decide([withAttributes(1595, { TimeInstant: undefined, type: undefined, x: null })]))).toEqual([
      'attributes-too-many',
    ]);
  });

  test('with half a million attributes makes no cell', () => {
    const value = Buffer.from(JSON.stringify({ data: [withAttributes(300_000)] }));
    const cpu = process.cpuUsage();
    const decision = ngsiAgent(profile, config, versions(config)).decide(
      { timestamp: 0, value, headers: city },
      new Map(),
    );
    expect(codesOf(decision)).toEqual(['attributes-too-many']);
    const { user, system } = process.cpuUsage(cpu);
    expect(user + system).toBeLessThan(1_000_000);
  });

  test.each([
    ['id', 'entity-id-invalid'],
    ['type', 'entity-type-invalid'],
  ])('has an %s of 2,600 bytes at most, also when a template reads it', (member, code) => {
    const agent = ngsiAgent(profile, config, versions(config));
    const reading = (text: string): Step => {
      const value = Buffer.from(JSON.stringify({ data: [{ id: 'e', type: 'T', [member]: text, a: { value: 1 } }] }));
      return agent.decide({ timestamp: 0, value, headers: city }, new Map());
    };
    // The first ones are parsed; the others match a template.
    for (let time = 0; time < 40; time += 1) {
      expect(reading('é'.repeat(1300)).kind).toBe('emit');
      expect(reading('short').kind).toBe('emit');
      expect(codesOf(reading(`${'é'.repeat(1300)}x`))).toEqual([code]);
    }
  });
});

describe('what is remembered of entities', () => {
  test('is bounded in bytes: many types with many large shapes take no more than few', () => {
    v8.setFlagsFromString('--expose-gc');
    const collect = vm.runInNewContext('gc') as () => void;
    const agent = ngsiAgent(profile, config, versions(config));
    const used = (): number => {
      collect();
      return process.memoryUsage().heapUsed;
    };
    const before = used();
    for (let type = 0; type < 300; type += 1) {
      for (let shape = 0; shape < 16; shape += 1) {
        const attributes = Array.from({ length: 200 }, (_, place) => [`a${type}_${shape}_${place}`, null] as const);
        const value = Buffer.from(
          JSON.stringify({ data: [{ id: 'e', type: `T${type}`, ...Object.fromEntries(attributes) }] }),
        );
        agent.decide({ timestamp: 0, value, headers: city }, new Map());
      }
    }
    expect(used() - before).toBeLessThan(60 << 20);
    expect(agent.deadLetterTopic).not.toBe('');
  });
});

describe('what is nested deeper than the stack', () => {
  const deep = (open: string, close: string, levels: number, inner = ''): string =>
    open.repeat(levels) + inner + close.repeat(levels);
  const geometry = (levels: number): string =>
    deep('{"type":"GeometryCollection","geometries":[', ']}', levels, '{"type":"Point","coordinates":[1,1]}');

  test.each<[string, string]>([
    ['a JSON value of arrays', `{"type":"json","value":${deep('[', ']', 60_000)}}`],
    ['a JSON value of objects', `{"type":"json","value":${deep('{"a":', '}', 60_000, '1')}}`],
    ['an array', `{"value":${deep('[', ']', 60_000)}}`],
    ['a geometry', `{"type":"geo:json","value":${geometry(20_000)}}`],
    ['coordinates', `{"type":"geo:json","value":{"type":"MultiPolygon","coordinates":${deep('[', ']', 60_000)}}}`],
    ['a line', `{"type":"geo:line","value":${deep('[', ']', 60_000)}}`],
    ['an attribute', deep('[', ']', 60_000)],
    ['metadata', `{"value":1,"metadata":${deep('{"a":', '}', 60_000, '1')}}`],
  ])('is a report or nothing at all: %s', (_what, attribute) => {
    const value = Buffer.from(`{"data":[{"id":"e","type":"T","a":${attribute}}]}`);
    for (const sink of ['kafnus', 'debezium'] as const) {
      const agent = ngsiAgent(profile, { ...config, sink }, versions(config));
      // Often enough that a template is attempted.
      for (let time = 0; time < 40; time += 1) {
        expect(agent.decide({ timestamp: 0, value, headers: city }, new Map()).kind).toBe('emit');
      }
    }
  });

  test.each([deep('[', ']', 500_000), deep('{"a":', '}', 60_000, '1'), deep('{"data":', '}', 100_000, '[]')])(
    'is no notification',
    (text) => {
      const agent = ngsiAgent(profile, config, versions(config));
      expect(codesOf(agent.decide({ timestamp: 0, value: Buffer.from(text), headers: city }, new Map()))).toEqual([
        'not-a-notification',
      ]);
    },
  );
});
