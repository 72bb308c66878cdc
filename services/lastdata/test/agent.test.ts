import { beforeEach, describe, expect, test } from '@jest/globals';
import type { InputRecord, Step } from '@kafnus/agent-runtime';
import { agent } from '../src/agent.js';
import { settings, type Config } from '../src/config.js';

const defaults = Object.fromEntries(
  Object.entries(settings).map(([key, setting]) => [key, setting.default]),
) as unknown as Config;
const { decide, ...topics } = agent.configure(defaults);
const CREATE = { alterationType: { type: 'Text', value: 'entityCreate' } };
const DELETE = { alterationType: { type: 'Text', value: 'entityDelete' } };

let state: Map<string, number>;
beforeEach(() => {
  state = new Map();
});

function version(timeInstant: unknown, more: object = {}): object {
  return { id: 'E1', type: 'T', TimeInstant: { type: 'DateTime', value: timeInstant }, ...more };
}

/** Decides, and stores the new state, as the runtime does. */
function arrive(data: readonly unknown[], servicepath = '/p', service = 'town'): Step {
  const record: InputRecord = {
    topic: 'raw_lastdata',
    partition: 0,
    offset: 0,
    timestamp: 0,
    key: null,
    value: Buffer.from(JSON.stringify({ data })),
    headers: [{ 'fiware-service': Buffer.from(service) }, { 'fiware-servicepath': Buffer.from(servicepath) }],
  };
  const step = decide(record, state);
  for (const { key, value } of (step.kind === 'emit' && step.puts) || []) state.set(key, value);
  return step;
}

/** The outcome of one entity: `row`, `tombstone`, or the reason. */
function arrives(entity: object, servicepath?: string, service?: string): string {
  const step = arrive([entity], servicepath, service);
  if (step.kind === 'emit') return step.outputs.map(({ value }) => (value === null ? 'tombstone' : 'row')).join();
  return step.kind === 'skip' ? step.reason : step.rejections[0].code;
}

test('reads raw_lastdata, keeps the newest, and rejects to raw_errors', () => {
  expect(topics).toEqual({ inputTopic: 'raw_lastdata', deadLetterTopic: 'raw_errors', rekeys: true });
  expect(agent.store).toBe('newest');
});

describe('only the latest version', () => {
  test('older ones are stale, equal and newer ones are emitted', () => {
    expect(arrives(version('2025-01-02T00:00:00Z'))).toBe('row');
    expect(arrives(version('2025-01-01T23:59:59.999Z'))).toBe('stale');
    expect(arrives(version('2025-01-02T00:00:00Z'))).toBe('row');
    expect(arrives(version('2025-01-03T00:00:00Z'))).toBe('row');
    expect(arrives(version('2025-01-02T00:00:00Z'))).toBe('stale');
  });

  test('instants are compared, not strings', () => {
    expect(arrives(version('2025-01-02T10:00:00+02:00'))).toBe('row');
    expect(arrives(version('2025-01-02T09:00:00+00:00'))).toBe('row');
    expect(arrives(version('2025-01-02T10:30:00+02:00'))).toBe('stale');
    expect(arrives(version('2025-01-02T09:00'))).toBe('row');
    expect(arrives(version('2025-1-03'))).toBe('timeinstant-invalid');
  });

  test('within one millisecond as well', () => {
    expect(arrives(version('2025-01-02T03:04:05.678200Z'))).toBe('row');
    expect(arrives(version('2025-01-02T03:04:05.678100Z'))).toBe('stale');
    expect(arrives(version('2025-01-02T03:04:05.678300Z'))).toBe('row');
  });

  test('per service, service path, type and id', () => {
    const old = version('2020');
    expect(arrives(version('2025'))).toBe('row');
    expect(arrives(old)).toBe('stale');
    expect(arrives({ ...old, id: 'E2' })).toBe('row');
    expect(arrives({ ...old, type: 'U' })).toBe('row');
    expect(arrives(old, '/q')).toBe('row');
    expect(arrives(old, '/p', 'city')).toBe('row');
    // Headers are normalised before entities are compared.
    expect(arrives(old, 'P', 'TOWN')).toBe('stale');
  });

  test('an entity that comes twice in one notification meets itself', () => {
    expect(arrive([version('2025-01-02'), version('2025-01-01'), version('2025-01-03')])).toMatchObject({
      kind: 'emit',
      outputs: [{}, {}],
      skipped: ['stale'],
    });
    expect(arrives(version('2025-01-02'))).toBe('stale');
  });

  test('the key is the entity id alone, the TimeInstant is a column as received', () => {
    const step = arrive([version('2025-01-02T10:00:00+02:00')]);
    const output = step.kind === 'emit' ? step.outputs[0] : undefined;
    expect(JSON.parse(output?.key?.toString() ?? '')).toMatchObject({ payload: { entityid: 'E1' } });
    expect(JSON.parse(output?.value?.toString() ?? '')).toMatchObject({
      payload: { timeinstant: '2025-01-02T10:00:00+02:00' },
    });
    expect(output?.topic).toBe('town_lastdata');
  });
});

describe('without TimeInstant', () => {
  test('always emitted, in arrival order, and the state is not moved', () => {
    expect(arrives({ id: 'E1', type: 'T' })).toBe('row');
    expect(state.size).toBe(0);
    expect(arrives(version('2025'))).toBe('row');
    expect(arrives({ id: 'E1', type: 'T' })).toBe('row');
    expect(arrives(version(null))).toBe('row');
    expect(arrives(version('2024'))).toBe('stale');
  });
});

describe('a TimeInstant that is no date', () => {
  test.each(['not-a-date', '', 1735787045678, true, { a: 1 }])(
    '%j is rejected, and the state is not moved',
    (value) => {
      expect(arrives(version(value))).toBe('timeinstant-invalid');
      expect(state.size).toBe(0);
    },
  );

  test('nor is one that is no attribute', () => {
    expect(arrives({ id: 'E1', TimeInstant: '2025-01-02' })).toBe('timeinstant-invalid');
  });
});

describe('deletions', () => {
  test('are tombstones with the key and headers of the row', () => {
    const row = arrive([version('2025-01-01')]);
    const tombstone = arrive([version('2025-01-02', DELETE)]);
    if (row.kind !== 'emit' || tombstone.kind !== 'emit') throw new Error('nothing was emitted');
    expect(tombstone.outputs).toEqual([{ ...row.outputs[0], value: null }]);
  });

  test('are remembered: late data stays out, the entity can come back', () => {
    expect(arrives(version('2025-01-01'))).toBe('row');
    expect(arrives(version('2025-01-03', DELETE))).toBe('tombstone');
    expect(arrives(version('2025-01-02'))).toBe('stale');
    expect(arrives(version('2025-01-04'))).toBe('row');
  });

  test('may be late themselves: what stays out is anything up to the newest TimeInstant', () => {
    expect(arrives(version('2025-01-03'))).toBe('row');
    expect(arrives(version('2025-01-02', DELETE))).toBe('tombstone');
    expect(arrives(version('2025-01-02'))).toBe('stale');
    expect(arrives(version('2025-01-03'))).toBe('stale');
    expect(arrives(version('2025-01-03T00:00:00.000001Z'))).toBe('row');
  });

  test('with a TimeInstant that is no date, or without one, delete as well', () => {
    for (const timeInstant of ['never', 5, null]) {
      state.clear();
      expect(arrives(version(timeInstant, DELETE))).toBe('tombstone');
      expect(state.size).toBe(0);
      expect(arrives(version('2025-01-03'))).toBe('row');
      expect(arrives(version(timeInstant, DELETE))).toBe('tombstone');
      expect(arrives(version('2025-01-03'))).toBe('stale');
      expect(arrives(version('2025-01-04'))).toBe('row');
    }
  });

  test('in keyValues delete as well', () => {
    const keyValues = {
      id: 'E1',
      type: 'T',
      TimeInstant: '2025-01-02T00:00:00Z',
      a: 5,
      alterationType: 'entityDelete',
    };
    expect(arrives(keyValues)).toBe('tombstone');
  });

  test('at the newest TimeInstant an announced entityCreate brings the entity back, an update does not', () => {
    expect(arrives(version('2025-01-03'))).toBe('row');
    expect(arrives(version('2025-01-03', DELETE))).toBe('tombstone');
    expect(arrives(version('2025-01-03'))).toBe('stale');
    expect(arrives(version('2025-01-02', CREATE))).toBe('stale');
    expect(arrives(version('2025-01-03', CREATE))).toBe('row');
    expect(arrives(version('2025-01-03'))).toBe('row');
  });

  test('an entityCreate that is older than the newest version is stale', () => {
    expect(arrives(version('2025-01-03'))).toBe('row');
    expect(arrives(version('2025-01-02T23:59:59.999999Z', CREATE))).toBe('stale');
    expect(arrives(version('2025-01-02', CREATE))).toBe('stale');
  });

  test.each([
    '1969-12-31T23:59:59.999999Z',
    '0001-01-01T00:00:00Z',
    '2112-09-18',
    '2255-06-06',
    '9999-12-31T23:59:59Z',
  ])('at %s as at any time', (time) => {
    expect(arrives(version(time))).toBe('row');
    expect(arrives(version(time, DELETE))).toBe('tombstone');
    expect(arrives(version(time, DELETE))).toBe('tombstone');
    expect(arrives(version(time))).toBe('stale');
    expect(arrives(version(time, CREATE))).toBe('row');
    expect(arrives(version(time))).toBe('row');
  });

  test('are told entity by entity, in any case of the value, but only under the name that Orion gives', () => {
    const other = { id: 'E2', type: 'T', alterationType: { value: 'EntityDELETE' } };
    expect(arrive([version('2025'), other])).toMatchObject({
      kind: 'emit',
      outputs: [{ value: expect.any(String) }, { value: null }],
    });
    expect(arrives(version('2025', { alterationtype: { value: 'entityDelete' } }))).toBe('row');
    expect(arrives(version('2025', { alterationType: { value: 'entityUpdate' } }))).toBe('row');
  });
});

test('a row that is refused does not move the state', () => {
  const strict = agent.configure({ ...defaults, attributeErrors: 'reject' });
  const bad = version('2025', { d: { type: 'DateTime', value: 'never' } });
  const record = {
    topic: '',
    partition: 0,
    offset: 0,
    timestamp: 0,
    key: null,
    value: Buffer.from(JSON.stringify({ data: [bad] })),
    headers: [],
  };
  expect(strict.decide(record, state)).toMatchObject({ kind: 'reject', rejections: [{ code: 'date-invalid' }] });
});
