import type { KafkaConnectionConfig } from '../src/connection-config.js';

/** A connection without TLS and login, but for these settings. */
export function connectionTo(
  kafkaBrokers: string,
  settings: Partial<KafkaConnectionConfig> = {},
): KafkaConnectionConfig {
  return {
    kafkaBrokers,
    kafkaSecurityProtocol: 'plaintext',
    kafkaSaslMechanism: '',
    kafkaSaslUsername: '',
    kafkaSaslPassword: '',
    kafkaOauthTokenUrl: '',
    kafkaOauthClientId: '',
    kafkaOauthClientSecret: '',
    kafkaOauthScope: '',
    kafkaOauthCa: '',
    kafkaSslCa: '',
    kafkaSslCertificate: '',
    kafkaSslKey: '',
    kafkaSslKeyPassword: '',
    ...settings,
  };
}
