import { describe, expect, test } from '@jest/globals';
import {
  agentNames,
  outputTopic,
  serviceOfTopic,
  serviceProblem,
  topicNames,
  type AgentName,
  type NamingOptions,
} from '../src/naming.js';

const options = (changes: Partial<NamingOptions> = {}): NamingOptions => ({
  naming: 'default',
  prefix: '',
  suffix: '',
  agent: 'historic',
  ...changes,
});
const named = (changes: Partial<NamingOptions> = {}) => topicNames(options(changes));
const kafnus = named({ naming: 'kafnus', prefix: 'smc_', suffix: '_processed' });

describe('names by the naming (SPEC 1)', () => {
  test.each<[AgentName, string, string, string]>([
    ['historic', 'raw_historic', 'raw_errors', 'town'],
    ['lastdata', 'raw_lastdata', 'raw_errors', 'town_lastdata'],
    ['mutable', 'raw_mutable', 'raw_errors', 'town_mutable'],
    ['errors', 'raw_errors', 'raw_errors_dead', 'town_error_log'],
  ])('%s', (agent, input, deadLetter, output) => {
    const names = named({ agent });
    expect(names).toMatchObject({ agent, input, deadLetter });
    expect(outputTopic(names, agent, 'town')).toBe(output);
  });

  test('kafnus: inputs have the prefix only, outputs prefix and suffix, historic a name of its own', () => {
    expect(kafnus).toMatchObject({ input: 'smc_raw_historic', deadLetter: 'smc_raw_errors' });
    expect(agentNames.map((agent) => outputTopic(kafnus, agent, 'town'))).toEqual([
      'smc_town_historic_processed',
      'smc_town_lastdata_processed',
      'smc_town_mutable_processed',
      'smc_town_error_log_processed',
    ]);
  });

  test('settings win; an empty one means the default; placeholders are filled in', () => {
    const names = named({
      prefix: 'p.',
      suffix: '.s',
      inputTopic: '{prefix}orion',
      outputTopic: 'rows-{service}{suffix}',
      deadLetterTopic: '',
    });
    expect(names).toMatchObject({ input: 'p.orion', deadLetter: 'p.raw_errors' });
    expect(outputTopic(names, 'historic', 'town')).toBe('rows-town.s');
    expect(outputTopic(names, 'lastdata', 'town')).toBe('p.town_lastdata.s');
  });

  test('the errors agent takes {db} and {service}', () => {
    for (const outputTopicTemplate of ['log.{db}', 'log.{service}']) {
      const names = named({ agent: 'errors', outputTopic: outputTopicTemplate });
      expect(outputTopic(names, 'errors', 'town')).toBe('log.town');
    }
  });
});

describe('settings that stop the start', () => {
  test.each<[string, Partial<NamingOptions>, RegExp]>([
    [
      'no {service}',
      { outputTopic: 'rows' },
      /outputTopic \(KAFNUS_OUTPUT_TOPIC\) is "rows".*\{service\} exactly once/,
    ],
    ['two {service}', { outputTopic: '{service}_{service}' }, /exactly once/],
    ['{db} outside of errors', { outputTopic: '{db}' }, /outputTopic.*\{service\}/],
    ['errors without {db}', { agent: 'errors', outputTopic: 'log' }, /outputTopic.*\{db\} exactly once/],
    ['unknown placeholder', { outputTopic: '{service}_{tenant}' }, /outputTopic.*unknown placeholder \{tenant\}/],
    ['open placeholder', { outputTopic: '{service}_{suffix' }, /outputTopic.*unknown placeholder \{suffix/],
    ['illegal character in the template', { outputTopic: '{service}/x' }, /outputTopic.*no legal topic name/],
    ['template too long for the longest service', { outputTopic: `${'x'.repeat(200)}{service}` }, /outputTopic.*249/],
    ['template of a changelog', { outputTopic: '{service}-changelog' }, /outputTopic.*-changelog/],
    ['illegal prefix', { prefix: 'a b' }, /topicPrefix \(KAFNUS_TOPIC_PREFIX\) is "a b"/],
    ['a placeholder as prefix', { prefix: '{service}' }, /topicPrefix/],
    ['illegal suffix', { suffix: 'ñ' }, /topicSuffix \(KAFNUS_TOPIC_SUFFIX\)/],
    ['illegal input', { inputTopic: '..' }, /inputTopic \(KAFNUS_INPUT_TOPIC\) is ".."/],
    ['{service} in the input', { inputTopic: 'raw_{service}' }, /inputTopic.*unknown placeholder \{service\}/],
    ['illegal dead letter', { deadLetterTopic: '.' }, /deadLetterTopic \(KAFNUS_DEAD_LETTER_TOPIC\)/],
    ['dead letters to the input', { deadLetterTopic: 'raw_historic' }, /deadLetterTopic.*"raw_historic".*input/],
    ['errors to its own input', { agent: 'errors', deadLetterTopic: '{prefix}raw_errors' }, /deadLetterTopic.*input/],
  ])('%s', (_, changes, message) => {
    expect(() => named(changes)).toThrow(message);
  });

  test('the longest topic that is legal is accepted', () => {
    expect(() => named({ outputTopic: `${'x'.repeat(199)}{service}` })).not.toThrow();
  });
});

describe('services that may not be used (SPEC 2)', () => {
  test.each(['', 'a'.repeat(51), 'Town', 'my-svc', 'my.svc', 'ñandú', 'a,b', 'a b', 'a\n', '../x'])(
    'no legal name: %j',
    (service) => {
      for (const names of [named(), kafnus]) expect(serviceProblem(names, service)).toMatch(/1 to 50 characters/);
    },
  );

  test.each(['town', 'a', '_', '0', 'a'.repeat(50), 'my_historic_town', 'town_http', 'town_lastdata_x', 'lastdata'])(
    'a service like any other: %s',
    (service) => {
      for (const names of [named(), kafnus]) expect(serviceProblem(names, service)).toBeUndefined();
    },
  );

  test.each([
    ['town_lastdata', 'lastdata topic of service "town"'],
    ['town_mutable', 'mutable topic of service "town"'],
    ['town_error_log', 'errors topic of service "town"'],
    ['_lastdata', 'lastdata topic of service ""'],
    ['a_lastdata_lastdata', 'lastdata topic of service "a_lastdata"'],
  ])('default naming: %s would be the %s', (service, problem) => {
    for (const agent of agentNames) {
      expect(serviceProblem(named({ agent }), service)).toContain(problem);
      expect(serviceProblem(named({ agent, prefix: 'p_', suffix: '_s' }), service)).toContain(problem);
    }
    expect(serviceProblem(kafnus, service)).toBeUndefined();
  });

  // The lastdata topic of `raw` would be the input topic of the lastdata agent.
  test.each([
    'raw',
    'raw_historic',
    'raw_lastdata',
    'raw_mutable',
    'raw_errors',
    'raw_errors_dead',
    '__consumer_offsets',
    '_schemas',
  ])('default naming: %s would write to a topic that is not its own', (service) => {
    for (const agent of agentNames)
      expect(serviceProblem(named({ agent }), service)).toMatch(/input, dead-letter or internal/);
    expect(serviceProblem(kafnus, service)).toBeUndefined();
  });

  test('the topics of this agent count as set', () => {
    const names = named({ inputTopic: 'orion', deadLetterTopic: 'dead' });
    expect(serviceProblem(names, 'orion')).toMatch(/topic "orion" is an input/);
    expect(serviceProblem(names, 'dead')).toMatch(/topic "dead" is an input, dead-letter/);
  });

  test('a changelog topic', () => {
    expect(serviceProblem(named({ outputTopic: 'state-{service}' }), 'changelog')).toMatch(/internal/);
  });

  test('templates decide, not names: with a template of its own for historic only true collisions are refused', () => {
    const names = named({ outputTopic: 'rows.{service}' });
    expect(serviceProblem(names, 'town_lastdata')).toBeUndefined();
    const clash = named({ outputTopic: 'x_{service}' });
    expect(serviceProblem(clash, 'a_lastdata')).toContain('lastdata topic of service "x_a"');
    expect(serviceProblem(clash, 'x_a')).toBeUndefined();
  });

  test('the offending value is shown shortened and on one line', () => {
    const problem = serviceProblem(named(), `a\n${'b'.repeat(10_000)}`) ?? '';
    expect(problem.length).toBeLessThan(250);
    expect(problem).not.toContain('\n');
  });
});

describe('the service of a topic (SPEC 7)', () => {
  test.each([
    ['smc_town_historic_processed', 'town'],
    ['smc_my_historic_town_historic_processed', 'my_historic_town'],
    ['smc_my_historic_town_lastdata_processed', 'my_historic_town'],
    ['smc_town_mutable_processed', 'town'],
    ['smc_town_error_log_processed', 'town'],
    ['smc_sgtr_http_processed', 'sgtr'],
    ['smc_test_sgtr_http_processed', 'test_sgtr'],
    ['smc_town_http_v2_processed', 'town'],
    ['smc_a_http_b_historic_processed', 'a_http_b'],
    ['smc_a_http_b_http_processed', 'a_http_b'],
    ['smc_town_mongo_processed', 'town'],
    ['smc_my-svc_historic_processed', 'my-svc'],
    ['smc__processed', undefined],
    ['smc_', undefined],
    ['smc__historic_processed', undefined],
    ['smc_http_processed', undefined],
    ['other_town_historic_processed', undefined],
    ['smc_raw_historic', undefined],
    ['smc_raw_errors_dead', undefined],
    ['ngsi-agent-lastdata-versions-changelog', undefined],
  ])('kafnus: %s is of %s', (topic, service) => {
    expect(serviceOfTopic(kafnus, topic)).toBe(service);
  });

  test.each([
    ['town', 'town'],
    ['my_historic_town', 'my_historic_town'],
    ['town_lastdata', 'town'],
    ['my_mutable_town_mutable', 'my_mutable_town'],
    ['town_error_log', 'town'],
    ['town_http', 'town'],
    ['town_mongo', 'town'],
    ['a_http_b', 'a_http_b'],
    ['raw_historic', undefined],
    ['raw_errors', undefined],
    ['Some.Topic', undefined],
    ['a-changelog', undefined],
  ])('default: %s is of %s', (topic, service) => {
    expect(serviceOfTopic(named(), topic)).toBe(service);
  });

  test('where a topic can be read in two ways the record decides', () => {
    expect(serviceOfTopic(named(), 'town_http', 'town_http')).toBe('town_http');
    expect(serviceOfTopic(named(), 'town_http', 'town')).toBe('town');
    expect(serviceOfTopic(named(), 'town_http', 'elsewhere')).toBe('town');
    expect(serviceOfTopic(named(), 'town_lastdata', 'town_lastdata')).toBe('town');
  });
});
