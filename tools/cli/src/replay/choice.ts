/** Which letters a replay sends, where to, and why the others stay. Pure. */
import { createHash } from 'node:crypto';
import { readEntity } from '@kafnus/ngsi-core';
import { entityIds, messageOf, type Letter } from './letter.js';

/** What the user asked for. Empty lists: all. */
export interface Choice {
  /** The dead-letter topic. */
  readonly topic: string;
  readonly tenants: readonly string[];
  /** Topics that the records came from. */
  readonly from: readonly string[];
  readonly reasons: readonly string[];
  readonly entities: readonly string[];
  /** Milliseconds since the epoch, of the record's own timestamp. */
  readonly since: number | undefined;
  readonly until: number | undefined;
  /** Only records that came back from a replay, instead of only those that did not. */
  readonly again: boolean;
  /** Another destination than where they came from. */
  readonly to: string | undefined;
  /** Raw topics: where records may be sent without being told. */
  readonly inputs: ReadonlySet<string>;
}

/** Why a letter is not sent. */
export type LeftOut = 'foreign' | 'came-back' | 'no-value' | 'no-raw-topic';

export type Verdict =
  | { readonly kind: 'send'; readonly topic: string }
  | { readonly kind: 'leave'; readonly why: LeftOut }
  /** Not asked for. */
  | { readonly kind: 'pass' };

/** What becomes of a letter. */
export function verdictOn(letter: Letter, choice: Choice): Verdict {
  if (!isAskedFor(letter, choice)) return { kind: 'pass' };
  if (letter.replays > 0 && !choice.again) return { kind: 'leave', why: 'came-back' };
  if (letter.omitted !== undefined) return { kind: 'leave', why: 'no-value' };
  const topic = choice.to ?? letter.origin.topic;
  // The dead-letter topic itself may be an input: of the errors agent. Letters that make letters of themselves never end.
  const allowed = choice.to !== undefined || (choice.inputs.has(topic) && topic !== choice.topic);
  return allowed ? { kind: 'send', topic } : { kind: 'leave', why: 'no-raw-topic' };
}

/** Whether any filter is set: what cannot be read then does not fit it. */
export function isNarrowed({ tenants, from, reasons, entities, since, until, again }: Choice): boolean {
  return (
    again ||
    since !== undefined ||
    until !== undefined ||
    [tenants, from, reasons, entities].some((list) => list.length > 0)
  );
}

function isAskedFor(letter: Letter, { tenants, from, reasons, entities, since, until, again }: Choice): boolean {
  return (
    (!again || letter.replays > 0) &&
    among(tenants, letter.tenant) &&
    among(from, letter.origin.topic) &&
    among(reasons, letter.reason) &&
    (since === undefined || letter.timestamp >= since) &&
    (until === undefined || letter.timestamp < until) &&
    (entities.length === 0 || entityIds(letter).some((id) => entities.includes(id)))
  );
}

function among(list: readonly string[], one: string): boolean {
  return list.length === 0 || list.includes(one);
}

/**
 * A name for a replay that was given none: the same for the same words, so that the same command goes on where it was.
 * @param words what narrows the replay, as the user wrote it: `12h` stays `12h`
 */
export function nameOfReplay(
  words: Readonly<Record<string, string | boolean | readonly string[] | undefined>>,
): string {
  const said = Object.entries(words)
    .map(([option, value]): [string, unknown] => [
      option,
      Array.isArray(value) ? [...new Set(value)].sort() : (value ?? null),
    ])
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(said)).digest('hex').slice(0, 8);
}

/**
 * Whether lastdata would put this record over a newer version: it compares TimeInstants, and an entity without one is
 * emitted in the order of arrival (SPEC 4).
 */
export function hasUndatedEntity({ value }: Pick<Letter, 'value'>): boolean {
  const data = messageOf(value)?.['data'];
  if (!Array.isArray(data)) return false;
  return data.some((element: unknown) => {
    const entity = readEntity(element);
    return entity.kind === 'entity' && entity.timeInstant.kind === 'missing';
  });
}
