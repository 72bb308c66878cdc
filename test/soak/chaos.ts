/** Injects random faults in two independent loops: one for processes, one for the cluster. */
import type { LocalBroker, LocalKafka } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { inSync } from '../faults/harness/in-sync.js';
import { endedCleanly } from '../faults/harness/fleet.js';
import { seeded } from '../faults/harness/random.js';
import type { AgentGroup, Member } from './agents.js';

/**
 * Maximum time from SIGTERM to the end of a process, in ms: its shutdown timeout in these tests,
 * plus a margin for a busy machine.
 */
const stopMs = 20_000;
/** For this long after a cluster fault, in ms, a process may still fail to end with exit code 0. */
const aftermathMs = 15_000;
/**
 * Minimum time between two suspensions of a process, in ms: an agent that is fenced twice within a
 * minute exits.
 */
const betweenFreezesMs = 75_000;

export class Chaos {
  /** The number of injections of each fault. */
  readonly counts = new Map<string, number>();
  readonly problems: string[] = [];
  /** The current cluster fault; '' when there is none. */
  trouble = '';
  last = '';
  readonly #kafka: LocalKafka;
  readonly #groups: readonly AgentGroup[];
  readonly #random: () => number;
  readonly #pending = new Set<Promise<void>>();
  #over = false;
  #wellSince = 0;

  constructor(kafka: LocalKafka, groups: readonly AgentGroup[], seed: number) {
    this.#kafka = kafka;
    this.#groups = groups;
    this.#random = seeded(seed);
  }

  get total(): number {
    return [...this.counts.values()].reduce((all, count) => all + count, 0);
  }

  /**
   * Injects faults until {@link stop}; resolves when all faults are repaired.
   * @param outageMs duration of the single outage of the whole cluster
   */
  async run(runMs: number, outageMs: number): Promise<void> {
    await Promise.all([this.#guard(this.#processes()), this.#guard(this.#cluster(runMs, outageMs))]);
    await Promise.all(this.#pending);
  }

  stop(): void {
    this.#over = true;
  }

  async #guard(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.problems.push(String(error));
    }
  }

  async #processes(): Promise<void> {
    const faults = [
      () => this.#kill(),
      () => this.#kill(),
      () => this.#terminate(),
      () => this.#freeze(),
      () => this.#join(),
      () => this.#join(),
    ];
    while (!this.#over) {
      await this.#rest(1500, 5000);
      const strike = this.#pick(faults);
      if (strike === undefined || this.#over) continue;
      // Not awaited: processes are killed while another one is suspended.
      const struck = this.#guard(strike());
      this.#pending.add(struck);
      void struck.then(() => this.#pending.delete(struck));
    }
  }

  async #kill(): Promise<void> {
    await this.#withMember(async ({ process }, group, name) => {
      this.#record('kill -9', `${group.agent} ${name}`);
      const end = await process.kill('SIGKILL');
      if (end.signal !== 'SIGKILL') this.problems.push(`${group.agent} ${name} was killed and ended with ${text(end)}`);
      return 'gone';
    });
  }

  async #terminate(): Promise<void> {
    await this.#withMember(async ({ process }, group, name) => {
      this.#record('SIGTERM', `${group.agent} ${name}`);
      const sentAt = Date.now();
      const calm = this.#calm();
      const end = await process.kill('SIGTERM');
      const took = Date.now() - sentAt;
      // A process that has not installed its signal handlers yet is ended by the signal. A process
      // whose cluster is unreachable gives up after its shutdown timeout, with exit code 1.
      const early = end.signal === 'SIGTERM' && process.log === '';
      const excused = end.code === 1 && !(calm && this.#calm());
      if ((!endedCleanly(process) && !early && !excused) || took > stopMs)
        this.problems.push(
          `${group.agent} ${name} got SIGTERM and ended with ${text(end)} after ${took} ms, see ${process.logFile}:\n${process.log.slice(-2000)}`,
        );
      return 'gone';
    });
  }

  async #freeze(): Promise<void> {
    await this.#withMember(async (member, group, name) => {
      if (Date.now() - member.frozen < betweenFreezesMs) return 'back';
      const ms = this.#between(1000, 14_000);
      this.#record('SIGSTOP', `${group.agent} ${name} for ${seconds(ms)}`);
      member.frozen = Date.now();
      member.process.pause();
      await this.#rest(ms, ms);
      member.process.resume();
      return 'back';
    });
  }

  async #withMember(
    work: (member: Member, group: AgentGroup, name: string) => Promise<'gone' | 'back'>,
  ): Promise<void> {
    const group = this.#pick(this.#groups);
    const member = group?.take((from) => this.#pick(from));
    if (group === undefined || member === undefined) return;
    const outcome = await work(member, group, member.name);
    if (outcome === 'back') return group.back(member);
    // Half of the processes restart at once under the same name, the others at the next join.
    group.free(member);
    if (this.#random() < 0.5 && !this.#over) group.join();
  }

  async #join(): Promise<void> {
    const group = this.#pick(this.#groups);
    if (group?.join()) this.#record('join', group.agent);
  }

  async #cluster(runMs: number, outageMs: number): Promise<void> {
    // Early: the backlog that it leaves makes heaps grow once, and memory is compared over the
    // later two thirds.
    const outage = Date.now() + runMs * 0.1;
    let due = true;
    while (!this.#over) {
      await this.#rest(4000, 15_000);
      if (this.#over) return;
      if (due && Date.now() > outage) {
        due = false;
        await this.#away(outageMs);
        continue;
      }
      const broker = this.#pick(this.#kafka.brokers);
      const strike = this.#pick([
        () => this.#restart('broker killed', broker, (victim) => victim.kill()),
        () => this.#restart('broker stopped', broker, (victim) => victim.stop()),
        () => this.#stall(broker),
        () => this.#refuse(broker),
        () => this.#cut(),
      ]);
      await strike?.();
    }
  }

  async #restart(
    what: string,
    broker: LocalBroker | undefined,
    end: (broker: LocalBroker) => Promise<void>,
  ): Promise<void> {
    if (broker === undefined) return;
    const { pid } = broker;
    await this.#troubled(what, `broker ${broker.id}`, async () => {
      await end(broker);
      await this.#rest(0, 6000);
      await broker.start();
      if (broker.pid === pid) this.problems.push(`broker ${broker.id} was not restarted`);
      await inSync(this.#kafka);
    });
  }

  async #stall(broker: LocalBroker | undefined): Promise<void> {
    const ms = this.#between(1000, 12_000);
    await this.#troubled('network stalled', `broker ${broker?.id}, ${seconds(ms)}`, async () => {
      broker?.proxy?.stall();
      await this.#rest(ms, ms);
      await broker?.proxy?.resume();
    });
  }

  async #refuse(broker: LocalBroker | undefined): Promise<void> {
    const ms = this.#between(500, 8000);
    await this.#troubled('connections refused', `broker ${broker?.id}, ${seconds(ms)}`, async () => {
      await broker?.proxy?.refuse();
      await this.#rest(ms, ms);
      await broker?.proxy?.resume();
    });
  }

  async #cut(): Promise<void> {
    await this.#troubled('connections cut', 'all brokers', async () => {
      const cut = this.#kafka.brokers.reduce((all, { proxy }) => all + (proxy?.cut() ?? 0), 0);
      if (cut === 0) this.problems.push('there were no connections to cut');
    });
  }

  async #away(ms: number): Promise<void> {
    await this.#troubled('cluster away', seconds(ms), async () => {
      const stalls = this.#random() < 0.5;
      for (const { proxy } of this.#kafka.brokers) {
        if (stalls) proxy?.stall();
        else await proxy?.refuse();
      }
      const bytes = this.#bytes();
      await this.#rest(ms, ms);
      if (this.#bytes() !== bytes) this.problems.push('data was sent to an unreachable cluster');
      for (const { proxy } of this.#kafka.brokers) await proxy?.resume();
    });
  }

  #bytes(): number {
    return this.#kafka.brokers.reduce((all, { proxy }) => all + (proxy?.counters.bytes ?? 0), 0);
  }

  async #troubled(fault: string, what: string, work: () => Promise<void>): Promise<void> {
    this.#record(fault, what);
    this.trouble = this.last;
    await work();
    this.trouble = '';
    this.#wellSince = Date.now();
  }

  #calm(): boolean {
    return this.trouble === '' && Date.now() - this.#wellSince > aftermathMs;
  }

  #record(fault: string, what: string): void {
    this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
    this.last = `${fault} (${what})`;
  }

  async #rest(least: number, most: number): Promise<void> {
    for (const end = Date.now() + this.#between(least, most); Date.now() < end && !this.#over;) await sleep(100);
  }

  #between(least: number, most: number): number {
    return least + this.#random() * (most - least);
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[Math.floor(this.#random() * from.length)];
  }
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

function text(end: object): string {
  return JSON.stringify(end);
}
