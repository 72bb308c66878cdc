/**
 * Describing groups needs the right Describe: with it, it works with each authentication mechanism;
 * without it, the missing right is reported.
 */
import { expect, test } from '@jest/globals';
import { addAcls, type Acl } from '@kafnus/agent-testkit';
import { AgentProcess, createTopics } from '@kafnus/local-stack';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { Workload } from '../faults/harness/workload.js';
import { client, describeSecured, kafnus, user, type CommandEnd, type Env } from './harness/secured.js';

/**
 * Takes the code path of Kerberos with another mechanism. It runs in a separate process, because a
 * defect would end the process.
 */
async function groupsByClient(groups: readonly string[], login: Env): Promise<unknown> {
  const compiled = join(import.meta.dirname, '..', '..', 'tools', 'cli', 'dist', 'kafka');
  const url = (file: string): string => JSON.stringify(pathToFileURL(join(compiled, file)).href);
  const program = `
    import { writeSync } from 'node:fs';
    import { connection } from ${url('connection.js')};
    import { groupsByClient } from ${url('topic-admin.js')};
    const answers = await groupsByClient(connection(process.env).address, ${JSON.stringify(groups)});
    writeSync(1, JSON.stringify([...answers.values()], (_, value) => (value instanceof Map ? [...value] : value)));
    process.exit(0);`;
  const env = { PATH: process.env['PATH'], ...login };
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], { env });
  return JSON.parse(stdout);
}

describeSecured('groups', (secured) => {
  /** Grants Read on the topics with this prefix, and these rights on its groups. */
  async function allow(principal: string, name: string, groups: readonly Acl['operation'][]): Promise<void> {
    const right = (resource: Acl['resource'], operation: Acl['operation']): Acl => {
      return { principal, resource, name, pattern: 'prefixed', operation };
    };
    const rights = groups.map((operation) => right('group', operation));
    await addAcls(secured().kafka.internalServers, [right('topic', 'Read'), ...rights]);
  }

  /** Runs `kafnus` with these arguments for the agent of the workload. */
  function about(workload: Workload, login: Env, ...args: readonly string[]): Promise<CommandEnd> {
    const { group, inputTopic } = workload;
    return kafnus([...args, '--group', group, '--input-topic', inputTopic], { ...workload.env, ...login });
  }

  test.concurrent('are visible with the right, with every authentication mechanism', async () => {
    const { kafka, logins } = secured();
    const workload = new Workload({ agent: 'lastdata', partitions: 2 });
    await createTopics(kafka.internalServers, [{ topic: workload.inputTopic, partitions: 2 }]);
    const agent = new AgentProcess({ agent: 'lastdata', brokers: kafka.internalServers, env: workload.env });
    try {
      await agent.ready();
      const users = [
        [`User:CN=${workload.name}`, logins.mtls(workload.name), 'Describe'],
        // The same principal as the agents.
        [`User:${user}`, logins.scram(), 'Read'],
        [`User:${client}`, logins.oauth(), 'Read'],
      ] as const;
      for (const [principal, login, right] of users) {
        await allow(principal, workload.name, [right]);
        const lag = await about(workload, login, 'lag', '--agent', 'lastdata', '--json', '--check');
        expect({ principal, ...lag }).toMatchObject({ code: 0, stderr: '' });
        expect(JSON.parse(lag.stdout)).toMatchObject({
          agents: [{ state: 'stable', members: [{ partitions: [0, 1] }] }],
        });
      }
      const state = await about(workload, logins.scram(), 'state', 'repartition', '--partitions', '4');
      expect(state).toMatchObject({ code: 1, stdout: '' });
      expect(state.stderr).toContain(`the group ${workload.group} has 1 living members: kafnus-lastdata-`);
    } finally {
      await agent.kill();
    }
  });

  test.concurrent('are invisible without the right, and no process ends because of it', async () => {
    const { kafka, logins } = secured();
    const workload = new Workload({ agent: 'lastdata', partitions: 2 });
    const topics = [workload.inputTopic, workload.changelogTopic].map((topic) => ({ topic, partitions: 2 }));
    await createTopics(kafka.internalServers, topics);
    await allow(`User:CN=${workload.name}`, workload.name, []);
    const login = logins.mtls(workload.name);
    const missing = `not authorised: grant the user Describe on group ${workload.group}`;

    const lag = await about(workload, login, 'lag', '--agent', 'lastdata', '--json', '--check');
    expect({ code: lag.code, stderr: lag.stderr }).toEqual({ code: 1, stderr: '' });
    expect(JSON.parse(lag.stdout)).toMatchObject({
      agents: [{ state: 'unknown', refused: missing }],
      findings: [{ code: 'refused', problem: missing }],
    });
    const table = await about(workload, login, 'top', '--agent', 'lastdata', '--once', '--interval', '500ms');
    expect(table).toMatchObject({ code: 0, stderr: '' });
    expect(table.stdout).toContain(`error: not authorised: grant the user Describe on group`);
    const state = await about(workload, login, 'state', 'repartition', '--partitions', '4');
    expect(state).toEqual({
      code: 1,
      stdout: '',
      stderr: `kafnus state: the members of the group are unknown: ${missing}\n`,
    });
    const check = await kafnus(['topics', 'check', '--agent', 'lastdata'], { ...workload.env, ...login });
    expect(check.stderr).toBe('');
    expect(check.stdout).toContain(workload.inputTopic);
  });

  test.concurrent('are described through the Kafka client where only it can authenticate', async () => {
    const { kafka, logins } = secured();
    const protocols = ['classic', 'consumer'] as const;
    const workloads = protocols.map(() => new Workload({ agent: 'historic', partitions: 2 }));
    const [first, second] = workloads as [Workload, Workload];
    await createTopics(
      kafka.internalServers,
      workloads.map(({ inputTopic }) => ({ topic: inputTopic, partitions: 2 })),
    );
    const agents = workloads.map(({ env }, index) => {
      const consumer = JSON.stringify({ 'group.protocol': protocols[index] });
      return new AgentProcess({
        agent: 'historic',
        brokers: kafka.internalServers,
        env: { ...env, KAFNUS_KAFKA_CONSUMER: consumer },
      });
    });
    try {
      await Promise.all(agents.map((agent) => agent.ready()));
      for (const { name } of workloads) await allow(`User:CN=${first.name}`, name, ['Describe']);
      const groups = [first.group, second.group, `${first.group}-none`, 'hidden'];
      const stable = ({ inputTopic }: Workload): unknown => ({
        kind: 'group',
        state: 'stable',
        members: [expect.objectContaining({ host: '127.0.0.1', partitions: [[inputTopic, [0, 1]]] })],
      });
      expect(await groupsByClient(groups, logins.mtls(first.name))).toEqual([
        stable(first),
        stable(second),
        { kind: 'absent' },
        { kind: 'refused', transient: false, message: 'not authorised: grant the user Describe on group hidden' },
      ]);
    } finally {
      await Promise.all(agents.map((agent) => agent.kill()));
    }
  });
});
