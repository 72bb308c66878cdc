/**
 * What the error codes of librdkafka mean for the loop: a decision each, taken here and nowhere
 * else.
 */
import { asKafkaError, errorCode, errorCodes, type KafkaError } from '@kafnus/kafka-admin';
import type { Refusal, RefusalKind } from '../session.js';

/**
 * Another producer with the same transactional id has taken over, or the coordinator has ended our
 * transaction for us.
 */
const fencing = errorCodes([
  'ERR__FENCED',
  'ERR_PRODUCER_FENCED',
  'ERR_INVALID_PRODUCER_EPOCH',
  'ERR_INVALID_PRODUCER_ID_MAPPING',
  'ERR_FENCED_INSTANCE_ID',
]);

/** The topic itself refuses: waiting does not help, an operator must act. */
const refusals = errorCodes([
  'ERR_TOPIC_AUTHORIZATION_FAILED',
  'ERR_CLUSTER_AUTHORIZATION_FAILED',
  'ERR_TOPIC_EXCEPTION',
  'ERR_POLICY_VIOLATION',
  'ERR_INVALID_CONFIG',
  'ERR_INVALID_REPLICATION_FACTOR',
  'ERR_INVALID_PARTITIONS',
]);

/**
 * The topic does not take a record, or a batch of records (KIP-467): others it does. When the
 * broker names the bad records of a batch, the good ones get `_INVALID_DIFFERENT_RECORD`.
 */
const contents = errorCodes([
  'ERR_MSG_SIZE_TOO_LARGE',
  'ERR_RECORD_LIST_TOO_LARGE',
  'ERR_INVALID_RECORD',
  'ERR__INVALID_DIFFERENT_RECORD',
  'ERR_INVALID_TIMESTAMP',
  'ERR_UNSUPPORTED_COMPRESSION_TYPE',
  'ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT',
]);

/** The messages of an aborted transaction are purged: a consequence, never a cause. */
const purges = errorCodes(['ERR__PURGE_QUEUE', 'ERR__PURGE_INFLIGHT']);

/**
 * The transaction can take nothing more, or the producer cannot: an error that was not reported yet
 * has ended it.
 */
const unusable = errorCodes(['ERR__STATE', 'ERR__FATAL', 'ERR__FENCED']);

/** No credential or right will come by itself while we retry: the start fails and says so. */
const operatorNeeded = errorCodes([
  'ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  'ERR_CLUSTER_AUTHORIZATION_FAILED',
  'ERR_GROUP_AUTHORIZATION_FAILED',
  'ERR__AUTHENTICATION',
  'ERR_SASL_AUTHENTICATION_FAILED',
  'ERR_UNSUPPORTED_SASL_MECHANISM',
]);

export const queueFull = errorCode('ERR__QUEUE_FULL');
export const timedOut = errorCode('ERR__TIMED_OUT');
export const transportFailed = errorCode('ERR__TRANSPORT');
export const tooLarge = errorCode('ERR_MSG_SIZE_TOO_LARGE');
const sizes = errorCodes(['ERR_MSG_SIZE_TOO_LARGE', 'ERR_RECORD_LIST_TOO_LARGE']);
const invalidTimestamp = errorCode('ERR_INVALID_TIMESTAMP');
export const differentRecord = errorCode('ERR__INVALID_DIFFERENT_RECORD');
export const assignPartitions = errorCode('ERR__ASSIGN_PARTITIONS');
export const fatal = errorCode('ERR__FATAL');
export const rebalancing = errorCode('ERR_REBALANCE_IN_PROGRESS');
export const allBrokersDown = errorCode('ERR__ALL_BROKERS_DOWN');
export const groupForbidden = errorCode('ERR_GROUP_AUTHORIZATION_FAILED');
export const concurrentTransactions = errorCode('ERR_CONCURRENT_TRANSACTIONS');
export const transactionalIdForbidden = errorCode('ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED');

/** librdkafka's texts (rd_kafka_err2str) of the errors that are acted upon. */
const eventTexts: ReadonlyMap<string, number> = new Map([
  ['Local: Fatal error', fatal],
  ['Local: All broker connections are down', allBrokersDown],
]);

/** librdkafka's texts of the fatal errors that no new producer cures: a right is missing. */
const missingRights: ReadonlyMap<string, string> = new Map([
  [
    'Cluster authorization failed',
    'grant IdempotentWrite on the cluster (brokers before Kafka 2.8), or Write on the topics',
  ],
  ['Transactional Id authorization failed', 'grant Write and Describe on the transactional id'],
]);

/**
 * The right that a producer lacks, in words for an operator.
 * @param cause librdkafka's text of a fatal error, `Fatal error: Broker: Cluster authorization
 *   failed: Failed to acquire ...`
 * @returns undefined when another producer may fare better
 */
export function missingRightOf(cause: string): string | undefined {
  return [...missingRights].find(([text]) => cause.includes(text))?.[1];
}

/**
 * The error of an event, which the client hands over as its text alone: the code is -1, whatever it
 * was.
 */
export function eventError(event: Error): KafkaError {
  const error = asKafkaError(event);
  const code = eventTexts.get(error.message);
  return code === undefined ? error : Object.assign(new Error(error.message), { code });
}

export const isFenced = (error: KafkaError): boolean => fencing.has(error.code);
export const isProducerUnusable = (error: KafkaError): boolean => unusable.has(error.code);

/** What a failed write says of its topic. */
export function refusalOf(error: KafkaError): Refusal {
  const kind: RefusalKind = refusals.has(error.code)
    ? 'destination'
    : contents.has(error.code)
      ? 'contents'
      : 'passing';
  const about = sizes.has(error.code) ? 'size' : error.code === invalidTimestamp ? 'time' : undefined;
  return about === undefined ? { error, kind } : { error, kind, about };
}

export const isRefusal = (error: KafkaError): boolean => refusals.has(error.code);
export const isPurged = (error: KafkaError): boolean => purges.has(error.code);
export const needsOperator = (error: KafkaError): boolean => operatorNeeded.has(error.code);
