/** Finds the tenant of a failure: the `db` of a log record (SPEC 7). */
import { serviceOfTopic, type TopicNames } from './naming.js';
import type { FailureHeaders } from './sink-failure-headers.js';

/** SPEC 2. */
export const defaultService = 'default';

/**
 * The database of a sink's failure, not checked like a service name. The first one that is known
 * decides:
 * 1. the topic of the failed record, when it is an output topic of a service;
 * 2. the record's own service, as an agent would read it;
 * 3. the schema of the INSERT in the message;
 * 4. the service in a topic without the prefix or suffix (the probe topic of Kafnus, `init`);
 * 5. `default`.
 * @param statedService the service that the record names
 * @param schema the schema of the INSERT in the message
 */
export function databaseOf(
  names: TopicNames,
  topic: FailureHeaders['topic'],
  statedService: string | undefined,
  schema: string | undefined,
): string {
  const stated = statedService?.toLowerCase();
  if (topic === undefined) return stated ?? schema ?? defaultService;
  return (
    serviceOfTopic(names, topic, stated) ?? stated ?? schema ?? serviceOfLooseTopic(names, topic) ?? defaultService
  );
}

/** The service of a topic whose prefix or suffix may be missing. */
function serviceOfLooseTopic(names: TopicNames, topic: string): string | undefined {
  const { prefix, suffix } = names;
  const head = topic.startsWith(prefix) ? topic.slice(prefix.length) : topic;
  const middle = head.endsWith(suffix) ? head.slice(0, head.length - suffix.length) : head;
  if (names.reserved.has(topic) || middle === '') return undefined;
  const service = serviceOfTopic(names, prefix + middle + suffix) ?? middle;
  return /^[a-z0-9_]{1,50}$/.test(service) ? service : undefined;
}
