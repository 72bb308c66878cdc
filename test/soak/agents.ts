/**
 * The processes of one agent: one that runs all the time, and members that are stopped and started.
 */
import type { AgentProcess } from '@kafnus/local-stack';
import { stopCleanly, type Fleet } from '../faults/harness/fleet.js';
import type { AgentName } from '../faults/harness/workload.js';
import { MemoryCurve } from './memory.js';

const memberNames = ['pod-1', 'pod-2'] as const;

/** A process into which faults are injected. */
export interface Member {
  readonly name: string;
  readonly process: AgentProcess;
  /** The time of its last suspension, in ms since the epoch. */
  frozen: number;
}

export class AgentGroup {
  readonly agent: AgentName;
  readonly fleet: Fleet;
  /** Runs for the whole test, so that its memory can be compared over time. */
  readonly anchor: AgentProcess;
  readonly memory = new MemoryCurve();
  readonly #members = new Map<string, Member>();
  readonly #unexpected: (problem: string) => void;
  /** Names of processes with a fault in progress. */
  readonly #taken = new Set<string>();
  #over = false;

  /** @param unexpected called when a process ends by itself */
  constructor(fleet: Fleet, unexpected: (problem: string) => void) {
    this.agent = fleet.workload.agent;
    this.fleet = fleet;
    this.#unexpected = unexpected;
    this.anchor = fleet.start('pod-0');
    this.#watch('pod-0', this.anchor, () => !this.#over);
  }

  get alive(): AgentProcess[] {
    return [this.anchor, ...[...this.#members.values()].map(({ process }) => process)];
  }

  /** Starts one more member. @returns false when all are running */
  join(): boolean {
    const name = memberNames.find((candidate) => !this.#members.has(candidate) && !this.#taken.has(candidate));
    if (name === undefined) return false;
    this.#start(name);
    return true;
  }

  /**
   * Reserves a member for a fault: its end is expected until {@link back} or {@link free} is
   * called.
   */
  take(pick: <T>(from: readonly T[]) => T | undefined): Member | undefined {
    const member = pick([...this.#members.values()]);
    if (member === undefined) return undefined;
    this.#members.delete(member.name);
    this.#taken.add(member.name);
    return member;
  }

  back(member: Member): void {
    this.#taken.delete(member.name);
    this.#members.set(member.name, member);
    const { end } = member.process;
    if (end !== undefined) this.#unexpected(this.#report(member.name, member.process));
  }

  free({ name }: Member): void {
    this.#taken.delete(name);
  }

  /** Stops all processes with SIGTERM. @throws Error when one does not end cleanly */
  async stop(): Promise<void> {
    this.#over = true;
    const { alive } = this;
    this.#members.clear();
    await Promise.all(alive.map(stopCleanly));
  }

  #start(name: string): void {
    const process = this.fleet.start(name);
    this.#members.set(name, { name, process, frozen: 0 });
    this.#watch(name, process, () => this.#members.get(name)?.process === process);
  }

  #watch(name: string, process: AgentProcess, ours: () => boolean): void {
    void process.ended.then(() => {
      if (ours()) this.#unexpected(this.#report(name, process));
    });
  }

  #report(name: string, process: AgentProcess): string {
    return `${this.agent} ${name} ended with ${JSON.stringify(process.end)}, see ${process.logFile}:\n${process.log.slice(-2000)}`;
  }
}
