/** The processes of one agent: one that is left alone, and some that come and go. */
import type { AgentProcess } from '@kafnus/local-stack';
import { stopCleanly, type Fleet } from '../faults/harness/fleet.js';
import type { AgentName } from '../faults/harness/workload.js';
import { MemoryCurve } from './memory.js';

const guestNames = ['pod-1', 'pod-2'] as const;

/** A process that faults strike. */
export interface Guest {
  readonly name: string;
  readonly process: AgentProcess;
  /** When it was frozen last, in ms since the epoch. */
  frozen: number;
}

export class Crew {
  readonly agent: AgentName;
  readonly fleet: Fleet;
  /** It lives as long as the run: what it holds in memory means something. */
  readonly anchor: AgentProcess;
  readonly memory = new MemoryCurve();
  readonly #guests = new Map<string, Guest>();
  readonly #unexpected: (problem: string) => void;
  /** Names that a fault has in its hands. */
  readonly #taken = new Set<string>();
  #over = false;

  /** @param unexpected told of a process that ended by itself */
  constructor(fleet: Fleet, unexpected: (problem: string) => void) {
    this.agent = fleet.workload.agent;
    this.fleet = fleet;
    this.#unexpected = unexpected;
    this.anchor = fleet.start('pod-0');
    this.#watch('pod-0', this.anchor, () => !this.#over);
  }

  get alive(): AgentProcess[] {
    return [this.anchor, ...[...this.#guests.values()].map(({ process }) => process)];
  }

  /** Starts one more. @returns false when all are there */
  join(): boolean {
    const name = guestNames.find((candidate) => !this.#guests.has(candidate) && !this.#taken.has(candidate));
    if (name === undefined) return false;
    this.#start(name);
    return true;
  }

  /** Hands a guest out: whatever becomes of it is expected, until it is given {@link back} or its name is {@link free} again. */
  take(pick: <T>(from: readonly T[]) => T | undefined): Guest | undefined {
    const guest = pick([...this.#guests.values()]);
    if (guest === undefined) return undefined;
    this.#guests.delete(guest.name);
    this.#taken.add(guest.name);
    return guest;
  }

  back(guest: Guest): void {
    this.#taken.delete(guest.name);
    this.#guests.set(guest.name, guest);
    const { end } = guest.process;
    if (end !== undefined) this.#unexpected(this.#report(guest.name, guest.process));
  }

  free({ name }: Guest): void {
    this.#taken.delete(name);
  }

  /** Stops all as an orchestrator does. @throws Error when one does not end cleanly */
  async stop(): Promise<void> {
    this.#over = true;
    const { alive } = this;
    this.#guests.clear();
    await Promise.all(alive.map(stopCleanly));
  }

  #start(name: string): void {
    const process = this.fleet.start(name);
    this.#guests.set(name, { name, process, frozen: 0 });
    this.#watch(name, process, () => this.#guests.get(name)?.process === process);
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
