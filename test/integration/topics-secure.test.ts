/**
 * `topics` on a secured cluster: TLS and each authentication mechanism. Topic configurations are
 * read and changed over a separate connection.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { addAcls, startSecureKafka, withKafka, type SecureKafka } from '@kafnus/agent-testkit';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentTopics } from './topics-run.js';

jest.setTimeout(300_000);

withKafka(describe)('topics over TLS', () => {
  let secure: SecureKafka;
  const folder = mkdtempSync(join(tmpdir(), 'kafnus-topics-'));

  beforeAll(async () => {
    const secrets = { token: 'a client=secret' };
    secure = await startSecureKafka({ users: { scram: 'wonderland' }, clients: secrets, tokenSeconds: 60 });
    const rights = ['Create', 'Describe', 'Read', 'Write', 'DescribeConfigs', 'AlterConfigs'] as const;
    await addAcls(
      secure.kafka.internalServers,
      ['User:scram', 'User:token', 'User:CN=mtls'].flatMap((principal) =>
        rights.map(
          (operation) => ({ principal, resource: 'topic', name: '*', pattern: 'literal', operation }) as const,
        ),
      ),
    );
  });

  afterAll(async () => {
    await secure?.stop();
    rmSync(folder, { recursive: true });
  });

  /** The settings of each authentication mechanism. */
  const ways: Readonly<Record<string, () => Readonly<Record<string, string>>>> = {
    'SCRAM, certificates as text': () => ({
      KAFNUS_KAFKA_BROKERS: secure.servers.scram,
      KAFNUS_KAFKA_SECURITY_PROTOCOL: 'sasl_ssl',
      KAFNUS_KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
      KAFNUS_KAFKA_SASL_USERNAME: 'scram',
      KAFNUS_KAFKA_SASL_PASSWORD: 'wonderland',
      KAFNUS_KAFKA_SSL_CA: secure.authority.certificate,
    }),
    'client certificates, as files': () => {
      const { certificate, key } = secure.authority.issue({ name: 'mtls' });
      const file = (name: string, content: string): string => {
        writeFileSync(join(folder, name), content);
        return join(folder, name);
      };
      return {
        KAFNUS_KAFKA_BROKERS: secure.servers.mtls,
        KAFNUS_KAFKA_SECURITY_PROTOCOL: 'ssl',
        KAFNUS_KAFKA_SSL_CA: file('ca.pem', secure.authority.certificate),
        KAFNUS_KAFKA_SSL_CERTIFICATE: file('certificate.pem', certificate),
        KAFNUS_KAFKA_SSL_KEY: file('key.pem', key),
      };
    },
    tokens: () => ({
      KAFNUS_KAFKA_BROKERS: secure.servers.oauth,
      KAFNUS_KAFKA_SECURITY_PROTOCOL: 'sasl_ssl',
      KAFNUS_KAFKA_SASL_MECHANISM: 'OAUTHBEARER',
      KAFNUS_KAFKA_OAUTH_TOKEN_URL: secure.tokens.url,
      KAFNUS_KAFKA_OAUTH_CLIENT_ID: 'token',
      KAFNUS_KAFKA_OAUTH_CLIENT_SECRET: 'a client=secret',
      KAFNUS_KAFKA_OAUTH_SCOPE: secure.scope,
      KAFNUS_KAFKA_SSL_CA: secure.authority.certificate,
    }),
  };

  test.each(Object.keys(ways).map((name, index) => [name, index] as const))('%s', async (name, index) => {
    const env = { ...ways[name]?.(), KAFNUS_TOPIC_PREFIX: `way${index}_` };
    const created = await agentTopics('historic', env, 'apply');
    expect(created).toMatchObject({ code: 0, stderr: '', findings: [] });
    expect(created.steps).toHaveLength(2);
    // The retention of the dead-letter topic must not be shorter than that of the raw topic, so the
    // command reads and changes configurations.
    const raise = 'retention.ms=9000000000';
    const topic = `way${index}_raw_historic`;
    await secure.kafka.tool('kafka.admin.ConfigCommand', '--alter', '--topic', topic, '--add-config', raise);
    const short = await agentTopics('historic', env, 'check');
    expect(short).toMatchObject({ code: 0, brief: [`warning retention-short way${index}_raw_errors`] });
    const updated = await agentTopics('historic', env, 'apply', '--update-config');
    expect(updated).toMatchObject({ code: 0, findings: [] });
    expect(updated.steps).toEqual([{ topic: `way${index}_raw_errors`, did: 'configured', detail: raise }]);
  });

  test.each([
    ['another password', { KAFNUS_KAFKA_SASL_PASSWORD: 'other' }, /Authentication failed/],
    ['no trust in the certificate', { KAFNUS_KAFKA_SSL_CA: '' }, /self-signed|unable to (?:verify|get)/],
  ])('%s: says so', async (_, change, message) => {
    const env = { ...ways['SCRAM, certificates as text']?.(), ...change };
    const { code, stdout, stderr } = await agentTopics('historic', env, 'check');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).toContain(secure.servers.scram);
  });

  test.each([
    ['expired', /certificate has expired/],
    ['elsewhere', /does not match certificate's altnames/],
  ] as const)('a broker with a certificate that is %s is not trusted', async (server, message) => {
    const env = { ...ways['SCRAM, certificates as text']?.(), KAFNUS_KAFKA_BROKERS: secure.servers[server] };
    const { code, stderr } = await agentTopics('historic', env, 'check');
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });
});
