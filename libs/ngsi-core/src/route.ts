/** The destination of a row: topic, routing headers, target table and partition (SPEC 3). */
import { outputTopic, serviceProblem, type AgentName, type TopicNames } from './naming.js';
import type { Entity } from './notification.js';
import type { RecordHeader, Rejection } from '@kafnus/agent-contract';
import { rejection } from './rejection.js';
import { tableNameProblem } from './storable.js';
import { sanitise, tenantOf, type FiwareHeaders, type Tenant } from './tenant.js';
import { BoundedMap, memo, quoted, shown } from './text.js';

/** How tables are named, in the order of SPEC 3; the first is the default. */
export const dataModels = [
  'dm-by-entity-type-database',
  'dm-by-entity-type-database-schema',
  'dm-by-fixed-entity-type-database-schema',
  'dm-postgis-errors',
] as const;
export type DataModel = (typeof dataModels)[number];

/** The label `tenant` of all records whose service is not legal: labels are never removed. */
export const invalidTenant = '_invalid';

export interface RouteOptions {
  readonly names: TopicNames;
  readonly agent: AgentName;
  /** The end of table names and the header `suffix`: empty, `_lastdata` or `_mutable`. */
  readonly suffix: string;
  /** For records without a data model, or with an unknown one. */
  readonly dataModel: DataModel;
  /** Whether table names that PostgreSQL would cut are refused: see storable.ts. */
  readonly storableNames?: boolean;
  /** For records that name no service or service path. */
  readonly defaults: Tenant;
}

/** The common parts of all records with the same service, service path and data model. */
export interface Scope extends Tenant {
  readonly kind: 'scope';
  readonly topic: string;
  readonly headers: readonly [RecordHeader, RecordHeader, RecordHeader];
  readonly table: TableNaming;
  /** The start of the identities of its entities: see Subject.identity. */
  readonly identityHead: string;
}

/** The headers give no legal destination. */
interface RefusedScope {
  readonly kind: 'refused';
  /** For the metrics: the service, or {@link invalidTenant}. */
  readonly tenant: string;
  readonly refusal: Rejection;
}

/** `schema.table` around the sanitised entity type. */
interface TableNaming {
  readonly head: string;
  readonly tail: string;
  /** Whether the table's name is the entity type alone. */
  readonly typeOnly: boolean;
  /** Whether the name contains the entity type. */
  readonly typed: boolean;
}

/** The topic, headers and partition of one entity's record. */
export interface Route {
  readonly kind: 'route';
  readonly topic: string;
  readonly headers: readonly RecordHeader[];
  readonly partitionHash: number;
}

interface RefusedRoute {
  readonly kind: 'refused';
  readonly refusal: Rejection;
}

export interface Router {
  /**
   * The lower-cased service of a record; undefined when it is not legal. Unlike {@link scope} it
   * does not read the other headers, which may have any length.
   */
  service(headers: FiwareHeaders): string | undefined;
  scope(headers: FiwareHeaders): Scope | RefusedScope;
  route(scope: Scope, entity: Entity, correlator: string | undefined): Route | RefusedRoute;
}

/** The router of one agent. */
export function router(options: RouteOptions): Router {
  const { names, agent, suffix } = options;
  const suffixHeader: RecordHeader = { suffix };
  const problemOf = memo<{ readonly problem: string | undefined }>(10_000, (service) => ({
    problem: serviceProblem(names, service),
  }));
  const typeHeader = memo<{ readonly entityType: string }>(1000, (type) => ({ entityType: sanitise(type) }));
  const scopes = new BoundedMap<Scope>(1000);

  const newScope = (received: FiwareHeaders): Scope | RefusedScope => {
    const { service, servicepath } = tenantOf(received, options.defaults);
    const { problem } = problemOf(service);
    if (problem !== undefined) {
      return { kind: 'refused', tenant: invalidTenant, refusal: rejection('service-invalid', problem) };
    }
    const schemaPath = sanitise(servicepath);
    const model = knownModel(received.datamodel) ?? options.dataModel;
    const table = tableNaming(model, service, schemaPath, suffix);
    if (table === undefined) {
      const message = `The data model ${model} needs a service path, and that of the record is ${shown(servicepath)}`;
      return { kind: 'refused', tenant: service, refusal: rejection('servicepath-missing', message) };
    }
    return {
      kind: 'scope',
      service,
      servicepath,
      topic: outputTopic(names, agent, service),
      headers: [
        { 'fiware-service': service },
        { 'fiware-servicepath': schemaPath },
        { 'fiware-datamodel': received.datamodel ?? '' },
      ],
      table,
      identityHead: `[${quoted(service)},${quoted(servicepath)},`,
    };
  };

  return {
    service({ service }) {
      const name = service ? service.toLowerCase() : options.defaults.service;
      return problemOf(name).problem === undefined ? name : undefined;
    },
    scope(received) {
      const { service = '', servicepath = '', datamodel = '' } = received;
      // The lengths keep "a" + "bc" and "ab" + "c" apart.
      const key = `${service.length} ${servicepath.length} ${service}${servicepath}${datamodel}`;
      const known = scopes.get(key);
      if (known !== undefined) return known;
      const scope = newScope(received);
      if (scope.kind === 'scope') scopes.set(key, scope);
      return scope;
    },
    route(scope, entity, correlator) {
      const type = typeHeader(entity.type);
      const { head, tail, typed, typeOnly } = scope.table;
      if (typeOnly && type.entityType === '') {
        const message = `The table is named for the entity type alone, and no character of type ${shown(entity.type)} is allowed in a name`;
        return { kind: 'refused', refusal: rejection('table-missing', message) };
      }
      const table = typed ? head + type.entityType + tail : head;
      const problem = options.storableNames === true ? tableNameProblem(table) : undefined;
      if (problem !== undefined) {
        return { kind: 'refused', refusal: rejection('table-name-invalid', `The table ${shown(table)} ${problem}`) };
      }
      const headers: RecordHeader[] = [
        scope.headers[0],
        scope.headers[1],
        scope.headers[2],
        type,
        { entityId: sanitise(entity.id) },
        suffixHeader,
        { target_table: table },
      ];
      if (correlator !== undefined) headers.push({ 'fiware-correlator': correlator });
      return { kind: 'route', topic: scope.topic, headers, partitionHash: partitionHash(entity.id) };
    },
  };
}

/** The data model of a header, in any case; undefined for an unknown one (SPEC 3). */
function knownModel(received: string | undefined): DataModel | undefined {
  if (!received) return undefined;
  const wanted = received.trim().toLowerCase();
  return dataModels.find((model) => model === wanted);
}

/** undefined when the model needs a service path and there is none. */
function tableNaming(model: DataModel, service: string, path: string, suffix: string): TableNaming | undefined {
  switch (model) {
    case 'dm-by-entity-type-database':
      return { head: `${service}.${path}_`, tail: suffix, typed: true, typeOnly: false };
    case 'dm-by-entity-type-database-schema':
      return path === '' ? undefined : { head: `${path}.${path}_`, tail: suffix, typed: true, typeOnly: false };
    case 'dm-by-fixed-entity-type-database-schema':
      return path === '' ? undefined : { head: `${path}.`, tail: suffix, typed: true, typeOnly: true };
    case 'dm-postgis-errors':
      return { head: `${service}.${errorLogTable(service)}`, tail: '', typed: false, typeOnly: false };
  }
}

/** The error log table of a schema: the model dm-postgis-errors (SPEC 3 and 7). */
export function errorLogTable(schema: string): string {
  return `${schema}_error_log`;
}

/** The hash whose remainder is a Java producer's partition: `toPositive(murmur2(utf8))`. */
export function partitionHash(text: string): number {
  return murmur2(text) & 0x7fffffff;
}

const encoder = new TextEncoder();
const scratch = new Uint8Array(1024);

/** `murmur2` of Kafka's `Utils` over the text's UTF-8 bytes: a signed 32-bit number. */
export function murmur2(text: string): number {
  // A UTF-16 unit takes at most three bytes.
  if (text.length * 3 <= scratch.length) return murmur2Bytes(scratch, encoder.encodeInto(text, scratch).written);
  const bytes = encoder.encode(text);
  return murmur2Bytes(bytes, bytes.length);
}

function murmur2Bytes(data: Uint8Array, length: number): number {
  const m = 0x5bd1e995;
  let h = 0x9747b28c ^ length;
  const whole = length & ~3;
  for (let i = 0; i < whole; i += 4) {
    let k = byte(data, i) | (byte(data, i + 1) << 8) | (byte(data, i + 2) << 16) | (byte(data, i + 3) << 24);
    k = Math.imul(k, m);
    k ^= k >>> 24;
    k = Math.imul(k, m);
    h = Math.imul(h, m) ^ k;
  }
  const rest = length - whole;
  if (rest > 2) h ^= byte(data, whole + 2) << 16;
  if (rest > 1) h ^= byte(data, whole + 1) << 8;
  if (rest > 0) h = Math.imul(h ^ byte(data, whole), m);
  h ^= h >>> 13;
  h = Math.imul(h, m);
  h ^= h >>> 15;
  return h;
}

function byte(data: Uint8Array, at: number): number {
  return data[at] ?? 0;
}
