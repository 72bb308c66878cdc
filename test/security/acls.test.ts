/**
 * The ACLs that `kafnus acls` prints are sufficient, and each is needed: without it, the agent
 * reports the missing right.
 */
import { expect, test } from '@jest/globals';
import { addAcls, type Acl } from '@kafnus/agent-testkit';
import { AgentProcess, committedOffsets, createTopics, produceAll, type RecordToWrite } from '@kafnus/local-stack';
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expectLogged, readDeadLetters } from '../faults/harness/error-log.js';
import { expectExactlyOnce, header, readStable } from '../faults/harness/expectations.js';
import { eventually } from '../faults/harness/eventually.js';
import { withFleet } from '../faults/harness/fleet.js';
import { Workload, type AgentName } from '../faults/harness/workload.js';
import { client, describeSecured, kafnus, user, type Env, type Secured } from './harness/secured.js';

interface Grant {
  readonly resource: Acl['resource'];
  readonly name: string;
  readonly pattern: Acl['pattern'];
  readonly operations: readonly Acl['operation'][];
}

/** The ACLs of an agent as printed by `kafnus acls`. */
async function rightsOf(agent: AgentName, principal: string, env: Env): Promise<Acl[]> {
  const { code, stdout, stderr } = await kafnus(['acls', '--agent', agent, '--principal', principal, '--json'], env);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { agents } = JSON.parse(stdout) as { agents: { principal: string; grants: Grant[] }[] };
  return agents.flatMap(({ grants }) =>
    grants.flatMap(({ operations, resource, name, pattern }) =>
      operations.map((operation) => ({ principal, resource, name, pattern, operation })),
    ),
  );
}

/**
 * Runs the printed script with a shell, and each command with Kafka's own tool. @returns the number
 * of commands
 */
async function runScript({ kafka }: Secured, script: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'kafnus-acls-'));
  try {
    const told = join(folder, 'commands');
    const tool = join(folder, 'kafka-acls.sh');
    // One line for each argument, and an empty line after each command.
    writeFileSync(tool, `#!/bin/sh\nprintf '%s\\n' "$@" '' >> '${told}'\n`);
    chmodSync(tool, 0o755);
    writeFileSync(join(folder, 'acls.sh'), script);
    await promisify(execFile)('sh', [join(folder, 'acls.sh'), '--force'], { env: { PATH: `${folder}:/usr/bin:/bin` } });
    const commands = readFileSync(told, 'utf8').trimEnd().split('\n\n');
    await Promise.all(commands.map((words) => kafka.tool('org.apache.kafka.tools.AclCommand', ...words.split('\n'))));
    return commands.length;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describeSecured('the rights of kafnus acls', (secured) => {
  test.concurrent('are sufficient for all four agents, each with another authentication mechanism', async () => {
    const { kafka, logins } = secured();
    const name = `city${process.pid}`;
    const agents = [
      ['historic', 'User:CN=historic', logins.mtls('historic')],
      ['lastdata', `User:${user}`, logins.scram()],
      ['mutable', `User:${client}`, logins.oauth()],
      ['errors', 'User:CN=errors', logins.mtls('errors')],
    ] as const;
    const workloads = agents.map(([agent]) => new Workload({ agent, name }));
    await Promise.all(
      agents.map(async ([agent, principal], index) => {
        const env = workloads[index]?.env ?? {};
        if (agent !== 'lastdata') return addAcls(kafka.internalServers, await rightsOf(agent, principal, env));
        const { stdout } = await kafnus(['acls', '--agent', agent, '--principal', principal], env);
        expect(await runScript(secured(), stdout)).toBe(5);
      }),
    );
    const [historic, lastdata, mutable, errors] = workloads as [Workload, Workload, Workload, Workload];
    const login = (index: number): Env => agents[index]?.[2] ?? {};
    await createTopics(kafka.internalServers, [{ topic: errors.inputTopic, partitions: 4 }]);
    await withFleet(kafka, historic, login(0), async (first) => {
      await withFleet(kafka, lastdata, login(1), async (second) => {
        await withFleet(kafka, mutable, login(2), async (third) => {
          const fleets = [first, second, third];
          const members = fleets.map((fleet) => fleet.start('pod-0'));
          const logger = new AgentProcess({
            agent: 'errors',
            brokers: kafka.bootstrapServers,
            env: { ...errors.env, ...login(3) },
          });
          try {
            for (const fleet of fleets) await fleet.produce(500);
            for (const fleet of fleets) await fleet.finished();
            for (const [index, workload] of [historic, lastdata, mutable].entries()) {
              await expectExactlyOnceOf(secured(), workload, members[index]);
            }
            const deadLetters = await readDeadLetters(errors, kafka);
            expect(deadLetters.length).toBeGreaterThan(100);
            await eventually(() => expectLogged(errors, deadLetters, kafka, [logger]));
            // A session lasts as long as its token, so this one was re-authenticated at least once.
            await eventually(async () => {
              expect(secured().tokens.issued.get(client)).toBeGreaterThan(6);
              await third.produce(10);
              await third.finished();
            });
            await logger.stop();
          } finally {
            await logger.kill();
          }
        });
      });
    });
  });
});

/** One record for each of two tenants, and one that is dead-lettered. */
function smallInput(agent: AgentName, topic: string): RecordToWrite[] {
  const headers = (service: string): Record<string, string>[] => [
    { 'fiware-service': service },
    { 'fiware-servicepath': '/lab' },
    ...(agent === 'errors' ? [{ '__connect.errors.exception.message': 'ERROR: no such table' }] : []),
  ];
  const entity = { id: 'd1', type: 'Device', TimeInstant: { type: 'DateTime', value: '2026-01-01T00:00:00Z' } };
  const value = JSON.stringify({ subscriptionId: 's', data: [entity] });
  return ['city', 'harbour', '../x'].map((service) => ({
    topic,
    key: 'd1',
    partition: 0,
    value,
    headers: headers(service),
  }));
}

/** The reaction of an agent to a missing right. */
type Consequence =
  /** The process ends, and its last log line names the missing right. */
  | { readonly kind: 'ends'; readonly says: string }
  /** The agent is not ready, names the missing right, and resumes by itself when it is granted. */
  | { readonly kind: 'waits'; readonly says: string }
  /** The record of this tenant is dead-lettered, and no other. */
  | { readonly kind: 'dead-letters'; readonly service: string }
  /** The agent reports it, and processes all records where they are. */
  | { readonly kind: 'falls back'; readonly says: string };

function consequenceOf({ resource, name, operation }: Acl, workload: Workload): Consequence {
  const { inputTopic, deadLetterTopic, changelogTopic, group } = workload;
  const missing =
    operation === 'Create' ? `not authorised to create topic ${name}` : `not authorised to write to topic ${name}`;
  if (resource === 'transactional-id') return { kind: 'ends', says: 'Transactional Id authorization failed' };
  if (resource === 'group') return { kind: 'waits', says: `not authorised to read group ${group}: grant Read on it` };
  if (name === inputTopic && operation === 'Write') {
    return { kind: 'falls back', says: 'records are not re-keyed: grant Write on the input topic' };
  }
  if (name === inputTopic) return { kind: 'waits', says: `not authorised to read topic ${name}: grant Read on it` };
  if (name === changelogTopic) {
    return {
      kind: 'ends',
      says: operation === 'Read' ? `restore of ${name}-0: Broker: Topic authorization failed` : missing,
    };
  }
  const service = workload.tenants.find((tenant) => workload.outputTopic(tenant) === name);
  if (service !== undefined) return { kind: 'dead-letters', service };
  // The dead-letter topic, or the prefix that it shares with the output topics.
  expect(deadLetterTopic.startsWith(name)).toBe(true);
  return { kind: 'waits', says: missing.replace(name, deadLetterTopic) };
}

/** Starts an agent with all rights but one, and checks its reaction and its records. */
async function runWithout({ kafka, logins }: Secured, agent: AgentName, settings: Env, missing: number): Promise<void> {
  const workload = new Workload({ agent, partitions: 1 });
  const { inputTopic, deadLetterTopic, changelogTopic, group } = workload;
  const env = { ...workload.env, ...settings };
  const rights = await rightsOf(agent, `User:CN=${workload.name}`, env);
  const [lacking] = rights.splice(missing, 1);
  if (lacking === undefined) throw new Error(`${agent} has no right ${missing}`);
  await addAcls(kafka.internalServers, rights);
  await createTopics(kafka.internalServers, [{ topic: inputTopic, partitions: 1 }]);
  if (lacking.name === changelogTopic && lacking.operation === 'Read') {
    // An agent without state reads no changelog.
    await createTopics(kafka.internalServers, [{ topic: changelogTopic, partitions: 1 }]);
    await produceAll(kafka.internalServers, [
      { topic: changelogTopic, key: '["city","/lab","Device","d9"]', value: '1' },
    ]);
  }
  await produceAll(kafka.internalServers, smallInput(agent, inputTopic));

  const member = new AgentProcess({ agent, brokers: '', env: { ...env, ...logins.mtls(workload.name) } });
  const finished = (): Promise<void> =>
    eventually(async () => {
      expect((await committedOffsets(kafka.internalServers, group, inputTopic)).get(0)).toBe(3);
    });
  try {
    const consequence = consequenceOf(lacking, workload);
    if (consequence.kind === 'ends') {
      expect((await member.ended).code).toBe(1);
      // The last line can arrive after the end of the process.
      await member.untilLogged(consequence.says, 10_000);
      expect(member.log.trimEnd().split('\n').at(-1)).toContain(consequence.says);
      return;
    }
    if (consequence.kind === 'waits') {
      await eventually(async () => {
        const { status, body } = await member.get('/ready');
        expect({ status, said: `${body}\n${member.log}` }).toEqual({
          status: 503,
          said: expect.stringContaining(consequence.says),
        });
      });
      await addAcls(kafka.internalServers, [lacking]);
    }
    await finished();
    if (consequence.kind === 'falls back') await member.untilLogged(consequence.says, 10_000);
    // Each record is either an output or a dead letter.
    const deadLetters = (await readStable(kafka, deadLetterTopic)).map((deadLetter) =>
      header(deadLetter, 'fiware-service'),
    );
    expect(deadLetters).toContain('../x');
    for (const tenant of workload.tenants) {
      const topic = workload.outputTopic(tenant);
      const refused = deadLetters.filter((service) => service === tenant).length;
      if (lacking.resource !== 'topic' || lacking.name === inputTopic) expect(refused).toBe(0);
      if (consequence.kind === 'dead-letters') expect(refused).toBe(tenant === consequence.service ? 1 : 0);
      const rows = refused > 0 ? 0 : (await readStable(kafka, topic)).length;
      expect(refused + rows).toBe(1);
    }
    if (consequence.kind === 'dead-letters') {
      expect(member.log).toMatch(
        new RegExp(`"level":"error".*not authorised to (write|create).*${lacking.name}: grant`),
      );
    }
    await eventually(async () => expect((await member.get('/ready')).status).toBe(200));
  } catch (error) {
    throw new Error(`without ${JSON.stringify(lacking)}: ${String(error)}\n${member.log.slice(-3000)}`, {
      cause: error,
    });
  } finally {
    await member.kill();
  }
}

/** The agents share a dead-letter topic: counts the records of this workload. */
async function expectExactlyOnceOf(
  { kafka }: Secured,
  workload: Workload,
  member: AgentProcess | undefined,
): Promise<void> {
  await expectExactlyOnce(workload, kafka, member ? { alive: [member], complete: true } : {});
}

describeSecured('a missing right', (secured) => {
  test.concurrent.each<readonly [AgentName, Env, number]>([
    // With listed tenants there is one ACL for each topic; with a prefix, one ACL covers all.
    ['historic', { KAFNUS_TENANTS: 'city,harbour' }, 9],
    ['lastdata', {}, 8],
    ['mutable', { KAFNUS_TENANTS: 'city,harbour' }, 10],
    ['errors', { KAFNUS_TENANTS: 'city,harbour' }, 9],
  ])('of %s is told, and stops nobody else %j', async (agent, settings, count) => {
    expect(await rightsOf(agent, 'User:any', { ...new Workload({ agent }).env, ...settings })).toHaveLength(count);
    for (let missing = 0; missing < count; missing += 1) await runWithout(secured(), agent, settings, missing);
  });
});
