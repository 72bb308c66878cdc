/**
 * The common part of historic, lastdata and mutable: splits a raw record into entities, and joins
 * the decisions about them into one. The agents differ in their {@link EntityRule}.
 */
import type { RejectCode, SkipReason } from './codes.js';
import { recordWriter, type RecordWriter } from './connect-record.js';
import { EntityTemplates, MatchedEntity } from './entity-template.js';
import { serviceProblem, topicNames, type AgentName } from './naming.js';
import { parseNotification, parseText, readEntity, readText, type Entity, type Refused } from './notification.js';
import { invalidTenant, router, type Route, type Router, type Scope } from './route.js';
import { allowedTenants, namingOptions, type NgsiConfig } from './settings.js';
import type { OutputRecord, Rejection, StatePut, StateReader, Step } from '@kafnus/agent-contract';
import { rejection, type RawRecord } from './rejection.js';
import { fiwareHeaders, headerProblem } from './tenant.js';
import { quoted, shown } from './text.js';
import { outputSize } from './output-size.js';

/** The constants of an agent. */
export interface AgentProfile {
  readonly name: AgentName;
  /** The end of its table names, and the value of the header `suffix`. */
  readonly suffix: string;
  /** Whether the key is the entity id and the TimeInstant, or the entity id alone. */
  readonly keyedByTimeInstant: boolean;
}

/** The decision of an agent about one entity. */
export type EntityOutcome =
  | {
      readonly kind: 'emit';
      readonly output: OutputRecord;
      /** The attributes that are missing from the output or null. */
      readonly reports: readonly Rejection[];
      readonly put?: StatePut;
    }
  | { readonly kind: 'skip'; readonly reason: SkipReason }
  | { readonly kind: 'refuse'; readonly refusals: readonly Rejection[] };

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
  readonly decide: (record: RawRecord, memory: StateReader) => Step;
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

  const decide = (record: RawRecord, memory: StateReader): Step => {
    // The headers come first: an outcome has a tenant even if the value is not a notification.
    // Without headers, the message names the tenant.
    const notification = record.headers.length === 0 ? parseNotification(record.value) : undefined;
    if (notification?.kind === 'refused') return reject(defaultService, [notification.refusal]);
    const headers = fiwareHeaders(record.headers, notification?.message);
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
    const elements = notification?.data ?? elementsOf(record.value);
    if ('kind' in elements) return reject(tenant, [elements.refusal]);
    const recvtime = isoTime(record.timestamp);
    if (recvtime === undefined) {
      const message = `The timestamp of the record is ${record.timestamp}, which is not a number of milliseconds since 1970`;
      return reject(tenant, [rejection('timestamp-invalid', message)]);
    }
    const step = new StepBuilder(tenant, memory, elements.length > 1 ? config.maxOutputBytes : undefined);
    for (const element of elements) {
      // The limit ends the loop, so most of millions of elements are never read.
      const entity = element instanceof MatchedEntity ? element : readEntity(element);
      step.add(
        entity.kind === 'refused'
          ? { kind: 'refuse', refusals: [entity.refusal] }
          : rule(new Subject(context, scope, headers.correlator, record.timestamp, recvtime, entity), step),
      );
      if (step.isTooLarge) return reject(tenant, [tooLarge(elements.length, config.maxOutputBytes)]);
    }
    return step.build();
  };

  return { inputTopic: names.input, deadLetterTopic: names.deadLetter, decide };
}

/** The memory of a refusal beside its message, so that the limit covers millions of short ones. */
const refusalOverhead = 200;

/**
 * Joins the decisions about entities into one: the outputs, with reports of the refused entities.
 * It is also the state that the rule reads: if an entity occurs twice in a notification, the
 * second decision sees the version of the first.
 */
class StepBuilder implements StateReader {
  readonly #outputs: OutputRecord[] = [];
  readonly #puts: StatePut[] = [];
  readonly #refusals: Rejection[] = [];
  readonly #skipped: SkipReason[] = [];
  #recent: Map<string, number> | undefined;
  #size = 0;
  readonly #tenant: string;
  readonly #memory: StateReader;
  readonly #limit: number | undefined;

  /**
   * @param limit the largest size of the outputs of several entities together; undefined for a
   *   single entity, whose output is a small multiple of its input, and whose size the runtime
   *   checks against the largest record that the broker takes
   */
  constructor(tenant: string, memory: StateReader, limit: number | undefined) {
    this.#tenant = tenant;
    this.#memory = memory;
    this.#limit = limit;
  }

  /** Whether the outputs so far exceed the limit. */
  get isTooLarge(): boolean {
    return this.#limit !== undefined && this.#size > this.#limit;
  }

  get(key: string): number | undefined {
    return this.#recent?.get(key) ?? this.#memory.get(key);
  }

  add(outcome: EntityOutcome): void {
    switch (outcome.kind) {
      case 'emit':
        this.#outputs.push(outcome.output);
        if (this.#limit !== undefined) this.#size += outputSize(outcome.output);
        for (const report of outcome.reports) this.#refuse(report);
        if (outcome.put !== undefined) {
          this.#puts.push(outcome.put);
          // A single entity is not decided twice.
          if (this.#limit !== undefined) {
            this.#recent ??= new Map<string, number>();
            this.#recent.set(outcome.put.key, outcome.put.value);
          }
        }
        break;
      case 'skip':
        this.#skipped.push(outcome.reason);
        break;
      case 'refuse':
        for (const refused of outcome.refusals) this.#refuse(refused);
        break;
    }
  }

  #refuse(refused: Rejection): void {
    this.#refusals.push(refused);
    this.#size += refusalOverhead + refused.message.length;
  }

  build(): Step {
    const tenant = this.#tenant;
    const outputs = this.#outputs;
    const puts = this.#puts;
    const refusals = this.#refusals;
    const skipped = this.#skipped;
    if (outputs.length === 0) {
      return refusals.length > 0 ? reject(tenant, refusals) : { kind: 'skip', tenant, reason: skipped[0] ?? 'empty' };
    }
    return {
      kind: 'emit',
      tenant,
      outputs,
      ...(puts.length > 0 && { puts }),
      ...(refusals.length > 0 && { reports: refusals }),
      ...(skipped.length > 0 && { skipped }),
    };
  }
}

function tooLarge(entities: number, limit: number): Rejection {
  const message = `The ${entities} entities of the record would become more than ${limit} bytes of output: publish fewer in one notification, or raise maxOutputBytes (KAFNUS_MAX_OUTPUT_BYTES) and the memory of the agent`;
  return rejection('output-too-large', message);
}

function reject(tenant: string, refusals: readonly Rejection[]): Step {
  const [first, ...rest] = refusals;
  if (first === undefined) throw new Error('a rejection without a reason');
  return { kind: 'reject', tenant, rejections: [first, ...rest] };
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
