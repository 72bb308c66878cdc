/**
 * What an agent knows of itself at one moment: the answer of `GET /health`, and what readiness, liveness and the lag
 * metrics are decided from.
 */
import type { LifecycleState } from './lifecycle.js';

/** One partition that the group has assigned to this process. */
export interface PartitionStatus {
  readonly topic: string;
  readonly partition: number;
  /** `restoring` until its state is complete: none of its records is processed before. */
  readonly state: 'restoring' | 'running';
  /** The offset that is read next; null before the first record. */
  readonly position: number | null;
  /** The offset committed last by this process or, before that, found at the assignment; null when there is none. */
  readonly committed: number | null;
  /** The end of the partition (its high watermark), when it is known. */
  readonly end: number | null;
  /** Records between the committed offset and the end: null when the end is not known. */
  readonly lag: number | null;
  /** Progress of a restore: entries read of the changelog, and the offsets between which it runs. */
  readonly restore?: { readonly entries: number; readonly offset: number; readonly end: number };
}

/** Counters of the ledger: read = emitted + the skipped + the rejected, for each tenant and in all. */
export interface LedgerTotals {
  readonly read: number;
  readonly emitted: number;
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
