/** The gauges of an agent (SPEC 12), which are filled from its status at each scrape. */
import type { LedgerBatch } from './ledger.js';
import type { Metrics } from './metrics.js';
import type { TopicPartition } from './session.js';
import type { AgentStatus } from './status.js';

export interface StatusSource {
  status(): AgentStatus;
  ready(): { readonly ready: boolean };
}

export class StatusGauges {
  readonly #metrics: Metrics;
  readonly #now: () => number;
  /** Timestamp of the last committed record, by `topic/partition`. */
  readonly #eventTimes = new Map<string, number>();

  constructor(metrics: Metrics, now: () => number) {
    this.#metrics = metrics;
    this.#now = now;
  }

  committed(partitions: LedgerBatch['partitions']): void {
    for (const each of partitions) this.#eventTimes.set(slashed(each), each.timestamp);
  }

  forget(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      this.#eventTimes.delete(slashed(partition));
      this.#metrics.restoreSeconds.remove({ partition: String(partition.partition) });
    }
  }

  fill(source: StatusSource): void {
    const status = source.status();
    const metrics = this.#metrics;
    // Partitions that were revoked must not leave their last values behind.
    metrics.consumerLag.reset();
    metrics.eventTimeLag.reset();
    let restoring = 0;
    let outOfRange = 0;
    let remaining = 0;
    for (const { topic, partition, lag, state, restore } of status.assignment) {
      if (state === 'restoring') restoring++;
      if (state === 'out-of-range') outOfRange++;
      if (restore !== undefined) remaining += Math.max(0, restore.end - restore.offset);
      const labels = { topic, partition: String(partition) };
      if (lag !== null) metrics.consumerLag.set(labels, lag);
      const timestamp = this.#eventTimes.get(slashed({ topic, partition }));
      if (lag === 0) metrics.eventTimeLag.set(labels, 0);
      else if (timestamp !== undefined) metrics.eventTimeLag.set(labels, Math.max(0, (this.#now() - timestamp) / 1000));
    }
    metrics.restoringPartitions.set(restoring);
    metrics.outOfRangePartitions.set(outOfRange);
    metrics.restoreRemaining.set(remaining);
    metrics.stateEntries.set(status.stateEntries ?? 0);
    metrics.assignedPartitions.set(status.assignment.length);
    metrics.lastCommit.set(status.lastCommit === null ? 0 : Date.parse(status.lastCommit) / 1000);
    metrics.ready.set(source.ready().ready ? 1 : 0);
    metrics.stalled.set(status.stalled ? 1 : 0);
  }
}

/** `topic/partition`, as in log lines. */
export function slashed({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
