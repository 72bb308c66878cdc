/** From the scenario to everything that must be seen: records, counters, dead letters, log records. */
import type { CityNotification } from '../city.js';
import type { RawRecord } from '../kafka/publisher.js';
import { acts, sinkFailure, type Act, type ExpectedRefusal, type Outcome } from './scenario.js';

/** The agents that read notifications. */
export const ngsiAgents = ['historic', 'lastdata', 'mutable'] as const;
export type NgsiAgent = (typeof ngsiAgents)[number];
export const agentNames = [...ngsiAgents, 'errors'] as const;
export type AgentName = (typeof agentNames)[number];

/** What ends the names of an agent's topics and tables. */
const suffixes: Readonly<Record<NgsiAgent, string>> = { historic: '', lastdata: '_lastdata', mutable: '_mutable' };

/** Topic names of one run. */
export class Names {
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

  /** Where the errors agent's own rejects would go; the demo gives it no reason. */
  get errorsDead(): string {
    return `${this.prefix}raw_errors_dead`;
  }
}

/** One output record that must come; those of an entity in one partition and in this order. */
export interface ExpectedRecord {
  readonly topic: string;
  /** The payload of the key. */
  readonly key: Readonly<Record<string, string>>;
  /** All columns in order; null: a tombstone; undefined: the columns of the crowd, which are not told one by one. */
  readonly columns: readonly (readonly [name: string, type: string, value: unknown])[] | null | undefined;
  /** Header values by name. */
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch: that of the raw record. */
  readonly timestamp: number;
}

/** One dead letter that must come. */
interface ExpectedDeadLetter extends ExpectedRefusal {
  /** The raw topic it comes from. */
  readonly from: string;
  readonly key: string | null;
  readonly value: string;
}

/** One record of an error log that must come. */
interface ExpectedLog {
  readonly topic: string;
  /** A part of the error. */
  readonly error: string;
  /** The whole query; null: none. */
  readonly query: string | null;
}

/** What `GET /health` must count. */
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
  /** Records without key, for each agent that reads notifications. */
  readonly unkeyed: number;
  /** Entities of which lastdata must remember a TimeInstant. */
  readonly remembered: number;
}

/** One thing that is published to the three raw topics. */
export interface Publication {
  readonly service: string;
  readonly servicepath: string;
  readonly correlator: string;
  readonly key: string | null;
  readonly value: string;
  readonly timestamp: number;
  readonly source: { readonly act: Act } | { readonly crowd: CityNotification };
}

/** The acts as they are published. @param now milliseconds since the epoch: the timestamp of all of them */
export function actPublications(now: number): Publication[] {
  return acts.map((act, index) => ({
    service: act.service,
    servicepath: act.servicepath,
    correlator: `0e1f5c1e-demo-4000-a000-${String(index).padStart(12, '0')}`,
    key: act.key,
    value:
      typeof act.body === 'string'
        ? act.body
        : JSON.stringify({ subscriptionId: '662f7d1a9c3b5e0d4a8f1c01', data: [act.body] }),
    timestamp: now,
    source: { act },
  }));
}

export function crowdPublication(crowd: CityNotification, now: number): Publication {
  const { service, servicepath, correlator, entityId, value } = crowd;
  return { service, servicepath, correlator, key: entityId, value, timestamp: now, source: { crowd } };
}

/** The raw record for one topic. */
export function rawRecord(
  topic: string,
  { service, servicepath, correlator, key, value, timestamp }: Publication,
): RawRecord {
  return {
    topic,
    key,
    value,
    timestamp,
    headers: [
      { 'fiware-service': service },
      { 'fiware-servicepath': servicepath },
      { 'fiware-correlator': correlator },
    ],
  };
}

/** The dead letter that Kafka Connect would write. */
export function sinkFailureRecord(names: Names, now: number): RawRecord {
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

/** Everything that must be seen after these were published, and the sink failure. */
export function expectationsOf(names: Names, published: readonly Publication[]): Expectations {
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
    ['row', 'tombstone', 'crowd'].includes(outcomeOf('lastdata', publication).kind),
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

  count(outcome: Outcome | { readonly kind: 'crowd' }): void {
    this.read += 1;
    if (outcome.kind === 'skip') this.skipped[outcome.reason] = (this.skipped[outcome.reason] ?? 0) + 1;
    else if (outcome.kind === 'reject') this.rejected[outcome.code] = (this.rejected[outcome.code] ?? 0) + 1;
    else this.emitted += 1;
  }
}

/** The crowd's notifications are all sound, in order, and become rows. */
function outcomeOf(agent: NgsiAgent, { source }: Publication): Outcome | { readonly kind: 'crowd' } {
  if ('crowd' in source) return { kind: 'crowd' };
  return agent === 'lastdata' ? source.act.expect.lastdata : source.act.expect.versions;
}

function entityOf({
  source,
}: Publication): { readonly id: string; readonly type: string; readonly timeInstant: string } | undefined {
  if ('crowd' in source) {
    const { entityId: id, entityType: type, timeInstant } = source.crowd;
    return { id, type, timeInstant };
  }
  const { body } = source.act;
  if (typeof body === 'string') return undefined;
  return { id: body.id, type: body.type, timeInstant: timeInstantOf(body['TimeInstant']) };
}

function timeInstantOf(attribute: unknown): string {
  const value =
    typeof attribute === 'object' && attribute !== null && 'value' in attribute ? attribute.value : undefined;
  return typeof value === 'string' ? value : '';
}

function expectedRecord(
  names: Names,
  agent: NgsiAgent,
  publication: Publication,
  outcome: Outcome | { readonly kind: 'crowd' },
): ExpectedRecord | undefined {
  const entity = entityOf(publication);
  if (entity === undefined || outcome.kind === 'skip' || outcome.kind === 'reject') return undefined;
  const { service, servicepath, timestamp, source, correlator } = publication;
  const suffix = suffixes[agent];
  const table =
    'act' in source ? source.act.table : `${servicepath.slice(1).replaceAll('/', '_')}_${entity.type.toLowerCase()}`;
  return {
    topic: names.output(agent, service),
    key: agent === 'lastdata' ? { entityid: entity.id } : { entityid: entity.id, timeinstant: entity.timeInstant },
    columns:
      outcome.kind === 'tombstone'
        ? null
        : outcome.kind === 'crowd'
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
