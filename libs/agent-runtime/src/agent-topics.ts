/** The topics of an agent, as its settings name them: for `topics plan`, `apply` and `check`. */
import type { Agent } from '@kafnus/agent-contract';
import type { AgentTopics } from '@kafnus/kafka-admin';
import type { RuntimeConfig } from './config.js';
import { maxRecordBytes } from './record-size.js';
import { changelogTopic } from './state/changelog.js';
import { aheadMs } from './writable-time.js';

/**
 * What an agent's settings say about topics.
 * @throws Error naming the setting, as the agent's own start would
 */
export function topicsOf<C>(agent: Agent<C>, config: RuntimeConfig & C): AgentTopics {
  const { inputTopic, deadLetterTopic } = agent.configure(config);
  return {
    agent: agent.name,
    inputTopic,
    deadLetterTopic,
    changelog: agent.store === undefined ? undefined : changelogTopic(config.groupId, agent.store),
    readsDeadLetters: agent.readsDeadLetters ?? false,
    ...topicSettings(config),
  };
}

/** The part of {@link AgentTopics} that the runtime's settings alone decide. */
export function topicSettings(
  config: RuntimeConfig,
): Pick<AgentTopics, 'groupId' | 'partitions' | 'replication' | 'maxRecordBytes' | 'aheadMs' | 'createsTopics'> {
  return {
    groupId: config.groupId,
    partitions: config.topicPartitions,
    replication: config.topicReplication,
    maxRecordBytes: maxRecordBytes(config),
    aheadMs,
    createsTopics: config.topicsCreate,
  };
}
