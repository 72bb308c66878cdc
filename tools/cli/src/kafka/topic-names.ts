/** The names of topics, from the settings of the agents. */
import { loadConfig } from '@kafnus/agent-runtime';
import {
  agentNames,
  namingOptions,
  namingSettings,
  topicNames,
  type AgentName,
  type NamingConfig,
  type TopicNames,
} from '@kafnus/ngsi-core';
import type { Io } from '../command.js';

/**
 * From KAFNUS_NAMING, KAFNUS_TOPIC_PREFIX, KAFNUS_TOPIC_SUFFIX, KAFNUS_INPUT_TOPIC and
 * KAFNUS_DEAD_LETTER_TOPIC.
 * @throws ConfigurationError, or Error, naming the wrong variable
 */
export function namesOf(env: Io['env']): TopicNames {
  const own = Object.values(namingSettings).flatMap(({ env: name }) => {
    const value = env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const outcome = loadConfig<NamingConfig>(
    { name: 'cli', settings: namingSettings },
    { argv: [], env: { KAFNUS_KAFKA_BROKERS: 'localhost:9092', ...Object.fromEntries(own) } },
  );
  if (outcome.kind !== 'run') throw new Error('no configuration was read');
  return topicNames(namingOptions('historic', outcome.config));
}

/** The raw topic of an agent, unless KAFNUS_INPUT_TOPIC names another. */
export function inputOf({ prefix }: Pick<TopicNames, 'prefix'>, agent: AgentName): string {
  return `${prefix}raw_${agent}`;
}

/** The agent that reads the topic; undefined when none does. */
export function agentOf(names: Pick<TopicNames, 'prefix'>, topic: string): AgentName | undefined {
  return agentNames.find((agent) => inputOf(names, agent) === topic);
}
