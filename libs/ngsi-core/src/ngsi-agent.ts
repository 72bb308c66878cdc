/**
 * From a raw record to the decisions about its entities, and back to one decision: all that historic, lastdata and mutable
 * have in common. What they differ in is an {@link EntityRule}.
 */
import type { RejectCode, SkipReason } from './codes.js';
import { recordWriter, type RecordWriter } from './connect-record.js';
import { EntityTemplates, MatchedEntity } from './entity-template.js';
import { serviceProblem, topicNames, type AgentName } from './naming.js';
import { parseNotification, parseText, readEntity, readText, type Entity, type Refused } from './notification.js';
import { INVALID_TENANT, router, type Route, type Router, type Scope } from './route.js';
import { allowedTenants, namingOptions, type NgsiConfig } from './settings.js';
import type { OutputRecord, Rejection, StatePut, StateReader, Step } from '@kafnus/agent-contract';
import { rejection, type RawRecord } from './rejection.js';
import { fiwareHeaders, headerProblem } from './tenant.js';
import { quoted, shown } from './text.js';
import { outputSize } from './output-size.js';

/** What is fixed for an agent. */
export interface AgentProfile {
  readonly name: AgentName;
  /** Ends its table names, and is the header `suffix`. */
  readonly suffix: string;
  /** Whether the key is the entity id and the TimeInstant, or the entity id alone. */
  readonly keyedByTimeInstant: boolean;
}

/** What an agent decides about one entity. */
export type EntityOutcome =
  | {
      readonly kind: 'emit';
      readonly output: OutputRecord;
      /** What of the entity is not in the output. */
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

const NO_REPORTS: readonly Rejection[] = [];

/** Settings that are read once. */
interface Context {
  readonly profile: AgentProfile;
  readonly writer: RecordWriter;
  readonly router: Router;
  readonly refuseFlawed: boolean;
}

/** One entity in the record that brought it: what a rule decides about, and what it can make of it. */
class Subject {
  constructor(
    private readonly context: Context,
    private readonly scope: Scope,
    private readonly correlator: string | undefined,
    private readonly timestamp: number,
    /** The raw record's timestamp in ISO 8601. */
    readonly recvtime: string,
    readonly entity: Entity,
  ) {}

  /** As Orion tells entities apart: service, service path, type and id, as a JSON array. */
  identity(): string {
    return `${this.scope.identityHead}${quoted(this.entity.type)},${quoted(this.entity.id)}]`;
  }

  /**
   * Emits the entity's row.
   * @param timeInstant as received; undefined when there is none
   */
  row(timeInstant: string | undefined): EntityOutcome {
    const { profile, writer, refuseFlawed } = this.context;
    const instant = timeInstant === undefined ? undefined : writer.instantText(timeInstant);
    if (timeInstant !== undefined && instant === undefined) return this.noDate(timeInstant);
    const route = this.route();
    if (route.kind === 'refused') return { kind: 'refuse', refusals: [route.refusal] };
    const row = writer.row(this.entity, instant, this.scope.servicepath, this.recvtime);
    const reports =
      row.problems.length === 0
        ? NO_REPORTS
        : row.problems.map(({ code, message }) => rejection(code, `Entity ${shown(this.entity.id)}, ${message}`));
    if (refuseFlawed && reports.length > 0) return { kind: 'refuse', refusals: reports };
    const key = writer.key(this.entity, profile.keyedByTimeInstant ? instant : undefined);
    return { kind: 'emit', output: this.output(route, key, row.value), reports };
  }

  /** Emits a tombstone: the key and headers of the row, without a value. */
  tombstone(): EntityOutcome {
    const route = this.route();
    if (route.kind === 'refused') return { kind: 'refuse', refusals: [route.refusal] };
    return {
      kind: 'emit',
      output: this.output(route, this.context.writer.key(this.entity, undefined), null),
      reports: [],
    };
  }

  /**
   * Refuses a TimeInstant that is no date, or not even text.
   * @param timeInstant the value, or the attribute where that is not an object
   */
  noDate(timeInstant: unknown): EntityOutcome {
    return refuse(
      'timeinstant-invalid',
      `The TimeInstant of entity ${shown(this.entity.id)} must be {"type": "DateTime", "value": "<ISO 8601 date>"}, but what it has is ${shown(timeInstant)}`,
    );
  }

  private route(): ReturnType<Router['route']> {
    const problem = this.context.writer.identityProblem(this.entity, this.scope.servicepath);
    if (problem !== undefined) {
      return { kind: 'refused', refusal: rejection('text-unstorable', `Entity ${shown(this.entity.id)}: ${problem}`) };
    }
    return this.context.router.route(this.scope, this.entity, this.correlator);
  }

  private output(route: Route, key: string, value: string | null): OutputRecord {
    const { topic, headers, partitionHash } = route;
    return { topic, partitionHash, key, value, headers, timestamp: this.timestamp };
  }
}

/** An agent with its settings applied, in the shape of the runtime's ConfiguredAgent. */
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
  // Elements of the notification, or the entities that templates have made of all of them.
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
    // Headers first: the tenant names the outcome, even of what is no notification. Without any, the message is asked.
    const notification = record.headers.length === 0 ? parseNotification(record.value) : undefined;
    if (notification?.kind === 'refused') return reject(defaultService, [notification.refusal]);
    const headers = fiwareHeaders(record.headers, notification?.message);
    // Whose the record is comes before what is wrong with it: of other tenants nothing is
    // dead-lettered. Lengths come before the scope, which sanitises and remembers the headers.
    const service = context.router.service(headers);
    if (allowed !== undefined && service !== undefined && !allowed.has(service)) {
      return { kind: 'skip', tenant: service, reason: 'tenant-not-allowed' };
    }
    const tooLong = headerProblem(headers);
    if (tooLong !== undefined) return reject(service ?? INVALID_TENANT, [rejection('header-too-long', tooLong)]);
    const scope = context.router.scope(headers);
    if (scope.kind === 'refused') return reject(scope.tenant, [scope.refusal]);
    const tenant = scope.service;
    const elements = notification?.data ?? elementsOf(record.value);
    if ('kind' in elements) return reject(tenant, [elements.refusal]);
    const recvtime = isoTime(record.timestamp);
    if (recvtime === undefined) {
      const message = `The timestamp of the record is ${record.timestamp}, which is no time since 1970 in milliseconds`;
      return reject(tenant, [rejection('timestamp-invalid', message)]);
    }
    const step = new StepBuilder(tenant, memory, elements.length > 1 ? config.maxOutputBytes : undefined);
    for (const element of elements) {
      // One at a time: of millions of elements most are never read, because the limit ends the loop.
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

/** What a refusal takes in memory beside its message: millions of short ones must not fit. */
const REFUSAL_OVERHEAD = 200;

/**
 * Makes one decision of those about the entities: what is sound is emitted, what is refused is reported with it. It is also
 * the memory that the rule sees: an entity that comes twice in one notification meets its own first version.
 */
class StepBuilder implements StateReader {
  private readonly outputs: OutputRecord[] = [];
  private readonly puts: StatePut[] = [];
  private readonly refusals: Rejection[] = [];
  private readonly skipped: SkipReason[] = [];
  private recent: Map<string, number> | undefined;
  private size = 0;

  constructor(
    private readonly tenant: string,
    private readonly memory: StateReader,
    /**
     * What the outputs of several entities may have together; undefined for a single entity. What becomes of one is a small
     * multiple of what it was, and is refused where it is larger than a record may be.
     */
    private readonly limit: number | undefined,
  ) {}

  /** Known as soon as it is so: the outputs that would come next are never made. */
  get isTooLarge(): boolean {
    return this.limit !== undefined && this.size > this.limit;
  }

  get(key: string): number | undefined {
    return this.recent?.get(key) ?? this.memory.get(key);
  }

  add(outcome: EntityOutcome): void {
    switch (outcome.kind) {
      case 'emit':
        this.outputs.push(outcome.output);
        if (this.limit !== undefined) this.size += outputSize(outcome.output);
        for (const report of outcome.reports) this.refuse(report);
        if (outcome.put !== undefined) {
          this.puts.push(outcome.put);
          // One entity alone meets no version of its own.
          if (this.limit !== undefined) {
            this.recent ??= new Map<string, number>();
            this.recent.set(outcome.put.key, outcome.put.value);
          }
        }
        break;
      case 'skip':
        this.skipped.push(outcome.reason);
        break;
      case 'refuse':
        for (const refused of outcome.refusals) this.refuse(refused);
        break;
    }
  }

  private refuse(refused: Rejection): void {
    this.refusals.push(refused);
    this.size += REFUSAL_OVERHEAD + refused.message.length;
  }

  build(): Step {
    const { tenant, outputs, puts, refusals, skipped } = this;
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

/** The text of the second that was asked for last, up to its point: the records of a batch are mostly of the same one. */
let lastSecond = 0;
let lastSecondText = '1970-01-01T00:00:00.';

/** ISO 8601 with milliseconds and Z; undefined for what is no time (-1 is Kafka's "no timestamp"). */
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
