/**
 * The common part of historic, lastdata and mutable: splits a raw record into entities, and joins
 * the decisions about them into one. The agents differ in their {@link EntityRule}.
 */
import type { RejectCode, SkipReason } from './codes.js';
import { recordWriter, type RecordWriter } from './connect-record.js';
import { EntityTemplates, MatchedEntity } from './entity-template.js';
import { serviceProblem, topicNames, type AgentName } from './naming.js';
import {
  parseNotification,
  parseText,
  readEntity,
  readText,
  type Entity,
  type JsonObject,
  type Refused,
} from './notification.js';
import { invalidTenant, router, type Route, type Router, type Scope } from './route.js';
import { allowedTenants, namingOptions, type NgsiConfig } from './settings.js';
import type { OutputRecord, Rejection, StateReader, Step } from '@kafnus/agent-contract';
import { copyTo, hasMovedEnough, homeHash, maxRekeyHeaders, readRekeyed, type CopyOptions } from './rekey.js';
import { rejection, type RawRecord } from './rejection.js';
import { asRecordHeaders, fiwareHeaders, headerProblem } from './tenant.js';
import { reject, StepBuilder, type EntityOutcome } from './step-builder.js';
import { quoted, shown } from './text.js';

/** The constants of an agent. */
export interface AgentProfile {
  readonly name: AgentName;
  /** The end of its table names, and the value of the header `suffix`. */
  readonly suffix: string;
  /** Whether the key is the entity id and the TimeInstant, or the entity id alone. */
  readonly keyedByTimeInstant: boolean;
}

/** The decision of an agent about one entity; pure. */
export type EntityRule = (subject: Subject, memory: StateReader) => EntityOutcome;

export function skip(reason: SkipReason): EntityOutcome {
  return { kind: 'skip', reason };
}

export function refuse(code: RejectCode, message: string): EntityOutcome {
  return { kind: 'refuse', refusals: [rejection(code, message)] };
}

const noReports: readonly Rejection[] = [];

/** The settings of an agent, prepared once. */
interface Context {
  readonly profile: AgentProfile;
  readonly writer: RecordWriter;
  readonly router: Router;
  readonly refuseFlawed: boolean;
}

/** One entity and its record: what a rule decides about, and the outcomes it can choose. */
class Subject {
  readonly #context: Context;
  readonly #scope: Scope;
  readonly #correlator: string | undefined;
  readonly #timestamp: number;

  constructor(
    context: Context,
    scope: Scope,
    correlator: string | undefined,
    timestamp: number,
    /** The raw record's timestamp in ISO 8601. */
    readonly recvtime: string,
    readonly entity: Entity,
  ) {
    this.#context = context;
    this.#scope = scope;
    this.#correlator = correlator;
    this.#timestamp = timestamp;
  }

  /** Orion's identity of an entity: service, service path, type and id, as a JSON array. */
  identity(): string {
    return `${this.#scope.identityHead}${quoted(this.entity.type)},${quoted(this.entity.id)}]`;
  }

  /**
   * Emits the entity's row.
   * @param timeInstant as received; undefined when there is none
   */
  row(timeInstant: string | undefined): EntityOutcome {
    const { profile, writer, refuseFlawed } = this.#context;
    const instant = timeInstant === undefined ? undefined : writer.instantText(timeInstant);
    if (timeInstant !== undefined && instant === undefined) return this.noDate(timeInstant);
    const route = this.#route();
    if (route.kind === 'refused') return { kind: 'refuse', refusals: [route.refusal] };
    const row = writer.row(this.entity, instant, this.#scope.servicepath, this.recvtime);
    const reports =
      row.problems.length === 0
        ? noReports
        : row.problems.map(({ code, message }) => rejection(code, `Entity ${shown(this.entity.id)}, ${message}`));
    if (refuseFlawed && reports.length > 0) return { kind: 'refuse', refusals: reports };
    const key = writer.key(this.entity, profile.keyedByTimeInstant ? instant : undefined);
    return { kind: 'emit', output: this.#output(route, key, row.value), reports };
  }

  /** Emits a tombstone: the key and headers of the row, without a value. */
  tombstone(): EntityOutcome {
    const route = this.#route();
    if (route.kind === 'refused') return { kind: 'refuse', refusals: [route.refusal] };
    return {
      kind: 'emit',
      output: this.#output(route, this.#context.writer.key(this.entity, undefined), null),
      reports: [],
    };
  }

  /**
   * Refuses a TimeInstant that is not a date or not text.
   * @param timeInstant the value; the attribute itself when that is not an object
   */
  noDate(timeInstant: unknown): EntityOutcome {
    return refuse(
      'timeinstant-invalid',
      `The TimeInstant of entity ${shown(this.entity.id)} must be {"type": "DateTime", "value": "<ISO 8601 date>"}, not ${shown(timeInstant)}`,
    );
  }

  #route(): ReturnType<Router['route']> {
    const problem = this.#context.writer.identityProblem(this.entity, this.#scope.servicepath);
    if (problem !== undefined) {
      return { kind: 'refused', refusal: rejection('text-unstorable', `Entity ${shown(this.entity.id)}: ${problem}`) };
    }
    return this.#context.router.route(this.#scope, this.entity, this.#correlator);
  }

  #output(route: Route, key: string, value: string | null): OutputRecord {
    const { topic, headers, partitionHash } = route;
    return { topic, partitionHash, key, value, headers, timestamp: this.#timestamp };
  }
}

/** An agent with its settings applied: a ConfiguredAgent of the runtime. */
export interface NgsiAgent {
  readonly inputTopic: string;
  readonly deadLetterTopic: string;
  readonly decide: (record: RawRecord, memory: StateReader, inputPartitions?: number) => Step;
  readonly rekeys: boolean;
}

/**
 * Makes an agent of a rule.
 * @throws Error naming the setting when the settings do not fit together
 */
export function ngsiAgent(profile: AgentProfile, config: NgsiConfig, rule: EntityRule): NgsiAgent {
  const names = topicNames(namingOptions(profile.name, config));
  const problemOf = (service: string): string | undefined => serviceProblem(names, service);
  const allowed = allowedTenants(config.tenants, problemOf);
  const defaultService = config.defaultService.toLowerCase();
  const problem = problemOf(defaultService);
  if (problem !== undefined) throw new Error(`defaultService (KAFNUS_DEFAULT_SERVICE): ${problem}`);
  const context: Context = {
    profile,
    writer: recordWriter(config.sink),
    router: router({
      names,
      agent: profile.name,
      suffix: profile.suffix,
      dataModel: config.dataModel,
      storableNames: config.sink === 'debezium',
      defaults: { service: defaultService, servicepath: config.defaultServicepath.toLowerCase() },
    }),
    refuseFlawed: config.attributeErrors === 'reject',
  };

  const templates = new EntityTemplates(context.writer.rowTemplate);
  // The elements of the notification, or entities when all of them match templates.
  const elementsOf = (value: Buffer | null): readonly unknown[] | Refused => {
    const text = readText(value);
    if (typeof text !== 'string') return text;
    const reading = templates.read(text);
    if (reading?.complete === true) return reading.entities;
    const notification = parseText(text);
    if (notification.kind === 'refused') return notification;
    const { data } = notification;
    if (reading !== undefined && reading.entities.length < data.length) {
      const unread = readEntity(data[reading.entities.length]);
      if (unread.kind === 'entity') templates.learn(unread);
    }
    return data;
  };

  const hash = homeHash(config.inputPartitioner);
  const group = config.groupId ?? '';

  const decide = (record: RawRecord, memory: StateReader, inputPartitions?: number): Step => {
    const rekeyed = readRekeyed(record.headers);
    const recordHeaders = rekeyed?.others ?? record.headers;
    // The headers come first: an outcome has a tenant even if the value is not a notification.
    // Without headers, the message names the tenant.
    const notification = recordHeaders.length === 0 ? parseNotification(record.value) : undefined;
    if (notification?.kind === 'refused') return reject(defaultService, [notification.refusal]);
    const headers = fiwareHeaders(recordHeaders, notification?.message);
    // The tenant is checked before the content: nothing of other tenants is dead-lettered. The
    // lengths are checked before the scope, which sanitises and caches the headers.
    const service = context.router.service(headers);
    if (allowed !== undefined && service !== undefined && !allowed.has(service)) {
      return { kind: 'skip', tenant: service, reason: 'tenant-not-allowed' };
    }
    const tooLong = headerProblem(headers);
    if (tooLong !== undefined) return reject(service ?? invalidTenant, [rejection('header-too-long', tooLong)]);
    const scope = context.router.scope(headers);
    if (scope.kind === 'refused') return reject(scope.tenant, [scope.refusal]);
    const tenant = scope.service;
    // This group re-keys the original itself, or decides it where it is.
    if (rekeyed !== undefined && rekeyed.origin.group !== group)
      return { kind: 'skip', tenant, reason: 'rekeyed-elsewhere' };
    const elements = notification?.data ?? elementsOf(record.value);
    if ('kind' in elements) return reject(tenant, [elements.refusal]);
    const recvtime = isoTime(record.timestamp);
    if (recvtime === undefined) {
      const message = `The timestamp of the record is ${record.timestamp}, which is not a number of milliseconds since 1970`;
      return reject(tenant, [rejection('timestamp-invalid', message)]);
    }
    const step = new StepBuilder(tenant, memory, elements.length > 1 ? config.maxOutputBytes : undefined);
    // What is known elsewhere is about the entity of a re-keyed record: there is one.
    if (elements.length === 1) step.carried = rekeyed?.origin.newest;
    let copy: CopyOptions | undefined;
    for (const element of elements) {
      // The limit ends the loop, so most of millions of elements are never read.
      const entity = element instanceof MatchedEntity ? element : readEntity(element);
      if (entity.kind === 'refused') step.add({ kind: 'refuse', refusals: [entity.refusal] });
      else {
        const subject = new Subject(context, scope, headers.correlator, record.timestamp, recvtime, entity);
        const home = inputPartitions === undefined ? record.partition : hash(entity.id) % inputPartitions;
        const isStray = home !== undefined && home !== record.partition;
        if (!isStray || hasMovedEnough(rekeyed)) {
          if (isStray) step.hopsExceeded = true;
          step.add(rule(subject, step), subject);
        } else if (recordHeaders.length > maxRekeyHeaders) {
          const count = `The record has ${recordHeaders.length} headers, and ${maxRekeyHeaders} may be re-keyed`;
          return reject(tenant, [rejection('header-too-long', count)]);
        } else {
          copy ??= {
            topic: names.input,
            group,
            rekeyed,
            headers: recordHeaders.length > 0 ? recordHeaders : asRecordHeaders(headers),
            message: elements.length > 1 ? (notification?.message ?? messageOf(record.value)) : undefined,
          };
          step.rekey(copyTo(home, entity, step.get(subject.identity()), record, copy));
        }
      }
      if (step.isTooLarge) return reject(tenant, [tooLarge(elements.length, config.maxOutputBytes)]);
    }
    return step.build();
  };

  return { inputTopic: names.input, deadLetterTopic: names.deadLetter, decide, rekeys: config.rekey === 'auto' };
}

/** Of a value that was read before. */
function messageOf(value: Buffer | null): JsonObject {
  const notification = parseNotification(value);
  return notification.kind === 'notification' ? notification.message : {};
}

function tooLarge(entities: number, limit: number): Rejection {
  const message = `The ${entities} entities of the record would become more than ${limit} bytes of output: publish fewer in one notification, or raise maxOutputBytes (KAFNUS_MAX_OUTPUT_BYTES) and the memory of the agent`;
  return rejection('output-too-large', message);
}

/** The last second formatted, up to its point: most records of a batch have the same second. */
let lastSecond = 0;
let lastSecondText = '1970-01-01T00:00:00.';

/** ISO 8601 with milliseconds and Z; undefined for -1, Kafka's "no timestamp", and the like. */
function isoTime(timestamp: number): string | undefined {
  if (!(timestamp >= 0 && timestamp <= 8.64e15)) return undefined;
  const whole = Math.floor(timestamp);
  const second = Math.floor(whole / 1000);
  if (second !== lastSecond) {
    lastSecond = second;
    lastSecondText = new Date(second * 1000).toISOString().slice(0, -4);
  }
  const millis = whole % 1000;
  return `${lastSecondText}${millis < 100 ? (millis < 10 ? '00' : '0') : ''}${millis}Z`;
}
