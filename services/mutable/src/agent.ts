import type { Agent } from '@kafnus/agent-runtime';
import { ngsiAgent, versions, type AgentProfile } from '@kafnus/ngsi-core';
import { settings, type Config } from './config.js';

const profile: AgentProfile = { name: 'mutable', suffix: '_mutable', keyedByTimeInstant: true };

/**
 * mutable keeps versions that may be overwritten: it decides as historic does, and writes to topics
 * and tables of its own, where a version with the same entity id and TimeInstant takes the place of
 * the one before (SPEC 1, 3 and 5).
 */
export const agent: Agent<Config> = {
  name: 'mutable',
  settings,
  configure: (config) => ngsiAgent(profile, config, versions(config)),
};
