/**
 * What an agent knows of itself at one moment: the answer of `GET /health`, and what readiness,
 * liveness and the lag metrics are decided from.
 */
import type { LifecycleState } from './lifecycle.js';

/** One partition that the group has assigned to this process. */
export interface PartitionStatus {
  readonly topic: string;
  readonly partition: number;
  /**
   * `restoring` until its state is complete: none of its records is processed before.
   * `out-of-range` when its log ends before the position: none of its records is processed, and its
   * lag is all that the log holds.
   */
  readonly state: 'restoring' | 'running' | 'out-of-range';
  /** The offset that is read next; null before the first record. */
  readonly position: number | null;
  /** The offset committed last by this process or, before, found at the assignment; null: none. */
  readonly committed: number | null;
  /** The end of the partition (its high watermark), when it is known. */
  readonly end: number | null;
  /** Records between the committed offset and the end: null when the end is not known. */
  readonly lag: number | null;
  /** Progress of a restore: entries read of the changelog, its next offset and its end. */
  readonly restore?: { readonly entries: number; readonly offset: number; readonly end: number };
}

/** Counters of the ledger: read = emitted + re-keyed + skipped + rejected, by tenant and in all. */
export interface LedgerTotals {
  readonly read: number;
  readonly emitted: number;
  /** Written back to the input, for the partition that their entities belong to. */
  readonly rekeyed: number;
  readonly skipped: Readonly<Record<string, number>>;
  readonly rejected: Readonly<Record<string, number>>;
}

/** The whole. Times are ISO 8601 in UTC. */
export interface AgentStatus {
  readonly agent: string;
  readonly instance: string;
  readonly version: string;
  readonly state: LifecycleState;
  readonly since: string;
  /** Why the agent does not make progress, in words for an operator; null when all is well. */
  readonly problem: string | null;
  readonly stalled: boolean;
  readonly assignment: readonly PartitionStatus[];
  /** Sum of the partitions' lags that are known. */
  readonly lag: number;
  readonly lastCommit: string | null;
  /** Entries in the keyed state; null for an agent without state. */
  readonly stateEntries: number | null;
  readonly ledger: LedgerTotals & { readonly tenants: Readonly<Record<string, LedgerTotals>> };
}

/** Where a refused record is. Its content is for readers of the topic only. */
export interface RecentReject {
  /** When its transaction was committed. */
  readonly time: string;
  readonly tenant: string;
  /** The code of the first rejection: that under which the ledger counts it. */
  readonly reason: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/**
 * What the last minutes were like: each list holds one value for each sample, oldest first, and all
 * have the same length. Rates are averages since the sample before.
 */
export interface RecentActivity {
  /** Seconds from a sample to the next. */
  readonly everySeconds: number;
  /** The most samples that are kept. */
  readonly capacity: number;
  readonly readPerSecond: readonly number[];
  /** Records written to output topics, per second. */
  readonly outputsPerSecond: readonly number[];
  readonly rejectedPerSecond: readonly number[];
  readonly lag: readonly number[];
}

/** The answer of `GET /status.json`: what the status page shows. */
export interface StatusReport extends Omit<AgentStatus, 'ledger'> {
  /** The agent's clock: ages are computed with it, not with the reader's. */
  readonly time: string;
  readonly ready: { readonly ready: boolean; readonly reason: string };
  readonly live: { readonly live: boolean; readonly reason: string };
  /** Without the tenants, of which there may be many: `GET /health` has them. */
  readonly ledger: LedgerTotals;
  readonly activity: RecentActivity;
  /** The last ones, newest first. */
  readonly rejects: readonly RecentReject[];
}
