/** What was seen of the agents at one moment, and what two moments tell. Pure. */

export interface Member {
  readonly id: string;
  /** `kafnus-<agent>-<instance>`, unless somebody else's. */
  readonly client: string;
  readonly host: string;
  /** Its partitions of the agent's input. */
  readonly partitions: readonly number[];
}

/** A record, as far as it matters here. */
interface Waiting {
  readonly offset: number;
  /** Milliseconds since the epoch; -1: none. */
  readonly timestamp: number;
}

export interface Partition {
  readonly partition: number;
  readonly hasLeader: boolean;
  /** Offset of the first record that is still there; null: no answer. */
  readonly first: number | null;
  /** The end (high watermark), and where a committed read ends (last stable offset). */
  readonly end: number | null;
  readonly stable: number | null;
  readonly committed: number | null;
  /** Records that are not processed, at most: markers of transactions count, unless nothing else waits. */
  readonly lag: number;
  /** The oldest of them; null: none, or it was not looked at. */
  readonly oldest: Waiting | null;
}

export type GroupState = 'none' | 'empty' | 'rebalancing' | 'stable' | 'unknown';

/** One agent: a group and its input. */
export interface AgentSight {
  readonly agent: string;
  readonly group: string;
  readonly topic: string;
  readonly topicExists: boolean;
  readonly state: GroupState;
  readonly members: readonly Member[];
  readonly partitions: readonly Partition[];
  /** What the cluster refused to tell; null: nothing. */
  readonly refused: string | null;
}

/** What the newest records of a partition are keyed by. */
export interface KeySample {
  readonly topic: string;
  readonly partition: number;
  readonly records: number;
  readonly unkeyed: number;
  /** The key that comes most often. */
  readonly commonest: { readonly key: string; readonly records: number } | null;
}

/** What an agent's `GET /health` said. */
export type HealthSight =
  | { readonly kind: 'silent'; readonly url: string; readonly problem: string }
  | {
      readonly kind: 'health';
      readonly url: string;
      readonly agent: string;
      readonly instance: string;
      readonly state: string;
      readonly problem: string | null;
      readonly stalled: boolean;
      /** Since its start. */
      readonly read: number;
      readonly rejected: Readonly<Record<string, number>>;
      readonly stateEntries: number | null;
      readonly restoring: readonly { readonly topic: string; readonly partition: number; readonly done: number }[];
    };

export interface Snapshot {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly agents: readonly AgentSight[];
  readonly health: readonly HealthSight[];
  readonly keys: readonly KeySample[];
}

/** Records a second. */
export interface Rate {
  readonly in: number;
  readonly out: number;
}

/** What flowed in a partition between two moments; null when the first one does not know it. */
export function rateOf(before: Snapshot | undefined, now: Snapshot, agent: AgentSight, partition: number): Rate | null {
  const seconds = before === undefined ? 0 : (now.at - before.at) / 1000;
  const then = before && partitionOf(before, agent, partition);
  const since = agent.partitions.find((one) => one.partition === partition);
  if (then === undefined || since === undefined || seconds <= 0) return null;
  return { in: per(then.end, since.end, seconds), out: per(then.committed ?? then.first, since.committed, seconds) };
}

/** The rates of all partitions of an agent. */
export function totalRate(before: Snapshot | undefined, now: Snapshot, agent: AgentSight): Rate | null {
  const rates = agent.partitions.flatMap(({ partition }) => rateOf(before, now, agent, partition) ?? []);
  if (rates.length === 0) return null;
  return { in: rates.reduce((sum, each) => sum + each.in, 0), out: rates.reduce((sum, each) => sum + each.out, 0) };
}

export function totalLag({ partitions }: Pick<AgentSight, 'partitions'>): number {
  return partitions.reduce((sum, { lag }) => sum + lag, 0);
}

/** Age of the oldest record that waits, milliseconds, by its own timestamp; null: nothing waits, or it has no time. */
export function ageOf(snapshot: Snapshot, { oldest }: Pick<Partition, 'oldest'>): number | null {
  return oldest === null || oldest.timestamp < 0 ? null : Math.max(0, snapshot.at - oldest.timestamp);
}

export function oldestAge(snapshot: Snapshot, { partitions }: Pick<AgentSight, 'partitions'>): number | null {
  const ages = partitions.flatMap((partition) => ageOf(snapshot, partition) ?? []);
  return ages.length === 0 ? null : Math.max(...ages);
}

export function agentIn(
  snapshot: Snapshot,
  { group, topic }: Pick<AgentSight, 'group' | 'topic'>,
): AgentSight | undefined {
  return snapshot.agents.find((one) => one.group === group && one.topic === topic);
}

export function partitionOf(
  snapshot: Snapshot,
  agent: Pick<AgentSight, 'group' | 'topic'>,
  partition: number,
): Partition | undefined {
  return agentIn(snapshot, agent)?.partitions.find((one) => one.partition === partition);
}

function per(from: number | null, to: number | null, seconds: number): number {
  return from === null || to === null ? 0 : Math.max(0, to - from) / seconds;
}
