/** Errors of the Kafka client, and the numbers that requests about topics are decided on. */
import { kafka, type KafkaError } from './kafka-client.js';

/** The number of an error. @throws Error when the client has none of this name */
export function errorCode(name: string): number {
  const code = kafka.CODES.ERRORS[name];
  if (code === undefined) throw new Error(`the Kafka client has no error code ${name}`);
  return code;
}

/** As {@link errorCode}, for several errors that have the same meaning. */
export function errorCodes(names: readonly string[]): ReadonlySet<number> {
  return new Set(names.map(errorCode));
}

export const topicForbidden = errorCode('ERR_TOPIC_AUTHORIZATION_FAILED');
export const unknownTopic: ReadonlySet<number> = errorCodes([
  'ERR_UNKNOWN_TOPIC_OR_PART',
  'ERR__UNKNOWN_TOPIC',
  'ERR__UNKNOWN_PARTITION',
]);
export const topicExists = errorCode('ERR_TOPIC_ALREADY_EXISTS');
export const clusterForbidden = errorCode('ERR_CLUSTER_AUTHORIZATION_FAILED');

/** Reads the error classes off whatever the client threw; some of its errors are plain objects. */
export function asKafkaError(thrown: unknown): KafkaError {
  if (typeof thrown !== 'object' || thrown === null) return Object.assign(new Error(String(thrown)), { code: -1 });
  const message =
    'message' in thrown && typeof thrown.message === 'string' ? thrown.message : 'an error without a message';
  const code = 'code' in thrown && typeof thrown.code === 'number' ? thrown.code : -1;
  return thrown instanceof Error ? Object.assign(thrown, { code }) : Object.assign(new Error(message), { code });
}

/** A right on a topic is missing, or the one to create topics. */
export const isUnauthorised = (error: KafkaError): boolean =>
  error.code === topicForbidden || error.code === clusterForbidden;
