/** The rule of historic and mutable: each version of an entity, by TimeInstant, is a row. */
import { refuse, skip, type EntityRule } from './ngsi-agent.js';
import type { VersionConfig } from './settings.js';
import { shown } from './text.js';

/**
 * SPEC 3 and 5. A deletion is not a version and is skipped, whatever the case of
 * `alterationType`. A TimeInstant that is text is used as received: the sink (`sink=debezium` needs
 * a date) and the database check it. A TimeInstant of null, or without value, is missing.
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
