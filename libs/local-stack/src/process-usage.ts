/** What a process and its children have used, as Linux counts it. */
import { readFileSync } from 'node:fs';

export interface Usage {
  /** User and system time of all threads, milliseconds; Linux counts in steps of ten. */
  readonly cpuMs: number;
  /** The most memory that the processes ever had resident (VmHWM), bytes, added up. */
  readonly peakRssBytes: number;
}

/** USER_HZ, which has been 100 on every architecture that Node.js runs on. */
const ticksPerSecond = 100;

/** @throws Error when the process is gone, or this is not Linux */
export function usageOf(pid: number): Usage {
  let cpuMs = 0;
  let peakRssBytes = 0;
  for (const member of withChildren(pid)) {
    // The second field is the name in brackets and may hold anything.
    const [, after = ''] = /\) (.*)$/s.exec(readFileSync(`/proc/${member}/stat`, 'utf8')) ?? [];
    const fields = after.split(' ');
    cpuMs += ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond;
    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${member}/status`, 'utf8'))?.[1];
    peakRssBytes += Number(peak ?? 0) * 1024;
  }
  return { cpuMs, peakRssBytes };
}

/**
 * The memory that the process and its children have resident now, bytes. @throws Error like
 * {@link usageOf}
 */
export function residentBytes(pid: number): number {
  return withChildren(pid).reduce((sum, member) => {
    const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${member}/status`, 'utf8'))?.[1];
    return sum + Number(resident ?? 0) * 1024;
  }, 0);
}

function withChildren(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return [pid, ...children.flatMap((child) => withChildren(Number(child)))];
}
