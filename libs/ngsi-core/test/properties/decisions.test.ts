/** Any input gives a decision, and the outputs are valid. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { attributeCodes, rejectCodes, skipReasons } from '../../src/codes.js';
import { ngsiAgent, type NgsiAgent } from '../../src/ngsi-agent.js';
import type { RecordHeader, StateReader } from '@kafnus/agent-contract';
import type { RawRecord } from '../../src/rejection.js';
import { versions } from '../../src/versions.js';
import { connectProblems } from '../connect-json.js';

const settings = {
  naming: 'default',
  topicPrefix: '',
  topicSuffix: '',
  inputTopic: '',
  outputTopic: '',
  deadLetterTopic: '',
  dataModel: 'dm-by-entity-type-database',
  attributeErrors: 'report',
  tenants: '',
  defaultService: 'default',
  defaultServicepath: '/',
  maxOutputBytes: 1 << 25,
  rekey: 'auto',
  inputPartitioner: 'consistent',
  missingTimeInstant: 'record-timestamp',
} as const;
const sinks = ['kafnus', 'debezium'] as const;
const agentFor = (sink: (typeof sinks)[number]): NgsiAgent =>
  ngsiAgent({ name: 'historic', suffix: '', keyedByTimeInstant: true }, { ...settings, sink }, versions(settings));
const agents = sinks.map(agentFor);
const memory: StateReader = new Map<string, number>();
const codes = new Set([...Object.keys(rejectCodes), ...Object.keys(attributeCodes)]);

/** Decides twice, and checks what must be true of any decision. */
function expectSound(record: RawRecord): void {
  for (const { decide } of agents) {
    const decision = decide(record, memory);
    expect(decide(record, memory)).toEqual(decision);
    switch (decision.kind) {
      case 'emit':
        expect(decision.outputs.length).toBeGreaterThan(0);
        for (const { key, value, topic, headers, partitionHash, timestamp } of decision.outputs) {
          expect(connectProblems(String(key ?? ''))).toEqual([]);
          expect(connectProblems(String(value ?? ''))).toEqual([]);
          expect(topic).toMatch(/^[a-z0-9_]{1,50}$/);
          expect(timestamp).toBe(record.timestamp);
          expect(partitionHash).toBe(Number(partitionHash) & 0x7fffffff);
          for (const header of headers) expect(Object.values(header)).toEqual([expect.any(String)]);
        }
        for (const { code } of decision.reports ?? []) expect(codes).toContain(code);
        break;
      case 'reject':
        for (const { code, message } of decision.rejections) {
          expect(codes).toContain(code);
          expect(message.length).toBeLessThan(1000);
        }
        break;
      case 'skip':
        expect(Object.keys(skipReasons)).toContain(decision.reason);
        break;
    }
  }
}

const headerName = fc.oneof(
  fc.constantFrom('fiware-service', 'Fiware-Service', 'fiware-servicepath', 'fiware-datamodel', 'fiware-correlator'),
  fc.string(),
);
const headerText = fc.oneof(
  fc.constantFrom('svc', '/p', 'dm-by-fixed-entity-type-database-schema', ''),
  fc.string({ unit: 'binary' }),
);
const headers: fc.Arbitrary<RecordHeader[]> = fc.array(
  fc
    .tuple(headerName, headerText, fc.boolean())
    .map(([name, text, bytes]) => ({ [name]: bytes ? Buffer.from(text) : text })),
  { maxLength: 4 },
);
const timestamp = fc.oneof(fc.constant(1_700_000_000_000), fc.integer({ min: 0 }), fc.double());

const dateText = fc.oneof(
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.constantFrom('2025-01-02', '2025-01-02T03:04', '2025-W10-2', 'never', ''),
);
const position = fc.array(fc.double({ min: -200, max: 200 }), { maxLength: 4 });
const geoJson = fc.record({
  type: fc.constantFrom(
    'Point',
    'LineString',
    'Polygon',
    'MultiPoint',
    'MultiPolygon',
    'GeometryCollection',
    'Feature',
  ),
  coordinates: fc.oneof(position, fc.array(position), fc.array(fc.array(position)), fc.jsonValue()),
});
const declared = fc.constantFrom(
  'Number',
  'Text',
  'DateTime',
  'Boolean',
  'json',
  'geo:point',
  'geo:line',
  'geo:box',
  'geo:polygon',
  'geo:json',
  5,
);
const value = fc.oneof(fc.jsonValue(), dateText, geoJson, fc.constant('40.4,-3.7'), fc.constantFrom(1e21, -0, 5e-324));
const attribute = fc.oneof(
  fc.record({ type: declared, value, metadata: fc.constant({}) }, { requiredKeys: [] }),
  fc.jsonValue(),
);
const attributeName = fc.oneof(
  fc.constantFrom(
    'TimeInstant',
    'timeinstant',
    'alterationType',
    'recvtime',
    'EntityId',
    '__proto__',
    'constructor',
    'İ',
    '7',
    'a',
    'A',
  ),
  fc.string({ unit: 'binary' }),
);
const entity = fc
  .tuple(
    fc.oneof(fc.string({ unit: 'binary' }), fc.jsonValue()),
    fc.option(fc.string()),
    fc.array(fc.tuple(attributeName, attribute)),
  )
  .map(([id, type, attributes]) => {
    const members: Record<string, unknown> = { id, type };
    // As in JSON.parse, __proto__ is an ordinary member.
    for (const [name, member] of attributes) {
      Object.defineProperty(members, name, { value: member, enumerable: true, configurable: true, writable: true });
    }
    return members;
  });

describe('a sound decision', () => {
  test('about any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), headers, timestamp, (bytes, received, time) => {
        expectSound({ value: Buffer.from(bytes), headers: received, timestamp: time });
      }),
    );
  });

  test('about any JSON', () => {
    fc.assert(
      fc.property(fc.json(), headers, timestamp, (json, received, time) => {
        expectSound({ value: Buffer.from(json), headers: received, timestamp: time });
      }),
    );
  });

  test('about any entities', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ weight: 5, arbitrary: entity }, fc.jsonValue()), { maxLength: 4 }),
        headers,
        timestamp,
        (data, received, time) => {
          expectSound({ value: Buffer.from(JSON.stringify({ data })), headers: received, timestamp: time });
        },
      ),
      { numRuns: 500 },
    );
  });

  test('about a record without a value', () => {
    expectSound({ value: null, headers: [], timestamp: 0 });
  });
});

/** JSON text that replaces a value: of the same kind or another, well-formed or not. */
const otherValue = fc.oneof(
  fc.constantFrom(
    '0',
    '-0',
    '1.50',
    '1e3',
    '1e999',
    '01',
    '0.0000001',
    'true',
    'null',
    '""',
    '"\\u0041"',
    '"',
    '[]',
    '',
  ),
  fc.double({ noNaN: true }).map(String),
  fc.integer().map(String),
  fc.string({ unit: 'binary' }).map((text) => JSON.stringify(text)),
  dateText.map((text) => JSON.stringify(text)),
);
/** The number of a value, counted from the first, and the text that replaces it. */
const changes = fc.array(fc.tuple(fc.nat({ max: 12 }), otherValue), { maxLength: 3 });

function changed(json: string, others: readonly (readonly [number, string])[]): string {
  let place = -1;
  return json.replace(/("(?:[^"\\]|\\.)*")(?!:)|-?\d[\d.eE+-]*|true|false|null/g, (value) => {
    place += 1;
    return others.find(([which]) => which === place)?.[1] ?? value;
  });
}

test('what was read before makes no difference', () => {
  const typed = fc.record({
    id: fc.string({ minLength: 1 }),
    type: fc.constantFrom('T', ''),
    TimeInstant: fc.record({ type: fc.constant('DateTime'), value: dateText }),
    a: attribute,
    b: fc.record({ type: declared, value, metadata: fc.jsonValue() }),
    c: fc.record({ value: fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.constant(null)) }),
  });
  let emitted = 0;
  fc.assert(
    fc.property(fc.oneof(typed, entity), fc.array(changes, { minLength: 1, maxLength: 5 }), (first, variants) => {
      const record = (json: string): RawRecord => {
        return { value: Buffer.from(`{"data":[${json}]}`), headers: [{ 'fiware-service': 'svc' }], timestamp: 1e12 };
      };
      const json = JSON.stringify(first);
      for (const sink of sinks) {
        const experienced = agentFor(sink);
        for (let time = 0; time < 40; time++) experienced.decide(record(json), memory);
        for (const others of [[], ...variants]) {
          const next = record(changed(json, others));
          const decision = agentFor(sink).decide(next, memory);
          expect(experienced.decide(next, memory)).toEqual(decision);
          if (decision.kind === 'emit') emitted += 1;
        }
      }
    }),
    { numRuns: 300 },
  );
  expect(emitted).toBeGreaterThan(300);
});

test('nothing an entity has is lost: each attribute is a column, or reported, or Orion’s note', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: 'binary', minLength: 1 }), fc.record({ value: fc.integer() })),
      (attributes) => {
        const { id: _id, type: _type, ...own } = attributes;
        const decision = agents[0]?.decide(
          {
            value: Buffer.from(
              JSON.stringify({ data: [{ ...own, id: 'E1', type: 'T', TimeInstant: { value: '2025' } }] }),
            ),
            headers: [],
            timestamp: 0,
          },
          memory,
        );
        if (decision?.kind !== 'emit') throw new Error('nothing was emitted');
        const { payload } = JSON.parse(String(decision.outputs[0]?.value)) as { payload: Record<string, unknown> };
        const notes = Object.keys(own).filter((name) => ['timeinstant', 'alterationtype'].includes(name.toLowerCase()));
        expect(notes).toEqual([]);
        const columns = Object.keys(payload).length - 5;
        expect(columns + (decision.reports ?? []).length).toBe(Object.keys(own).length);
      },
    ),
  );
});

test('as many attributes as a table has columns are a row; a hundred thousand are refused at once', () => {
  const decided = (count: number): string | undefined => {
    const members = Array.from({ length: count }, (_, place) => `"a${place}":{}`).join(',');
    const value = Buffer.from(`{"data":[{"id":"E1",${members}}]}`);
    return agents[0]?.decide({ value, headers: [], timestamp: 0 }, memory).kind;
  };
  const start = performance.now();
  expect(decided(1595)).toBe('emit');
  expect(decided(100_000)).toBe('reject');
  expect(performance.now() - start).toBeLessThan(10_000);
});
