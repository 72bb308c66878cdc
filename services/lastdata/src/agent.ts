import type { Agent } from '@kafnus/agent-runtime';
import { epochMicros, ngsiAgent, parseInstant, skip, type AgentProfile, type EntityRule } from '@kafnus/ngsi-core';
import { settings, type Config } from './config.js';

const profile: AgentProfile = { name: 'lastdata', suffix: '_lastdata', keyedByTimeInstant: false };

/**
 * SPEC 4. The state holds, for each entity, the TimeInstant of the newest version emitted or of its deletion, in microseconds
 * since the epoch: versions within one millisecond are told apart.
 */
const newestOnly: EntityRule = (subject, newest) => {
  const { entity } = subject;
  // Only Orion's own spelling deletes: what removes data must be certain.
  const deleted = entity.deletion === 'announced';

  // Static models have no TimeInstant: emitted in arrival order, and the state is not moved.
  const { timeInstant } = entity;
  if (timeInstant.kind === 'missing') return deleted ? subject.tombstone() : subject.row(undefined);

  if (timeInstant.kind === 'not-text') return subject.noDate(timeInstant.value);
  const instant = parseInstant(timeInstant.text);
  if (instant === undefined) return subject.noDate(timeInstant.text);

  const key = subject.identity();
  const version = epochMicros(instant);
  const known = newest.get(key);
  if (known !== undefined && version < known) return skip('stale');

  const outcome = deleted ? subject.tombstone() : subject.row(timeInstant.text);
  // The deletion is remembered as well: late data from before it stays out.
  if (outcome.kind !== 'emit') return outcome;
  // Not spread: that would take a tenth of the whole decision.
  const { output, reports } = outcome;
  return { kind: 'emit', output, reports, put: { key, value: version } };
};

/**
 * lastdata keeps only the latest version of each entity, by TimeInstant: a version older than the newest one is skipped, a
 * deletion is a tombstone (SPEC 1, 3 and 4).
 */
export const agent: Agent<Config> = {
  name: 'lastdata',
  store: 'newest',
  settings,
  configure: (config) => ngsiAgent(profile, config, newestOnly),
};
