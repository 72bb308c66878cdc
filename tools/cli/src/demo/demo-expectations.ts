/** Derives all expected records, counters, dead letters and log records from the scenario. */
import { partitionOf } from '../state/state-placement.js';
import type { CityNotification } from '../city.js';
import type { RawRecord } from '../kafka/publisher.js';
import { scenarioSteps, sinkFailure, type ScenarioStep, type ExpectedRefusal, type Outcome } from './demo-scenario.js';

/** The agents that read notifications. */
export const ngsiAgents = ['historic', 'lastdata', 'mutable'] as const;
export type NgsiAgent = (typeof ngsiAgents)[number];
export const agentNames = [...ngsiAgents, 'errors'] as const;
export type AgentName = (typeof agentNames)[number];

/** The suffixes of an agent's topics and tables. */
const suffixes: Readonly<Record<NgsiAgent, string>> = { historic: '', lastdata: '_lastdata', mutable: '_mutable' };

/** The topic names of a run. */
export class DemoTopicNames {
  readonly prefix: string;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  raw(agent: AgentName): string {
    return `${this.prefix}raw_${agent}`;
  }

  output(agent: NgsiAgent, service: string): string {
    return `${this.prefix}${service}${suffixes[agent]}`;
  }

  errorLog(service: string): string {
    return `${this.prefix}${service}_error_log`;
  }

  /** The dead-letter topic of the errors agent, which stays empty. */
  get errorsDead(): string {
    return `${this.prefix}raw_errors_dead`;
  }
}

/** An output record. Those of an entity are in one partition and in this order. */
export interface ExpectedRecord {
  readonly topic: string;
  /** The payload of the key. */
  readonly key: Readonly<Record<string, string>>;
  /**
   * All columns in order; null for a tombstone; undefined for generated notifications, whose
   * columns are not compared.
   */
  readonly columns: readonly (readonly [name: string, type: string, value: unknown])[] | null | undefined;
  /** Header values by name. */
  readonly headers: Readonly<Record<string, string>>;
  /** That of the raw record, in milliseconds since the epoch. */
  readonly timestamp: number;
}

interface ExpectedDeadLetter extends ExpectedRefusal {
  /** The raw topic. */
  readonly from: string;
  readonly key: string | null;
  readonly value: string;
}

/** A record of an error log. */
interface ExpectedLog {
  readonly topic: string;
  /** A part of the error. */
  readonly error: string;
  /** The whole query; null when there is none. */
  readonly query: string | null;
}

/** The counters of `GET /health`. */
interface ExpectedCounts {
  readonly read: number;
  readonly emitted: number;
  readonly skipped: Readonly<Record<string, number>>;
  readonly rejected: Readonly<Record<string, number>>;
}

export interface Expectations {
  readonly counts: Readonly<Record<AgentName, ExpectedCounts>>;
  readonly records: readonly ExpectedRecord[];
  readonly deadLetters: readonly ExpectedDeadLetter[];
  readonly logs: readonly ExpectedLog[];
  /** Records without key, per agent that reads notifications. */
  readonly unkeyed: number;
  /** Entities of which lastdata has state. */
  readonly remembered: number;
}

/** A notification that is published to the three raw topics. */
export interface PublishedNotification {
  readonly service: string;
  readonly servicepath: string;
  readonly correlator: string;
  readonly key: string | null;
  readonly value: string;
  readonly timestamp: number;
  readonly source: { readonly step: ScenarioStep } | { readonly city: CityNotification };
}

/**
 * The notifications of the scenario.
 * @param now their timestamp, in milliseconds since the epoch
 */
export function stepPublications(now: number): PublishedNotification[] {
  return scenarioSteps.map((step, index) => ({
    service: step.service,
    servicepath: step.servicepath,
    correlator: `0e1f5c1e-demo-4000-a000-${String(index).padStart(12, '0')}`,
    key: step.key,
    value:
      typeof step.body === 'string'
        ? step.body
        : JSON.stringify({ subscriptionId: '662f7d1a9c3b5e0d4a8f1c01', data: [step.body] }),
    timestamp: now,
    source: { step },
  }));
}

export function cityPublication(city: CityNotification, now: number): PublishedNotification {
  const { service, servicepath, correlator, entityId, value } = city;
  return { service, servicepath, correlator, key: entityId, value, timestamp: now, source: { city } };
}

/** Partitions of each raw topic. */
export const rawPartitions = 3;

/** The raw record for one topic. One without a key is in a partition that is not its entity's. */
export function rawRecord(topic: string, publication: PublishedNotification): RawRecord {
  const { service, servicepath, correlator, key, value, timestamp } = publication;
  const partition = (partitionOf('crc32', entityOf(publication)?.id ?? '', rawPartitions) + 1) % rawPartitions;
  return {
    topic,
    key,
    ...(key === null && { partition }),
    value,
    timestamp,
    headers: [
      { 'fiware-service': service },
      { 'fiware-servicepath': servicepath },
      { 'fiware-correlator': correlator },
    ],
  };
}

/** The dead letter of Kafka Connect. */
export function sinkFailureRecord(names: DemoTopicNames, now: number): RawRecord {
  const { service, key, value, headers } = sinkFailure;
  const all = { 'fiware-service': service, '__connect.errors.topic': names.output('historic', service), ...headers };
  return {
    topic: names.raw('errors'),
    key,
    value,
    timestamp: now,
    headers: Object.entries(all).map(([name, text]) => ({ [name]: text })),
  };
}

/** Everything that is expected after these notifications and the sink failure were published. */
export function expectationsOf(names: DemoTopicNames, published: readonly PublishedNotification[]): Expectations {
  const records: ExpectedRecord[] = [];
  const deadLetters: ExpectedDeadLetter[] = [];
  const logs: ExpectedLog[] = [
    { topic: names.errorLog(sinkFailure.service), error: sinkFailure.expect.error, query: sinkFailure.expect.query },
  ];
  const countsOf = (agent: NgsiAgent): ExpectedCounts => {
    const tally = new Tally();
    for (const publication of published) {
      const outcome = outcomeOf(agent, publication);
      const refusal = outcome.kind === 'reject' ? outcome : outcome.kind === 'row' ? outcome.report : undefined;
      tally.count(outcome);
      const record = expectedRecord(names, agent, publication, outcome);
      if (record) records.push(record);
      if (refusal) {
        const { code, says } = refusal;
        deadLetters.push({ from: names.raw(agent), key: publication.key, value: publication.value, code, says });
        logs.push({ topic: names.errorLog(publication.service), error: says, query: null });
      }
    }
    return tally;
  };
  const [historic, lastdata, mutable] = [countsOf('historic'), countsOf('lastdata'), countsOf('mutable')];
  const remembered = published.filter((publication) =>
    ['row', 'tombstone', 'city'].includes(outcomeOf('lastdata', publication).kind),
  );
  return {
    counts: {
      historic,
      lastdata,
      mutable,
      errors: { read: logs.length, emitted: logs.length, skipped: {}, rejected: {} },
    },
    records,
    deadLetters,
    logs,
    unkeyed: published.filter(({ key }) => key === null).length,
    remembered: new Set(remembered.map((publication) => entityOf(publication)?.id)).size,
  };
}

class Tally implements ExpectedCounts {
  read = 0;
  emitted = 0;
  readonly skipped: Record<string, number> = {};
  readonly rejected: Record<string, number> = {};

  count(outcome: Outcome | { readonly kind: 'city' }): void {
    this.read += 1;
    if (outcome.kind === 'skip') this.skipped[outcome.reason] = (this.skipped[outcome.reason] ?? 0) + 1;
    else if (outcome.kind === 'reject') this.rejected[outcome.code] = (this.rejected[outcome.code] ?? 0) + 1;
    else this.emitted += 1;
  }
}

/** All generated notifications are valid, in order, and become rows. */
function outcomeOf(agent: NgsiAgent, { source }: PublishedNotification): Outcome | { readonly kind: 'city' } {
  if ('city' in source) return { kind: 'city' };
  return agent === 'lastdata' ? source.step.expect.lastdata : source.step.expect.versions;
}

function entityOf({
  source,
}: PublishedNotification): { readonly id: string; readonly type: string; readonly timeInstant: string } | undefined {
  if ('city' in source) {
    const { entityId: id, entityType: type, timeInstant } = source.city;
    return { id, type, timeInstant };
  }
  const { body } = source.step;
  if (typeof body === 'string') return undefined;
  return { id: body.id, type: body.type, timeInstant: timeInstantOf(body['TimeInstant']) };
}

function timeInstantOf(attribute: unknown): string {
  const value =
    typeof attribute === 'object' && attribute !== null && 'value' in attribute ? attribute.value : undefined;
  return typeof value === 'string' ? value : '';
}

function expectedRecord(
  names: DemoTopicNames,
  agent: NgsiAgent,
  publication: PublishedNotification,
  outcome: Outcome | { readonly kind: 'city' },
): ExpectedRecord | undefined {
  const entity = entityOf(publication);
  if (entity === undefined || outcome.kind === 'skip' || outcome.kind === 'reject') return undefined;
  const { service, servicepath, timestamp, source, correlator } = publication;
  const suffix = suffixes[agent];
  const table =
    'step' in source ? source.step.table : `${servicepath.slice(1).replaceAll('/', '_')}_${entity.type.toLowerCase()}`;
  return {
    topic: names.output(agent, service),
    key: agent === 'lastdata' ? { entityid: entity.id } : { entityid: entity.id, timeinstant: entity.timeInstant },
    columns:
      outcome.kind === 'tombstone'
        ? null
        : outcome.kind === 'city'
          ? undefined
          : [
              ['entityid', 'string', entity.id],
              ['entitytype', 'string', entity.type],
              ['fiwareservicepath', 'string', servicepath],
              ...outcome.columns,
              ['recvtime', 'string', new Date(timestamp).toISOString()],
            ],
    headers: {
      'fiware-service': service,
      target_table: `${service}.${table}${suffix}`,
      'fiware-correlator': correlator,
    },
    timestamp,
  };
}
