import { describe, expect, test } from '@jest/globals';
import type { Environment } from '../src/config.js';
import { brokers, failure, file, load } from './config-scene.js';

describe('secrets', () => {
  const sasl = {
    KAFNUS_KAFKA_SECURITY_PROTOCOL: 'SASL_SSL',
    KAFNUS_KAFKA_SASL_MECHANISM: 'scram-sha-512',
    KAFNUS_KAFKA_SASL_USERNAME: 'u',
  };

  test('from a file, without the newline at its end', () => {
    const path = file('s3cret\n', 'txt');
    const { config, printable } = load({ ...brokers, ...sasl, KAFNUS_KAFKA_SASL_PASSWORD_FILE: path });
    expect(config.kafkaSaslPassword).toBe('s3cret');
    expect(config.kafkaSaslMechanism).toBe('SCRAM-SHA-512');
    expect(printable['kafkaSaslPassword']).toEqual({
      value: '***',
      source: `file ${path} of KAFNUS_KAFKA_SASL_PASSWORD_FILE`,
    });
  });

  test('given twice, or empty', () => {
    const path = file('\n', 'txt');
    expect(failure({ KAFNUS_ADMIN_TOKEN: 'a', KAFNUS_ADMIN_TOKEN_FILE: path })).toBe(
      'configuration: adminToken is given twice, by KAFNUS_ADMIN_TOKEN and by KAFNUS_ADMIN_TOKEN_FILE: remove one of them',
    );
    expect(failure({ KAFNUS_ADMIN_TOKEN_FILE: path })).toContain(`${path}, is empty`);
  });

  test('are never printed, wherever they are', () => {
    const key = '-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----';
    const env = {
      ...brokers,
      ...sasl,
      KAFNUS_KAFKA_SASL_PASSWORD: 's3cret',
      KAFNUS_ADMIN_TOKEN: 's3cret',
      KAFNUS_KAFKA_SSL_KEY: key,
      KAFNUS_KAFKA_SSL_CERTIFICATE: '-----BEGIN CERTIFICATE-----',
      KAFNUS_KAFKA_CONSUMER:
        '{"sasl.password": "s3cret", "ssl.key.password": "s3cret", "ssl.keystore.password": "s3cret", "sasl.oauthbearer.client.secret": "s3cret",' +
        ' "sasl.oauthbearer.config": "s3cret", "http.url": "http://me:s3cret@host/", "client.rack": "r1"}',
    };
    const { config, printable } = load(env);
    expect(config.kafkaSslKey).toBe(key);
    expect(config.kafkaConsumer['sasl.password']).toBe('s3cret');
    expect(JSON.stringify(printable)).not.toContain('s3cret');
    expect(printable['kafkaConsumer']?.value).toMatchObject({ 'client.rack': 'r1', 'http.url': 'http://***@host/' });
    expect(printable['kafkaSaslPassword']?.value).toBe('***');
  });

  test('an unset secret is shown as such, and so is the path of a key', () => {
    const path = file('x', 'pem');
    const env = {
      ...brokers,
      KAFNUS_KAFKA_SECURITY_PROTOCOL: 'ssl',
      KAFNUS_KAFKA_SSL_KEY: path,
      KAFNUS_KAFKA_SSL_CERTIFICATE: path,
    };
    const { printable } = load(env);
    expect(printable['adminToken']?.value).toBe('');
    expect(printable['kafkaSslKey']?.value).toBe(path);
  });

  test.each<[string, () => [Environment, string[]]]>([
    ['bad token', () => [{ KAFNUS_ADMIN_TOKEN: 's3cret with space' }, []]],
    ['broken JSON', () => [{ KAFNUS_KAFKA_CONSUMER: '{"sasl.password": "s3cret}' }, []]],
    ['unknown argument with a value', () => [{}, ['--kafka-sasl-pasword=s3cret']]],
    ['unknown argument followed by a value', () => [{}, ['--kafka-sasl-pasword', 's3cret']]],
    ['YAML alias', () => [{ KAFNUS_CONFIG: file('kafkaSaslPassword: *s3cret') }, []]],
    ['YAML tag', () => [{ KAFNUS_CONFIG: file('kafkaSaslPassword: !s3cret') }, []]],
    ['broken YAML', () => [{ KAFNUS_CONFIG: file('kafkaSaslPassword: "s3cret') }, []]],
    ['broken JSON file', () => [{ KAFNUS_CONFIG: file('{"kafkaSaslPassword": "s3cret"', 'json') }, []]],
    ['number for a password', () => [{ KAFNUS_CONFIG: file('adminToken: [s3cret]') }, []]],
    [
      'key without its first line',
      () => [{ KAFNUS_KAFKA_SECURITY_PROTOCOL: 'ssl', KAFNUS_KAFKA_SSL_KEY: 's3cret' }, []],
    ],
  ])('are not in messages: %s', (_name, given) => {
    expect(failure(...given())).not.toContain('s3cret');
  });
});
