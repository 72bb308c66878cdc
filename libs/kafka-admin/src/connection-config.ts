/** How to reach a cluster and to log in, for librdkafka and for the connection of wire/ alike. */

type SecurityProtocol = 'plaintext' | 'ssl' | 'sasl_plaintext' | 'sasl_ssl';
type SaslMechanism = '' | 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER' | 'GSSAPI';

/** The settings of a connection (SPEC 10). An empty text means "not set". */
export interface KafkaConnectionConfig {
  readonly kafkaBrokers: string;
  readonly kafkaSecurityProtocol: SecurityProtocol;
  readonly kafkaSaslMechanism: SaslMechanism;
  readonly kafkaSaslUsername: string;
  readonly kafkaSaslPassword: string;
  readonly kafkaOauthTokenUrl: string;
  readonly kafkaOauthClientId: string;
  readonly kafkaOauthClientSecret: string;
  readonly kafkaOauthScope: string;
  readonly kafkaOauthCa: string;
  readonly kafkaSslCa: string;
  readonly kafkaSslCertificate: string;
  readonly kafkaSslKey: string;
  readonly kafkaSslKeyPassword: string;
}

/** Whether the value is the PEM text itself and not a path. */
export function isPem(value: string): boolean {
  return value.startsWith('-----BEGIN');
}

/** A file's path, or the PEM text itself. @param name what stands before `.pem` and `.location` */
function pemOrFile(name: string, value: string): Readonly<Record<string, string>> {
  if (value === '') return {};
  return isPem(value) ? { [`${name}.pem`]: value } : { [`${name}.location`]: value };
}

/** Client credentials (RFC 6749, section 4.4): the client renews its tokens by itself. */
function oauth(config: KafkaConnectionConfig): Readonly<Record<string, string>> {
  if (config.kafkaSaslMechanism !== 'OAUTHBEARER') return {};
  return {
    'sasl.oauthbearer.method': 'oidc',
    'sasl.oauthbearer.token.endpoint.url': config.kafkaOauthTokenUrl,
    'sasl.oauthbearer.client.id': config.kafkaOauthClientId,
    'sasl.oauthbearer.client.secret': config.kafkaOauthClientSecret,
    ...(config.kafkaOauthScope === '' ? {} : { 'sasl.oauthbearer.scope': config.kafkaOauthScope }),
    ...pemOrFile('https.ca', config.kafkaOauthCa),
  };
}

/** How any client of the suite connects and logs in; tools use it as well. */
export function connectionProperties(
  config: KafkaConnectionConfig,
  clientId: string,
): Readonly<Record<string, string | number | boolean>> {
  return {
    'bootstrap.servers': config.kafkaBrokers,
    'client.id': clientId,
    'security.protocol': config.kafkaSecurityProtocol,
    ...(config.kafkaSaslMechanism === '' ? {} : { 'sasl.mechanism': config.kafkaSaslMechanism }),
    ...(config.kafkaSaslUsername === '' ? {} : { 'sasl.username': config.kafkaSaslUsername }),
    ...(config.kafkaSaslPassword === '' ? {} : { 'sasl.password': config.kafkaSaslPassword }),
    ...oauth(config),
    ...pemOrFile('ssl.ca', config.kafkaSslCa),
    ...pemOrFile('ssl.certificate', config.kafkaSslCertificate),
    ...pemOrFile('ssl.key', config.kafkaSslKey),
    ...(config.kafkaSslKeyPassword === '' ? {} : { 'ssl.key.password': config.kafkaSslKeyPassword }),
    'socket.keepalive.enable': true,
    // Nagle's algorithm delays each small request of a transaction by up to 40 ms.
    'socket.nagle.disable': true,
    // After an outage of minutes the agent is back within seconds.
    'reconnect.backoff.max.ms': 2000,
    // New topics and partitions are noticed within this time.
    'topic.metadata.refresh.interval.ms': 10_000,
  };
}
