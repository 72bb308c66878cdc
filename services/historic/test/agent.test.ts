import { describe, expect, test } from '@jest/globals';
import type { InputRecord, Step } from '@kafnus/agent-runtime';
import { agent } from '../src/agent.js';
import { settings, type Config } from '../src/config.js';

const defaults = Object.fromEntries(
  Object.entries(settings).map(([key, setting]) => [key, setting.default]),
) as unknown as Config;
const DELETE = { alterationType: { type: 'Text', value: 'entityDelete' } };

function version(id: string, timeInstant?: unknown, more: object = {}): object {
  const instant = timeInstant === undefined ? {} : { TimeInstant: { type: 'DateTime', value: timeInstant } };
  return { id, type: 'T', ...instant, v: { type: 'Number', value: 1 }, ...more };
}

function decide(data: readonly unknown[], config: Partial<Config> = {}): Step {
  const record: InputRecord = {
    topic: 'raw_historic',
    partition: 0,
    offset: 0,
    timestamp: Date.parse('2025-05-06T07:08:09.012Z'),
    key: null,
    value: Buffer.from(JSON.stringify({ data })),
    headers: [{ 'fiware-service': Buffer.from('Town') }, { 'fiware-servicepath': Buffer.from('/Waste') }],
  };
  return agent.configure({ ...defaults, ...config }).decide(record, new Map());
}

/** The payloads of keys and values. */
function payloads(step: Step): readonly { key: unknown; value: unknown }[] {
  const payload = (text: string | Buffer | null): unknown =>
    text && (JSON.parse(text.toString()) as { payload: unknown }).payload;
  return step.kind === 'emit'
    ? step.outputs.map(({ key, value }) => ({ key: payload(key), value: payload(value) }))
    : [];
}

test('reads raw_historic, and rejects to raw_errors', () => {
  expect(agent.configure(defaults)).toMatchObject({ inputTopic: 'raw_historic', deadLetterTopic: 'raw_errors' });
});

describe('versions', () => {
  test('each is a row of its own, told apart by its TimeInstant, as received', () => {
    const step = decide([version('E1', '2025-01-02T03:04:05+02:00'), version('E1', 'not-a-date')]);
    expect(payloads(step)).toMatchObject([
      {
        key: { entityid: 'E1', timeinstant: '2025-01-02T03:04:05+02:00' },
        value: { timeinstant: '2025-01-02T03:04:05+02:00', v: 1 },
      },
      { key: { entityid: 'E1', timeinstant: 'not-a-date' }, value: { timeinstant: 'not-a-date' } },
    ]);
  });

  test('go to the service’s topic and the table of the data model', () => {
    const step = decide([version('E1', '2025')]);
    expect(step).toMatchObject({ kind: 'emit', tenant: 'town', outputs: [{ topic: 'town' }] });
    const headers: Record<string, unknown> = Object.assign(
      {},
      ...(step.kind === 'emit' ? (step.outputs[0]?.headers ?? []) : []),
    );
    expect(headers).toMatchObject({ suffix: '', target_table: 'town.waste_t' });
  });

  test('all of an entity have one partition', () => {
    const step = decide([version('E1', '2025'), version('E1', '2026'), version('E2', '2025')]);
    const [one, two, other] = step.kind === 'emit' ? step.outputs.map(({ partitionHash }) => partitionHash) : [];
    expect(one).toBe(two);
    expect(one).not.toBe(other);
  });

  test('a deletion is none', () => {
    expect(decide([version('E1', '2025', DELETE)])).toEqual({ kind: 'skip', tenant: 'town', reason: 'delete' });
    expect(decide([version('E1', '2025', DELETE), version('E2', '2025')])).toMatchObject({
      kind: 'emit',
      outputs: [{}],
      skipped: ['delete'],
    });
  });
});

describe('without TimeInstant', () => {
  test('reject, the default', () => {
    for (const missing of [undefined, null]) {
      expect(decide([version('E1', missing)])).toMatchObject({
        kind: 'reject',
        rejections: [{ code: 'timeinstant-missing' }],
      });
    }
  });

  test('record-timestamp', () => {
    const RECORD = '2025-05-06T07:08:09.012Z';
    expect(payloads(decide([version('E1')], { missingTimeInstant: 'record-timestamp' }))).toMatchObject([
      { key: { entityid: 'E1', timeinstant: RECORD }, value: { timeinstant: RECORD, recvtime: RECORD } },
    ]);
  });

  test('a TimeInstant that is no text is not a missing one', () => {
    for (const missingTimeInstant of ['reject', 'record-timestamp'] as const) {
      expect(decide([version('E1', 1735787045678)], { missingTimeInstant })).toMatchObject({
        kind: 'reject',
        rejections: [{ code: 'timeinstant-invalid' }],
      });
    }
  });
});

describe('for the Debezium sink', () => {
  test('the TimeInstant has a zone', () => {
    expect(payloads(decide([version('E1', '2025-01-02T03:04:05')], { sink: 'debezium' }))).toMatchObject([
      { key: { timeinstant: '2025-01-02T03:04:05Z' }, value: { timeinstant: '2025-01-02T03:04:05Z' } },
    ]);
  });

  test('the TimeInstant must be a date', () => {
    expect(decide([version('E1', 'not-a-date')], { sink: 'debezium' })).toMatchObject({
      kind: 'reject',
      rejections: [{ code: 'timeinstant-invalid' }],
    });
  });
});
