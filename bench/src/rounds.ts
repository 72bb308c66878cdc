/**
 * Runs rounds in alternation (A B C, A B C), and adds up all rounds of a contender. Disturbances on
 * shared cores, which last for minutes, then affect all contenders equally. Of the statistics that
 * were tried (best, medians, the median of the pairs' ratios), the ratio of such sums varies least
 * between benchmarks.
 */
import type { Contender } from './contender.js';
import { runBacklog, type Backlog, type BacklogRun, type Pace } from './pipeline/backlog.js';
import { progress } from './progress.js';
import { harmonicMean, mean, median, rounded } from './statistics.js';

/**
 * A contender's speed and CPU over all rounds, its median in memory and first commit; and the
 * rounds.
 */
export interface BacklogFigures extends BacklogRun {
  readonly name: string;
  readonly rounds: readonly BacklogRun[];
}

export interface Entry {
  readonly contender: Contender;
  readonly backlog: Backlog;
}

let runs = 0;

/** A name for consumer group and topics that no other run has. */
export function nextRun(): string {
  runs += 1;
  return `run${runs}`;
}

/** @param rounds how often each contender runs, after one round that does not count */
export async function runRounds(entries: readonly Entry[], rounds: number, warmUp: Entry): Promise<BacklogFigures[]> {
  progress('a first run that does not count: it warms the broker up');
  await runBacklog(warmUp.contender, warmUp.backlog, nextRun());
  const results = new Map<string, BacklogRun[]>();
  for (let round = 1; round <= rounds; round++) {
    for (const { contender, backlog } of entries) {
      const result = await runBacklog(contender, backlog, nextRun());
      results.set(contender.name, [...(results.get(contender.name) ?? []), result]);
      progress(`round ${round}/${rounds}  ${line(contender.name, result)}`);
    }
  }
  return [...results].map(([name, all]) => ({ name, ...together(all), rounds: all.map(roundedRun) }));
}

function line(name: string, run: BacklogRun): string {
  const { recordsPerSecond, cpuMicrosPerRecord, peakRssMb } = roundedRun(run);
  return `${name.padEnd(24)} ${recordsPerSecond}/s, ${cpuMicrosPerRecord} µs CPU a record, ${peakRssMb} MB`;
}

function together(runs: readonly BacklogRun[]): BacklogRun {
  return roundedRun({
    ...overall(runs),
    warm: overall(runs.map(({ warm }) => warm)),
    peakRssMb: median(runs.map(({ peakRssMb }) => peakRssMb)),
    firstCommitMs: median(runs.map(({ firstCommitMs }) => firstCommitMs)),
  });
}

/** All records by all time: the runs are equally long in records. */
function overall(paces: readonly Pace[]): Pace {
  return {
    recordsPerSecond: harmonicMean(paces.map(({ recordsPerSecond }) => recordsPerSecond)),
    cpuMicrosPerRecord: mean(paces.map(({ cpuMicrosPerRecord }) => cpuMicrosPerRecord)),
  };
}

function roundedRun(run: BacklogRun): BacklogRun {
  return {
    ...roundedPace(run),
    warm: roundedPace(run.warm),
    peakRssMb: Math.round(run.peakRssMb),
    firstCommitMs: Math.round(run.firstCommitMs),
  };
}

function roundedPace({ recordsPerSecond, cpuMicrosPerRecord }: Pace): Pace {
  return { recordsPerSecond: rounded(recordsPerSecond, 3), cpuMicrosPerRecord: rounded(cpuMicrosPerRecord, 3) };
}
