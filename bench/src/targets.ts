/**
 * What the suite wants to reach, and whether it does. A ratio is the median of the rounds' ratios: in one round the two ran one
 * after the other, on the same machine in the same mood.
 */
import type { Machine } from './machine.js';
import type { BacklogRun } from './pipeline/backlog.js';
import { atLeastOnce, exactlyOnce } from './pipeline/latency.js';
import { coresForConcurrency } from './pipeline/throughput.js';
import type { Results } from './results.js';
import { median, rounded } from './statistics.js';
import { shown, table } from './table.js';

export interface TargetRow {
  readonly target: string;
  readonly wanted: string;
  readonly found: number | null;
  /** The least and the greatest of the rounds: a verdict with its bound between them may turn out otherwise another time. */
  readonly range: readonly [number, number] | null;
  readonly verdict: 'met' | 'missed' | 'not measured' | 'not measurable here';
}

type Bound = { readonly atLeast: number } | { readonly atMost: number };

/** @param rounds what each round found; undefined when its section did not run */
function row(target: string, bound: Bound, rounds: readonly number[] | undefined, unit = ''): TargetRow {
  const wanted = 'atLeast' in bound ? `>= ${shown(bound.atLeast)}${unit}` : `<= ${shown(bound.atMost)}${unit}`;
  if (rounds === undefined) return { target, wanted, found: null, range: null, verdict: 'not measured' };
  const found = median(rounds);
  const met = 'atLeast' in bound ? found >= bound.atLeast : found <= bound.atMost;
  const range = [rounded(Math.min(...rounds), 3), rounded(Math.max(...rounds), 3)] as const;
  return { target, wanted, found: rounded(found, 3), range, verdict: met ? 'met' : 'missed' };
}

export function targetRows({ pipeline, peers, latency, restore }: Results, { cores }: Machine): TargetRow[] {
  const agent = (name: string): Rounds | undefined => pipeline?.agents.find((entry) => entry.name === name)?.rounds;
  const peer = (name: string): Rounds | undefined => peers?.contenders.find((entry) => entry.name === name)?.rounds;
  const late = (name: string, rate: number, part: 'p50' | 'p99'): number[] | undefined =>
    latency?.figures.find((entry) => entry.name === name && entry.rate === rate)?.rounds.map((round) => round[part]);
  const historic = agent('historic') ?? peer('historic');
  const beside = peer('historic');
  const streams = peer('Kafka Streams');
  const concurrency = ratios(agent('historic, two processes'), historic, speed);
  const restores = restore?.restores.at(-1);
  const entities = restores === undefined ? 'many' : shown(restores.entities);

  return [
    row('historic on a backlog', { atLeast: 15_000 }, historic?.map(speed), '/s'),
    row('its peak memory, at first', { atMost: 250 }, historic?.map(memory), ' MB'),
    row('its peak memory', { atMost: 200 }, historic?.map(memory), ' MB'),
    row('speed, of warm Kafka Streams', { atLeast: 1 }, ratios(beside, streams, warmSpeed)),
    row('CPU a record, of warm Kafka Streams', { atMost: 1 }, ratios(beside, streams, warmCpu)),
    row('speed, of the bare pass-through', { atLeast: 0.7 }, ratios(beside, peer('pass-through'), warmSpeed)),
    row('lastdata, of historic', { atLeast: 0.8 }, ratios(agent('lastdata'), agent('historic'), speed)),
    cores < coresForConcurrency
      ? { ...row('two processes, of one', { atLeast: 1.5 }, undefined), verdict: 'not measurable here' }
      : row('two processes, of one', { atLeast: 1.5 }, concurrency),
    ...[200, 1000].flatMap((rate) => [
      row(`exactly once at ${shown(rate)}/s, p50`, { atMost: 25 }, late(exactlyOnce, rate, 'p50'), ' ms'),
      row(`exactly once at ${shown(rate)}/s, p99`, { atMost: 100 }, late(exactlyOnce, rate, 'p99'), ' ms'),
    ]),
    row('exactly once at 5,000/s, p99', { atMost: 200 }, late(exactlyOnce, 5000, 'p99'), ' ms'),
    row('at least once at 1,000/s, p50', { atMost: 8 }, late(atLeastOnce, 1000, 'p50'), ' ms'),
    row('at least once at 1,000/s, p99', { atMost: 40 }, late(atLeastOnce, 1000, 'p99'), ' ms'),
    row(
      `restore of ${entities} entities`,
      { atLeast: 200_000 },
      restores?.rounds.map((round) => round.entitiesPerSecond),
      '/s',
    ),
    row(
      'memory an entity, restored',
      { atMost: 150 },
      restores?.rounds.map((round) => round.bytesPerEntity),
      ' bytes',
    ),
  ];
}

type Rounds = readonly BacklogRun[];
type Figure = (round: BacklogRun) => number;

const speed: Figure = (round) => round.recordsPerSecond;
const memory: Figure = (round) => round.peakRssMb;
const warmSpeed: Figure = (round) => round.warm.recordsPerSecond;
const warmCpu: Figure = (round) => round.warm.cpuMicrosPerRecord;

/** Round by round; undefined when one of the two did not run. */
function ratios(ones: Rounds | undefined, others: Rounds | undefined, figure: Figure): number[] | undefined {
  return ones?.flatMap((one, place) => {
    const other = others?.[place];
    return other === undefined ? [] : [figure(one) / figure(other)];
  });
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
