/**
 * Rounds in turn (A B C, A B C): what disturbs the machine for a while then disturbs all contenders alike, and the median of
 * the rounds leaves it out.
 */
import type { Contender } from './contender.js';
import { runBacklog, type Backlog, type BacklogRun, type Pace } from './pipeline/backlog.js';
import { progress } from './progress.js';
import { median, rounded } from './statistics.js';

/** The medians of a contender's rounds, and the rounds. */
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
  return [...results].map(([name, all]) => ({ name, ...medians(all), rounds: all.map(roundedRun) }));
}

function line(name: string, run: BacklogRun): string {
  const { recordsPerSecond, cpuMicrosPerRecord, peakRssMb } = roundedRun(run);
  return `${name.padEnd(24)} ${recordsPerSecond}/s, ${cpuMicrosPerRecord} µs CPU a record, ${peakRssMb} MB`;
}

function medians(runs: readonly BacklogRun[]): BacklogRun {
  const of = (figure: (run: BacklogRun) => number): number => median(runs.map(figure));
  return roundedRun({
    recordsPerSecond: of((run) => run.recordsPerSecond),
    cpuMicrosPerRecord: of((run) => run.cpuMicrosPerRecord),
    warm: {
      recordsPerSecond: of((run) => run.warm.recordsPerSecond),
      cpuMicrosPerRecord: of((run) => run.warm.cpuMicrosPerRecord),
    },
    peakRssMb: of((run) => run.peakRssMb),
    firstCommitMs: of((run) => run.firstCommitMs),
  });
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
