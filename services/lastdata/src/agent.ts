import type { Agent, StateReader } from '@kafnus/agent-runtime';
import {
  epochMicros,
  ngsiAgent,
  parseInstant,
  skip,
  type AgentProfile,
  type EntityOutcome,
  type EntityRule,
} from '@kafnus/ngsi-core';
import { settings, type Config } from './config.js';

const profile: AgentProfile = { name: 'lastdata', suffix: '_lastdata', keyedByTimeInstant: false };

/**
 * SPEC 4. The state holds, for each entity, the newest TimeInstant seen, in microseconds since the epoch; behind a deletion
 * it is {@link deletionMark} of it.
 *
 *     state            an update at t       an entityCreate at t    a deletion at t, or without date
 *     none             row        -> t      row         -> t        tombstone -> mark(t), or none
 *     newest n         t >= n     -> t      t >= n      -> t        tombstone -> mark(max(n, t))
 *     deleted, mark(n) t > n      -> t      t >= n      -> t        tombstone -> mark(max(n, t))
 *
 * All else is stale. Orion sends a deletion with the TimeInstant that the entity had at the time, which is older than the
 * newest one seen when a late measurement has overwritten it; so a deletion always deletes. Its threads may bring the last
 * update after the deletion: at the newest TimeInstant only an announced entityCreate brings the entity back.
 */
const newestOnly: EntityRule = (subject, newest) => {
  const { entity } = subject;
  // Only Orion's own spelling deletes: what removes data must be certain.
  if (entity.alteration === 'delete') return deletion(subject, newest);

  // Static models have no TimeInstant: emitted in arrival order, and the state does not change.
  const { timeInstant } = entity;
  if (timeInstant.kind === 'missing') return subject.row(undefined);
  if (timeInstant.kind === 'not-text') return subject.noDate(timeInstant.value);
  const instant = parseInstant(timeInstant.text);
  if (instant === undefined) return subject.noDate(timeInstant.text);

  const key = subject.identity();
  const version = epochMicros(instant);
  const known = newest.get(key);
  if (known !== undefined && version < known) {
    const recreated = entity.alteration === 'create' && known === deletionMark(version);
    if (!recreated) return skip('stale');
  }

  const outcome = subject.row(timeInstant.text);
  if (outcome.kind !== 'emit') return outcome;
  // Not spread: that would take a tenth of the whole decision.
  const { output, reports } = outcome;
  return { kind: 'emit', output, reports, put: { key, value: version } };
};

function deletion(subject: Parameters<EntityRule>[0], newest: StateReader): EntityOutcome {
  const outcome = subject.tombstone();
  if (outcome.kind !== 'emit') return outcome;
  const { timeInstant } = subject.entity;
  const instant = timeInstant.kind === 'text' ? parseInstant(timeInstant.text) : undefined;
  const key = subject.identity();
  const known = newest.get(key);
  const mark = instant === undefined ? undefined : deletionMark(epochMicros(instant));
  if (known === undefined && mark === undefined) return outcome;
  // A mark has a fraction, a TimeInstant has none.
  const isMark = known === undefined || known === mark || !Number.isInteger(known);
  const knownMark = isMark ? known : deletionMark(known);
  const value = Math.max(knownMark ?? Number.NEGATIVE_INFINITY, mark ?? Number.NEGATIVE_INFINITY);
  return { ...outcome, put: { key, value } };
}

/**
 * Half a microsecond behind the newest TimeInstant: everything up to it is older, everything beyond it is newer. Doubles hold
 * the half until the year 2112; from then on it is the next number that they hold.
 */
function deletionMark(micros: number): number {
  const later = micros + 0.5;
  return later > micros ? later : micros + Math.abs(micros) * Number.EPSILON;
}

/**
 * lastdata keeps only the latest version of each entity, by TimeInstant: a version older than the newest one is skipped, a
 * deletion is always a tombstone (SPEC 1, 3 and 4).
 */
export const agent: Agent<Config> = {
  name: 'lastdata',
  store: 'newest',
  settings,
  configure: (config) => ngsiAgent(profile, config, newestOnly),
};
