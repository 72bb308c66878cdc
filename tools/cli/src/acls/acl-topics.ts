/** The topics and the group of an agent, from the settings that it is started with. */
import { changelogTopic, loadConfig, type SettingsSchema } from '@kafnus/agent-runtime';
import {
  allowedTenants,
  historicSettings,
  namingOptions,
  namingSettings,
  ngsiSettings,
  outputTopic,
  serviceProblem,
  topicNames,
  versionSettings,
  type AgentName,
  type NamingConfig,
} from '@kafnus/ngsi-core';
import type { Io } from '../command.js';
import type { AgentTopics } from './grants.js';

const settings: Readonly<Record<AgentName, SettingsSchema>> = {
  historic: historicSettings,
  lastdata: ngsiSettings,
  mutable: versionSettings,
  errors: { ...namingSettings, sink: ngsiSettings.sink, tenants: ngsiSettings.tenants },
};

/** The names of the state stores. Only lastdata has one. */
const stores: Partial<Record<AgentName, string>> = { lastdata: 'newest' };

/**
 * @throws ConfigurationError, or Error naming the setting, when the agent would not start with
 * these settings
 */
export function agentTopics(agent: AgentName, env: Io['env']): AgentTopics {
  // The brokers are required, and do not matter here.
  const complete = { KAFNUS_KAFKA_BROKERS: 'localhost:9092', ...env };
  const outcome = loadConfig<NamingConfig & { readonly tenants: string; readonly rekey?: 'auto' | 'off' }>(
    { name: agent, settings: settings[agent] },
    { argv: [], env: complete },
  );
  if (outcome.kind !== 'run') throw new Error('no configuration was read');
  const { config } = outcome;
  const names = topicNames(namingOptions(agent, config));
  const tenants = allowedTenants(config.tenants, (service) => serviceProblem(names, service));
  const store = stores[agent];
  return {
    group: config.groupId,
    inputTopic: names.input,
    deadLetterTopic: names.deadLetter,
    changelogTopic: store === undefined ? undefined : changelogTopic(config.groupId, store),
    outputs:
      tenants === undefined
        ? { prefix: names.templates[agent].head }
        : { topics: [...tenants].map((service) => outputTopic(names, agent, service)) },
    exactlyOnce: config.delivery === 'exactly-once',
    rekeys: config.rekey === 'auto',
    creates: config.topicsCreate,
  };
}
