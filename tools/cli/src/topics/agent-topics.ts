/** The topics of the agents for `kafnus topics`, from the settings of the agents. */
import { changelogTopic, loadConfig, settingsOf, topicSettings, type RuntimeConfig } from '@kafnus/agent-runtime';
import { messageOf, type AgentTopics } from '@kafnus/kafka-admin';
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

/** The names of the state stores. Only lastdata has one. */
const storeNames: Readonly<Partial<Record<AgentName, string>>> = { lastdata: 'newest' };

/**
 * Settings that name a topic or a group of one agent. Read for several agents, all would get the
 * same one.
 */
const perAgentSettings = ['inputTopic', 'deadLetterTopic', 'outputTopic', 'groupId'] as const;

export interface SelectedAgents {
  readonly agents: readonly AgentTopics[];
  /** The settings of the connection. */
  readonly config: RuntimeConfig;
  /** The agent whose output topic it is; undefined when it is none of these. */
  readonly outputOf: (topic: string) => AgentTopics | undefined;
}

/**
 * The options of the command. Other settings come from the configuration file and the environment.
 */
export interface AgentOptions {
  /** undefined: all. */
  readonly agent: AgentName | undefined;
  readonly config: string | undefined;
  readonly brokers: string | undefined;
  readonly partitions: string | undefined;
  readonly replication: string | undefined;
}

/**
 * @throws ConfigurationError naming the wrong settings; UsageError when a setting is for one agent
 * and none is named
 */
export function selectAgents(options: AgentOptions, env: Io['env']): SelectedAgents {
  const names = options.agent === undefined ? agentNames : [options.agent];
  const selected = names.map((agent) => {
    const { config, sources } = settingsFor(agent, options, env);
    const perAgent = perAgentSettings.find((key) => sources[key] !== 'default');
    if (perAgent !== undefined && options.agent === undefined) {
      throw new UsageError(`${perAgent} (${sources[perAgent] ?? ''}) is for one agent: name it with --agent`);
    }
    return { config, ...topicsFor(agent, config) };
  });
  const [first] = selected;
  if (first === undefined) throw new Error('there is no agent');
  return {
    agents: selected.map(({ topics }) => topics),
    config: first.config,
    outputOf: (topic) => selected.find(({ topics, names }) => isOutputOf(topics.agent, names, topic))?.topics,
  };
}

function settingsFor(
  agent: AgentName,
  { config: file, brokers, partitions, replication }: AgentOptions,
  env: Io['env'],
): { readonly config: RuntimeConfig & VersionConfig; readonly sources: Readonly<Record<string, string>> } {
  // One configuration file may serve all agents, so each is read with the settings of all.
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
    const store = storeNames[agent];
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

/** Whether it is the output topic of this agent for some service. */
function isOutputOf(agent: string, names: TopicNames, topic: string): boolean {
  const service = serviceOfTopic(names, topic);
  if (service === undefined || serviceProblem(names, service) !== undefined) return false;
  return agentNames.some((name) => name === agent && outputTopic(names, name, service) === topic);
}
