/**
 * The state of the agents at one moment, and rates from two moments. The fields are part of the
 * JSON output. Pure.
 */

export interface GroupMember {
  readonly id: string;
  /** The client id: `kafnus-<agent>-<instance>` for an agent. */
  readonly client: string;
  readonly host: string;
  /** The partitions of the agent's input that are assigned to it. */
  readonly partitions: readonly number[];
}

/** The oldest unprocessed record of a partition. */
interface OldestRecord {
  readonly offset: number;
  /** Milliseconds since the epoch; -1: the record has none. */
  readonly timestamp: number;
}

export interface PartitionSnapshot {
  readonly partition: number;
  readonly hasLeader: boolean;
  /** The log start offset; null when the brokers give none. */
  readonly first: number | null;
  /** The high watermark. */
  readonly end: number | null;
  /** The last stable offset: read_committed consumers read up to it. */
  readonly stable: number | null;
  readonly committed: number | null;
  /**
   * Offsets that are not processed. It counts transaction markers, but is 0 when nothing else is
   * left.
   */
  readonly lag: number;
  /** Null when there is none, or when it was not read. */
  readonly oldest: OldestRecord | null;
}

export type GroupState = 'none' | 'empty' | 'rebalancing' | 'stable' | 'unknown';

/** One agent: its consumer group and its input topic. */
export interface AgentSnapshot {
  readonly agent: string;
  readonly group: string;
  readonly topic: string;
  readonly topicExists: boolean;
  readonly state: GroupState;
  readonly members: readonly GroupMember[];
  readonly partitions: readonly PartitionSnapshot[];
  /** Why the cluster refused to describe the group or the topic; null when it did not. */
  readonly refused: string | null;
}

/** The keys of the newest records of a partition. */
export interface KeySample {
  readonly topic: string;
  readonly partition: number;
  readonly records: number;
  readonly unkeyed: number;
  /** The most frequent key. */
  readonly commonest: { readonly key: string; readonly records: number } | null;
}

/** The result of `GET /health`. */
export type HealthResult =
  | { readonly kind: 'silent'; readonly url: string; readonly problem: string }
  | {
      readonly kind: 'health';
      readonly url: string;
      readonly agent: string;
      readonly instance: string;
      readonly state: string;
      readonly problem: string | null;
      readonly stalled: boolean;
      /** Records since the start of the instance. */
      readonly read: number;
      readonly rejected: Readonly<Record<string, number>>;
      readonly stateEntries: number | null;
      readonly restoring: readonly { readonly topic: string; readonly partition: number; readonly done: number }[];
    };

export interface Snapshot {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly agents: readonly AgentSnapshot[];
  readonly health: readonly HealthResult[];
  readonly keys: readonly KeySample[];
}

/** Records per second. */
export interface Rate {
  readonly in: number;
  readonly out: number;
}

/** The rates of a partition between two snapshots; null when the first one does not have it. */
export function rateOf(
  before: Snapshot | undefined,
  now: Snapshot,
  agent: AgentSnapshot,
  partition: number,
): Rate | null {
  const seconds = before === undefined ? 0 : (now.at - before.at) / 1000;
  const then = before && partitionOf(before, agent, partition);
  const since = agent.partitions.find((one) => one.partition === partition);
  if (then === undefined || since === undefined || seconds <= 0) return null;
  return {
    in: perSecond(then.end, since.end, seconds),
    out: perSecond(then.committed ?? then.first, since.committed, seconds),
  };
}

/** The rates of all partitions of an agent. */
export function totalRate(before: Snapshot | undefined, now: Snapshot, agent: AgentSnapshot): Rate | null {
  const rates = agent.partitions.flatMap(({ partition }) => rateOf(before, now, agent, partition) ?? []);
  if (rates.length === 0) return null;
  return { in: rates.reduce((sum, each) => sum + each.in, 0), out: rates.reduce((sum, each) => sum + each.out, 0) };
}

export function totalLag({ partitions }: Pick<AgentSnapshot, 'partitions'>): number {
  return partitions.reduce((sum, { lag }) => sum + lag, 0);
}

/**
 * Age of the oldest unprocessed record in milliseconds, by its timestamp; null when there is none
 * or it has no timestamp.
 */
export function ageOf(snapshot: Snapshot, { oldest }: Pick<PartitionSnapshot, 'oldest'>): number | null {
  return oldest === null || oldest.timestamp < 0 ? null : Math.max(0, snapshot.at - oldest.timestamp);
}

export function oldestAge(snapshot: Snapshot, { partitions }: Pick<AgentSnapshot, 'partitions'>): number | null {
  const ages = partitions.flatMap((partition) => ageOf(snapshot, partition) ?? []);
  return ages.length === 0 ? null : Math.max(...ages);
}

export function agentIn(
  snapshot: Snapshot,
  { group, topic }: Pick<AgentSnapshot, 'group' | 'topic'>,
): AgentSnapshot | undefined {
  return snapshot.agents.find((one) => one.group === group && one.topic === topic);
}

export function partitionOf(
  snapshot: Snapshot,
  agent: Pick<AgentSnapshot, 'group' | 'topic'>,
  partition: number,
): PartitionSnapshot | undefined {
  return agentIn(snapshot, agent)?.partitions.find((one) => one.partition === partition);
}

function perSecond(from: number | null, to: number | null, seconds: number): number {
  return from === null || to === null ? 0 : Math.max(0, to - from) / seconds;
}
