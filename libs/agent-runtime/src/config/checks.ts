/** Values that are valid alone and not together: reported at the start, not found in production. */
import { isPem } from '@kafnus/kafka-admin';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { accessSync, constants, readFileSync } from 'node:fs';

import { shown } from './problems.js';
import type { RuntimeConfig } from './settings.js';

/** @returns problems, one sentence each */
export function crossChecks(config: RuntimeConfig): string[] {
  return [...security(config), ...timing(config), ...topics(config)];
}

function* security(config: RuntimeConfig): Generator<string> {
  const protocol = config.kafkaSecurityProtocol;
  const mechanism = config.kafkaSaslMechanism;
  if (protocol.startsWith('sasl_')) {
    if (mechanism === '')
      yield `kafkaSaslMechanism is not set, and the protocol ${protocol} needs it (KAFNUS_KAFKA_SASL_MECHANISM)`;
    if (mechanism === 'PLAIN' || mechanism.startsWith('SCRAM')) {
      if (config.kafkaSaslUsername === '')
        yield `kafkaSaslUsername is not set, and ${mechanism} needs it (KAFNUS_KAFKA_SASL_USERNAME)`;
      if (config.kafkaSaslPassword === '') {
        yield `kafkaSaslPassword is not set, and ${mechanism} needs it (KAFNUS_KAFKA_SASL_PASSWORD or KAFNUS_KAFKA_SASL_PASSWORD_FILE)`;
      }
    }
    if (mechanism === 'OAUTHBEARER') yield* oauth(config);
  } else if (config.kafkaSaslUsername !== '' || config.kafkaSaslPassword !== '') {
    yield `kafkaSecurityProtocol is ${protocol}, which would leave the SASL user and password unused: set sasl_ssl or sasl_plaintext (KAFNUS_KAFKA_SECURITY_PROTOCOL), or remove them`;
  }
  if (mechanism !== 'OAUTHBEARER' && oauthSettings.some((key) => config[key] !== '')) {
    yield `kafkaSaslMechanism is ${mechanism === '' ? 'not set' : mechanism}, which would leave the KAFNUS_KAFKA_OAUTH_... settings unused: set OAUTHBEARER (KAFNUS_KAFKA_SASL_MECHANISM), or remove them`;
  }
  const files = ['kafkaSslCa', 'kafkaSslCertificate', 'kafkaSslKey', 'kafkaOauthCa'] as const;
  for (const key of files) {
    const value = config[key];
    if (value === '') continue;
    if (key !== 'kafkaOauthCa' && !protocol.endsWith('ssl')) {
      yield `kafkaSecurityProtocol is ${protocol}, which would leave ${key} unused: set ssl or sasl_ssl (KAFNUS_KAFKA_SECURITY_PROTOCOL), or remove it`;
    } else if (!isPem(value) && !readable(value)) {
      // A key that was pasted without its first line would be taken for a path: it is not shown.
      yield `${key} is neither PEM text (-----BEGIN ...) nor a file that can be read${key === 'kafkaSslKey' ? '' : `: ${shown(value)}`}`;
    }
  }
  if ((config.kafkaSslCertificate === '') !== (config.kafkaSslKey === '')) {
    yield 'kafkaSslCertificate and kafkaSslKey belong together: set both or none';
  }
  if (protocol.endsWith('ssl')) yield* clientCertificate(config);
}

/** What brokers would refuse without a reason. The Kafka client checks that both can be read. */
function* clientCertificate(config: RuntimeConfig): Generator<string> {
  const pair = readPair(config);
  if (pair === undefined) return;
  const { certificate, key } = pair;
  if (!certificate.checkPrivateKey(key)) {
    yield 'kafkaSslKey is not the key of kafkaSslCertificate: give the two that were issued together (KAFNUS_KAFKA_SSL_KEY, KAFNUS_KAFKA_SSL_CERTIFICATE)';
  }
  if (Date.parse(certificate.validTo) < Date.now()) {
    yield `kafkaSslCertificate (${shown(certificate.subject)}) has expired on ${certificate.validTo}: brokers refuse it`;
  }
}

function readPair(
  config: RuntimeConfig,
): { readonly certificate: X509Certificate; readonly key: ReturnType<typeof createPrivateKey> } | undefined {
  const text = (value: string): string => (isPem(value) ? value : readFileSync(value, 'utf8'));
  try {
    const passphrase = config.kafkaSslKeyPassword;
    return {
      certificate: new X509Certificate(text(config.kafkaSslCertificate)),
      key: createPrivateKey({ key: text(config.kafkaSslKey), ...(passphrase === '' ? {} : { passphrase }) }),
    };
  } catch {
    return undefined;
  }
}

const oauthSettings = [
  'kafkaOauthTokenUrl',
  'kafkaOauthClientId',
  'kafkaOauthClientSecret',
  'kafkaOauthScope',
  'kafkaOauthCa',
] as const;

function* oauth(config: RuntimeConfig): Generator<string> {
  if (config.kafkaOauthTokenUrl === '')
    yield 'kafkaOauthTokenUrl is not set, and OAUTHBEARER needs it (KAFNUS_KAFKA_OAUTH_TOKEN_URL)';
  if (config.kafkaOauthClientId === '')
    yield 'kafkaOauthClientId is not set, and OAUTHBEARER needs it (KAFNUS_KAFKA_OAUTH_CLIENT_ID)';
  if (config.kafkaOauthClientSecret === '')
    yield 'kafkaOauthClientSecret is not set, and OAUTHBEARER needs it (KAFNUS_KAFKA_OAUTH_CLIENT_SECRET or KAFNUS_KAFKA_OAUTH_CLIENT_SECRET_FILE)';
  if (config.kafkaSaslUsername !== '' || config.kafkaSaslPassword !== '')
    yield 'kafkaSaslMechanism is OAUTHBEARER, which would leave the SASL user and password unused: remove them, or set another mechanism (KAFNUS_KAFKA_SASL_MECHANISM)';
}

function readable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function* timing(config: RuntimeConfig): Generator<string> {
  // A transaction is open for a commit interval, and its commit is retried for as long.
  if (config.delivery === 'exactly-once' && config.commitIntervalMs > config.transactionTimeoutMs / 2) {
    yield `commitIntervalMs is ${config.commitIntervalMs}, more than half of transactionTimeoutMs (${config.transactionTimeoutMs}): the broker would abort transactions before they are committed`;
  }
}

function* topics(config: RuntimeConfig): Generator<string> {
  const policy = String(config.topicConfig['cleanup.policy'] ?? '');
  if (policy.includes('compact')) {
    yield `topicConfig: cleanup.policy must not be ${shown(policy)}: keys hold the entity id only, and compaction would drop records of other entities (SPEC 8)`;
  }
}
