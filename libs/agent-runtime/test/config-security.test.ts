/** Settings about logging in that do not fit together stop the start. */
import { describe, expect, test } from '@jest/globals';
import { certificateAuthority } from '@kafnus/agent-testkit';
import { connectionProperties } from '@kafnus/kafka-admin';
import { loadConfig } from '../src/config.js';

const authority = certificateAuthority('test');
const oauth = {
  KAFNUS_KAFKA_SECURITY_PROTOCOL: 'sasl_ssl',
  KAFNUS_KAFKA_SASL_MECHANISM: 'OAUTHBEARER',
  KAFNUS_KAFKA_OAUTH_TOKEN_URL: 'https://identity.test/token',
  KAFNUS_KAFKA_OAUTH_CLIENT_ID: 'kafnus',
  KAFNUS_KAFKA_OAUTH_CLIENT_SECRET: 's3cret',
};

function load(env: Readonly<Record<string, string>>): ReturnType<typeof loadConfig> {
  return loadConfig(
    { name: 'historic', settings: {} },
    { argv: [], env: { KAFNUS_KAFKA_BROKERS: 'kafka:9092', ...env } },
  );
}

describe('OAUTHBEARER', () => {
  test('becomes client credentials of librdkafka, and the secret is masked', () => {
    const outcome = load({
      ...oauth,
      KAFNUS_KAFKA_OAUTH_SCOPE: 'kafka',
      KAFNUS_KAFKA_OAUTH_CA: authority.certificate,
    });
    if (outcome.kind !== 'run') throw new Error(outcome.kind);
    expect(connectionProperties(outcome.config, 'me')).toMatchObject({
      'sasl.mechanism': 'OAUTHBEARER',
      'sasl.oauthbearer.method': 'oidc',
      'sasl.oauthbearer.token.endpoint.url': 'https://identity.test/token',
      'sasl.oauthbearer.client.id': 'kafnus',
      'sasl.oauthbearer.client.secret': 's3cret',
      'sasl.oauthbearer.scope': 'kafka',
      'https.ca.pem': authority.certificate,
    });
    expect(JSON.stringify(outcome.printable)).not.toContain('s3cret');
  });

  test.each<readonly [Readonly<Record<string, string>>, string]>([
    [{ ...oauth, KAFNUS_KAFKA_OAUTH_TOKEN_URL: '' }, 'kafkaOauthTokenUrl is not set, and OAUTHBEARER needs it'],
    [{ ...oauth, KAFNUS_KAFKA_OAUTH_CLIENT_ID: '' }, 'kafkaOauthClientId is not set, and OAUTHBEARER needs it'],
    [{ ...oauth, KAFNUS_KAFKA_OAUTH_CLIENT_SECRET: '' }, 'KAFNUS_KAFKA_OAUTH_CLIENT_SECRET_FILE'],
    [{ ...oauth, KAFNUS_KAFKA_OAUTH_TOKEN_URL: 'identity.test' }, 'it must be an address such as https://host/path'],
    [
      { ...oauth, KAFNUS_KAFKA_OAUTH_TOKEN_URL: 'ftp://identity.test/' },
      'it must be an address such as https://host/path',
    ],
    [{ ...oauth, KAFNUS_KAFKA_OAUTH_CA: '/nowhere' }, 'kafkaOauthCa is neither PEM text (-----BEGIN ...) nor a file'],
    [{ ...oauth, KAFNUS_KAFKA_SASL_USERNAME: 'me' }, 'would leave the SASL user and password unused'],
    [
      {
        ...oauth,
        KAFNUS_KAFKA_SASL_MECHANISM: 'PLAIN',
        KAFNUS_KAFKA_SASL_USERNAME: 'me',
        KAFNUS_KAFKA_SASL_PASSWORD: 'x',
      },
      'kafkaSaslMechanism is PLAIN, which would leave the KAFNUS_KAFKA_OAUTH_... settings unused',
    ],
    [{ KAFNUS_KAFKA_OAUTH_SCOPE: 'kafka' }, 'kafkaSaslMechanism is not set, which would leave'],
  ])('of %j is refused', (env, message) => {
    expect(() => load(env)).toThrow(message);
    expect(() => load(env)).not.toThrow('s3cret');
  });
});

describe('a client certificate', () => {
  const pair = authority.issue({ name: 'kafnus' });
  const other = authority.issue({ name: 'other' });
  const expired = authority.issue({ name: 'kafnus', validFrom: -7200, validUntil: -3600 });
  const tls = (certificate: string, key: string): Readonly<Record<string, string>> => ({
    KAFNUS_KAFKA_SECURITY_PROTOCOL: 'ssl',
    KAFNUS_KAFKA_SSL_CERTIFICATE: certificate,
    KAFNUS_KAFKA_SSL_KEY: key,
  });

  test('with its key is taken', () => {
    expect(load(tls(pair.certificate, pair.key)).kind).toBe('run');
  });

  test('with the key of another is refused', () => {
    expect(() => load(tls(pair.certificate, other.key))).toThrow('kafkaSslKey is not the key of kafkaSslCertificate');
  });

  test('that has expired is refused', () => {
    expect(() => load(tls(expired.certificate, expired.key))).toThrow(
      'kafkaSslCertificate ("CN=kafnus") has expired on ',
    );
  });
});
