import { describe, expect, test } from '@jest/globals';
import type { Agent, InputRecord, OutputRecord, Rejection, Step, StateReader } from '@kafnus/agent-runtime';
import { AgentDriver, defaultTimestamp } from '@kafnus/agent-testkit';

interface Config {
  readonly target: string;
  readonly limit: number;
}

const refused: Rejection = { code: 'no-good', message: 'it is no good', stage: 'VALUE_CONVERTER' };
const seen: InputRecord[] = [];

function decide({ target, limit }: Config, record: InputRecord, state: StateReader): Step {
  seen.push(record);
  const key = record.key?.toString() ?? 'none';
  const text = record.value?.toString() ?? null;
  if (text === 'skip') return { kind: 'skip', tenant: 't', reason: 'unwanted' };
  if (text === 'reject') return { kind: 'reject', tenant: 't', rejections: [refused] };
  const count = (state.get(key) ?? 0) + 1;
  if (count > limit) return { kind: 'skip', tenant: 't', reason: 'enough' };
  const output: OutputRecord = {
    topic: target,
    key: record.key,
    value: text,
    headers: [],
    timestamp: record.timestamp,
  };
  const step = { kind: 'emit', tenant: 't', outputs: [output], puts: [{ key, value: count }] } as const;
  return text === 'report' ? { ...step, reports: [refused, refused] } : step;
}

const agent: Agent<Config> = {
  name: 'driven',
  store: 'counts',
  settings: {
    target: { doc: 'Where to.', format: 'String', default: 'out', env: 'KAFNUS_TARGET' },
    limit: { doc: 'How many of a key.', format: 'positive', default: 3, env: 'KAFNUS_LIMIT' },
  },
  configure: (config) => {
    if (config.target === 'raw') throw new Error('target: the output is the input');
    return { inputTopic: 'raw', deadLetterTopic: 'dead', decide: (record, state) => decide(config, record, state) };
  },
};

describe('AgentDriver', () => {
  test('fills in what a record does not say', () => {
    seen.length = 0;
    const driver = new AgentDriver(agent);
    driver.pipe({ key: 'a', value: { data: [1] }, headers: { service: 'town' } });
    driver.pipe({ key: { id: 1 }, value: 'text' });
    driver.pipe({ partition: 1 });
    driver.pipe({
      offset: 10,
      timestamp: 5,
      value: Buffer.from([0xff]),
      headers: [{ h: '1' }, { h: Buffer.from('2') }],
    });
    driver.pipe({});
    expect(seen).toEqual([
      {
        topic: 'raw',
        partition: 0,
        offset: 0,
        timestamp: defaultTimestamp,
        key: Buffer.from('a'),
        value: Buffer.from('{"data":[1]}'),
        headers: [{ service: Buffer.from('town') }],
      },
      {
        topic: 'raw',
        partition: 0,
        offset: 1,
        timestamp: defaultTimestamp,
        key: Buffer.from('{"id":1}'),
        value: Buffer.from('text'),
        headers: [],
      },
      { topic: 'raw', partition: 1, offset: 0, timestamp: defaultTimestamp, key: null, value: null, headers: [] },
      {
        topic: 'raw',
        partition: 0,
        offset: 10,
        timestamp: 5,
        key: null,
        value: Buffer.from([0xff]),
        headers: [{ h: Buffer.from('1') }, { h: Buffer.from('2') }],
      },
      { topic: 'raw', partition: 0, offset: 11, timestamp: defaultTimestamp, key: null, value: null, headers: [] },
    ]);
  });

  test('returns the step, collects the outputs, and keeps state per partition', () => {
    const driver = new AgentDriver(agent);
    for (let time = 0; time < 4; time += 1) driver.pipe({ key: 'a', value: `v${time}` });
    expect(driver.pipe({ key: 'a', value: 'elsewhere', partition: 1 })).toMatchObject({ kind: 'emit' });
    expect(driver.pipe({ key: 'a', value: 'too many' })).toEqual({ kind: 'skip', tenant: 't', reason: 'enough' });
    expect(driver.output('out').map(({ value }) => value)).toEqual(['v0', 'v1', 'v2', 'elsewhere']);
    expect(driver.output('nobody')).toEqual([]);
    expect([...driver.outputs.keys()]).toEqual(['out']);
    expect(driver.state().get('a')).toBe(3);
    expect(driver.state(1).get('a')).toBe(1);
  });

  test('shows a topic as a table: the last of each key, without those that were deleted', () => {
    const driver = new AgentDriver(agent);
    for (const [key, value] of [
      ['a', '1'],
      ['b', '2'],
      ['a', '3'],
      ['b', null],
      [null, '4'],
    ] as const)
      driver.pipe({ key, value });
    const table = driver.latest('out');
    expect([...table].map(([key, { value }]) => [key, value])).toEqual([['a', '3']]);
  });

  test('writes the dead letters of rejects and reports as the runtime does, one per record', () => {
    const driver = new AgentDriver(agent);
    driver.pipe({ key: 'a', value: 'reject', headers: { h: 'x' } });
    driver.pipe({ key: 'a', value: 'report' });
    driver.pipe({ key: 'a', value: 'fine' });
    expect(driver.deadLetters.map(({ topic, value }) => `${topic} ${String(value)}`)).toEqual([
      'dead reject',
      'dead report',
    ]);
    const headers = driver.deadLetters.map((record) =>
      record.headers.flatMap((header) => Object.entries(header).map(([name, value]) => `${name}=${String(value)}`)),
    );
    expect(headers[0]).toContain('h=x');
    expect(headers[0]).toContain('__connect.errors.exception.message=it is no good');
    expect(headers[1]).toContain('__connect.errors.exception.message=2 problems: it is no good; it is no good');
    expect(headers[1]).toContain('__connect.errors.offset=1');
  });

  test('keeps the ledger', () => {
    const driver = new AgentDriver(agent);
    for (const value of ['a', 'skip', 'reject', 'report', 'b']) driver.pipe({ key: 'k', value });
    const totals = { read: 5, emitted: 3, rekeyed: 0, skipped: { unwanted: 1 }, rejected: { 'no-good': 1 } };
    expect(driver.ledger.totals()).toEqual({ ...totals, tenants: { t: totals } });
  });

  test('takes settings, with defaults for the others', () => {
    const driver = new AgentDriver(agent, { target: 'there', limit: 1 });
    driver.pipe({ key: 'a', value: '1' });
    driver.pipe({ key: 'a', value: '2' });
    expect(driver.output('there')).toHaveLength(1);
    expect(driver.configured.inputTopic).toBe('raw');
  });

  test('needs a value for a setting that has no default, and only then', () => {
    const settings = {
      ...agent.settings,
      target: { ...agent.settings['target'], default: null },
    } as Agent<Config>['settings'];
    expect(() => new AgentDriver({ ...agent, settings })).toThrow(/target is not set/);
    expect(new AgentDriver({ ...agent, settings }, { target: 'x' }).configured.inputTopic).toBe('raw');
  });

  test('refuses what the agent refuses, and settings that it does not have', () => {
    expect(() => new AgentDriver(agent, { target: 'raw' })).toThrow('target: the output is the input');
    const wrong = { targt: 'x' } as Partial<Config>;
    expect(() => new AgentDriver(agent, wrong)).toThrow('The agent driven has no setting targt');
  });
});
