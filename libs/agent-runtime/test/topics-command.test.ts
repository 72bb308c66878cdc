import { describe, expect, test } from '@jest/globals';
import { topicsCommand } from '../src/topics-command.js';
import { agent } from './counting-agent.js';

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function topics(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  let stdout = '';
  let stderr = '';
  const code = await topicsCommand(agent, argv, '1.2.3', {
    env,
    stdout: (text) => (stdout += text),
    stderr: (text) => (stderr += text),
  });
  return { code, stdout, stderr };
}

describe('node dist/main.js topics', () => {
  test.each([
    [[], 'topics: what to do is missing: topics plan, topics apply or topics check\n'],
    [['grow'], 'topics: unknown action "grow": topics plan, topics apply or topics check\n'],
    [['check', '--update-config'], 'topics: --update-config is for topics apply\n'],
    [['check', '--replicas', 'some'], 'topics: --replicas must be a whole number, not "some"\n'],
    [['check', '--replicas'], 'topics: --replicas must be a whole number, not ""\n'],
    [['plan', '--replicas=-1'], 'topics: --replicas must be a whole number, not "-1"\n'],
    [
      ['plan', '--topic-partitons=4', '--kafka-brokers=localhost:1'],
      'topics: configuration: unknown argument "--topic-partitons"; did you mean topic-partitions? (--help lists all)\n',
    ],
  ])('refuses %j', async (argv, stderr) => {
    expect(await topics(argv)).toEqual({ code: 2, stdout: '', stderr });
  });

  test('needs the settings that the agent needs', async () => {
    const { code, stderr } = await topics(['check']);
    expect(code).toBe(2);
    expect(stderr).toContain('kafkaBrokers is not set');
  });

  test.each(['--help', '-h'])('%s', async (option) => {
    const { code, stdout } = await topics(['apply', option]);
    expect(code).toBe(0);
    for (const word of [
      'topics plan|apply|check',
      '"counting"',
      '--update-config',
      '--replicas N',
      '--json',
      'Exit codes',
    ])
      expect(stdout).toContain(word);
  });

  test('nobody answers: exit code 1, with the brokers and the reason', async () => {
    const ran = await topics(['check', '--json'], { KAFNUS_KAFKA_BROKERS: '127.0.0.1:1' });
    expect(ran).toEqual({
      code: 1,
      stdout: '',
      stderr: 'topics: No Kafka answers at 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1\n',
    });
  });
});
