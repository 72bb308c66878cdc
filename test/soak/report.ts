/** The output of the soak test, as text and as JSON. */
import type { Workload } from '../faults/harness/workload.js';
import type { Chaos } from './chaos.js';
import type { AgentGroup } from './agents.js';
import type { SoakOptions } from './options.js';

const chartWidth = 60;

export interface Progress {
  readonly ms: number;
  readonly sources: readonly Workload[];
  /** The number of records that the groups have committed. */
  readonly committed: number;
  readonly chaos: Chaos;
  readonly groups: readonly AgentGroup[];
}

export function progressLine({ ms, sources, committed, chaos, groups }: Progress): string {
  const written = sources.reduce((all, { size }) => all + size, 0);
  const memory = groups.map(({ agent, memory }) => `${agent} ${Math.round(memory.last)}`).join(' ');
  const faults = `faults ${chaos.total}, ${chaos.trouble === '' ? 'last' : 'now'}: ${chaos.trouble || chaos.last || 'none'}`;
  return `${clock(ms)}  in ${written}  done ${committed}  MB ${memory}  ${faults}`;
}

function clock(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return `${String(Math.floor(seconds / 60)).padStart(3)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** The ledger of the run: published records by their outcome. */
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
  lines.push('exactly once: every output, dead letter and log record exists once, in order');
  return lines.join('\n');
}

function columns(agent: string, tenant: string, ...counts: readonly (string | number)[]): string {
  return `  ${agent.padEnd(10)}${tenant.padEnd(10)}${counts.map((count) => String(count).padStart(10)).join('')}`;
}

/** A memory chart for the process of each agent that ran all the time. */
export function memoryReport(groups: readonly AgentGroup[], conclusive: boolean): string {
  const lines = groups.map(({ agent, memory }) => {
    const { secondThird, lastThird, flat } = memory;
    const outcome = conclusive ? (flat ? 'flat' : 'GROWS') : 'too short a run to tell';
    return `  ${agent.padEnd(10)}${memory.chart(chartWidth)}  ${secondThird} -> ${lastThird} MB  ${outcome}`;
  });
  return ['', 'resident memory of the processes that ran all the time (second third -> last third):', ...lines].join(
    '\n',
  );
}

/** The results as JSON: counts, and megabytes at each progress line. */
export function resultsOf({
  options,
  workloads,
  chaos,
  groups,
}: {
  readonly options: SoakOptions;
  readonly workloads: readonly Workload[];
  readonly chaos: Chaos;
  readonly groups: readonly AgentGroup[];
}): object {
  return {
    minutes: options.runMs / 60_000,
    rate: options.rate,
    seed: options.seed,
    faults: Object.fromEntries(chaos.counts),
    ledger: Object.fromEntries(workloads.map(({ agent, tallies }) => [agent, Object.fromEntries(tallies)])),
    memoryMb: Object.fromEntries(
      groups.map(({ agent, memory }) => [
        agent,
        { secondThird: memory.secondThird, lastThird: memory.lastThird, flat: memory.flat, samples: memory.samples },
      ]),
    ),
  };
}
