/** What the soak test says, to people and to machines. */
import type { Workload } from '../faults/harness/workload.js';
import type { Chaos } from './chaos.js';
import type { Crew } from './crew.js';
import type { SoakOptions } from './options.js';

const chartWidth = 60;

export interface Progress {
  readonly ms: number;
  readonly sources: readonly Workload[];
  /** Records that the groups have committed. */
  readonly committed: number;
  readonly chaos: Chaos;
  readonly crews: readonly Crew[];
}

export function progressLine({ ms, sources, committed, chaos, crews }: Progress): string {
  const written = sources.reduce((all, { size }) => all + size, 0);
  const memory = crews.map(({ agent, memory }) => `${agent} ${Math.round(memory.last)}`).join(' ');
  const faults = `faults ${chaos.total}, ${chaos.trouble === '' ? 'last' : 'now'}: ${chaos.trouble || chaos.last || 'none'}`;
  return `${clock(ms)}  in ${written}  done ${committed}  MB ${memory}  ${faults}`;
}

function clock(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return `${String(Math.floor(seconds / 60)).padStart(3)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** The ledger of the whole run: what was written, and how it ended according to the topics. */
export function summary({
  workloads,
  chaos,
}: {
  readonly workloads: readonly Workload[];
  readonly chaos: Chaos;
}): string {
  const lines = ['', columns('agent', 'tenant', 'read', 'emitted', 'skipped', 'rejected')];
  for (const { agent, tallies } of workloads) {
    for (const [tenant, { read, emitted, skipped, rejected }] of [...tallies].sort()) {
      lines.push(columns(agent, tenant, read, emitted, skipped, rejected));
    }
  }
  lines.push('', `faults: ${[...chaos.counts].map(([fault, count]) => `${fault} ${count}`).join(', ')}`);
  lines.push('exactly once: every output, dead letter and log record is there once, and in order');
  return lines.join('\n');
}

function columns(agent: string, tenant: string, ...counts: readonly (string | number)[]): string {
  return `  ${agent.padEnd(10)}${tenant.padEnd(10)}${counts.map((count) => String(count).padStart(10)).join('')}`;
}

/** A curve for each agent's process that lived all the time. */
export function memoryReport(crews: readonly Crew[], judged: boolean): string {
  const lines = crews.map(({ agent, memory }) => {
    const { secondThird, lastThird, flat } = memory;
    const verdict = judged ? (flat ? 'flat' : 'GROWS') : 'not judged: too short a run';
    return `  ${agent.padEnd(10)}${memory.chart(chartWidth)}  ${secondThird} -> ${lastThird} MB  ${verdict}`;
  });
  return ['', 'resident memory of the processes that lived all the time (second third -> last third):', ...lines].join(
    '\n',
  );
}

/** The same for machines: counts, and megabytes at each line of progress. */
export function resultsOf({
  options,
  workloads,
  chaos,
  crews,
}: {
  readonly options: SoakOptions;
  readonly workloads: readonly Workload[];
  readonly chaos: Chaos;
  readonly crews: readonly Crew[];
}): object {
  return {
    minutes: options.runMs / 60_000,
    rate: options.rate,
    seed: options.seed,
    faults: Object.fromEntries(chaos.counts),
    ledger: Object.fromEntries(workloads.map(({ agent, tallies }) => [agent, Object.fromEntries(tallies)])),
    memoryMb: Object.fromEntries(
      crews.map(({ agent, memory }) => [
        agent,
        { secondThird: memory.secondThird, lastThird: memory.lastThird, flat: memory.flat, samples: memory.samples },
      ]),
    ),
  };
}
