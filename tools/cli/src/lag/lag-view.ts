/** A snapshot as tables, or as JSON. Pure. */
import type { Style } from '../terminal/style.js';
import { table, type Cell, type Column } from '../terminal/table.js';
import { grouped, printable, wrapped } from '../terminal/text.js';
import type { LagFinding } from './lag-findings.js';
import {
  ageOf,
  agentIn,
  oldestAge,
  rateOf,
  totalLag,
  totalRate,
  type AgentSnapshot,
  type HealthResult,
  type Rate,
  type Snapshot,
} from './lag-snapshot.js';
import { durationText } from '../terminal/duration-text.js';

export interface LagView {
  readonly before: Snapshot | undefined;
  readonly now: Snapshot;
  readonly findings: readonly LagFinding[];
}

const right = 'right' as const;
const agentColumns: readonly Column[] = [
  { title: 'AGENT' },
  { title: 'GROUP', shrinks: 'cut' },
  { title: 'STATE' },
  { title: 'MEMBERS', align: right },
  { title: 'PARTITIONS', align: right },
  { title: 'IN/S', align: right },
  { title: 'OUT/S', align: right },
  { title: 'LAG', align: right },
  { title: 'OLDEST', align: right },
];
const partitionColumns: readonly Column[] = [
  { title: 'PARTITION' },
  { title: 'MEMBER', shrinks: 'cut' },
  { title: 'COMMITTED', align: right },
  { title: 'END', align: right },
  { title: 'IN/S', align: right },
  { title: 'OUT/S', align: right },
  { title: 'LAG', align: right },
  { title: 'OLDEST', align: right },
];
const instanceColumns: readonly Column[] = [
  { title: 'INSTANCE' },
  { title: 'STATE' },
  { title: 'READ/S', align: right },
  { title: 'ENTITIES', align: right },
  { title: 'RESTORE', align: right },
  { title: 'REJECTED SINCE ITS START', shrinks: 'wrap' },
];

/** @param most maximum number of partitions that are listed: those with the greatest lag */
export function lagLines(view: LagView, most: number, width: number, style: Style): string[] {
  const { before, now, findings } = view;
  const lines = table(
    agentColumns,
    now.agents.map((agent) => agentRow(before, now, agent, style)),
    width,
    style,
  );
  const waiting = now.agents
    .flatMap((agent) => agent.partitions.map((partition) => ({ agent, partition })))
    .filter(({ partition }) => partition.lag > 0 || !partition.hasLeader)
    .sort((a, b) => b.partition.lag - a.partition.lag);
  if (waiting.length > 0 && most > 0) {
    const rows = waiting.slice(0, most).map(({ agent, partition }): Cell[] => {
      const member = agent.members.find(({ partitions }) => partitions.includes(partition.partition));
      return [
        { text: `${agent.topic}-${partition.partition}` },
        { text: member === undefined ? '-' : printable(`${member.client} ${member.host}`) },
        { text: count(partition.committed) },
        { text: count(partition.end) },
        ...rateCells(rateOf(before, now, agent, partition.partition)),
        { text: grouped(partition.lag) },
        { text: age(ageOf(now, partition)) },
      ];
    });
    lines.push('', ...table(partitionColumns, rows, width, style));
    if (waiting.length > most)
      lines.push(style.dim(`and ${waiting.length - most} more partitions have lag: --json lists all`));
  }
  const instances = now.health.filter((one) => one.kind === 'health');
  if (instances.length > 0) {
    const rows = instances.map((one) => instanceRow(before, now, one));
    lines.push('', ...table(instanceColumns, rows, width, style));
  }
  lines.push('');
  if (findings.length === 0) lines.push(style.green('nothing is wrong'));
  for (const { level, problem, action } of findings) {
    const paint = level === 'error' ? style.red : style.yellow;
    const [first = '', ...rest] = wrapped(problem, width - level.length - 2);
    lines.push(`${paint(level)}: ${first}`, ...rest.map((line) => `  ${line}`));
    lines.push(
      ...wrapped(action, width - 5).map((line, index) => style.dim(`${index === 0 ? '  -> ' : '     '}${line}`)),
    );
  }
  return lines;
}

/**
 * Rejects cause no lag, so an agent that rejects every record has no finding. This hint mentions
 * them.
 */
export function rejectsHint({ health }: Snapshot): string | undefined {
  if (health.length === 0) return '--health HOST:PORT,... also shows what the instances rejected';
  const refused = health.some((one) => one.kind === 'health' && Object.keys(one.rejected).length > 0);
  return refused ? 'records were rejected: kafnus replay plan shows which, and why' : undefined;
}

/** The JSON output. Rates are null without an earlier snapshot. */
export function lagJson({ before, now, findings }: LagView): object {
  return {
    at: new Date(now.at).toISOString(),
    seconds: before === undefined ? null : (now.at - before.at) / 1000,
    agents: now.agents.map((agent) => ({
      ...agent,
      lag: totalLag(agent),
      oldestAgeMs: oldestAge(now, agent),
      rate: totalRate(before, now, agent),
      partitions: agent.partitions.map((partition) => ({
        ...partition,
        oldestAgeMs: ageOf(now, partition),
        rate: rateOf(before, now, agent, partition.partition),
        member: agent.members.find(({ partitions }) => partitions.includes(partition.partition))?.client ?? null,
      })),
    })),
    instances: now.health,
    keys: now.keys,
    findings,
  };
}

function agentRow(before: Snapshot | undefined, now: Snapshot, agent: AgentSnapshot, style: Style): Cell[] {
  const { state, members, partitions, refused } = agent;
  // When the cluster refuses, the numbers are unknown and not 0.
  const known = (value: number): Cell => ({ text: refused === null ? grouped(value) : '-' });
  const lag = totalLag(agent);
  const isHealthy = state === 'stable' || (state === 'none' && lag === 0);
  const hasRates = before !== undefined && agentIn(before, agent) !== undefined;
  return [
    { text: agent.agent },
    { text: agent.group },
    { text: agent.topicExists ? state : 'no topic', ...(isHealthy ? {} : { paint: style.yellow }) },
    known(members.length),
    known(partitions.length),
    ...rateCells(hasRates ? totalRate(before, now, agent) : null),
    known(lag),
    { text: age(oldestAge(now, agent)) },
  ];
}

function instanceRow(
  before: Snapshot | undefined,
  now: Snapshot,
  one: Extract<HealthResult, { kind: 'health' }>,
): Cell[] {
  const then = before?.health.find(
    (other) => other.kind === 'health' && other.url === one.url && other.instance === one.instance,
  );
  const seconds = before === undefined ? 0 : (now.at - before.at) / 1000;
  const read =
    then?.kind === 'health' && then.read <= one.read && seconds > 0 ? (one.read - then.read) / seconds : undefined;
  const restored = one.restoring.map(({ partition, done }) => `${partition}: ${Math.floor(done * 100)} %`).join(', ');
  const rejected = Object.entries(one.rejected).sort(([, a], [, b]) => b - a);
  return [
    { text: printable(`${one.agent} ${one.instance}`) },
    { text: printable(one.state) },
    { text: read === undefined ? '-' : grouped(Math.round(read)) },
    { text: one.stateEntries === null ? '-' : grouped(one.stateEntries) },
    { text: restored === '' ? '-' : restored },
    {
      text:
        rejected.length === 0
          ? '-'
          : rejected.map(([reason, records]) => `${printable(reason)} ${grouped(records)}`).join(', '),
    },
  ];
}

function rateCells(rate: Rate | null): [Cell, Cell] {
  const text = (value: number | undefined): Cell => ({ text: value === undefined ? '-' : grouped(Math.round(value)) });
  return [text(rate?.in), text(rate?.out)];
}

function count(value: number | null): string {
  return value === null ? '-' : grouped(value);
}

function age(ms: number | null): string {
  return ms === null ? '-' : durationText(ms);
}
