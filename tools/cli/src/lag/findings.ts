/** What is wrong, and what to do about it, from two looks at the agents. Pure. */
import { nextStep } from '../next-step.js';
import { clipped, grouped, printable, quoted } from '../terminal/text.js';
import {
  agentIn,
  oldestAge,
  partitionOf,
  totalLag,
  totalRate,
  type AgentSight,
  type Partition,
  type Snapshot,
} from './snapshot.js';
import { durationText } from './time.js';

export interface Finding {
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
  /** An error loses or holds up records; a warning will, or makes a part of the machinery useless. */
  readonly level: 'error' | 'warning';
  readonly agent: string;
  readonly problem: string;
  readonly action: string;
}

export interface Limits {
  /** Records. */
  readonly maxLag: number;
  /** Milliseconds. */
  readonly maxAge: number;
}

/** Fewer records between two looks say nothing about how they spread. */
const LEAST_FLOW = 100;
/** A lag below it is the work of the moment. */
const LEAST_LAG = 1000;

/** @param before the look before; without it nothing is known about what moves */
export function findingsOf(before: Snapshot | undefined, now: Snapshot, limits: Limits): Finding[] {
  const found = now.agents.flatMap((agent) => ofAgent(before, now, agent, limits));
  return [...found, ...ofHealth(before, now)].sort((a, b) => rank(a) - rank(b));
}

/** A cluster that is away refuses nothing: it does not answer. */
function outage(refused: string): string | undefined {
  return /authorization/i.test(refused) ? undefined : nextStep(refused);
}

function rank({ level }: Finding): number {
  return level === 'error' ? 0 : 1;
}

function ofAgent(before: Snapshot | undefined, now: Snapshot, agent: AgentSight, limits: Limits): Finding[] {
  const { group, topic, partitions, members } = agent;
  const finding = (code: Finding['code'], level: Finding['level'], problem: string, action: string): Finding => {
    return { code, level, agent: agent.agent, problem, action };
  };
  const error = (code: Finding['code'], problem: string, action: string): Finding =>
    finding(code, 'error', problem, action);
  const warning = (code: Finding['code'], problem: string, action: string): Finding =>
    finding(code, 'warning', problem, action);
  if (agent.refused !== null) {
    return [
      error(
        'refused',
        printable(agent.refused),
        outage(agent.refused) ??
          `give this user Describe on the topic ${topic} and the group ${group}, and Read on the topic`,
      ),
    ];
  }
  if (!agent.topicExists) {
    const action = 'create it with kafnus topics apply, or correct KAFNUS_TOPIC_PREFIX or --input-topic';
    return [error('topic-missing', `the topic ${topic} does not exist`, action)];
  }

  const found: Finding[] = [];
  const lag = totalLag(agent);
  const waiting = lag === 0 ? 'no record waits' : `${grouped(lag)} ${lag === 1 ? 'record waits' : 'records wait'}`;
  const then = before && agentIn(before, agent);
  const span = before === undefined ? '' : durationText(now.at - before.at);

  const headless = partitions.filter(({ hasLeader }) => !hasLeader);
  if (headless.length > 0) {
    found.push(
      error(
        'no-leader',
        `${names(topic, headless)} has no leader: nobody can read or write it`,
        'bring the brokers back that hold its replicas',
      ),
    );
  }
  for (const { partition, committed, end } of partitions) {
    if (committed === null || end === null || committed <= end) continue;
    found.push(
      error(
        'out-of-range',
        `${topic}-${partition} ends at offset ${grouped(end)}, before offset ${grouped(committed)} that ${group} has committed: the topic was created again, or its log was truncated`,
        'nothing of it is read until you decide: see docs/runbooks/offset-out-of-range.md',
      ),
    );
  }
  for (const { partition, first, committed } of partitions) {
    if (first === null || committed === null || committed >= first) continue;
    found.push(
      error(
        'lost',
        `${topic}-${partition}: ${grouped(first - committed)} records were deleted by retention before ${group} had read them`,
        'they are gone; raise retention.ms of the topic above the longest standstill, and start the agent',
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
          `start the agent ${agent.agent}; if it runs, its log says why it is not in the group`,
        ),
      );
    }
  }
  if (agent.state === 'rebalancing' && then?.state === 'rebalancing') {
    found.push(
      warning(
        'rebalancing',
        `the group ${group} has been in a rebalance for ${span} at least`,
        'a member restores its state, or members come and go: look at restore progress (--health) and at their logs',
      ),
    );
  }
  if (agent.state === 'stable') {
    const idle = members.filter((member) => member.partitions.length === 0);
    if (idle.length > 0 && members.length > partitions.length) {
      found.push(
        warning(
          'idle-members',
          `${members.length} members share ${partitions.length} partitions of ${topic}: ${idle.length} do nothing`,
          `scale to ${partitions.length}, or add partitions ("Adding partitions" in docs/operations.md)`,
        ),
      );
    }
    const owned = new Set(members.flatMap((member) => member.partitions));
    const isOrphan = ({ partition }: Partition): boolean => !owned.has(partition);
    const orphans = partitions.filter(isOrphan);
    if (orphans.length > 0 && then?.state === 'stable') {
      found.push(
        error(
          'unassigned',
          `no member of ${group} has ${names(topic, orphans)}`,
          'restart one member, so that the group shares its partitions anew',
        ),
      );
    }
    found.push(...stuck(before, now, agent, span).map(({ problem, action }) => error('stuck', problem, action)));
  }
  for (const { partition, stable, end } of partitions) {
    const earlier = before && partitionOf(before, agent, partition);
    const isOpen =
      stable !== null && end !== null && stable < end && earlier?.stable === stable && (earlier.end ?? 0) > stable;
    if (!isOpen) continue;
    found.push(
      warning(
        'open-transaction',
        `${topic}-${partition}: a transaction of a publisher has been open for ${span} at least, at offset ${stable}; nobody reads on behind it`,
        'it ends with its publisher, or by its transaction.timeout.ms; kafka-transactions.sh find-hanging names it',
      ),
    );
  }

  const isHeld = found.some(({ code }) => ['no-group', 'no-members', 'stuck', 'unassigned'].includes(code));
  const rate = totalRate(before, now, agent);
  if (
    !isHeld &&
    rate !== null &&
    then !== undefined &&
    lag >= LEAST_LAG &&
    lag > totalLag(then) &&
    rate.in > rate.out
  ) {
    const spare = partitions.length - members.length;
    found.push(
      warning(
        'behind',
        `${agent.agent} falls behind: ${perSecond(rate.in)} come in, ${perSecond(rate.out)} go out, and ${waiting}`,
        spare > 0
          ? `add instances: ${partitions.length} partitions have ${members.length} members`
          : 'every partition has a member of its own: more takes more partitions ("Adding partitions" in docs/operations.md)',
      ),
    );
  }
  const hot = hotPartition(before, now, agent);
  if (hot !== undefined) found.push(warning('hot-partition', ...hot));
  const unkeyed = unkeyedSample(now, agent);
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
        `the oldest record that waits in ${topic} is ${durationText(age)} old, more than --max-age ${durationText(limits.maxAge)}`,
        'see the other findings; a replay brings old records as well',
      ),
    );
  }
  return found;
}

/** Partitions whose offset stands still while records wait, by the member that has them. */
function stuck(
  before: Snapshot | undefined,
  now: Snapshot,
  agent: AgentSight,
  span: string,
): { readonly problem: string; readonly action: string }[] {
  if (before === undefined || agentIn(before, agent)?.state !== 'stable') return [];
  const restoring = new Set(
    now.health
      .flatMap((one) => (one.kind === 'health' ? one.restoring : []))
      .filter(({ topic }) => topic === agent.topic)
      .map(({ partition }) => partition),
  );
  const isStuck = ({ partition, lag, committed, first, stable, hasLeader }: Partition): boolean => {
    const earlier = partitionOf(before, agent, partition);
    const position = committed ?? first;
    return (
      hasLeader &&
      lag > 0 &&
      earlier !== undefined &&
      earlier.lag > 0 &&
      earlier.committed === committed &&
      // Behind an open transaction nothing can be read: that is another finding.
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
          `${printable(clipped(member.client, 60))} (${printable(member.host)}) has not moved ${names(agent.topic, held)} for ${span}, ` +
          `and ${grouped(lag)} records wait there`,
        action: 'GET /health and the log of this instance say what it waits for; a restart cures a client that hangs',
      },
    ];
  });
}

/** One partition that gets nearly everything, or in which nearly everything waits. */
function hotPartition(before: Snapshot | undefined, now: Snapshot, agent: AgentSight): [string, string] | undefined {
  const { topic, partitions } = agent;
  if (partitions.length < 2) return undefined;
  // Three times its share, and more than half of all.
  const least = Math.max(0.5, Math.min(0.9, 3 / partitions.length));
  const flows = partitions.map(({ partition, end }) => {
    const earlier = before && partitionOf(before, agent, partition);
    return { partition, count: earlier === undefined ? 0 : Math.max(0, (end ?? 0) - (earlier.end ?? 0)) };
  });
  const lags = partitions.map(({ partition, lag }) => ({ partition, count: lag }));
  const hottest = (
    counts: readonly { partition: number; count: number }[],
    atLeast: number,
  ): { partition: number; part: number } | undefined => {
    const total = counts.reduce((sum, { count }) => sum + count, 0);
    const top = counts.reduce((a, b) => (b.count > a.count ? b : a));
    return total >= atLeast && top.count >= least * total
      ? { partition: top.partition, part: top.count / total }
      : undefined;
  };
  const flow = hottest(flows, LEAST_FLOW);
  const hot = flow ?? hottest(lags, LEAST_LAG);
  if (hot === undefined) return undefined;
  const what = flow === undefined ? 'of what waits lies' : 'of the records go';
  const problem = `${percent(hot.part)} ${what} ${flow === undefined ? 'in' : 'to'} one of ${partitions.length} partitions, ${topic}-${hot.partition}`;
  const keys = now.keys.find((one) => one.topic === topic && one.partition === hot.partition);
  if (keys !== undefined && keys.unkeyed > keys.records / 2) {
    return [
      `${problem}; ${keys.unkeyed} of its newest ${keys.records} have no key`,
      'the publisher must set the entity id as key: then they spread, and stay in order',
    ];
  }
  if (keys?.commonest && keys.commonest.records > keys.records / 2) {
    return [
      `${problem}; ${keys.commonest.records} of its newest ${keys.records} have the key ${quoted(keys.commonest.key)}`,
      'divide the subscription, or key by entity id ("keys and order" in docs/orion.md): one process takes a partition, however many there are',
    ];
  }
  return [
    problem,
    'look at the keys of the publisher ("keys and order" in docs/orion.md): one process takes a partition, however many there are',
  ];
}

function unkeyedSample(now: Snapshot, { topic }: AgentSight): [string, string] | undefined {
  const keys = now.keys.filter((one) => one.topic === topic);
  const records = keys.reduce((sum, one) => sum + one.records, 0);
  const unkeyed = keys.reduce((sum, one) => sum + one.unkeyed, 0);
  if (unkeyed === 0) return undefined;
  return [
    `${grouped(unkeyed)} of the newest ${grouped(records)} records in ${topic} have no key: nothing keeps an entity's records in order`,
    'the publisher must set the entity id as key',
  ];
}

function ofHealth(before: Snapshot | undefined, now: Snapshot): Finding[] {
  return now.health.flatMap((one): Finding[] => {
    if (one.kind === 'silent') {
      const problem = `${printable(one.url)} does not answer: ${printable(one.problem)}`;
      return [
        {
          code: 'silent',
          level: 'error',
          agent: '',
          problem,
          action: 'is the instance there, and its port (KAFNUS_HTTP_PORT) reachable from here?',
        },
      ];
    }
    const name = `${printable(one.agent)} ${printable(one.instance)}`;
    const found: Finding[] = [];
    if (one.problem !== null || one.stalled) {
      const why = one.problem ?? 'there is lag, and no progress';
      const problem = `${name} says${one.stalled ? ' it is stalled' : ''}: ${printable(why)}`;
      found.push({ code: 'unwell', level: 'error', agent: one.agent, problem, action: 'its log tells more' });
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

function names(topic: string, partitions: readonly Pick<Partition, 'partition'>[]): string {
  const shown = partitions.slice(0, 4).map(({ partition }) => `${topic}-${partition}`);
  return partitions.length > shown.length
    ? `${shown.join(', ')} and ${partitions.length - shown.length} more`
    : shown.join(', ');
}

function perSecond(rate: number): string {
  return `${grouped(Math.round(rate))}/s`;
}

function percent(part: number): string {
  return `${Math.round(part * 100)} %`;
}
