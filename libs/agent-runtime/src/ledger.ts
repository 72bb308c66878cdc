/**
 * The account of what became of every record: read = emitted + re-keyed + skipped + rejected, by
 * reason and tenant (SPEC 6).
 *
 * A {@link LedgerBatch} belongs to one transaction. It enters the {@link Ledger} when that is
 * committed and is dropped when it is aborted: the records are read again then, and would count
 * twice.
 */
import type { InputRecord, Rejection, Step } from '@kafnus/agent-contract';
import type { LedgerTotals } from './status.js';
import { TenantLabels } from './tenant-labels.js';

/** Counts of one tenant. Maps: reasons and tenants may be called `constructor` or `__proto__`. */
export class TenantCounts {
  read = 0;
  emitted = 0;
  /** Records of which all outputs were written back to the input. */
  rekeyed = 0;
  /** Output records. */
  outputs = 0;
  /** Dead-lettered records: the rejected, and the emitted of which a part was refused. */
  deadLetters = 0;
  /** Records skipped, by reason. */
  readonly skipped = new Map<string, number>();
  /** Records rejected, by the code of the first rejection. */
  readonly rejected = new Map<string, number>();
  /** Parts (entities) left out on purpose of records that were emitted, by reason. */
  readonly partsSkipped = new Map<string, number>();
  /** Parts (entities, attributes) refused in records that were emitted, by code. */
  readonly reports = new Map<string, number>();

  add(other: TenantCounts): void {
    this.read += other.read;
    this.emitted += other.emitted;
    this.rekeyed += other.rekeyed;
    this.outputs += other.outputs;
    this.deadLetters += other.deadLetters;
    addAll(this.skipped, other.skipped);
    addAll(this.rejected, other.rejected);
    addAll(this.partsSkipped, other.partsSkipped);
    addAll(this.reports, other.reports);
  }
}

/** The newest record of a partition in a batch. */
export interface PartitionProgress {
  readonly topic: string;
  readonly partition: number;
  /** Milliseconds since the epoch. */
  timestamp: number;
}

/**
 * Counts the records of one transaction. It is called for every record: the counters of the tenant
 * and the partition of the record before are at hand, so that nothing is looked up or allocated
 * while these stay the same.
 */
export class LedgerBatch {
  readonly #tenants = new Map<string, TenantCounts>();
  readonly #partitions: PartitionProgress[] = [];
  #tenant: string | undefined;
  #counts = new TenantCounts();
  #partition: PartitionProgress | undefined;
  #records = 0;
  #unkeyed = 0;
  #hopsExceeded = 0;
  #committed = false;

  /** Records counted. */
  get records(): number {
    return this.#records;
  }

  /** Records that were decided where they are after too many hops (SPEC 2). */
  get hopsExceeded(): number {
    return this.#hopsExceeded;
  }

  /** Records without a key, or with an empty one: a producer spreads them at random (SPEC 2). */
  get unkeyed(): number {
    return this.#unkeyed;
  }

  get tenants(): ReadonlyMap<string, TenantCounts> {
    return this.#tenants;
  }

  get partitions(): readonly Readonly<PartitionProgress>[] {
    return this.#partitions;
  }

  count(step: Step, record: InputRecord): void {
    this.#records++;
    if (record.key === null || record.key.length === 0) this.#unkeyed++;
    if (step.kind !== 'reject' && step.hopsExceeded === true) this.#hopsExceeded++;
    this.#progress(record);
    const counts = this.#of(step.tenant);
    counts.read++;
    switch (step.kind) {
      case 'emit':
        if (step.rekeyed === step.outputs.length) counts.rekeyed++;
        else counts.emitted++;
        counts.outputs += step.outputs.length - (step.rekeyed ?? 0);
        if (step.skipped !== undefined) for (const reason of step.skipped) addOne(counts.partsSkipped, reason);
        if (step.reports !== undefined && step.reports.length > 0) this.#report(counts, step.reports);
        return;
      case 'skip':
        addOne(counts.skipped, step.reason);
        return;
      case 'reject':
        counts.deadLetters++;
        addOne(counts.rejected, step.rejections[0].code);
    }
  }

  /**
   * Adds the counts to the ledger. They can still be read after it.
   * @throws Error the second time: they would count twice
   */
  commitInto(ledger: Ledger): void {
    if (this.#committed) throw new Error('the batch is in the ledger already');
    this.#committed = true;
    ledger.add(this);
  }

  /** Forgets everything, after an abort: the batch is as new. */
  discard(): void {
    this.#tenants.clear();
    this.#partitions.length = 0;
    this.#tenant = undefined;
    this.#partition = undefined;
    this.#records = 0;
    this.#unkeyed = 0;
    this.#hopsExceeded = 0;
    this.#committed = false;
  }

  #report(counts: TenantCounts, reports: readonly Rejection[]): void {
    counts.deadLetters++;
    for (const { code } of reports) addOne(counts.reports, code);
  }

  #of(tenant: string): TenantCounts {
    if (tenant === this.#tenant) return this.#counts;
    let counts = this.#tenants.get(tenant);
    if (counts === undefined) this.#tenants.set(tenant, (counts = new TenantCounts()));
    this.#tenant = tenant;
    this.#counts = counts;
    return counts;
  }

  #progress(record: InputRecord): void {
    let last = this.#partition;
    if (last === undefined || last.partition !== record.partition || last.topic !== record.topic) {
      // A poll delivers partition by partition, and a process has few: a list is enough.
      last = this.#partitions.find(({ topic, partition }) => partition === record.partition && topic === record.topic);
      if (last === undefined) {
        last = { topic: record.topic, partition: record.partition, timestamp: record.timestamp };
        this.#partitions.push(last);
      }
      this.#partition = last;
    }
    last.timestamp = record.timestamp;
  }
}

/** Totals since the start of the process. */
export class Ledger {
  readonly #all = new TenantCounts();
  readonly #tenants = new Map<string, TenantCounts>();
  readonly #labels: TenantLabels;

  /** @param maxTenants tenants with totals of their own; see {@link TenantLabels} */
  constructor(maxTenants: number) {
    this.#labels = new TenantLabels(maxTenants);
  }

  /** For {@link LedgerBatch.commitInto}, which adds a batch once. */
  add(batch: LedgerBatch): void {
    for (const [tenant, counts] of batch.tenants) {
      const label = this.#labels.labelOf(tenant);
      let totals = this.#tenants.get(label);
      if (totals === undefined) this.#tenants.set(label, (totals = new TenantCounts()));
      totals.add(counts);
      this.#all.add(counts);
    }
  }

  /** In total and by tenant, as in `GET /health`. */
  totals(): LedgerTotals & { readonly tenants: Readonly<Record<string, LedgerTotals>> } {
    const tenants = [...this.#tenants].map(([tenant, counts]): [string, LedgerTotals] => [tenant, totalsOf(counts)]);
    // fromEntries defines members, even one called __proto__, which an assignment would not.
    return { ...totalsOf(this.#all), tenants: Object.fromEntries(tenants) };
  }
}

function totalsOf({ read, emitted, rekeyed, skipped, rejected }: TenantCounts): LedgerTotals {
  return { read, emitted, rekeyed, skipped: Object.fromEntries(skipped), rejected: Object.fromEntries(rejected) };
}

function addOne(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function addAll(counts: Map<string, number>, others: ReadonlyMap<string, number>): void {
  for (const [name, count] of others) counts.set(name, (counts.get(name) ?? 0) + count);
}
