import { describe, expect, test } from '@jest/globals';
import { grantsOf, type AgentTopics } from '../src/acls/grants.js';
import { kafnus } from './io.js';

const lastdata: AgentTopics = {
  group: 'g',
  inputTopic: 'raw',
  deadLetterTopic: 'dead',
  changelogTopic: 'g-newest-changelog',
  outputs: { topics: ['city_lastdata'] },
  exactlyOnce: true,
  rekeys: true,
  creates: true,
};

function shown(agent: AgentTopics): string[] {
  return grantsOf(agent).map(
    ({ resource, name, pattern, operations }) =>
      `${resource} ${name}${pattern === 'prefixed' ? '...' : ''} ${operations.join(' ')}`,
  );
}

describe('the rights of an agent', () => {
  test('are those on its topics, its group and its transactional ids', () => {
    expect(shown(lastdata)).toEqual([
      'topic raw Read Write',
      'group g Read',
      'transactional-id g-... Write',
      'topic city_lastdata Write Create',
      'topic dead Write Create',
      'topic g-newest-changelog Read Write Create',
    ]);
  });

  test('without transactions, state, creation and re-keying are fewer', () => {
    const least = { ...lastdata, exactlyOnce: false, changelogTopic: undefined, creates: false, rekeys: false };
    expect(shown(least)).toEqual(['topic raw Read', 'group g Read', 'topic city_lastdata Write', 'topic dead Write']);
  });

  test('are not said twice: what a prefix covers is left out, and what it does not is kept', () => {
    const prefixed = { ...lastdata, inputTopic: 'p_raw', deadLetterTopic: 'p_dead', outputs: { prefix: 'p_' } };
    expect(shown(prefixed)).toEqual([
      'topic p_raw Read',
      'group g Read',
      'transactional-id g-... Write',
      'topic p_... Write Create',
      'topic g-newest-changelog Read Write Create',
    ]);
    expect(shown({ ...lastdata, outputs: { prefix: '' } }).slice(3)).toEqual([
      'topic * Write Create',
      'topic g-newest-changelog Read',
    ]);
  });

  test('still create the changelog where the creation of topics is off', () => {
    const grants = shown({ ...lastdata, creates: false, outputs: { prefix: '' } });
    expect(grants.slice(3)).toEqual(['topic * Write', 'topic g-newest-changelog Read Create']);
  });
});

describe('kafnus acls', () => {
  const principal = ['--principal', 'User:kafnus-{agent}'];

  test('prints a script for all agents, from their settings', async () => {
    const env = { KAFNUS_TOPIC_PREFIX: 'city_', KAFNUS_KAFKA_BROKERS: 'kafka:9092' };
    const { code, stdout, stderr } = await kafnus(['acls', ...principal], { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const agent of ['historic', 'lastdata', 'mutable']) {
      expect(stdout).toContain(
        `kafka-acls.sh "$@" --add --allow-principal 'User:kafnus-${agent}' --operation Read --topic 'city_raw_${agent}'\n`,
      );
    }
    expect(stdout).toContain(
      `--allow-principal 'User:kafnus-errors' --operation Write --operation Create --resource-pattern-type prefixed --topic 'city_'\n`,
    );
    expect(stdout.match(/newest-changelog/g)).toHaveLength(1);
  });

  test('takes tenants one by one where they are listed', async () => {
    const env = { KAFNUS_TENANTS: 'harbour,oldtown', KAFNUS_TOPICS_CREATE: 'false' };
    const { stdout } = await kafnus(['acls', '--agent', 'mutable', '--principal', 'User:m', '--json'], { env });
    const { agents } = JSON.parse(stdout) as {
      agents: { agent: string; grants: { name: string; operations: string[] }[] }[];
    };
    expect(agents.map(({ agent }) => agent)).toEqual(['mutable']);
    expect(agents[0]?.grants.filter(({ operations }) => operations.includes('Write')).map(({ name }) => name)).toEqual([
      'raw_mutable',
      'ngsi-agent-mutable-',
      'harbour_mutable',
      'oldtown_mutable',
      'raw_errors',
    ]);
  });

  test('quotes what a shell would take for something else', async () => {
    const { stdout } = await kafnus(['acls', '--agent', 'errors', '--principal', "User:CN=a'b $(id)"]);
    expect(stdout).toContain(`--allow-principal 'User:CN=a'\\''b $(id)' `);
  });

  test.each([
    [[], {}, '--principal is missing'],
    [['--principal', 'kafnus'], {}, "--principal 'kafnus' is not TYPE:NAME, such as User:kafnus"],
    [['--principal', 'User:a\nrm'], {}, 'is not TYPE:NAME'],
    [
      ['--principal', 'User:a', '--agent', 'mutabel'],
      {},
      "--agent 'mutabel' is none of historic, lastdata, mutable, errors; did you mean mutable?",
    ],
    [['--principal', 'User:a'], { KAFNUS_GROUP_ID: 'g' }, 'KAFNUS_GROUP_ID is for one agent: name it with --agent'],
  ])('refuses %j with %j', async (argv, env, message) => {
    const { code, stdout, stderr } = await kafnus(['acls', ...argv], { env });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
  });

  test('refuses settings with which no agent would start', async () => {
    const { code, stderr } = await kafnus(['acls', ...principal], { env: { KAFNUS_TOPIC_PREFIX: 'a b' } });
    expect(code).toBe(1);
    expect(stderr).toContain('KAFNUS_TOPIC_PREFIX');
  });
});
