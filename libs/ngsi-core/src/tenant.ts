/**
 * Whose data a record is: the FIWARE headers, from the record or from the message, and how they are normalised (SPEC 2).
 */
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
 * The longest headers that are taken, in characters. Each output of a record carries them, and a record may have thousands of
 * outputs: one header of 250 KB would become gigabytes. Orion's service paths have ten levels of fifty characters at most, its
 * correlators are UUIDs with a short note behind them, and the names of data models have 40 characters.
 */
const LONGEST_HEADERS = { servicepath: 512, correlator: 512, datamodel: 256 } as const;
const limited = Object.keys(LONGEST_HEADERS) as readonly (keyof typeof LONGEST_HEADERS)[];

/** Which header is longer than any that Orion sends; undefined when none is. The service has a check of its own (SPEC 2). */
export function headerProblem(headers: FiwareHeaders): string | undefined {
  for (const name of limited) {
    const text = headers[name];
    if (text !== undefined && text.length > LONGEST_HEADERS[name]) {
      return `The header fiware-${name} is ${shown(text)}, and may have ${LONGEST_HEADERS[name]} characters`;
    }
  }
  return undefined;
}

/** A service and a service path as the rest of the code knows them. */
export interface Tenant {
  /** Lower-cased, not yet checked. */
  readonly service: string;
  /** Lower-cased, with a leading slash. */
  readonly servicepath: string;
}

/**
 * The FIWARE headers of a record, or of the message when the record has no header at all: any header, even an unrelated
 * one, says that the producer sends headers. Of a repeated header the last counts, as for Kafka's `Headers.lastHeader`.
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
    // The message's own `headers` have the last word.
    const inner = message['headers'];
    if (isObject(inner)) noteMembers(found, inner);
  }
  return found;
}

/** The lower-cased service and path; empty ones are missing ones. */
export function tenantOf(headers: FiwareHeaders, defaults: Tenant): Tenant {
  const service = headers.service ? headers.service.toLowerCase() : defaults.service;
  const path = headers.servicepath ? headers.servicepath.toLowerCase() : defaults.servicepath;
  return { service, servicepath: path.startsWith('/') ? path : `/${path}` };
}

/**
 * Makes a name of anything (SPEC 2): trimmed, without one leading and one trailing slash, lower-cased, every other character
 * than a-z, 0-9 and _ replaced by _.
 */
export function sanitise(text: string): string {
  if (CLEAN.test(text)) return text;
  let name = text.trim();
  if (name.startsWith('/')) name = name.slice(1);
  if (name.endsWith('/')) name = name.slice(0, -1);
  return name.toLowerCase().replace(UNCLEAN, '_');
}

const CLEAN = /^[a-z0-9_]*$/;
const UNCLEAN = /[^a-z0-9_]/g;

/** The lengths of the names, which are told apart by them: most headers need not be lower-cased to be passed over. */
const SERVICE = 'fiware-service'.length;
const SERVICEPATH = 'fiware-servicepath'.length;
const CORRELATOR = 'fiware-correlator'.length;
const DATAMODEL = 'fiware-datamodel'.length;

function note(found: FiwareHeaders, name: string, value: unknown): void {
  switch (name.length) {
    case SERVICE:
      if (name.toLowerCase() === 'fiware-service') found.service = headerText(value);
      break;
    case SERVICEPATH:
      if (name.toLowerCase() === 'fiware-servicepath') found.servicepath = headerText(value);
      break;
    case CORRELATOR:
      if (name.toLowerCase() === 'fiware-correlator') found.correlator = headerText(value);
      break;
    case DATAMODEL:
      if (name.toLowerCase() === 'fiware-datamodel') found.datamodel = headerText(value);
      break;
  }
}

/** Of a message's members only those that say something: a null there leaves what was found elsewhere. */
function noteMembers(found: FiwareHeaders, members: JsonObject): void {
  for (const name in members) {
    if (members[name] !== null) note(found, name, members[name]);
  }
}

/** Text of a header; a number or boolean of a message is what it reads as, anything else no legal name. */
function headerText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (Buffer.isBuffer(value)) return value.toString();
  if (value === null || value === undefined) return undefined;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : '[object]';
}
