/**
 * What goes in, and what has to come out: notifications of some hundred entities of two tenants, one in ten malformed. What is
 * expected is computed here, record by record, without any code of the agents.
 */
import type { ExpectedRecord } from '@kafnus/agent-testkit';
import type { RecordToWrite } from '@kafnus/local-stack';
import { seeded } from './random.js';

/** `errors` has no records of its own: it reads the dead letters of the workloads with the same name. */
export type AgentName = 'historic' | 'lastdata' | 'mutable' | 'errors';

/** How many records of a tenant end in which way (SPEC 6). */
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
   * Topic prefix, and part of the group: tests on one cluster do not meet. Default: another one for each workload. Workloads of
   * different agents may share it, and with it the tenants and the dead-letter topic, as in production.
   */
  readonly name?: string;
  readonly partitions?: number;
  readonly entitiesPerPartition?: number;
  readonly seed?: number;
}

/** What one notification is to be. */
interface Draft {
  readonly tenant: string;
  readonly entity: string;
  readonly sequence: number;
  readonly headers: Record<string, string>[];
  /** Of a sound record: TimeInstant now. */
  readonly now: number;
}

/** How a record ends, and the value that makes it so. `rows`: the entities that have an output. */
interface Verdict {
  readonly value: string | Buffer | null;
  readonly end: 'emitted' | 'skipped' | 'rejected';
  readonly rows?: readonly { readonly entity: string; readonly deleted?: boolean }[];
  readonly deadLettered?: boolean;
  /** Where it is not the draft's. */
  readonly tenant?: string;
}

const START = Date.UTC(2026, 0, 1);
const type = 'Device';
const servicepath = '/lab';
const suffixes = { historic: '', lastdata: '_lastdata', mutable: '_mutable', errors: '_error_log' } as const;
let count = 0;

export class Workload {
  readonly agent: AgentName;
  readonly name: string;
  readonly tenants: readonly string[];
  partitions: number;
  /** Tenants whose topic refuses everything: their rows are dead letters instead. */
  readonly forbidden = new Set<string>();
  /** Every output, in the order of each entity. */
  readonly expected: ExpectedRecord[] = [];
  /** Every dead letter, by correlator. */
  readonly letters = new Map<string, Original>();
  /** How many records went into each input partition: where its committed offset must end. */
  readonly ends: number[];
  readonly tallies = new Map<string, Tally>();
  /** lastdata: the newest version of each entity that was emitted, by state key, in microseconds since the epoch. */
  readonly newest = new Map<string, number>();
  /** What a reader of the latest record of each key keeps: the sequence by entity. */
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

  /** Whether a record with this correlator is one of ours: a dead-letter topic may hold those of other workloads as well. */
  owns(correlator: string): boolean {
    return correlator.startsWith(this.agent);
  }

  /** The variables that an agent needs to work on it. */
  get env(): Record<string, string> {
    return { KAFNUS_TOPIC_PREFIX: `${this.name}_`, KAFNUS_GROUP_ID: this.group };
  }

  /** How many records were made so far. */
  get size(): number {
    return this.#sequence;
  }

  /** The input has more partitions from now on; its entities stay where they are. */
  grow(partitions: number): void {
    for (; this.partitions < partitions; this.partitions += 1) this.ends.push(0);
  }

  /** A topic was deleted with all that was in it. */
  forget(tenant: string): void {
    const kept = this.expected.filter(({ entity }) => !entity.startsWith(`${tenant}/`));
    this.expected.splice(0, this.expected.length, ...kept);
  }

  /** The next records, for these partitions only if some are given. */
  take(records: number, among?: readonly number[]): RecordToWrite[] {
    return Array.from({ length: records }, () => this.#next(among));
  }

  #next(among: readonly number[] | undefined): RecordToWrite {
    const sequence = this.#sequence++;
    // An entity stays in its partition, as if the key had chosen it: the end of each partition is known beforehand.
    const partition = among ? (this.#pick(among) ?? 0) : Math.floor(this.#random() * this.partitions);
    const entity = `device${partition}x${Math.floor(this.#random() * this.#entities)}`;
    const tenant = this.tenants[entity.charCodeAt(entity.length - 1) % this.tenants.length] ?? '';
    const correlator = `${this.agent}${sequence}`;
    const headers = [
      { 'fiware-service': tenant },
      { 'fiware-servicepath': servicepath },
      { 'fiware-correlator': correlator },
    ];
    const verdict = this.#written(
      tenant,
      this.#decide({ tenant, entity, sequence, headers, now: START + sequence * 1000 }),
    );
    const key = entity;
    this.ends[partition] = (this.ends[partition] ?? 0) + 1;
    this.#count(verdict.tenant ?? tenant, verdict.end);
    for (const row of verdict.rows ?? []) {
      this.expected.push({ id: outputId(correlator, row.entity), entity: `${tenant}/${row.entity}`, sequence });
      if (row.deleted) this.table.delete(row.entity);
      else this.table.set(row.entity, sequence);
    }
    if (verdict.deadLettered) this.letters.set(correlator, { key, value: verdict.value, headers });
    return { topic: this.inputTopic, partition, key, value: verdict.value, headers, timestamp: Date.now() };
  }

  #written(tenant: string, verdict: Verdict): Verdict {
    if (verdict.end !== 'emitted' || !this.forbidden.has(tenant)) return verdict;
    return { value: verdict.value, end: 'rejected', deadLettered: true };
  }

  #decide(draft: Draft): Verdict {
    const dice = this.#random() * 100;
    if (dice < 10) return this.#malformed(draft);
    if (dice < 12) return { value: JSON.stringify({ data: [] }), end: 'skipped' };
    if (dice < 15) return this.#deletion(draft);
    if (dice < 20) return this.#twins(draft);
    // Late, equal and timeless versions: lastdata tells them apart, to the others each is a version.
    if (dice < 30) return this.#version(draft, draft.now - 1000 * Math.floor(1 + this.#random() * 4000));
    if (dice < 35) return this.#version(draft, (this.#known(draft) ?? draft.now * 1000) / 1000);
    if (dice < 38 && this.agent === 'lastdata') return this.#timeless(draft);
    return this.#version(draft, draft.now);
  }

  #version(draft: Draft, instant: number): Verdict {
    const value = notification(row(draft, draft.entity, instant));
    if (!this.#moves(draft, draft.entity, instant)) return { value, end: 'skipped' };
    return { value, end: 'emitted', rows: [draft] };
  }

  /** Two entities in one notification. */
  #twins(draft: Draft): Verdict {
    const twin = `${draft.entity}b`;
    this.#moves(draft, draft.entity, draft.now);
    this.#moves(draft, twin, draft.now);
    const value = notification(row(draft, draft.entity, draft.now), row(draft, twin, draft.now));
    return { value, end: 'emitted', rows: [draft, { entity: twin }] };
  }

  /** Without TimeInstant: emitted always, and the state is not moved. */
  #timeless(draft: Draft): Verdict {
    return { value: notification(row(draft, draft.entity)), end: 'emitted', rows: [draft] };
  }

  #deletion(draft: Draft): Verdict {
    // One in three is late itself, and must not remove what is newer.
    const instant = draft.sequence % 3 === 0 ? draft.now - 1000 * Math.floor(this.#random() * 4000) : draft.now;
    const entity = { ...row(draft, draft.entity, instant), alterationType: { type: 'Text', value: 'entityDelete' } };
    const value = notification(entity);
    if (this.agent !== 'lastdata' || !this.#moves(draft, draft.entity, instant)) return { value, end: 'skipped' };
    return { value, end: 'emitted', rows: [{ entity: draft.entity, deleted: true }] };
  }

  #malformed(draft: Draft): Verdict {
    const sound = row(draft, draft.entity, draft.now);
    const whole = notification(sound);
    const reject = (value: string | Buffer | null): Verdict => ({ value, end: 'rejected', deadLettered: true });
    const report = (...entities: object[]): Verdict => {
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
        return { ...reject(whole), tenant: INVALID_TENANT };
      case 6:
        // Its sibling goes out.
        return report(sound, { type, sequence: { type: 'Number', value: draft.sequence } });
      default:
        return report({ ...sound, seen: { type: 'DateTime', value: 'yesterday' } });
    }
  }

  /** Whether lastdata emits this version; notes it if so. The others emit all. */
  #moves(draft: Draft, entity: string, instant: number): boolean {
    const key = stateKey(draft.tenant, entity);
    const version = instant * 1000;
    if (this.agent === 'lastdata' && version < (this.newest.get(key) ?? Number.NEGATIVE_INFINITY)) return false;
    this.newest.set(key, version);
    return true;
  }

  #known({ tenant, entity }: Draft): number | undefined {
    return this.newest.get(stateKey(tenant, entity));
  }

  #count(tenant: string, end: Verdict['end']): void {
    const tally = this.tallies.get(tenant) ?? { read: 0, emitted: 0, skipped: 0, rejected: 0 };
    tally.read += 1;
    tally[end] += 1;
    this.tallies.set(tenant, tally);
  }

  #pick(among: readonly number[]): number | undefined {
    return among[Math.floor(this.#random() * among.length)];
  }
}

/** The tenant of records that name no legal service. */
export const INVALID_TENANT = '_invalid';

/** Tells an output record from all others: by the headers, for a tombstone has nothing else. */
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

/** The same instant in the words of many clocks: as texts they sort in another order. */
function spelled(instant: number, sequence: number): string {
  const [minutes, text] = zones[sequence % zones.length] ?? zones[0];
  return new Date(instant + minutes * 60_000).toISOString().replace('Z', text);
}
