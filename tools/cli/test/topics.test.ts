import { describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../src/command.js';
import { selectAgents, type SelectedAgents, type AgentOptions } from '../src/topics/agent-topics.js';
import { kafnus } from './io.js';

const nothing: AgentOptions = {
  agent: undefined,
  brokers: 'kafka:9092',
  config: undefined,
  partitions: undefined,
  replication: undefined,
};

function choose(options: Partial<AgentOptions> = {}, env: Readonly<Record<string, string>> = {}): SelectedAgents {
  return selectAgents({ ...nothing, ...options }, env);
}

describe('the agents and their topics', () => {
  test('all four, with the names of SPEC 1', () => {
    expect(
      choose().agents.map(({ agent, inputTopic, deadLetterTopic, changelog, groupId, readsDeadLetters }) =>
        [agent, inputTopic, deadLetterTopic, changelog, groupId, readsDeadLetters].join(' '),
      ),
    ).toEqual([
      'historic raw_historic raw_errors  ngsi-agent-historic false',
      'lastdata raw_lastdata raw_errors ngsi-agent-lastdata-newest-changelog ngsi-agent-lastdata false',
      'mutable raw_mutable raw_errors  ngsi-agent-mutable false',
      'errors raw_errors raw_errors_dead  ngsi-agent-errors true',
    ]);
  });

  test('options win over the environment, and that over the file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'kafnus-topics-'));
    try {
      const file = join(folder, 'agent.yaml');
      writeFileSync(file, 'topicPartitions: 2\ntopicReplication: 2\ntopicPrefix: smc_\nmissingTimeInstant: reject\n');
      const env = { KAFNUS_TOPIC_PARTITIONS: '6', KAFNUS_TOPIC_REPLICATION: '3' };
      const [one] = choose({ config: file }, {}).agents;
      expect(one).toMatchObject({ partitions: 2, replication: 2, inputTopic: 'smc_raw_historic' });
      const [two] = choose({ config: file, replication: '1' }, env).agents;
      expect(two).toMatchObject({ partitions: 6, replication: 1 });
      const [three] = choose({ partitions: '8' }, { ...env, KAFNUS_CONFIG: file }).agents;
      expect(three).toMatchObject({ partitions: 8, replication: 3, inputTopic: 'smc_raw_historic' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('variables of other commands do not disturb', () => {
    const env = { KAFNUS_DATABASE_URL: 'postgresql://city', KAFNUS_SOMETHING: '1', KAFNUS_KAFKA_BROKERS: 'other:9092' };
    expect(choose({}, env).config.kafkaBrokers).toBe('kafka:9092');
  });

  test.each(['KAFNUS_INPUT_TOPIC', 'KAFNUS_DEAD_LETTER_TOPIC', 'KAFNUS_OUTPUT_TOPIC', 'KAFNUS_GROUP_ID'])(
    '%s is for one agent, and needs --agent',
    (name) => {
      const env = { [name]: name === 'KAFNUS_OUTPUT_TOPIC' ? 'out_{service}' : 'mine' };
      expect(() => choose({}, env)).toThrow(UsageError);
      expect(() => choose({}, env)).toThrow(new RegExp(`${name}.*is for one agent: name it with --agent`));
      expect(choose({ agent: 'lastdata' }, env).agents).toHaveLength(1);
    },
  );

  test.each([
    ['harbour', 'historic'],
    ['harbour_lastdata', 'lastdata'],
    ['harbour_mutable', 'mutable'],
    ['harbour_error_log', 'errors'],
    ['raw_historic', undefined],
    ['ngsi-agent-lastdata-newest-changelog', undefined],
    ['__consumer_offsets', undefined],
    ['Connect-Offsets', undefined],
  ])('the topic %s is an output of %s', (topic, agent) => {
    expect(choose().outputOf(topic)?.agent).toBe(agent);
  });

  test('an agent looks at its own output topics only', () => {
    const { outputOf } = choose({ agent: 'mutable' }, { KAFNUS_TOPIC_PREFIX: 'smc_' });
    expect(outputOf('smc_harbour_mutable')?.agent).toBe('mutable');
    expect(outputOf('smc_harbour_lastdata')).toBeUndefined();
    expect(outputOf('harbour_mutable')).toBeUndefined();
  });
});

describe('kafnus topics', () => {
  test.each([
    [[], 'the action is missing: kafnus topics plan, apply or check'],
    [['create'], "unknown action 'create': kafnus topics plan, apply or check"],
    [['plan', 'twice'], "unexpected argument 'twice'"],
    [['plan', '--agent', 'history'], "--agent must be one of historic, lastdata, mutable, errors, not 'history'"],
    [['check', '--update-config'], '--update-config is for topics apply'],
    [['check', '--replicas', 'two'], "--replicas must be a whole number of at least 0, not 'two'"],
    [['check', '--partition', '4'], "unknown option '--partition'; did you mean --partitions?"],
  ])('refuses %j', async (argv, message) => {
    const { code, stdout, stderr } = await kafnus(['topics', ...argv]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toBe(`kafnus topics: ${message}\n'kafnus topics --help' shows the usage.\n`);
  });

  test.each([
    [['--partitions', '0'], 'topicPartitions: "0" of the argument --partitions is not valid'],
    [['--replication', 'all'], 'topicReplication: "all" of the argument --replication is not valid'],
    [['--config', '/nowhere.yaml'], 'the configuration file cannot be read: /nowhere.yaml (ENOENT)'],
  ])('says what is wrong with %j', async (argv, message) => {
    const { code, stderr } = await kafnus(['topics', 'plan', '--brokers', 'localhost:1', ...argv]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });

  test('needs brokers, and says so when there are none', async () => {
    expect((await kafnus(['topics', 'plan'])).stderr).toContain('kafkaBrokers is not set');
    const { code, stderr } = await kafnus(['topics', 'check', '--brokers', '127.0.0.1:1']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^kafnus topics: No Kafka answers at 127\.0\.0\.1:1: connect ECONNREFUSED 127\.0\.0\.1:1\n/);
  });
});
