/** The tenant of a record: the FIWARE headers of the record or the message, normalised (SPEC 2). */
import type { RecordHeader } from '@kafnus/agent-contract';
import { isObject, type JsonObject } from './notification.js';
import { shown } from './text.js';

/** The FIWARE headers as received; undefined when there is none. */
export interface FiwareHeaders {
  service: string | undefined;
  servicepath: string | undefined;
  correlator: string | undefined;
  datamodel: string | undefined;
}

/**
 * The longest headers that are accepted, in characters. Each output of a record carries them, and
 * a record may have thousands of outputs: one header of 250 KB would become gigabytes. Orion's
 * service paths have at most ten levels of fifty characters, its correlators are UUIDs with a short
 * suffix, and the names of data models have 40 characters.
 */
const maxHeaderLengths = { servicepath: 512, correlator: 512, datamodel: 256 } as const;
const limited = Object.keys(maxHeaderLengths) as readonly (keyof typeof maxHeaderLengths)[];

/** Which header is too long; undefined when none is. The service is checked by SPEC 2. */
export function headerProblem(headers: FiwareHeaders): string | undefined {
  for (const name of limited) {
    const text = headers[name];
    if (text !== undefined && text.length > maxHeaderLengths[name]) {
      return `The header fiware-${name} is ${shown(text)}, and may have ${maxHeaderLengths[name]} characters`;
    }
  }
  return undefined;
}

/** A normalised service and service path. */
export interface Tenant {
  /** Lower-cased, not checked. */
  readonly service: string;
  /** Lower-cased, with a leading slash. */
  readonly servicepath: string;
}

/**
 * The FIWARE headers of a record, or of the message when the record has no headers: any header,
 * even an unrelated one, shows that the producer sends headers. Of a repeated header the last one
 * counts, as in Kafka's `Headers.lastHeader`.
 */
export function fiwareHeaders(headers: readonly RecordHeader[], message: JsonObject | undefined): FiwareHeaders {
  const found: FiwareHeaders = {
    service: undefined,
    servicepath: undefined,
    correlator: undefined,
    datamodel: undefined,
  };
  if (headers.length > 0) {
    for (const header of headers) {
      for (const name in header) note(found, name, header[name]);
    }
  } else if (message !== undefined) {
    noteMembers(found, message);
    // The message's own `headers` take precedence.
    const inner = message['headers'];
    if (isObject(inner)) noteMembers(found, inner);
  }
  return found;
}

/** Record headers that say the same: for a record without any, whose message has named them. */
export function asRecordHeaders({ service, servicepath, correlator, datamodel }: FiwareHeaders): RecordHeader[] {
  const named = { service, servicepath, correlator, datamodel };
  return Object.entries(named).flatMap(([name, text]) => (text === undefined ? [] : [{ [`fiware-${name}`]: text }]));
}

/** The lower-cased service and path; an empty one counts as missing. */
export function tenantOf(headers: FiwareHeaders, defaults: Tenant): Tenant {
  const service = headers.service ? headers.service.toLowerCase() : defaults.service;
  const path = headers.servicepath ? headers.servicepath.toLowerCase() : defaults.servicepath;
  return { service, servicepath: path.startsWith('/') ? path : `/${path}` };
}

/**
 * Makes a name of any text (SPEC 2): trimmed, without one leading and one trailing slash,
 * lower-cased, and every character except a-z, 0-9 and _ replaced by _.
 */
export function sanitise(text: string): string {
  if (cleanName.test(text)) return text;
  let name = text.trim();
  if (name.startsWith('/')) name = name.slice(1);
  if (name.endsWith('/')) name = name.slice(0, -1);
  return name.toLowerCase().replace(uncleanCharacters, '_');
}

const cleanName = /^[a-z0-9_]*$/;
const uncleanCharacters = /[^a-z0-9_]/g;

/** The four names have different lengths, so most other headers need not be lower-cased. */
const serviceHeader = 'fiware-service'.length;
const servicepathHeader = 'fiware-servicepath'.length;
const correlatorHeader = 'fiware-correlator'.length;
const datamodelHeader = 'fiware-datamodel'.length;

function note(found: FiwareHeaders, name: string, value: unknown): void {
  switch (name.length) {
    case serviceHeader:
      if (name.toLowerCase() === 'fiware-service') found.service = headerText(value);
      break;
    case servicepathHeader:
      if (name.toLowerCase() === 'fiware-servicepath') found.servicepath = headerText(value);
      break;
    case correlatorHeader:
      if (name.toLowerCase() === 'fiware-correlator') found.correlator = headerText(value);
      break;
    case datamodelHeader:
      if (name.toLowerCase() === 'fiware-datamodel') found.datamodel = headerText(value);
      break;
  }
}

/** A null member of a message does not replace a value that was found before. */
function noteMembers(found: FiwareHeaders, members: JsonObject): void {
  for (const name in members) {
    if (members[name] !== null) note(found, name, members[name]);
  }
}

/** The text of a header; objects of a message become `[object]`, which is not a legal name. */
function headerText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (Buffer.isBuffer(value)) return value.toString();
  if (value === null || value === undefined) return undefined;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : '[object]';
}
