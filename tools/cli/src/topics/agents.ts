/** The four agents as `kafnus topics` sees them: their topics, by the settings that the agents themselves read. */
import {
  changelogTopic,
  loadConfig,
  settingsOf,
  topicSettings,
  type AgentTopics,
  type RuntimeConfig,
} from '@kafnus/agent-runtime';
import {
  agentNames,
  namingOptions,
  serviceOfTopic,
  serviceProblem,
  outputTopic,
  topicNames,
  versionSettings,
  type AgentName,
  type TopicNames,
  type VersionConfig,
} from '@kafnus/ngsi-core';
import { UsageError, type Io } from '../command.js';
import { inOptionsOfCommand } from '../options.js';
import { messageOf } from '../error-text.js';

/** Of lastdata: the other agents keep no state. */
const STORES: Readonly<Partial<Record<AgentName, string>>> = { lastdata: 'newest' };

/** Settings that name a topic or a group of one agent: with them, several agents would share what is each one's own. */
const OF_ONE_AGENT = ['inputTopic', 'deadLetterTopic', 'outputTopic', 'groupId'] as const;

export interface AgentChoice {
  readonly agents: readonly AgentTopics[];
  /** How to reach the cluster. */
  readonly config: RuntimeConfig;
  /** The agent that writes to a topic, when it is one of these. */
  readonly outputOf: (topic: string) => AgentTopics | undefined;
}

/** What the options of the command say; the rest comes from the configuration file and the environment. */
export interface AgentOptions {
  /** undefined: all. */
  readonly agent: AgentName | undefined;
  readonly config: string | undefined;
  readonly brokers: string | undefined;
  readonly partitions: string | undefined;
  readonly replication: string | undefined;
}

/**
 * @throws ConfigurationError naming what is wrong in the settings; UsageError when they are one agent's and all are meant
 */
export function chooseAgents(options: AgentOptions, env: Io['env']): AgentChoice {
  const names = options.agent === undefined ? agentNames : [options.agent];
  const chosen = names.map((agent) => {
    const { config, sources } = settingsFor(agent, options, env);
    const own = OF_ONE_AGENT.find((key) => sources[key] !== 'default');
    if (own !== undefined && options.agent === undefined) {
      throw new UsageError(`${own} (${sources[own] ?? ''}) is of one agent: say which with --agent`);
    }
    return { config, ...topicsFor(agent, config) };
  });
  const [first] = chosen;
  if (first === undefined) throw new Error('there is no agent');
  return {
    agents: chosen.map(({ topics }) => topics),
    config: first.config,
    outputOf: (topic) => chosen.find(({ topics, names }) => writes(topics.agent, names, topic))?.topics,
  };
}

function settingsFor(
  agent: AgentName,
  { config: file, brokers, partitions, replication }: AgentOptions,
  env: Io['env'],
): { readonly config: RuntimeConfig & VersionConfig; readonly sources: Readonly<Record<string, string>> } {
  // All agents are read with the settings of all: one file and one environment serve them.
  const program = { name: agent, settings: versionSettings };
  const known = new Set([
    'KAFNUS_CONFIG',
    ...Object.values(settingsOf(program)).flatMap((setting) => [setting.env, `${setting.env}_FILE`]),
  ]);
  const argv = Object.entries({
    config: file,
    'kafka-brokers': brokers,
    'topic-partitions': partitions,
    'topic-replication': replication,
  }).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]));
  const own = Object.fromEntries(Object.entries(env).filter(([name]) => known.has(name)));
  const shorter = {
    'kafka-brokers': 'brokers',
    'topic-partitions': 'partitions',
    'topic-replication': 'replication',
  };
  const outcome = inOptionsOfCommand(shorter, () => loadConfig<VersionConfig>(program, { argv, env: own }));
  if (outcome.kind !== 'run') throw new Error('no configuration was read');
  const sources = Object.entries(outcome.printable).map(([key, { source }]) => [key, source] as const);
  return { config: outcome.config, sources: Object.fromEntries(sources) };
}

function topicsFor(
  agent: AgentName,
  config: RuntimeConfig & VersionConfig,
): { readonly topics: AgentTopics; readonly names: TopicNames } {
  try {
    const names = topicNames(namingOptions(agent, config));
    const store = STORES[agent];
    const topics = {
      agent,
      inputTopic: names.input,
      deadLetterTopic: names.deadLetter,
      changelog: store === undefined ? undefined : changelogTopic(config.groupId, store),
      readsDeadLetters: agent === 'errors',
      ...topicSettings(config),
    };
    return { topics, names };
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

/** Whether the topic is that of a service, and this agent's. */
function writes(agent: string, names: TopicNames, topic: string): boolean {
  const service = serviceOfTopic(names, topic);
  if (service === undefined || serviceProblem(names, service) !== undefined) return false;
  return agentNames.some((name) => name === agent && outputTopic(names, name, service) === topic);
}
