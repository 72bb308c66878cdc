import type { Agent } from '@kafnus/agent-runtime';
import { ngsiAgent, versions, type AgentProfile } from '@kafnus/ngsi-core';
import { settings, type Config } from './config.js';

const profile: AgentProfile = { name: 'historic', suffix: '', keyedByTimeInstant: true };

/**
 * historic keeps every version of every entity: a row per entity of a notification, whose key is
 * the entity id and the TimeInstant (SPEC 1, 3 and 5). Deletions are skipped.
 */
export const agent: Agent<Config> = {
  name: 'historic',
  settings,
  configure: (config) => ngsiAgent(profile, config, versions(config)),
};
