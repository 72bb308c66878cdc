/** The settings that every agent has, and the shape of their values. */
import { hostname } from 'node:os';

import type { SettingsSchema } from '@kafnus/agent-contract';
import type { KafkaConnectionConfig } from '@kafnus/kafka-admin';

/** Properties of librdkafka or of a topic: names with dots. */
export type Properties = Readonly<Record<string, string | number | boolean>>;

type Delivery = 'exactly-once' | 'at-least-once';
/** What becomes of a partition whose log ends before the position. */
export type OutOfRangePolicy = 'stop' | 'resume';
export type LogLevel = (typeof logLevels)[number];

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** Values of {@link runtimeSettings}; the docs are there. An empty text means "not set". */
export interface RuntimeConfig extends KafkaConnectionConfig {
  readonly kafkaConsumer: Properties;
  readonly kafkaProducer: Properties;
  readonly groupId: string;
  readonly instanceId: string;
  readonly concurrency: number;
  readonly delivery: Delivery;
  readonly commitIntervalMs: number;
  readonly batchSize: number;
  readonly transactionTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly onOffsetOutOfRange: OutOfRangePolicy;
  readonly topicsCreate: boolean;
  readonly topicPartitions: number;
  readonly topicReplication: number;
  readonly topicConfig: Properties;
  readonly topicTimeoutMs: number;
  readonly httpHost: string;
  readonly httpPort: number;
  readonly adminToken: string;
  readonly logLevel: LogLevel;
  readonly maxTenantLabels: number;
  readonly maxInputBytes: number;
}

/** @param agentName part of the default consumer group, `ngsi-agent-<name>` (SPEC 1) */
export function runtimeSettings(
  agentName: string,
): SettingsSchema & Readonly<Record<keyof RuntimeConfig, SettingsSchema[string]>> {
  return {
    kafkaBrokers: {
      doc: 'Kafka brokers to start from, host:port, separated by commas. Required.',
      format: 'brokers',
      default: null,
      env: 'KAFNUS_KAFKA_BROKERS',
    },
    kafkaSecurityProtocol: {
      doc: 'How to talk to the brokers.',
      format: ['plaintext', 'ssl', 'sasl_plaintext', 'sasl_ssl'],
      default: 'plaintext',
      env: 'KAFNUS_KAFKA_SECURITY_PROTOCOL',
    },
    kafkaSaslMechanism: {
      doc: 'SASL mechanism; needed with the sasl_ protocols.',
      format: ['', 'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER', 'GSSAPI'],
      default: '',
      env: 'KAFNUS_KAFKA_SASL_MECHANISM',
    },
    kafkaSaslUsername: { doc: 'SASL user.', format: 'String', default: '', env: 'KAFNUS_KAFKA_SASL_USERNAME' },
    kafkaSaslPassword: {
      doc: 'SASL password.',
      format: 'String',
      default: '',
      env: 'KAFNUS_KAFKA_SASL_PASSWORD',
      sensitive: true,
    },
    kafkaOauthTokenUrl: {
      doc: 'OAUTHBEARER: the token endpoint of the identity provider, https://... A new token is fetched before the last one expires.',
      format: 'httpUrl',
      default: '',
      env: 'KAFNUS_KAFKA_OAUTH_TOKEN_URL',
    },
    kafkaOauthClientId: {
      doc: 'OAUTHBEARER: client id.',
      format: 'String',
      default: '',
      env: 'KAFNUS_KAFKA_OAUTH_CLIENT_ID',
    },
    kafkaOauthClientSecret: {
      doc: 'OAUTHBEARER: client secret.',
      format: 'String',
      default: '',
      env: 'KAFNUS_KAFKA_OAUTH_CLIENT_SECRET',
      sensitive: true,
    },
    kafkaOauthScope: {
      doc: 'OAUTHBEARER: scope to ask for, if the identity provider wants one.',
      format: 'String',
      default: '',
      env: 'KAFNUS_KAFKA_OAUTH_SCOPE',
    },
    kafkaOauthCa: {
      doc: "Certificates to trust at the token endpoint: a path, or PEM text. Empty: the system's.",
      format: 'String',
      default: '',
      env: 'KAFNUS_KAFKA_OAUTH_CA',
    },
    kafkaSslCa: {
      doc: "Certificates to trust: a path, or PEM text (-----BEGIN ...). Empty: the system's.",
      format: 'String',
      default: '',
      env: 'KAFNUS_KAFKA_SSL_CA',
    },
    kafkaSslCertificate: {
      doc: 'Client certificate: a path, or PEM text.',
      format: 'String',
      default: '',
      env: 'KAFNUS_KAFKA_SSL_CERTIFICATE',
    },
    kafkaSslKey: {
      doc: 'Private key of the client certificate: a path, or PEM text.',
      format: 'String',
      default: '',
      env: 'KAFNUS_KAFKA_SSL_KEY',
      sensitive: true,
    },
    kafkaSslKeyPassword: {
      doc: 'Password of the private key.',
      format: 'String',
      default: '',
      env: 'KAFNUS_KAFKA_SSL_KEY_PASSWORD',
      sensitive: true,
    },
    kafkaConsumer: {
      doc: 'Further librdkafka properties of the consumer.',
      format: 'properties',
      default: {},
      env: 'KAFNUS_KAFKA_CONSUMER',
    },
    kafkaProducer: {
      doc: 'Further librdkafka properties of the producer.',
      format: 'properties',
      default: {},
      env: 'KAFNUS_KAFKA_PRODUCER',
    },
    groupId: {
      doc: 'Consumer group. It also names the changelog topic and the transactional ids.',
      format: 'identifier',
      default: `ngsi-agent-${agentName}`,
      env: 'KAFNUS_GROUP_ID',
    },
    instanceId: {
      doc: 'Name of this process in its group: unique among running ones, and the same after a restart where that can be had (default: the host name).',
      format: 'identifier',
      default: hostname(),
      env: 'KAFNUS_INSTANCE_ID',
    },
    concurrency: {
      doc: 'Processes in this container, each a member of the group. In production run more containers instead.',
      format: 'positive',
      default: 1,
      env: 'KAFNUS_CONCURRENCY',
    },
    delivery: {
      doc: 'exactly-once: outputs, rejects, state and offsets in one transaction. at-least-once: offsets after the outputs are acknowledged.',
      format: ['exactly-once', 'at-least-once'],
      default: 'exactly-once',
      env: 'KAFNUS_DELIVERY',
    },
    commitIntervalMs: {
      doc: 'Longest time between two commits under load, milliseconds.',
      format: 'milliseconds',
      default: 100,
      env: 'KAFNUS_COMMIT_INTERVAL_MS',
    },
    batchSize: {
      doc: 'Most records of one poll; fewer of large ones: some megabytes.',
      format: 'positive',
      default: 100,
      env: 'KAFNUS_BATCH_SIZE',
    },
    transactionTimeoutMs: {
      doc: 'After this time the broker aborts an open transaction of a process that died, milliseconds. Readers wait as long.',
      format: 'milliseconds',
      default: 10_000,
      env: 'KAFNUS_TRANSACTION_TIMEOUT_MS',
    },
    shutdownTimeoutMs: {
      doc: 'Longest time for an orderly stop, milliseconds; then the process ends anyway.',
      format: 'milliseconds',
      default: 4500,
      env: 'KAFNUS_SHUTDOWN_TIMEOUT_MS',
    },
    stallTimeoutMs: {
      doc: 'With lag and without progress for this time, milliseconds, the agent is stalled: /live fails.',
      format: 'milliseconds',
      default: 60_000,
      env: 'KAFNUS_STALL_TIMEOUT_MS',
    },
    onOffsetOutOfRange: {
      doc: 'A partition whose log ends before the committed offset (topic created again, log truncated). stop: nothing of it is read, and /ready says so. resume: read what the log holds.',
      format: ['stop', 'resume'],
      default: 'stop',
      env: 'KAFNUS_ON_OFFSET_OUT_OF_RANGE',
    },
    topicsCreate: {
      doc: 'Create missing output, dead-letter and changelog topics.',
      format: 'Boolean',
      default: true,
      env: 'KAFNUS_TOPICS_CREATE',
    },
    topicPartitions: {
      doc: 'Partitions of the output topics that are created.',
      format: 'positive',
      default: 4,
      env: 'KAFNUS_TOPIC_PARTITIONS',
    },
    topicReplication: {
      doc: "Replicas of the topics that are created; -1: the broker's default.",
      format: 'replication',
      default: -1,
      env: 'KAFNUS_TOPIC_REPLICATION',
    },
    topicConfig: {
      doc: 'Properties of the output topics that are created, such as {"retention.ms": 604800000}.',
      format: 'properties',
      default: {},
      env: 'KAFNUS_TOPIC_CONFIG',
    },
    topicTimeoutMs: {
      doc: "How long a tenant's topic may fail, milliseconds, before its records are dead-lettered.",
      format: 'milliseconds',
      default: 15_000,
      env: 'KAFNUS_TOPIC_TIMEOUT_MS',
    },
    httpHost: {
      doc: 'Address on which health, metrics and configuration are served.',
      format: 'String',
      default: '0.0.0.0',
      env: 'KAFNUS_HTTP_HOST',
    },
    httpPort: { doc: 'Port of the same; 0: any free one.', format: 'port', default: 8080, env: 'KAFNUS_HTTP_PORT' },
    adminToken: {
      doc: 'Bearer token for changes by HTTP (PUT /loglevel). Without it they are possible on a loopback address only.',
      format: 'token',
      default: '',
      env: 'KAFNUS_ADMIN_TOKEN',
      sensitive: true,
    },
    logLevel: { doc: 'Least level of log lines.', format: logLevels, default: 'info', env: 'KAFNUS_LOG_LEVEL' },
    maxTenantLabels: {
      doc: 'Tenants with counters of their own; the others share `_other`.',
      format: 'positive',
      default: 200,
      env: 'KAFNUS_MAX_TENANT_LABELS',
    },
    maxInputBytes: {
      doc: 'Most bytes of key, value and headers of a record that is read; one with more is rejected. To read a notification takes some ten times its size in memory.',
      format: 'positive',
      default: 4_194_304,
      env: 'KAFNUS_MAX_INPUT_BYTES',
    },
  };
}
