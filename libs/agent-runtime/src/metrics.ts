/**
 * The metrics of an agent (SPEC 12), in one table: the registry and the reference page are made
 * from it. Every metric carries the label `agent` besides those of the table.
 */
import { Counter, Gauge, Histogram, collectDefaultMetrics } from 'prom-client';
import type { Registry } from 'prom-client';

interface Definition {
  readonly name: `kafnus_${string}`;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
}

const definitions = {
  recordsRead: {
    name: 'kafnus_records_read_total',
    type: 'counter',
    help: 'Records read and committed; the sum of the emitted, the re-keyed, the skipped and the rejected.',
    labels: ['tenant'],
  },
  recordsEmitted: {
    name: 'kafnus_records_emitted_total',
    type: 'counter',
    help: 'Records that had outputs.',
    labels: ['tenant'],
  },
  recordsRekeyed: {
    name: 'kafnus_records_rekeyed_total',
    type: 'counter',
    help: 'Records written back to the input topic, to the partition of their entity. They are read and counted again there.',
    labels: ['tenant'],
  },
  rekeyHopsExceeded: {
    name: 'kafnus_rekey_hops_exceeded_total',
    type: 'counter',
    help: 'Records decided in the wrong partition after three hops: agents do not agree on KAFNUS_INPUT_PARTITIONER.',
    labels: [],
  },
  rekeyRefused: {
    name: 'kafnus_rekey_refused',
    type: 'gauge',
    help: '1 while the agent may not write to its input topic, and decides records where they are: without Write, the order of an entity depends on the producer.',
    labels: [],
  },
  recordsSkipped: {
    name: 'kafnus_records_skipped_total',
    type: 'counter',
    help: 'Records without output on purpose, by reason.',
    labels: ['tenant', 'reason'],
  },
  recordsRejected: {
    name: 'kafnus_records_rejected_total',
    type: 'counter',
    help: 'Records refused and sent to the dead-letter topic, by reason.',
    labels: ['tenant', 'reason'],
  },
  outputs: {
    name: 'kafnus_outputs_total',
    type: 'counter',
    help: 'Records written to output topics.',
    labels: ['tenant'],
  },
  deadLetters: {
    name: 'kafnus_dead_letters_total',
    type: 'counter',
    help: 'Records sent to the dead-letter topic: rejected ones, and emitted ones of which a part was refused.',
    labels: ['tenant'],
  },
  partsSkipped: {
    name: 'kafnus_parts_skipped_total',
    type: 'counter',
    help: 'Entities left out on purpose of records that were emitted, by reason.',
    labels: ['reason'],
  },
  reports: {
    name: 'kafnus_reports_total',
    type: 'counter',
    help: 'Entities and attributes refused in records that were emitted, by code.',
    labels: ['tenant', 'code'],
  },
  unkeyedRecords: {
    name: 'kafnus_unkeyed_records_total',
    type: 'counter',
    help: 'Records without a key, or with an empty one: agents re-key them, or cannot guarantee the order. The publisher must set the entity id as key.',
    labels: [],
  },
  transactionDuration: {
    name: 'kafnus_transaction_duration_seconds',
    type: 'histogram',
    help: 'Time that a commit takes, from its start to the confirmation.',
    labels: [],
  },
  batchDuration: {
    name: 'kafnus_batch_duration_seconds',
    type: 'histogram',
    help: 'Time that a transaction is open before its commit starts.',
    labels: [],
  },
  transactionsCommitted: {
    name: 'kafnus_transactions_committed_total',
    type: 'counter',
    help: 'Transactions committed.',
    labels: [],
  },
  transactionsAborted: {
    name: 'kafnus_transactions_aborted_total',
    type: 'counter',
    help: 'Transactions aborted, by cause; their records are read again.',
    labels: ['cause'],
  },
  commitRetries: {
    name: 'kafnus_commit_retries_total',
    type: 'counter',
    help: 'Commits tried again after an error that may pass.',
    labels: [],
  },
  recoveries: {
    name: 'kafnus_recoveries_total',
    type: 'counter',
    help: 'Times the producer was recreated: it was fenced, or the outcome of a transaction is unknown.',
    labels: ['cause'],
  },
  fenced: {
    name: 'kafnus_fenced_total',
    type: 'counter',
    help: 'Times another process took the transactional id of this one over.',
    labels: [],
  },
  offsetsOutOfRange: {
    name: 'kafnus_offsets_out_of_range_total',
    type: 'counter',
    help: 'Times the log of an input partition ended before the position: topic created again, or log truncated.',
    labels: [],
  },
  recordsDeleted: {
    name: 'kafnus_records_deleted_unread_total',
    type: 'counter',
    help: 'Offsets of input that retention or DeleteRecords removed before they were read: at most so many records are lost.',
    labels: [],
  },
  brokerProblems: {
    name: 'kafnus_broker_problems_total',
    type: 'counter',
    help: 'Errors of the connections to the brokers.',
    labels: [],
  },
  topicsCreated: {
    name: 'kafnus_topics_created_total',
    type: 'counter',
    help: 'Topics created by this process.',
    labels: [],
  },
  topicFailures: {
    name: 'kafnus_topic_failures_total',
    type: 'counter',
    help: 'Times an output topic could not be written; its tenant waits, and is dead-lettered in the end.',
    labels: [],
  },
  rebalances: {
    name: 'kafnus_rebalances_total',
    type: 'counter',
    help: 'Changes of the assignment: assigned, revoked, lost.',
    labels: ['kind'],
  },
  consumerLag: {
    name: 'kafnus_consumer_lag',
    type: 'gauge',
    help: 'Records between the committed offset and the end of the partition.',
    labels: ['topic', 'partition'],
  },
  eventTimeLag: {
    name: 'kafnus_event_time_lag_seconds',
    type: 'gauge',
    help: 'Age of the last committed record; 0 when the partition has no lag.',
    labels: ['topic', 'partition'],
  },
  stateEntries: { name: 'kafnus_state_entries', type: 'gauge', help: 'Entries of the keyed state.', labels: [] },
  restoreSeconds: {
    name: 'kafnus_restore_seconds',
    type: 'gauge',
    help: 'Time that the last restore of the state of the partition took.',
    labels: ['partition'],
  },
  restoringPartitions: {
    name: 'kafnus_restoring_partitions',
    type: 'gauge',
    help: 'Partitions assigned whose offsets and state are being read: nothing of them is processed yet.',
    labels: [],
  },
  restoreRemaining: {
    name: 'kafnus_restore_remaining_records',
    type: 'gauge',
    help: 'Records of the changelog that the running restores have still to read.',
    labels: [],
  },
  outOfRangePartitions: {
    name: 'kafnus_out_of_range_partitions',
    type: 'gauge',
    help: 'Partitions of which nothing is read because their log ends before the position.',
    labels: [],
  },
  assignedPartitions: {
    name: 'kafnus_assigned_partitions',
    type: 'gauge',
    help: 'Partitions assigned to this process.',
    labels: [],
  },
  lastCommit: {
    name: 'kafnus_last_commit_timestamp_seconds',
    type: 'gauge',
    help: 'Time of the last commit, seconds since the epoch; 0 before the first.',
    labels: [],
  },
  ready: { name: 'kafnus_ready', type: 'gauge', help: '1 when /ready answers 200.', labels: [] },
  stalled: { name: 'kafnus_stalled', type: 'gauge', help: '1 when there is lag and no progress.', labels: [] },
  buildInfo: {
    name: 'kafnus_build_info',
    type: 'gauge',
    help: 'Always 1; the version is a label.',
    labels: ['version'],
  },
} as const satisfies Readonly<Record<string, Definition>>;

type Definitions = typeof definitions;
type Instrument = { readonly counter: Counter; readonly gauge: Gauge; readonly histogram: Histogram };

/** The metrics by their name in the table. */
export type Metrics = { readonly [Key in keyof Definitions]: Instrument[Definitions[Key]['type']] };

/** One row of the reference. */
export interface MetricReference {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: readonly string[];
}

/**
 * All metrics of the table, for the reference page; those of Node and the process are not in it.
 */
export const metricsReference: readonly MetricReference[] = Object.values(definitions).map(
  ({ name, type, help, labels }) => ({ name, type, help, labels: ['agent', ...labels] }),
);

/** Commits take milliseconds when all is well and seconds when a broker fails. */
const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Makes the metrics and adds them to the registry. */
export function createMetrics(registry: Registry, agent: string, processMetrics: boolean): Metrics {
  registry.setDefaultLabels({ agent });
  if (processMetrics)
    collectDefaultMetrics({ register: registry, prefix: 'kafnus_', eventLoopMonitoringPrecision: 50 });
  const instruments = Object.entries(definitions).map(([key, definition]) => [key, instrument(registry, definition)]);
  // The keys and types are those of the table it was made from.
  return Object.fromEntries(instruments) as Metrics;
}

function instrument(registry: Registry, { name, type, help, labels }: Definition): Counter | Gauge | Histogram {
  const options = { name, help, labelNames: [...labels], registers: [registry] };
  if (type === 'counter') return new Counter(options);
  return type === 'gauge' ? new Gauge(options) : new Histogram({ ...options, buckets: secondsBuckets });
}
