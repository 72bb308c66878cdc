/** What the suite wants to reach, and whether it does. */
import type { Machine } from './machine.js';
import { atLeastOnce, exactlyOnce, type LatencyFigures } from './pipeline/latency.js';
import { coresForConcurrency } from './pipeline/throughput.js';
import type { Results } from './results.js';
import type { BacklogFigures } from './rounds.js';
import { shown, table } from './table.js';

export interface TargetRow {
  readonly target: string;
  readonly wanted: string;
  readonly found: number | null;
  readonly verdict: 'met' | 'missed' | 'not measured' | 'not measurable here';
}

type Bound = { readonly atLeast: number } | { readonly atMost: number };

/** @param found undefined when its section did not run */
function row(target: string, bound: Bound, found: number | undefined, unit = ''): TargetRow {
  const wanted = 'atLeast' in bound ? `>= ${shown(bound.atLeast)}${unit}` : `<= ${shown(bound.atMost)}${unit}`;
  if (found === undefined) return { target, wanted, found: null, verdict: 'not measured' };
  const met = 'atLeast' in bound ? found >= bound.atLeast : found <= bound.atMost;
  return { target, wanted, found: Number(found.toPrecision(3)), verdict: met ? 'met' : 'missed' };
}

export function targetRows({ pipeline, peers, latency, restore }: Results, { cores }: Machine): TargetRow[] {
  const agent = (name: string): BacklogFigures | undefined => pipeline?.agents.find((entry) => entry.name === name);
  const peer = (name: string): BacklogFigures | undefined => peers?.contenders.find((entry) => entry.name === name);
  const late = (name: string, rate: number): LatencyFigures | undefined =>
    latency?.figures.find((entry) => entry.name === name && entry.rate === rate);
  const historic = agent('historic') ?? peer('historic');
  const beside = peer('historic')?.warm;
  const streams = peer('Kafka Streams')?.warm;
  const bare = peer('pass-through')?.warm;
  const twice = agent('historic, two processes');

  const rows = [
    row('historic on a backlog', { atLeast: 15_000 }, historic?.recordsPerSecond, '/s'),
    row('its peak memory, at first', { atMost: 250 }, historic?.peakRssMb, ' MB'),
    row('its peak memory', { atMost: 200 }, historic?.peakRssMb, ' MB'),
    row('speed, of warm Kafka Streams', { atLeast: 1 }, ratio(beside?.recordsPerSecond, streams?.recordsPerSecond)),
    row(
      'CPU a record, of warm Kafka Streams',
      { atMost: 1 },
      ratio(beside?.cpuMicrosPerRecord, streams?.cpuMicrosPerRecord),
    ),
    row('speed, of the bare pass-through', { atLeast: 0.7 }, ratio(beside?.recordsPerSecond, bare?.recordsPerSecond)),
    row(
      'lastdata, of historic',
      { atLeast: 0.8 },
      ratio(agent('lastdata')?.recordsPerSecond, historic?.recordsPerSecond),
    ),
  ];
  const concurrency = row(
    'two processes, of one',
    { atLeast: 1.5 },
    ratio(twice?.recordsPerSecond, historic?.recordsPerSecond),
  );
  rows.push(
    cores < coresForConcurrency ? { ...concurrency, found: null, verdict: 'not measurable here' } : concurrency,
  );
  for (const rate of [200, 1000]) {
    rows.push(row(`exactly once at ${shown(rate)}/s, p50`, { atMost: 25 }, late(exactlyOnce, rate)?.p50, ' ms'));
    rows.push(row(`exactly once at ${shown(rate)}/s, p99`, { atMost: 100 }, late(exactlyOnce, rate)?.p99, ' ms'));
  }
  rows.push(
    row('exactly once at 5,000/s, p99', { atMost: 200 }, late(exactlyOnce, 5000)?.p99, ' ms'),
    row('at least once at 1,000/s, p50', { atMost: 8 }, late(atLeastOnce, 1000)?.p50, ' ms'),
    row('at least once at 1,000/s, p99', { atMost: 40 }, late(atLeastOnce, 1000)?.p99, ' ms'),
  );
  const largest = restore?.restores.at(-1);
  const size = largest === undefined ? 'many' : shown(largest.entities);
  rows.push(
    row(`restore of ${size} entities`, { atLeast: 200_000 }, largest?.entitiesPerSecond, '/s'),
    row('memory an entity, restored', { atMost: 150 }, largest?.bytesPerEntity, ' bytes'),
  );
  return rows;
}

function ratio(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one / other;
}

export function targetTable(rows: readonly TargetRow[]): string {
  const measured = rows.filter(({ verdict }) => verdict !== 'not measured');
  const lines = measured.map(({ target, wanted, found, verdict }) => [
    target,
    wanted,
    found === null ? '' : shown(found),
    verdict,
  ]);
  return table('Targets', ['', 'wanted', 'found', ''], lines);
}
