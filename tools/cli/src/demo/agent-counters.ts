/** The counters of the agents as a table. */
import type { AgentStatus } from '@kafnus/agent-runtime';
import type { Style } from '../terminal/style.js';
import { table, type Cell } from '../terminal/table.js';
import { grouped } from '../terminal/text.js';
import type { AgentName } from './demo-expectations.js';

export interface AgentCounters {
  readonly name: AgentName;
  /** Undefined until the agent has answered. */
  readonly status: AgentStatus | undefined;
  readonly ready: boolean;
  readonly ended: boolean;
  /** The number of records that it must read; undefined while it is unknown. */
  readonly expected: number | undefined;
}

export function counterLines(agents: readonly AgentCounters[], width: number, style: Style): string[] {
  const rows = agents.map(({ name, status, ready, ended, expected }): Cell[] => {
    const { read = 0, emitted = 0, skipped = {}, rejected = {} } = status?.ledger ?? {};
    const state = ended ? 'ended' : (status?.problem ?? (ready ? 'running' : status ? 'joining' : 'starting'));
    return [
      { text: name, paint: style.bold },
      { text: state, paint: ended ? style.red : ready ? style.green : style.yellow },
      { text: expected === undefined ? grouped(read) : `${grouped(read)}/${grouped(expected)}` },
      { text: grouped(emitted), paint: style.green },
      { text: reasons(skipped), paint: style.cyan },
      { text: reasons(rejected), paint: style.yellow },
    ];
  });
  const columns = [
    { title: 'agent' },
    { title: 'state', shrinks: 'cut' },
    { title: 'read', align: 'right' },
    { title: 'emitted', align: 'right' },
    { title: 'skipped' },
    { title: 'rejected' },
  ] as const;
  return table(columns, rows, width - 2, style).map((line) => `  ${line}`);
}

/** `2 stale, 1 empty`, or `-`. */
export function reasons(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([reason, count]) => `${grouped(count)} ${reason}`);
  return parts.length === 0 ? '-' : parts.join(', ');
}
