import { describe, expect, test } from '@jest/globals';
import { errorsRejectCodes, rejectCodes } from '@kafnus/ngsi-core';

import { agent } from '../src/agent.js';
import { settings, type Config } from '../src/config.js';

const defaults = Object.fromEntries(Object.entries(settings).map(([name, setting]) => [name, setting.default]));
const configured = (changes: Partial<Config> = {}) =>
  agent.configure({ ...(defaults as unknown as Config), ...changes });

function deadLetter(headers: Record<string, string>) {
  return {
    topic: 'raw_errors',
    partition: 0,
    offset: 7,
    timestamp: 1_746_515_289_012,
    key: Buffer.from('E'),
    value: null,
    headers: Object.entries(headers).map(([name, text]) => ({ [name]: Buffer.from(text) })),
  };
}
const failure = deadLetter({ '__connect.errors.topic': 'town', '__connect.errors.exception.message': 'boom' });
const noState = { get: () => undefined };

describe('the errors agent', () => {
  test('reads the dead letters of all, and has a dead-letter topic of its own', () => {
    expect(agent.name).toBe('errors');
    expect(agent.store).toBeUndefined();
    expect(configured()).toMatchObject({ inputTopic: 'raw_errors', deadLetterTopic: 'raw_errors_dead' });
    expect(configured({ topicPrefix: 'smc_' })).toMatchObject({
      inputTopic: 'smc_raw_errors',
      deadLetterTopic: 'smc_raw_errors_dead',
    });
  });

  test('names its settings as tools know them (SPEC 10)', () => {
    expect(Object.values(settings).map(({ env }) => env)).toEqual([
      ...['KAFNUS_NAMING', 'KAFNUS_TOPIC_PREFIX', 'KAFNUS_TOPIC_SUFFIX', 'KAFNUS_INPUT_TOPIC', 'KAFNUS_OUTPUT_TOPIC'],
      ...['KAFNUS_DEAD_LETTER_TOPIC', 'KAFNUS_SINK', 'KAFNUS_TENANTS'],
    ]);
  });

  test.each<[string, Partial<Config>, RegExp]>([
    ['its own input as dead-letter topic', { deadLetterTopic: 'raw_errors' }, /KAFNUS_DEAD_LETTER_TOPIC/],
    ['one log topic for all', { outputTopic: 'error_log' }, /KAFNUS_OUTPUT_TOPIC.*\{db\}/],
    ['a tenant that could be none', { tenants: 'town,My-Town' }, /KAFNUS_TENANTS.*my-town/],
  ])('does not start with %s', (_, changes, message) => {
    expect(() => configured(changes)).toThrow(message);
  });

  test('logs to the topic of the tenant', () => {
    const topicOf = (changes: Partial<Config>) => {
      const step = configured(changes).decide(failure, noState);
      return step.kind === 'emit' ? step.outputs.map(({ topic }) => topic) : step.kind;
    };
    expect(topicOf({})).toEqual(['town_error_log']);
    expect(topicOf({ outputTopic: '{prefix}log.{db}', topicPrefix: 'x_' })).toEqual(['x_log.town']);
    expect(topicOf({ tenants: 'Town, city' })).toEqual(['town_error_log']);
    expect(topicOf({ tenants: 'city' })).toBe('skip');
  });

  test('writes what the sink of its settings takes', () => {
    const valueOf = (changes: Partial<Config>) => {
      const step = configured(changes).decide(failure, noState);
      return step.kind === 'emit' ? String(step.outputs[0]?.value) : step.kind;
    };
    expect(valueOf({})).not.toContain('io.debezium');
    expect(valueOf({ sink: 'debezium' })).toContain('"name":"io.debezium.time.ZonedTimestamp"');
  });

  test('refuses only with codes of the vocabulary', () => {
    const step = configured().decide(deadLetter({ 'fiware-service': 'My-Town' }), noState);
    if (step.kind !== 'reject') throw new Error(`not refused: ${step.kind}`);
    expect(Object.keys(errorsRejectCodes)).toContain(step.rejections[0].code);
    for (const code of Object.keys(errorsRejectCodes)) expect(Object.keys(rejectCodes)).toContain(code);
  });
});
