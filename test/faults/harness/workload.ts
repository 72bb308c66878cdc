/**
 * Generates the input and the expected output of an agent: notifications of some hundred entities
 * of two tenants, one in ten malformed. The expectation is computed for each record without code of
 * the agents.
 */
import type { ExpectedRecord } from '@kafnus/agent-testkit';
import type { InputRecord } from '@kafnus/agent-runtime';
import type { RecordToWrite } from '@kafnus/local-stack';
import { crc32 } from 'node:zlib';
import { seeded } from './random.js';

/**
 * A workload of `errors` generates no records: its input is the dead letters of the workloads with
 * the same name.
 */
export type AgentName = 'historic' | 'lastdata' | 'mutable' | 'errors';

/** The number of a tenant's records by outcome (SPEC 6). */
export interface Tally {
  read: number;
  emitted: number;
  skipped: number;
  rejected: number;
}

/** A record that must be found in the dead-letter topic, unchanged. */
export type Original = Pick<RecordToWrite, 'key' | 'value'> & { readonly headers: readonly Record<string, string>[] };

export interface WorkloadOptions {
  readonly agent: AgentName;
  /**
   * Topic prefix, and prefix of the group: it separates tests that share a cluster. Default: a
   * unique name. Workloads of different agents may share a name, and then share tenants and
   * dead-letter topic, as in production.
   */
  readonly name?: string;
  readonly partitions?: number;
  readonly entitiesPerPartition?: number;
  readonly seed?: number;
}

/** The plan of one notification. */
interface Draft {
  readonly tenant: string;
  readonly entity: string;
  readonly sequence: number;
  readonly headers: Record<string, string>[];
  /** The current TimeInstant, used by a well-formed record. */
  readonly now: number;
}

/**
 * The outcome of a record, and the value that causes it. `rows`: the entities that have an output.
 */
interface Outcome {
  readonly value: string | Buffer | null;
  readonly end: 'emitted' | 'skipped' | 'rejected';
  readonly rows?: readonly { readonly entity: string; readonly deleted?: boolean }[];
  readonly deadLettered?: boolean;
  /** Set when it differs from the draft's tenant. */
  readonly tenant?: string;
}

const start = Date.UTC(2026, 0, 1);
const type = 'Device';
const servicepath = '/lab';
const suffixes = { historic: '', lastdata: '_lastdata', mutable: '_mutable', errors: '_error_log' } as const;
let count = 0;

export class Workload {
  readonly agent: AgentName;
  readonly name: string;
  readonly tenants: readonly string[];
  partitions: number;
  /** Tenants whose output topic cannot be written: their records are dead-lettered. */
  readonly forbidden = new Set<string>();
  /** Every expected output, in order for each entity. */
  readonly expected: ExpectedRecord[] = [];
  /** Every expected dead letter, by correlator. */
  readonly deadLetters = new Map<string, Original>();
  /** The number of records in each input partition, which is the final committed offset. */
  readonly ends: number[];
  readonly tallies = new Map<string, Tally>();
  /**
   * lastdata: the newest version of each entity, by state key, in microseconds since the epoch;
   * behind a deletion half a microsecond more.
   */
  readonly newest = new Map<string, number>();
  /** The sequence of the latest output of each entity, as a table would hold it. */
  readonly table = new Map<string, number>();
  readonly #entities: number;
  readonly #random: () => number;
  #sequence = 0;

  constructor(options: WorkloadOptions) {
    this.agent = options.agent;
    this.name = options.name ?? `t${process.pid}n${count++}`;
    this.tenants = ['city', 'harbour'];
    this.partitions = options.partitions ?? 4;
    this.#entities = options.entitiesPerPartition ?? 50;
    this.#random = seeded(options.seed ?? 1);
    this.ends = Array.from({ length: this.partitions }, () => 0);
  }

  get inputTopic(): string {
    return `${this.name}_raw_${this.agent}`;
  }

  get deadLetterTopic(): string {
    return `${this.name}_raw_errors${this.agent === 'errors' ? '_dead' : ''}`;
  }

  get group(): string {
    return `${this.name}-${this.agent}`;
  }

  get changelogTopic(): string {
    return `${this.group}-newest-changelog`;
  }

  outputTopic(tenant: string): string {
    return `${this.name}_${tenant}${suffixes[this.agent]}`;
  }

  /**
   * Whether a record with this correlator belongs to this workload: workloads may share a
   * dead-letter topic.
   */
  owns(correlator: string): boolean {
    return correlator.startsWith(this.agent);
  }

  /** The settings with which an agent processes this workload. */
  get env(): Record<string, string> {
    return { KAFNUS_TOPIC_PREFIX: `${this.name}_`, KAFNUS_GROUP_ID: this.group };
  }

  /** The number of generated records. */
  get size(): number {
    return this.#sequence;
  }

  /** Adds partitions to the input. Existing entities keep their partitions. */
  grow(partitions: number): void {
    for (; this.partitions < partitions; this.partitions += 1) this.ends.push(0);
  }

  /** Removes the expected outputs of a tenant whose topic was deleted. */
  forget(tenant: string): void {
    const kept = this.expected.filter(({ entity }) => !entity.startsWith(`${tenant}/`));
    this.expected.splice(0, this.expected.length, ...kept);
  }

  /**
   * A record whose topic was found unwritable: its outputs are replaced by a dead-letter record,
   * which is as the record was.
   */
  refuse(correlator: string, { key, value, headers }: InputRecord): void {
    const refused = this.expected.filter(({ id }) => id.startsWith(`${correlator}/`));
    this.expected.splice(0, this.expected.length, ...this.expected.filter((record) => !refused.includes(record)));
    const tenant = refused[0]?.entity.split('/')[0] ?? '';
    const tally = this.tallies.get(tenant);
    if (tally === undefined) throw new Error(`no output of ${correlator} was expected`);
    tally.emitted -= 1;
    tally.rejected += 1;
    if (this.deadLetters.has(correlator)) return;
    const original = headers.slice(0, 3).map((header) => text(header));
    this.deadLetters.set(correlator, { key: String(key), value, headers: original });
  }

  /** The next records, for these partitions only when `among` is given. */
  take(records: number, among?: readonly number[]): RecordToWrite[] {
    return Array.from({ length: records }, () => this.#next(among));
  }

  #next(among: readonly number[] | undefined): RecordToWrite {
    const sequence = this.#sequence++;
    // An entity stays in the partition of its id. The partition is drawn first, so that the end of
    // each partition is known.
    const partition = among ? (this.#pick(among) ?? 0) : Math.floor(this.#random() * this.partitions);
    const entity = this.#atHome(`device${partition}x${Math.floor(this.#random() * this.#entities)}`, partition);
    const tenant = this.tenants[entity.charCodeAt(entity.length - 1) % this.tenants.length] ?? '';
    const correlator = `${this.agent}${sequence}`;
    const headers = [
      { 'fiware-service': tenant },
      { 'fiware-servicepath': servicepath },
      { 'fiware-correlator': correlator },
    ];
    const outcome = this.#written(
      tenant,
      this.#decide({ tenant, entity, sequence, headers, now: start + sequence * 1000 }),
    );
    const key = entity;
    this.ends[partition] = (this.ends[partition] ?? 0) + 1;
    this.#count(outcome.tenant ?? tenant, outcome.end);
    for (const row of outcome.rows ?? []) {
      this.expected.push({ id: outputId(correlator, row.entity), entity: `${tenant}/${row.entity}`, sequence });
      if (row.deleted) this.table.delete(row.entity);
      else this.table.set(row.entity, sequence);
    }
    if (outcome.deadLettered) this.deadLetters.set(correlator, { key, value: outcome.value, headers });
    return { topic: this.inputTopic, partition, key, value: outcome.value, headers, timestamp: Date.now() };
  }

  #written(tenant: string, outcome: Outcome): Outcome {
    if (outcome.end !== 'emitted' || !this.forbidden.has(tenant)) return outcome;
    return { value: outcome.value, end: 'rejected', deadLettered: true };
  }

  #decide(draft: Draft): Outcome {
    const dice = this.#random() * 100;
    if (dice < 10) return this.#malformed(draft);
    if (dice < 12) return { value: JSON.stringify({ data: [] }), end: 'skipped' };
    if (dice < 15) return this.#deletion(draft);
    if (dice < 20) return this.#twins(draft);
    // Late, equal and undated versions: only lastdata distinguishes them, the other agents emit
    // all.
    if (dice < 30) return this.#version(draft, draft.now - 1000 * Math.floor(1 + this.#random() * 4000));
    if (dice < 35) return this.#version(draft, Math.floor(this.#known(draft) ?? draft.now * 1000) / 1000);
    if (dice < 38 && this.agent === 'lastdata') return this.#timeless(draft);
    return this.#version(draft, draft.now);
  }

  #version(draft: Draft, instant: number): Outcome {
    const value = notification(row(draft, draft.entity, instant));
    if (!this.#moves(draft, draft.entity, instant)) return { value, end: 'skipped' };
    return { value, end: 'emitted', rows: [draft] };
  }

  /** Two entities in one notification. */
  #twins(draft: Draft): Outcome {
    const twin = this.#atHome(`${draft.entity}b`, crc32(draft.entity) % this.partitions);
    this.#moves(draft, draft.entity, draft.now);
    this.#moves(draft, twin, draft.now);
    const value = notification(row(draft, draft.entity, draft.now), row(draft, twin, draft.now));
    return { value, end: 'emitted', rows: [draft, { entity: twin }] };
  }

  /** Without TimeInstant: always emitted, and the state is unchanged. */
  #timeless(draft: Draft): Outcome {
    return { value: notification(row(draft, draft.entity)), end: 'emitted', rows: [draft] };
  }

  #deletion(draft: Draft): Outcome {
    // One deletion in three is late, and deletes a newer version: Orion sends the entity as it was.
    const instant = draft.sequence % 3 === 0 ? draft.now - 1000 * Math.floor(this.#random() * 4000) : draft.now;
    const entity = { ...row(draft, draft.entity, instant), alterationType: { type: 'Text', value: 'entityDelete' } };
    const value = notification(entity);
    if (this.agent !== 'lastdata') return { value, end: 'skipped' };
    const newest = Math.max(instant * 1000, Math.floor(this.#known(draft) ?? 0));
    this.newest.set(stateKey(draft.tenant, draft.entity), newest + 0.5);
    return { value, end: 'emitted', rows: [{ entity: draft.entity, deleted: true }] };
  }

  #malformed(draft: Draft): Outcome {
    const sound = row(draft, draft.entity, draft.now);
    const whole = notification(sound);
    const reject = (value: string | Buffer | null): Outcome => ({ value, end: 'rejected', deadLettered: true });
    const report = (...entities: object[]): Outcome => {
      this.#moves(draft, draft.entity, draft.now);
      return { value: notification(...entities), end: 'emitted', rows: [draft], deadLettered: true };
    };
    switch (draft.sequence % 8) {
      case 0:
        return reject(whole.slice(0, -1));
      case 1:
        return reject(Buffer.concat([Buffer.from([0xff, 0xfe, 0x00]), Buffer.from(whole)]));
      case 2:
        return reject(null);
      case 3:
        return reject(JSON.stringify({ subscriptionId: 'none', sequence: draft.sequence }));
      case 4:
        return reject(notification({ ...sound, id: { not: 'text' } }));
      case 5:
        draft.headers[0] = { 'fiware-service': 'No such name!' };
        return { ...reject(whole), tenant: invalidTenant };
      case 6:
        // The other entity of the notification is emitted.
        return report(sound, { type, sequence: { type: 'Number', value: draft.sequence } });
      default:
        return report({ ...sound, seen: { type: 'DateTime', value: 'yesterday' } });
    }
  }

  /**
   * Whether the agent emits this version. lastdata emits it unless it is older than the newest one,
   * and records it then; the other agents emit all.
   */
  #moves(draft: Draft, entity: string, instant: number): boolean {
    const key = stateKey(draft.tenant, entity);
    const version = instant * 1000;
    if (this.agent === 'lastdata' && version < (this.newest.get(key) ?? Number.NEGATIVE_INFINITY)) return false;
    this.newest.set(key, version);
    return true;
  }

  /** The first id with this beginning that belongs to the partition, by CRC32 as in Orion. */
  #atHome(beginning: string, partition: number): string {
    for (let suffix = 0; ; suffix += 1) {
      const id = `${beginning}n${suffix}`;
      if (crc32(id) % this.partitions === partition) return id;
    }
  }

  #known({ tenant, entity }: Draft): number | undefined {
    return this.newest.get(stateKey(tenant, entity));
  }

  #count(tenant: string, end: Outcome['end']): void {
    const tally = this.tallies.get(tenant) ?? { read: 0, emitted: 0, skipped: 0, rejected: 0 };
    tally.read += 1;
    tally[end] += 1;
    this.tallies.set(tenant, tally);
  }

  #pick(among: readonly number[]): number | undefined {
    return among[Math.floor(this.#random() * among.length)];
  }
}

function text(header: Readonly<Record<string, string | Buffer>>): Record<string, string> {
  return Object.fromEntries(Object.entries(header).map(([name, value]) => [name, String(value)]));
}

/** The tenant label of records without a valid service. */
export const invalidTenant = '_invalid';

/** The unique id of an output record, made from its headers: a tombstone has no value. */
export function outputId(correlator: string, entity: string): string {
  return `${correlator}/${entity}`;
}

function stateKey(tenant: string, entity: string): string {
  return JSON.stringify([tenant, servicepath, type, entity]);
}

function notification(...data: object[]): string {
  return JSON.stringify({ subscriptionId: '57458eb60962ef754e7c0998', data });
}

function row({ sequence }: Draft, id: string, instant?: number): object {
  return {
    id,
    type,
    ...(instant === undefined ? {} : { TimeInstant: { type: 'DateTime', value: spelled(instant, sequence) } }),
    sequence: { type: 'Number', value: sequence, metadata: {} },
    location: { type: 'geo:point', value: '40.4168, -3.7038', metadata: {} },
    operator: { type: 'Text', value: 'Ayuntamiento', metadata: {} },
    address: { type: 'StructuredValue', value: { streetAddress: 'Calle Mayor' }, metadata: {} },
  };
}

const zones = [
  [0, 'Z'],
  [120, '+02:00'],
  [-330, '-05:30'],
  [0, ''],
] as const;

/** The same instant in several time zones, so that the texts do not sort by time. */
function spelled(instant: number, sequence: number): string {
  const [minutes, text] = zones[sequence % zones.length] ?? zones[0];
  return new Date(instant + minutes * 60_000).toISOString().replace('Z', text);
}
