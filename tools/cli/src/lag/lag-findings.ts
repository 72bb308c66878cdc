/** Finds problems of the agents in two snapshots. Pure. */
import { nextStep } from '../next-step.js';
import { clipped, grouped, printable } from '../terminal/text.js';
import {
  agentIn,
  oldestAge,
  partitionOf,
  totalLag,
  totalRate,
  type AgentSnapshot,
  type PartitionSnapshot,
  type Snapshot,
} from './lag-snapshot.js';
import { hotPartition, minLag, unkeyedRecords } from './key-findings.js';
import { durationText } from '../terminal/duration-text.js';

export interface LagFinding {
  readonly code:
    | 'topic-missing'
    | 'refused'
    | 'no-leader'
    | 'no-group'
    | 'no-members'
    | 'rebalancing'
    | 'idle-members'
    | 'unassigned'
    | 'stuck'
    | 'open-transaction'
    | 'lost'
    | 'out-of-range'
    | 'behind'
    | 'hot-partition'
    | 'unkeyed'
    | 'max-lag'
    | 'max-age'
    | 'silent'
    | 'unwell'
    | 'rejects';
  /**
   * An error loses records or stops their processing; a warning may come to that, or wastes
   * resources.
   */
  readonly level: 'error' | 'warning';
  readonly agent: string;
  readonly problem: string;
  readonly action: string;
}

export interface LagLimits {
  /** Records. */
  readonly maxLag: number;
  /** Milliseconds. */
  readonly maxAge: number;
}

/** @param before the earlier snapshot; without it, findings that need a rate are left out */
export function lagFindings(before: Snapshot | undefined, now: Snapshot, limits: LagLimits): LagFinding[] {
  const found = now.agents.flatMap((agent) => agentFindings(before, now, agent, limits));
  return [...found, ...healthFindings(before, now)].sort((a, b) => rank(a) - rank(b));
}

/** The hint for an error of the connection; undefined when a right is missing. */
function connectionHint(refused: string): string | undefined {
  return /authorization/i.test(refused) ? undefined : nextStep(refused);
}

function rank({ level }: LagFinding): number {
  return level === 'error' ? 0 : 1;
}

function agentFindings(
  before: Snapshot | undefined,
  now: Snapshot,
  agent: AgentSnapshot,
  limits: LagLimits,
): LagFinding[] {
  const { group, topic, partitions, members } = agent;
  const finding = (
    code: LagFinding['code'],
    level: LagFinding['level'],
    problem: string,
    action: string,
  ): LagFinding => {
    return { code, level, agent: agent.agent, problem, action };
  };
  const error = (code: LagFinding['code'], problem: string, action: string): LagFinding =>
    finding(code, 'error', problem, action);
  const warning = (code: LagFinding['code'], problem: string, action: string): LagFinding =>
    finding(code, 'warning', problem, action);
  if (agent.refused !== null) {
    return [
      error(
        'refused',
        printable(agent.refused),
        connectionHint(agent.refused) ??
          `grant Describe on the topic ${topic} and the group ${group}, and Read on the topic`,
      ),
    ];
  }
  if (!agent.topicExists) {
    const action = 'create it with kafnus topics apply, or correct KAFNUS_TOPIC_PREFIX or --input-topic';
    return [error('topic-missing', `the topic ${topic} does not exist`, action)];
  }

  const found: LagFinding[] = [];
  const lag = totalLag(agent);
  const waiting =
    lag === 0 ? 'no record is unprocessed' : `${grouped(lag)} ${lag === 1 ? 'record is' : 'records are'} unprocessed`;
  const then = before && agentIn(before, agent);
  const span = before === undefined ? '' : durationText(now.at - before.at);

  const headless = partitions.filter(({ hasLeader }) => !hasLeader);
  if (headless.length > 0) {
    found.push(
      error(
        'no-leader',
        `${names(topic, headless)} has no leader: it can be neither read nor written`,
        'start the brokers that hold its replicas',
      ),
    );
  }
  for (const { partition, committed, end } of partitions) {
    if (committed === null || end === null || committed <= end) continue;
    found.push(
      error(
        'out-of-range',
        `${topic}-${partition} ends at offset ${grouped(end)}, before offset ${grouped(committed)} that ${group} has committed: the topic was created again, or its log was truncated`,
        'the agent reads nothing of it until you decide: see docs/runbooks/offset-out-of-range.md',
      ),
    );
  }
  for (const { partition, first, committed } of partitions) {
    if (first === null || committed === null || committed >= first) continue;
    found.push(
      error(
        'lost',
        `${topic}-${partition}: ${grouped(first - committed)} records were deleted by retention before ${group} had read them`,
        'they are lost; raise retention.ms of the topic above the longest outage, and start the agent',
      ),
    );
  }

  if (agent.state === 'none' || agent.state === 'empty') {
    const never = partitions.every(({ committed }) => committed === null);
    if (never && lag > 0) {
      found.push(
        error(
          'no-group',
          `${waiting} in ${topic}, and the group ${group} has never read it`,
          `start the agent ${agent.agent}, or correct KAFNUS_GROUP_ID or --group`,
        ),
      );
    } else if (!never) {
      found.push(
        error(
          'no-members',
          `the group ${group} has no member, and ${waiting}`,
          `start the agent ${agent.agent}; if it runs, its log says why it is not a member`,
        ),
      );
    }
  }
  if (agent.state === 'rebalancing' && then?.state === 'rebalancing') {
    found.push(
      warning(
        'rebalancing',
        `the group ${group} has been rebalancing for at least ${span}`,
        'a member restores its state, or members join and leave: check restore progress (--health) and their logs',
      ),
    );
  }
  if (agent.state === 'stable') {
    const idle = members.filter((member) => member.partitions.length === 0);
    if (idle.length > 0 && members.length > partitions.length) {
      found.push(
        warning(
          'idle-members',
          `${members.length} members share ${partitions.length} partitions of ${topic}: ${idle.length} ${idle.length === 1 ? 'is' : 'are'} idle`,
          `scale to ${partitions.length}, or add partitions ("Adding partitions" in docs/operations.md)`,
        ),
      );
    }
    const owned = new Set(members.flatMap((member) => member.partitions));
    const isOrphan = ({ partition }: PartitionSnapshot): boolean => !owned.has(partition);
    const orphans = partitions.filter(isOrphan);
    if (orphans.length > 0 && then?.state === 'stable') {
      found.push(
        error(
          'unassigned',
          `no member of ${group} has ${names(topic, orphans)}`,
          'restart one member, so that the group rebalances',
        ),
      );
    }
    found.push(...stuckMembers(before, now, agent, span).map(({ problem, action }) => error('stuck', problem, action)));
  }
  for (const { partition, stable, end } of partitions) {
    const earlier = before && partitionOf(before, agent, partition);
    const isOpen =
      stable !== null && end !== null && stable < end && earlier?.stable === stable && (earlier.end ?? 0) > stable;
    if (!isOpen) continue;
    found.push(
      warning(
        'open-transaction',
        `${topic}-${partition}: a transaction of a producer has been open for at least ${span}, at offset ${stable}; agents read no record behind it`,
        'it ends with its producer, or after its transaction.timeout.ms; kafka-transactions.sh find-hanging names it',
      ),
    );
  }

  const isHeld = found.some(({ code }) => ['no-group', 'no-members', 'stuck', 'unassigned'].includes(code));
  const rate = totalRate(before, now, agent);
  if (!isHeld && rate !== null && then !== undefined && lag >= minLag && lag > totalLag(then) && rate.in > rate.out) {
    const spare = partitions.length - members.length;
    found.push(
      warning(
        'behind',
        `${agent.agent} falls behind: ${perSecond(rate.in)} are published, ${perSecond(rate.out)} are processed, and ${waiting}`,
        spare > 0
          ? `add instances: ${partitions.length} partitions have ${members.length} members`
          : 'every partition has its own member: add partitions ("Adding partitions" in docs/operations.md)',
      ),
    );
  }
  const hot = hotPartition(before, now, agent);
  if (hot !== undefined) found.push(warning('hot-partition', ...hot));
  const unkeyed = unkeyedRecords(now, agent);
  if (unkeyed !== undefined) found.push(warning('unkeyed', ...unkeyed));

  if (lag > limits.maxLag) {
    found.push(
      error(
        'max-lag',
        `${waiting} in ${topic}, more than --max-lag ${grouped(limits.maxLag)}`,
        'see the other findings, and the rates of kafnus top',
      ),
    );
  }
  const age = oldestAge(now, agent);
  if (age !== null && age > limits.maxAge) {
    found.push(
      error(
        'max-age',
        `the oldest unprocessed record in ${topic} is ${durationText(age)} old, more than --max-age ${durationText(limits.maxAge)}`,
        'see the other findings; a replay also publishes old records',
      ),
    );
  }
  return found;
}

/** By member: its partitions that have lag and whose committed offset has not changed. */
function stuckMembers(
  before: Snapshot | undefined,
  now: Snapshot,
  agent: AgentSnapshot,
  span: string,
): { readonly problem: string; readonly action: string }[] {
  if (before === undefined || agentIn(before, agent)?.state !== 'stable') return [];
  const restoring = new Set(
    now.health
      .flatMap((one) => (one.kind === 'health' ? one.restoring : []))
      .filter(({ topic }) => topic === agent.topic)
      .map(({ partition }) => partition),
  );
  const isStuck = ({ partition, lag, committed, first, stable, hasLeader }: PartitionSnapshot): boolean => {
    const earlier = partitionOf(before, agent, partition);
    const position = committed ?? first;
    return (
      hasLeader &&
      lag > 0 &&
      earlier !== undefined &&
      earlier.lag > 0 &&
      earlier.committed === committed &&
      // Behind an open transaction nothing can be read. That is the finding open-transaction.
      (stable === null || position === null || position < stable) &&
      !restoring.has(partition)
    );
  };
  return agent.members.flatMap((member) => {
    const held = agent.partitions.filter(
      (partition) => member.partitions.includes(partition.partition) && isStuck(partition),
    );
    if (held.length === 0) return [];
    const lag = held.reduce((sum, partition) => sum + partition.lag, 0);
    return [
      {
        problem:
          `${printable(clipped(member.client, 60))} (${printable(member.host)}) has committed nothing in ${names(agent.topic, held)} for ${span}, ` +
          `and ${grouped(lag)} records are unprocessed there`,
        action: 'GET /health and the log of this instance say what it waits for; restart it if the client hangs',
      },
    ];
  });
}

function healthFindings(before: Snapshot | undefined, now: Snapshot): LagFinding[] {
  return now.health.flatMap((one): LagFinding[] => {
    if (one.kind === 'silent') {
      const problem = `${printable(one.url)} does not answer: ${printable(one.problem)}`;
      return [
        {
          code: 'silent',
          level: 'error',
          agent: '',
          problem,
          action: 'check that the instance runs, and that its port (KAFNUS_HTTP_PORT) can be reached from here',
        },
      ];
    }
    const name = `${printable(one.agent)} ${printable(one.instance)}`;
    const found: LagFinding[] = [];
    if (one.problem !== null || one.stalled) {
      const why = one.problem ?? 'there is lag, and no progress';
      const problem = `${name} reports${one.stalled ? ' that it is stalled' : ''}: ${printable(why)}`;
      found.push({ code: 'unwell', level: 'error', agent: one.agent, problem, action: 'see its log' });
    }
    const then = before?.health.find(
      (other) => other.kind === 'health' && other.url === one.url && other.instance === one.instance,
    );
    if (before !== undefined && then?.kind === 'health' && then.read <= one.read) {
      const more = Object.entries(one.rejected).map(([reason, count]) => ({
        reason,
        count: count - (Object.hasOwn(then.rejected, reason) ? (then.rejected[reason] ?? 0) : 0),
      }));
      const fresh = more.filter(({ count }) => count > 0).sort((a, b) => b.count - a.count);
      const total = fresh.reduce((sum, { count }) => sum + count, 0);
      const reasons = fresh.slice(0, 3).map(({ reason, count }) => `${printable(reason)} ${grouped(count)}`);
      if (total > 0) {
        const problem = `${name} rejected ${grouped(total)} records in ${durationText(now.at - before.at)}: ${reasons.join(', ')}`;
        found.push({
          code: 'rejects',
          level: 'warning',
          agent: one.agent,
          problem,
          action: `kafnus replay plan --agent ${printable(one.agent)} shows samples`,
        });
      }
    }
    return found;
  });
}

function names(topic: string, partitions: readonly Pick<PartitionSnapshot, 'partition'>[]): string {
  const shown = partitions.slice(0, 4).map(({ partition }) => `${topic}-${partition}`);
  return partitions.length > shown.length
    ? `${shown.join(', ')} and ${partitions.length - shown.length} more`
    : shown.join(', ');
}

function perSecond(rate: number): string {
  return `${grouped(Math.round(rate))}/s`;
}
