/**
 * Parses the value of a raw record to an NGSIv2 notification, and its elements to entities. What
 * SPEC 2 does not allow becomes a refusal with a code.
 */
import type { RejectCode } from './codes.js';
import type { Rejection } from '@kafnus/agent-contract';
import { rejection } from './rejection.js';
import { keyProblem, maxAttributes } from './storable.js';
import { shown } from './text.js';

/** An object from JSON.parse: `__proto__` and `constructor` are ordinary members. */
export type JsonObject = Readonly<Record<string, unknown>>;

export interface Notification {
  readonly kind: 'notification';
  /** The whole message. */
  readonly message: JsonObject;
  /** Its `data`; the elements are not checked yet. */
  readonly data: readonly unknown[];
}

export interface Refused {
  readonly kind: 'refused';
  readonly refusal: Rejection;
}

/** One entity of a notification. */
export interface Entity {
  readonly kind: 'entity';
  readonly id: string;
  /** `Thing` when the notification has none (NGSIv2). */
  readonly type: string;
  /** All members of the entity, including `id` and `type`. */
  readonly members: JsonObject;
  /** The name of the TimeInstant: the first member whose lower-cased name is `timeinstant`. */
  readonly timeInstantName: string | undefined;
  readonly timeInstant: TimeInstant;
  readonly alteration: Alteration | undefined;
}

/**
 * The value of a member with the exact name `alterationType`: `create` for entityCreate, `delete`
 * for entityDelete. `delete-in-other-case` if the name of the member has another case.
 */
type Alteration = 'create' | 'delete' | 'delete-in-other-case';

/** The TimeInstant as received. Agents refuse one that is not text; some require a date. */
export type TimeInstant =
  | { readonly kind: 'missing' }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'not-text'; readonly value: unknown };

/** Reads the value of a raw record. */
export function parseNotification(value: Buffer | null): Notification | Refused {
  const text = readText(value);
  return typeof text === 'string' ? parseText(text) : text;
}

/** The text of the value of a raw record. */
export function readText(value: Buffer | null): string | Refused {
  if (value === null) {
    return unreadable('value-missing', 'The record has no value. A raw topic carries notifications, not tombstones.');
  }
  const text = value.toString();
  // Decoding replaces invalid bytes by a replacement character: only such text needs the check.
  if (text.includes('\ufffd') && !isUtf8(value)) {
    return unreadable('not-utf8', `The value is not UTF-8: ${shown(text)}`);
  }
  return text;
}

export function parseText(text: string): Notification | Refused {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch (error) {
    const hint = text.charCodeAt(0) === 0xfeff ? 'it begins with a byte order mark' : String(error);
    return unreadable('not-json', `The value is not JSON (${hint}): ${shown(text)}`);
  }
  if (!isObject(message)) {
    return refused('not-a-notification', `A notification is a JSON object with an array "data", not ${shown(message)}`);
  }
  const data = message['data'];
  if (Array.isArray(data)) return { kind: 'notification', message, data };
  return refused(
    'not-a-notification',
    data === undefined
      ? 'The JSON object has no "data". NGSIv2 notifications are {"subscriptionId": "...", "data": [entity, ...]}'
      : `"data" must be an array of entities, not ${shown(data)}`,
  );
}

const noTimeInstant: TimeInstant = { kind: 'missing' };

/** Reads one element of `data`. */
export function readEntity(element: unknown): Entity | Refused {
  if (!isObject(element)) return refused('entity-invalid', `An entity must be a JSON object, not ${shown(element)}`);
  const { id, type } = element;
  if (typeof id !== 'string' || id === '') {
    return refused('entity-id-invalid', `The "id" of an entity must be text that is not empty, not ${shown(id)}`);
  }
  // No index of PostgreSQL takes a longer key, and each record has both in its headers.
  const longId = keyProblem(id);
  if (longId !== undefined) return refused('entity-id-invalid', `The "id" ${shown(id)} ${longId}`);
  if (typeof type !== 'string' && type !== undefined && type !== null) {
    return refused('entity-type-invalid', `The "type" of entity ${shown(id)} must be text, not ${shown(type)}`);
  }
  const longType = type ? keyProblem(type) : undefined;
  if (longType !== undefined) {
    return refused('entity-type-invalid', `The "type" ${shown(type)} of entity ${shown(id)} ${longType}`);
  }
  let timeInstantName: string | undefined;
  let alteration: Entity['alteration'];
  let names = 0;
  for (const name in element) {
    names += 1;
    // Lower-casing every name of every entity would cost more than looking at its length.
    if (name.length === 11) {
      if (timeInstantName === undefined && name.toLowerCase() === 'timeinstant') timeInstantName = name;
    } else if (name.length === 14 && name.toLowerCase() === 'alterationtype') {
      const said = alterationOf(element[name]);
      if (name === 'alterationType') alteration = said ?? alteration;
      else if (said === 'delete') alteration ??= 'delete-in-other-case';
    }
  }
  const attributes = names - (type === undefined ? 1 : 2) - (timeInstantName === undefined ? 0 : 1);
  if (attributes > maxAttributes) {
    const message = `Entity ${shown(id)} has ${attributes} attributes beside TimeInstant, and a table of PostgreSQL has columns for ${maxAttributes}`;
    return refused('attributes-too-many', message);
  }
  return {
    kind: 'entity',
    id,
    type: type ?? 'Thing',
    members: element,
    timeInstantName,
    timeInstant: timeInstantName === undefined ? noTimeInstant : readTimeInstant(element[timeInstantName]),
    alteration,
  };
}

function readTimeInstant(attribute: unknown): TimeInstant {
  if (attribute === null) return noTimeInstant;
  if (!isObject(attribute)) return { kind: 'not-text', value: attribute };
  const value = attribute['value'];
  if (value === undefined || value === null) return noTimeInstant;
  return typeof value === 'string' ? { kind: 'text', text: value } : { kind: 'not-text', value };
}

/** From an attribute, or from its plain value, as Orion sends it with `attrsFormat: keyValues`. */
function alterationOf(attribute: unknown): 'create' | 'delete' | undefined {
  const value = isObject(attribute) ? attribute['value'] : attribute;
  if (typeof value !== 'string') return undefined;
  const name = value.toLowerCase();
  return name === 'entitydelete' ? 'delete' : name === 'entitycreate' ? 'create' : undefined;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function isUtf8(bytes: Uint8Array): boolean {
  try {
    utf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function refused(code: RejectCode, message: string): Refused {
  return { kind: 'refused', refusal: rejection(code, message) };
}

/** A refusal in the stage that Kafka Connect calls the value converter. */
function unreadable(code: RejectCode, message: string): Refused {
  return { kind: 'refused', refusal: { code, message, stage: 'VALUE_CONVERTER' } };
}
