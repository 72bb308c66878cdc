import { describe, expect, test } from '@jest/globals';
import { deadLetter, type InputRecord, type Rejection } from '@kafnus/agent-runtime';

import { agent } from '../src/agent.js';
import { settings, type Config } from '../src/config.js';

const defaults = Object.fromEntries(Object.entries(settings).map(([name, setting]) => [name, setting.default]));
const { decide } = agent.configure(defaults as unknown as Config);

/** The log record of a refused record: by the runtime's dead letter and the errors agent. */
function logOf(refused: Partial<InputRecord>, ...messages: [string, ...string[]]) {
  const record: InputRecord = {
    topic: 'raw_historic',
    partition: 3,
    offset: 42,
    timestamp: 1_746_515_289_012,
    key: Buffer.from('E'),
    value: Buffer.from('{"data":[{"id":"E","type":"T"}]}'),
    headers: [],
    ...refused,
  };
  const [first, ...more] = messages.map((message): Rejection => ({
    code: 'timeinstant-missing',
    message,
    stage: 'TRANSFORMATION',
  }));
  if (!first) throw new Error('no message');
  const { key, value, headers, timestamp } = deadLetter('raw_errors', record, [first, ...more]);
  const bytes = (text: string | Buffer | null) => (typeof text === 'string' ? Buffer.from(text) : text);
  const input = { topic: 'raw_errors', partition: 0, offset: 0, timestamp: timestamp ?? -1, headers };
  const step = decide({ ...input, key: bytes(key), value: bytes(value) }, { get: () => undefined });
  if (step.kind !== 'emit') return step;
  const [output] = step.outputs;
  return { topic: output?.topic, ...JSON.parse(String(output?.value)).payload };
}

describe('dead letters of the agents are logged for their tenant (SPEC 6 and 7)', () => {
  test('by the headers of the refused record', () => {
    expect(logOf({ headers: [{ 'fiware-service': Buffer.from('Town') }] }, 'entity "E" has no TimeInstant')).toEqual({
      topic: 'town_error_log',
      timestamp: '2025-05-06T07:08:09.012Z',
      error: 'entity "E" has no TimeInstant',
      query: null,
    });
  });

  test('by the message, when the record came without headers', () => {
    const value = Buffer.from('{"data":[],"headers":{"fiware-service":"Town"}}');
    expect(logOf({ value }, 'm')).toMatchObject({ topic: 'town_error_log' });
  });

  test('by the default service, when nothing says whose it is', () => {
    expect(logOf({ value: null }, 'm')).toMatchObject({ topic: 'default_error_log' });
  });

  test('from an input topic of any name', () => {
    const headers = [{ 'fiware-service': Buffer.from('town') }];
    expect(logOf({ topic: 'orion', headers }, 'm')).toMatchObject({ topic: 'town_error_log' });
  });

  test('with all that is wrong', () => {
    expect(logOf({}, 'first', 'second')).toMatchObject({ error: '2 problems: first; second' });
  });

  test('refused again when the service itself was the reason', () => {
    const headers = [{ 'fiware-service': Buffer.from('my-svc') }];
    expect(logOf({ headers }, 'm')).toMatchObject({ kind: 'reject', rejections: [{ code: 'service-invalid' }] });
  });
});
