import { expect, test } from '@jest/globals';
import type { InputRecord } from '@kafnus/agent-runtime';
import { agent } from '../src/agent.js';
import { settings, type Config } from '../src/config.js';

const defaults = Object.fromEntries(
  Object.entries(settings).map(([key, setting]) => [key, setting.default]),
) as unknown as Config;

function record(...data: readonly unknown[]): InputRecord {
  return {
    topic: 'raw_mutable',
    partition: 0,
    offset: 0,
    timestamp: 0,
    key: null,
    value: Buffer.from(JSON.stringify({ data })),
    headers: [{ 'fiware-service': Buffer.from('town') }, { 'fiware-servicepath': Buffer.from('/waste') }],
  };
}

const decide = agent.configure(defaults).decide;
const entity = {
  id: 'E1',
  type: 'T',
  TimeInstant: { type: 'DateTime', value: '2025' },
  v: { type: 'Number', value: 1 },
};

test('reads raw_mutable, and rejects to raw_errors', () => {
  expect(agent.configure(defaults)).toMatchObject({ inputTopic: 'raw_mutable', deadLetterTopic: 'raw_errors' });
});

test('versions go to topics and tables of their own, keyed by TimeInstant', () => {
  const step = decide(record(entity), new Map());
  expect(step).toMatchObject({ kind: 'emit', outputs: [{ topic: 'town_mutable' }] });
  const output = step.kind === 'emit' ? step.outputs[0] : undefined;
  expect(Object.assign({}, ...(output?.headers ?? []))).toMatchObject({
    suffix: '_mutable',
    target_table: 'town.waste_t_mutable',
  });
  expect(JSON.parse(output?.key?.toString() ?? '')).toMatchObject({ payload: { entityid: 'E1', timeinstant: '2025' } });
});

test('a version with the same TimeInstant is emitted again: the sink overwrites', () => {
  expect(decide(record(entity, { ...entity, v: { type: 'Number', value: 2 } }), new Map())).toMatchObject({
    kind: 'emit',
    outputs: [{}, {}],
  });
});

test('a deletion is no version, an entity without TimeInstant is rejected', () => {
  expect(decide(record({ ...entity, alterationType: { value: 'entityDelete' } }), new Map())).toMatchObject({
    kind: 'skip',
    reason: 'delete',
  });
  expect(decide(record({ id: 'E1' }), new Map())).toMatchObject({
    kind: 'reject',
    rejections: [{ code: 'timeinstant-missing' }],
  });
});
