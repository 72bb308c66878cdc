/** Failed logins are reported and retried; rotated secrets are read at the next start. */
import { expect, test } from '@jest/globals';
import { certificateAuthority } from '@kafnus/agent-testkit';
import { AgentProcess, createTopics, produceAll, readAll } from '@kafnus/local-stack';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../faults/harness/eventually.js';
import { Workload } from '../faults/harness/workload.js';
import { allowAll, client, describeSecured, kafnus, secrets, user, type Env, type Secured } from './harness/secured.js';

const stranger = certificateAuthority('a stranger');

/** An agent with a separate workload and its ACLs. */
async function scene(
  secured: Secured,
  principal: string,
): Promise<{ workload: Workload; start: (env: Env) => AgentProcess }> {
  const workload = new Workload({ agent: 'historic', partitions: 1 });
  await allowAll(secured, principal, workload.name);
  await createTopics(secured.kafka.internalServers, [{ topic: workload.inputTopic, partitions: 1 }]);
  const start = (env: Env): AgentProcess =>
    new AgentProcess({ agent: 'historic', brokers: '', env: { ...workload.env, KAFNUS_INSTANCE_ID: 'pod-0', ...env } });
  return { workload, start };
}

/** Expects that the agent is live, not ready, and has logged this. */
async function waitsBecause(agent: AgentProcess, reason: RegExp, timeoutMs = 30_000): Promise<void> {
  await eventually(async () => {
    expect(agent.log).toMatch(reason);
    expect((await agent.get('/ready')).status).toBe(503);
  }, timeoutMs);
  expect(agent.end).toBeUndefined();
}

/** Expects that the agent processes new records. */
async function works({ kafka }: Secured, workload: Workload): Promise<void> {
  const before = await rows(kafka.internalServers, workload);
  await produceAll(kafka.internalServers, workload.take(20));
  await eventually(async () => expect(await rows(kafka.internalServers, workload)).toBeGreaterThan(before + 5));
}

async function rows(servers: string, workload: Workload): Promise<number> {
  return readAll(servers, workload.outputTopic('city')).then(
    (records) => records.length,
    () => 0,
  );
}

describeSecured('a login that fails', (secured) => {
  const without = (env: Env, ...names: string[]): Env =>
    Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)));

  test.concurrent.each<readonly [string, (secured: Secured) => Env, RegExp]>([
    [
      'a wrong password',
      ({ logins }) => logins.scram('WRONG-5b1e'),
      /refuses the login: .*invalid credentials.*see KAFNUS_KAFKA_SASL_MECHANISM/,
    ],
    [
      'a user that nobody knows',
      ({ logins }) => ({ ...logins.scram(), KAFNUS_KAFKA_SASL_USERNAME: 'nobody' }),
      /refuses the login: .*invalid credentials/,
    ],
    [
      'another mechanism than the brokers have',
      ({ logins }) => ({ ...logins.scram(), KAFNUS_KAFKA_SASL_MECHANISM: 'PLAIN' }),
      /refuses the login: .*[Uu]nsupported SASL mechanism/,
    ],
    [
      'a wrong OAuth secret',
      ({ logins }) => logins.oauth('WRONG-5b1e'),
      /no access token: .*invalid_client.*see KAFNUS_KAFKA_OAUTH_TOKEN_URL/,
    ],
    [
      'a broker whose certificate has expired',
      ({ logins, servers }) => ({ ...logins.scram(), KAFNUS_KAFKA_BROKERS: servers.expired }),
      /the certificate of [\d.:]+ cannot be trusted: it is not signed by KAFNUS_KAFKA_SSL_CA, has expired, or/,
    ],
    [
      'a broker with the certificate of another host',
      ({ logins, servers }) => ({ ...logins.scram(), KAFNUS_KAFKA_BROKERS: servers.elsewhere }),
      /the certificate of [\d.:]+ cannot be trusted: .* or is for another host name/,
    ],
    [
      'another authority than that of the brokers',
      ({ logins }) => ({ ...logins.scram(), KAFNUS_KAFKA_SSL_CA: stranger.certificate }),
      /the certificate of [\d.:]+ cannot be trusted: it is not signed by KAFNUS_KAFKA_SSL_CA/,
    ],
    [
      'no client certificate where one is wanted',
      ({ logins }) => without(logins.mtls('x'), 'KAFNUS_KAFKA_SSL_CERTIFICATE', 'KAFNUS_KAFKA_SSL_KEY'),
      /refuses our certificate \(.*\): see KAFNUS_KAFKA_SSL_CERTIFICATE/,
    ],
    [
      'a client certificate of a stranger',
      ({ logins }) => {
        const { certificate, key } = stranger.issue({ name: 'x' });
        return { ...logins.mtls('x'), KAFNUS_KAFKA_SSL_CERTIFICATE: certificate, KAFNUS_KAFKA_SSL_KEY: key };
      },
      /refuses our certificate \(.*\): see KAFNUS_KAFKA_SSL_CERTIFICATE/,
    ],
    [
      'no TLS where the brokers want it',
      ({ servers }) => ({ KAFNUS_KAFKA_BROKERS: servers.scram }),
      /hangs up at once: does it want TLS there\? See KAFNUS_KAFKA_SECURITY_PROTOCOL/,
    ],
  ])('because of %s is told, and the agent waits', async (_, env, reason) => {
    const { start } = await scene(secured(), 'User:nobody');
    const agent = start(env(secured()));
    try {
      await waitsBecause(agent, reason);
      expect(agent.log).not.toContain('WRONG-5b1e');
    } finally {
      await agent.kill();
    }
  });

  test.concurrent(
    'because of a key that is another certificate’s ends the start, and so does a certificate that has expired',
    async () => {
      const { logins, authority } = secured();
      const { start } = await scene(secured(), 'User:nobody');
      const expired = authority.issue({ name: 'x', validFrom: -7200, validUntil: -3600 });
      const other = { ...logins.mtls('x'), KAFNUS_KAFKA_SSL_KEY: expired.key };
      const old = { ...other, KAFNUS_KAFKA_SSL_CERTIFICATE: expired.certificate };
      for (const [env, reason] of [
        [other, 'kafkaSslKey is not the key of kafkaSslCertificate'],
        [old, 'kafkaSslCertificate ("CN=x") has expired on '],
      ] as const) {
        const agent = start(env);
        expect(await agent.ended).toEqual({ code: 2, signal: null });
        expect(agent.log).toContain(reason);
        expect(agent.log).not.toContain('PRIVATE KEY');
      }
    },
  );

  test.concurrent('is reported by the commands of kafnus, without the secret', async () => {
    const { logins } = secured();
    const { workload } = await scene(secured(), `User:${user}`);
    const send = ['send', '--topic', workload.inputTopic, '--entities', '5'];
    for (const env of [logins.scram(), logins.mtls('sender'), logins.oauth()]) {
      const principal = env['KAFNUS_KAFKA_SSL_KEY'] === undefined ? `User:${client}` : 'User:CN=sender';
      await allowAll(secured(), principal, workload.name);
      expect(await kafnus(send, env)).toMatchObject({ code: 0, stdout: expect.stringContaining('5 notifications to') });
    }
    const failed = await kafnus(send, logins.scram('WRONG-5b1e'));
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(/No Kafka answers at .*: .*(authentication|SASL)/i);
    expect(failed.stderr).not.toContain('WRONG-5b1e');
  });
});

describeSecured('an identity provider', (secured) => {
  test('that is down, or issues tokens that brokers reject: agents wait, and resume by themselves', async () => {
    const { logins, tokens } = secured();
    const { workload, start } = await scene(secured(), `User:${client}`);
    const agent = start(logins.oauth());
    try {
      await agent.ready();
      await works(secured(), workload);
      // The session ends with the token. The agent then cannot work, and reports it.
      tokens.answer = 'unavailable';
      // The client tries five times, five seconds apart, before it reports the failure.
      await waitsBecause(agent, /no access token: Failed to retrieve OIDC token/, 90_000);
      tokens.answer = 'token';
      await eventually(async () => expect((await agent.get('/ready')).status).toBe(200), 90_000);
      await works(secured(), workload);
      tokens.answer = 'forged';
      await waitsBecause(agent, /refuses the login: .*the token is not good for it/, 90_000);
      tokens.answer = 'token';
      await eventually(async () => expect((await agent.get('/ready')).status).toBe(200), 90_000);
      await works(secured(), workload);
      await agent.stop();
    } finally {
      tokens.answer = 'token';
      await agent.kill();
    }
  });
});

describeSecured('rotation', (secured) => {
  const folder = mkdtempSync(join(tmpdir(), 'kafnus-rotation-'));
  const write = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };

  test('a new certificate is read at the next start, and not before', async () => {
    const { logins, authority } = secured();
    const { workload, start } = await scene(secured(), 'User:CN=first');
    await allowAll(secured(), 'User:CN=second', workload.name);
    const issue = (name: string): Env => {
      const { certificate, key } = authority.issue({ name });
      return {
        ...logins.mtls(name),
        KAFNUS_KAFKA_SSL_CA: write('ca.crt', authority.certificate),
        KAFNUS_KAFKA_SSL_CERTIFICATE: write('tls.crt', certificate),
        KAFNUS_KAFKA_SSL_KEY: write('tls.key', key),
      };
    };
    const env = issue('first');
    const agent = start(env);
    try {
      await agent.ready();
      // The agent has created all its clients now.
      await works(secured(), workload);
      for (const name of ['ca.crt', 'tls.crt', 'tls.key']) write(name, 'no longer there');
      await works(secured(), workload);
      issue('second');
      await agent.stop();
      const next = start(env);
      try {
        await next.ready();
        await works(secured(), workload);
        await next.stop();
      } finally {
        await next.kill();
      }
    } finally {
      await agent.kill();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('a new password: connected agents continue, an agent that starts with the old one waits, and one with the new file connects', async () => {
    const { logins } = secured();
    const { workload, start } = await scene(secured(), `User:${user}`);
    const secretFolder = mkdtempSync(join(tmpdir(), 'kafnus-rotation-'));
    const file = join(secretFolder, 'password');
    writeFileSync(file, `${secrets.password}\n`);
    const { KAFNUS_KAFKA_SASL_PASSWORD: _, ...login } = logins.scram();
    const env = { ...login, KAFNUS_KAFKA_SASL_PASSWORD_FILE: file };
    const agent = start(env);
    const started = [agent];
    try {
      await agent.ready();
      await works(secured(), workload);
      await secured().setPassword(user, 'NEXT-PASSWORD-90d1');
      await works(secured(), workload);
      await agent.stop();
      const late = start(env);
      started.push(late);
      await waitsBecause(late, /refuses the login: .*invalid credentials/);
      await late.stop();
      writeFileSync(file, 'NEXT-PASSWORD-90d1\n');
      const next = start(env);
      started.push(next);
      await next.ready();
      await works(secured(), workload);
      await next.stop();
      for (const { log } of started) expect(log).not.toMatch(/PASSWORD-/);
    } finally {
      await Promise.all(started.map((one) => one.kill()));
      await secured().setPassword(user, secrets.password);
      rmSync(secretFolder, { recursive: true, force: true });
    }
  });
});
