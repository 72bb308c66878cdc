/**
 * The rule of historic and mutable: every version of an entity is a row of its own, told apart by its TimeInstant.
 */
import { refuse, skip, type EntityRule } from './ngsi-agent.js';
import type { VersionConfig } from './settings.js';
import { shown } from './text.js';

/**
 * SPEC 3 and 5. A deletion is not a version, in whatever case `alterationType` is written: nothing is lost by leaving it
 * out. A TimeInstant is taken as received, as long as it is text: whether it is a date is for the sink (`sink=debezium`
 * needs one) and the database to say. A TimeInstant of null, or without value, is missing.
 */
export function versions(config: Pick<VersionConfig, 'missingTimeInstant'>): EntityRule {
  return (subject) => {
    const { entity, recvtime } = subject;
    if (entity.alteration !== undefined && entity.alteration !== 'create') return skip('delete');
    switch (entity.timeInstant.kind) {
      case 'text':
        return subject.row(entity.timeInstant.text);
      case 'not-text':
        return subject.noDate(entity.timeInstant.value);
      case 'missing':
        if (config.missingTimeInstant === 'record-timestamp') return subject.row(recvtime);
        return refuse(
          'timeinstant-missing',
          `Entity ${shown(entity.id)} has no TimeInstant, which is part of the key. Add one, or set missingTimeInstant (KAFNUS_MISSING_TIME_INSTANT) to record-timestamp`,
        );
    }
  };
}
