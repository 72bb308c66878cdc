/** The performance targets, and whether they are reached. */
import type { Machine } from './machine.js';
import type { BacklogRun } from './pipeline/backlog.js';
import { atLeastOnce, exactlyOnce, type LatencyFigures } from './pipeline/latency.js';
import { coresForConcurrency } from './pipeline/throughput.js';
import type { Results } from './results.js';
import type { BacklogFigures } from './rounds.js';
import { rounded } from './statistics.js';
import { shown, table } from './table.js';

export interface TargetRow {
  readonly target: string;
  readonly wanted: string;
  readonly found: number | null;
  /** The smallest and the largest value of a round. */
  readonly range: readonly [number, number] | null;
  readonly verdict: 'met' | 'missed' | 'not measured' | 'not measurable here';
}

type Bound = { readonly atLeast: number } | { readonly atMost: number };

/** The counted value, and the values of the rounds. */
interface Found {
  readonly value: number;
  readonly rounds: readonly number[];
}

/** @param found undefined when its section did not run */
function row(target: string, bound: Bound, found: Found | undefined, unit = ''): TargetRow {
  const wanted = 'atLeast' in bound ? `>= ${shown(bound.atLeast)}${unit}` : `<= ${shown(bound.atMost)}${unit}`;
  if (found === undefined) return { target, wanted, found: null, range: null, verdict: 'not measured' };
  const { value, rounds } = found;
  const met = 'atLeast' in bound ? value >= bound.atLeast : value <= bound.atMost;
  const range = [rounded(Math.min(...rounds), 3), rounded(Math.max(...rounds), 3)] as const;
  return { target, wanted, found: rounded(value, 3), range, verdict: met ? 'met' : 'missed' };
}

export function targetRows({ pipeline, peers, latency, restore }: Results, { cores }: Machine): TargetRow[] {
  const agent = (name: string): BacklogFigures | undefined => pipeline?.agents.find((entry) => entry.name === name);
  const peer = (name: string): BacklogFigures | undefined => peers?.contenders.find((entry) => entry.name === name);
  const late = (name: string, rate: number): LatencyFigures | undefined =>
    latency?.figures.find((entry) => entry.name === name && entry.rate === rate);
  const historic = agent('historic') ?? peer('historic');
  const beside = peer('historic');
  const streams = peer('Kafka Streams');
  const twice = row(
    'two processes, of one',
    { atLeast: 1.5 },
    ratio(agent('historic, two processes'), historic, speed),
  );
  const restored = restore?.restores.at(-1);
  const entities = restored === undefined ? 'many' : shown(restored.entities);

  return [
    row('historic on a backlog', { atLeast: 15_000 }, figure(historic, speed), '/s'),
    row('its peak memory, at first', { atMost: 250 }, figure(historic, memory), ' MB'),
    row('its peak memory', { atMost: 200 }, figure(historic, memory), ' MB'),
    row('speed, of warm Kafka Streams', { atLeast: 1 }, ratio(beside, streams, warmSpeed)),
    row('CPU a record, of warm Kafka Streams', { atMost: 1 }, ratio(beside, streams, warmCpu)),
    row('speed, of the bare pass-through', { atLeast: 0.7 }, ratio(beside, peer('pass-through'), warmSpeed)),
    row('lastdata, of historic', { atLeast: 0.8 }, ratio(agent('lastdata'), agent('historic'), speed)),
    cores < coresForConcurrency ? { ...twice, verdict: 'not measurable here' } : twice,
    ...[200, 1000].flatMap((rate) => [
      row(`exactly once at ${shown(rate)}/s, p50`, { atMost: 25 }, figure(late(exactlyOnce, rate), p50), ' ms'),
      row(`exactly once at ${shown(rate)}/s, p99`, { atMost: 100 }, figure(late(exactlyOnce, rate), p99), ' ms'),
    ]),
    row('exactly once at 5,000/s, p99', { atMost: 200 }, figure(late(exactlyOnce, 5000), p99), ' ms'),
    row('at least once at 1,000/s, p50', { atMost: 8 }, figure(late(atLeastOnce, 1000), p50), ' ms'),
    row('at least once at 1,000/s, p99', { atMost: 40 }, figure(late(atLeastOnce, 1000), p99), ' ms'),
    row(
      `restore of ${entities} entities`,
      { atLeast: 200_000 },
      figure(restored, (round) => round.entitiesPerSecond),
      '/s',
    ),
    row(
      'memory an entity, restored',
      { atMost: 150 },
      figure(restored, (round) => round.bytesPerEntity),
      ' bytes',
    ),
  ];
}

const speed = (run: BacklogRun): number => run.recordsPerSecond;
const memory = (run: BacklogRun): number => run.peakRssMb;
const warmSpeed = (run: BacklogRun): number => run.warm.recordsPerSecond;
const warmCpu = (run: BacklogRun): number => run.warm.cpuMicrosPerRecord;
const p50 = (round: { readonly p50: number }): number => round.p50;
const p99 = (round: { readonly p99: number }): number => round.p99;

/** A figure of all rounds together, as its section made it of them. */
type OfRounds<Round> = Round & { readonly rounds: readonly Round[] };

function figure<Round>(all: OfRounds<Round> | undefined, of: (round: Round) => number): Found | undefined {
  return all && { value: of(all), rounds: all.rounds.map(of) };
}

/** @returns undefined when one of the two did not run */
function ratio(
  one: BacklogFigures | undefined,
  other: BacklogFigures | undefined,
  of: (run: BacklogRun) => number,
): Found | undefined {
  if (one === undefined || other === undefined) return undefined;
  const pairs = one.rounds.flatMap((run, place) => {
    const beside = other.rounds[place];
    return beside === undefined ? [] : [of(run) / of(beside)];
  });
  return { value: of(one) / of(other), rounds: pairs };
}

export function targetTable(rows: readonly TargetRow[]): string {
  const measured = rows.filter(({ verdict }) => verdict !== 'not measured');
  const lines = measured.map(({ target, wanted, found, range, verdict }) => [
    target,
    wanted,
    found === null ? '' : shown(found),
    range === null ? '' : `${shown(range[0])} to ${shown(range[1])}`,
    verdict,
  ]);
  return table('Targets', ['', 'wanted', 'found', 'its rounds', ''], lines);
}
