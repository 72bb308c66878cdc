/** Which dead letters a replay sends, to which topics, and why it skips the others. Pure. */
import { createHash } from 'node:crypto';
import { readEntity } from '@kafnus/ngsi-core';
import { entityIds, jsonObjectOf, type DeadLetterRecord } from './dead-letter-record.js';

/** The options of the user. An empty list selects everything. */
export interface ReplaySelection {
  /** The dead-letter topic. */
  readonly topic: string;
  readonly tenants: readonly string[];
  /** Topics that the records were refused in. */
  readonly originTopics: readonly string[];
  readonly reasons: readonly string[];
  readonly entities: readonly string[];
  /** Milliseconds since the epoch, compared with the timestamp of the record. Inclusive. */
  readonly since: number | undefined;
  /** As `since`. Exclusive. */
  readonly until: number | undefined;
  /** Selects only records that were replayed before. Without it, only those that were not. */
  readonly onlyReplayed: boolean;
  /** A topic that all records are sent to; undefined: each to its origin topic. */
  readonly destination: string | undefined;
  /** The topics to which records are sent without `destination`. */
  readonly rawTopics: ReadonlySet<string>;
}

/** Why a selected dead letter is not sent. The values are part of the JSON output. */
export type SkipReason = 'foreign' | 'came-back' | 'no-value' | 'no-raw-topic';

export type Classification =
  | { readonly kind: 'send'; readonly topic: string }
  | { readonly kind: 'skip'; readonly why: SkipReason }
  | { readonly kind: 'not-selected' };

export function classify(deadLetter: DeadLetterRecord, selection: ReplaySelection): Classification {
  if (!isSelected(deadLetter, selection)) return { kind: 'not-selected' };
  if (deadLetter.replays > 0 && !selection.onlyReplayed) return { kind: 'skip', why: 'came-back' };
  if (deadLetter.omitted !== undefined) return { kind: 'skip', why: 'no-value' };
  const { destination, rawTopics } = selection;
  const topic = destination ?? deadLetter.origin.topic;
  // The dead-letter topic is also the input of the errors agent. A record sent to it from itself
  // would be the next run's dead letter again.
  const isAllowed = destination !== undefined || (rawTopics.has(topic) && topic !== selection.topic);
  return isAllowed ? { kind: 'send', topic } : { kind: 'skip', why: 'no-raw-topic' };
}

export function hasFilters(selection: ReplaySelection): boolean {
  const { tenants, originTopics, reasons, entities, since, until, onlyReplayed } = selection;
  return (
    onlyReplayed ||
    since !== undefined ||
    until !== undefined ||
    [tenants, originTopics, reasons, entities].some((list) => list.length > 0)
  );
}

function isSelected(deadLetter: DeadLetterRecord, selection: ReplaySelection): boolean {
  const { tenants, originTopics, reasons, entities, since, until, onlyReplayed } = selection;
  return (
    (!onlyReplayed || deadLetter.replays > 0) &&
    isEmptyOrHas(tenants, deadLetter.tenant) &&
    isEmptyOrHas(originTopics, deadLetter.origin.topic) &&
    isEmptyOrHas(reasons, deadLetter.reason) &&
    (since === undefined || deadLetter.timestamp >= since) &&
    (until === undefined || deadLetter.timestamp < until) &&
    (entities.length === 0 || entityIds(deadLetter).some((id) => entities.includes(id)))
  );
}

function isEmptyOrHas(list: readonly string[], item: string): boolean {
  return list.length === 0 || list.includes(item);
}

/**
 * The name of a replay without `--name`. The same options give the same name, so that the same
 * command continues where it stopped.
 * @param options those that select dead letters, as the user wrote them: `12h` stays `12h`
 */
export function defaultReplayName(
  options: Readonly<Record<string, string | boolean | readonly string[] | undefined>>,
): string {
  const sorted = Object.entries(options)
    .map(([option, value]): [string, unknown] => [
      option,
      Array.isArray(value) ? [...new Set(value)].sort() : (value ?? null),
    ])
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 8);
}

/**
 * Whether lastdata would overwrite a newer version with this record. It compares TimeInstants; an
 * entity without one overwrites in the order of arrival (SPEC 4).
 */
export function hasEntityWithoutTimeInstant({ value }: Pick<DeadLetterRecord, 'value'>): boolean {
  const data = jsonObjectOf(value)?.['data'];
  if (!Array.isArray(data)) return false;
  return data.some((element: unknown) => {
    const entity = readEntity(element);
    return entity.kind === 'entity' && entity.timeInstant.kind === 'missing';
  });
}
