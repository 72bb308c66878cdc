/** No secrets in the output of an agent, and no harm from names that tenants choose. */
import { expect, test } from '@jest/globals';
import { AgentProcess, createTopics, produceAll, type LocalKafka } from '@kafnus/local-stack';
import { readFileSync } from 'node:fs';
import { eventually } from '../faults/harness/eventually.js';
import { header, readStable } from '../faults/harness/expectations.js';
import { Workload } from '../faults/harness/workload.js';
import { allowAll, client, describeSecured, secrets, user, type Env } from './harness/secured.js';

const adminToken = 'ADMINTOKEN-1d7c55';
const marked = [secrets.password, secrets.client, adminToken, 'MARKED-', 'PRIVATE KEY', 'eyJ'];

describeSecured('secrets', (secured) => {
  test.concurrent.each(['scram', 'oauth', 'mtls'] as const)(
    'of a login by %s are in nothing that the agent says, whatever happens and however much it is to say',
    async (how) => {
      const { kafka, logins } = secured();
      const login = how === 'mtls' ? logins.mtls('teller') : logins[how]();
      const principal = { scram: `User:${user}`, oauth: `User:${client}`, mtls: 'User:CN=teller' }[how];
      const workload = new Workload({ agent: 'historic', partitions: 1 });
      await allowAll(secured(), principal, workload.name);
      await createTopics(kafka.internalServers, [{ topic: workload.inputTopic, partitions: 1 }]);
      const key = login['KAFNUS_KAFKA_SSL_KEY']?.split('\n')[1];
      const env: Env = {
        ...workload.env,
        ...login,
        KAFNUS_ADMIN_TOKEN: adminToken,
        KAFNUS_LOG_LEVEL: 'trace',
        // All debug contexts of librdkafka, and secrets in the settings where users may put them.
        KAFNUS_KAFKA_CONSUMER: JSON.stringify({ debug: 'all', 'ssl.keystore.password': 'MARKED-keystore' }),
        KAFNUS_KAFKA_PRODUCER: JSON.stringify({ debug: 'all', 'ssl.keystore.password': 'MARKED-keystore' }),
      };
      const agent = new AgentProcess({ agent: 'historic', brokers: '', env });
      const wrong = new AgentProcess({
        agent: 'historic',
        brokers: '',
        env: {
          ...env,
          KAFNUS_INSTANCE_ID: 'wrong',
          ...(how === 'scram' ? { KAFNUS_KAFKA_SASL_PASSWORD: 'MARKED-password' } : {}),
          ...(how === 'oauth' ? { KAFNUS_KAFKA_OAUTH_CLIENT_SECRET: 'MARKED-secret' } : {}),
          ...(how === 'mtls' ? { KAFNUS_KAFKA_SSL_CA: logins.mtls('x')['KAFNUS_KAFKA_SSL_CERTIFICATE'] ?? '' } : {}),
        },
      });
      const refused = new AgentProcess({
        agent: 'historic',
        brokers: '',
        env: { ...env, KAFNUS_KAFKA_SASL_PASWORD: 'MARKED-typo', KAFNUS_COMMIT_INTERVAL_MS: 'soon' },
      });
      try {
        await agent.ready();
        await produceAll(kafka.internalServers, workload.take(50));
        await agent.until('done', ({ ledger }) => ledger.read === 50);
        await eventually(async () => expect(wrong.log).toMatch(/refuses|no access token|cannot be trusted/), 30_000);
        expect((await refused.ended).code).toBe(2);
        const said = await Promise.all(
          ['/live', '/ready', '/health', '/metrics', '/config', '/loglevel'].flatMap((path) =>
            [agent, wrong].map(async (one) => (await one.get(path)).body),
          ),
        );
        said.push(readFileSync(`/proc/${agent.pid}/cmdline`, 'utf8'));
        await agent.stop();
        said.push(agent.log, wrong.log, refused.log);
        const all = said.join('\n');
        expect(all).toContain('kafkaSaslPassword');
        expect(all).toMatch(/"level":"(debug|trace)"/);
        for (const secret of [...marked, ...(key === undefined ? [] : [key])]) {
          const at = all.indexOf(secret);
          expect(at < 0 ? '' : all.slice(Math.max(0, at - 200), at + 40)).toBe('');
        }
      } finally {
        await Promise.all([agent, wrong, refused].map((one) => one.kill()));
      }
    },
  );
});

async function topicNames(kafka: LocalKafka): Promise<string[]> {
  return (await kafka.tool('org.apache.kafka.tools.TopicCommand', '--list')).split('\n').filter((line) => line !== '');
}

describeSecured('names that tenants choose', (secured) => {
  const hostile = [
    '../x',
    'x'.repeat(300),
    'ciudad_ñ',
    'city\u0000',
    'city\nharbour',
    '\u001b[31mred',
    '*',
    'raw_errors',
    'town_lastdata',
    '{service}',
    'a b',
    "x'; drop table",
    '${jndi:ldap://x}',
  ];

  test('never become an illegal topic: their records are dead-lettered', async () => {
    const { kafka, logins } = secured();
    const workload = new Workload({ agent: 'historic', partitions: 1 });
    await allowAll(secured(), 'User:CN=guard', workload.name);
    await createTopics(kafka.internalServers, [{ topic: workload.inputTopic, partitions: 1 }]);
    const value = JSON.stringify({
      subscriptionId: 's',
      data: [{ id: 'd', type: 'T', TimeInstant: { type: 'DateTime', value: '2026-01-01T00:00:00Z' } }],
    });
    const record = (
      service: string,
      path = '/p',
    ): Parameters<typeof produceAll>[1] extends Iterable<infer R> ? R : never => ({
      topic: workload.inputTopic,
      key: 'd',
      value,
      // As bytes: the client cuts a string at its first NUL.
      headers: [{ 'fiware-service': Buffer.from(service) }, { 'fiware-servicepath': Buffer.from(path) }],
    });
    // A service path is part of a table name, never of a topic name.
    const paths = ['/../..', `/${'x'.repeat(300)}`, '/ñ\u0000'];
    await produceAll(kafka.internalServers, [
      ...hostile.map((service) => record(service)),
      ...paths.map((path) => record('city', path)),
    ]);
    const agent = new AgentProcess({
      agent: 'historic',
      brokers: '',
      env: { ...workload.env, ...logins.mtls('guard') },
    });
    try {
      const { ledger } = await agent.until('done', ({ ledger }) => ledger.read === hostile.length + paths.length);
      expect(Object.keys(ledger.tenants).sort()).toEqual(['_invalid', 'city']);
      const deadLetters = await readStable(kafka, workload.deadLetterTopic);
      expect(
        deadLetters.map((deadLetter) => header(deadLetter, 'fiware-service')).filter((service) => service !== 'city'),
      ).toEqual(hostile);
      const own = (await topicNames(kafka)).filter((name) => name.startsWith(workload.name));
      expect(own.sort()).toEqual([workload.deadLetterTopic, workload.inputTopic, workload.outputTopic('city')].sort());
      // A tenant's text cannot break out of its log line.
      for (const line of agent.log.trimEnd().split('\n')) expect(() => JSON.parse(line)).not.toThrow();
      await agent.stop();
    } finally {
      await agent.kill();
    }
  });
});
