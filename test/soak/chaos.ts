/** What strikes, and when: two hands, one for processes and one for the cluster, that know nothing of each other. */
import type { LocalBroker, LocalKafka } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { inSync } from '../faults/harness/cluster.js';
import { endedCleanly } from '../faults/harness/fleet.js';
import { seeded } from '../faults/harness/random.js';
import type { Crew, Guest } from './crew.js';

/** A process that is told to stop does it within this, in ms: its own limit in these tests, and a busy machine. */
const stopMs = 20_000;
/** How long a cluster that is well again may still keep a process from ending with 0, in ms. */
const aftermathMs = 15_000;
/** A producer that is fenced twice within a minute takes itself for a double: what sleeps too long must not do it twice. */
const betweenFreezesMs = 75_000;

export class Chaos {
  /** How often each fault struck. */
  readonly counts = new Map<string, number>();
  readonly problems: string[] = [];
  /** What is going on with the cluster; '' when all is well. */
  trouble = '';
  last = '';
  readonly #kafka: LocalKafka;
  readonly #crews: readonly Crew[];
  readonly #random: () => number;
  readonly #pending = new Set<Promise<void>>();
  #over = false;
  #wellSince = 0;

  constructor(kafka: LocalKafka, crews: readonly Crew[], seed: number) {
    this.#kafka = kafka;
    this.#crews = crews;
    this.#random = seeded(seed);
  }

  get total(): number {
    return [...this.counts.values()].reduce((all, count) => all + count, 0);
  }

  /**
   * Strikes until it is told to {@link stop}; ends when everything is repaired.
   * @param outageMs how long the whole cluster is away, once
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
      // Not awaited: while one is frozen others are killed.
      const struck = this.#guard(strike());
      this.#pending.add(struck);
      void struck.then(() => this.#pending.delete(struck));
    }
  }

  async #kill(): Promise<void> {
    await this.#withGuest(async ({ process }, crew, name) => {
      this.#tell('kill -9', `${crew.agent} ${name}`);
      const end = await process.kill('SIGKILL');
      if (end.signal !== 'SIGKILL') this.problems.push(`${crew.agent} ${name} was killed and ended with ${text(end)}`);
      return 'gone';
    });
  }

  async #terminate(): Promise<void> {
    await this.#withGuest(async ({ process }, crew, name) => {
      this.#tell('SIGTERM', `${crew.agent} ${name}`);
      const asked = Date.now();
      const calm = this.#calm();
      const end = await process.kill('SIGTERM');
      const took = Date.now() - asked;
      // One that has not come so far as to listen to signals ends by them; one whose cluster is away gives up after its limit.
      const early = end.signal === 'SIGTERM' && process.log === '';
      const excused = end.code === 1 && !(calm && this.#calm());
      if ((!endedCleanly(process) && !early && !excused) || took > stopMs)
        this.problems.push(
          `${crew.agent} ${name} was told to stop and ended with ${text(end)} after ${took} ms, see ${process.logFile}:\n${process.log.slice(-2000)}`,
        );
      return 'gone';
    });
  }

  async #freeze(): Promise<void> {
    await this.#withGuest(async (guest, crew, name) => {
      if (Date.now() - guest.frozen < betweenFreezesMs) return 'back';
      const ms = this.#between(1000, 14_000);
      this.#tell('SIGSTOP', `${crew.agent} ${name} for ${seconds(ms)}`);
      guest.frozen = Date.now();
      guest.process.pause();
      await this.#rest(ms, ms);
      guest.process.resume();
      return 'back';
    });
  }

  async #withGuest(work: (guest: Guest, crew: Crew, name: string) => Promise<'gone' | 'back'>): Promise<void> {
    const crew = this.#pick(this.#crews);
    const guest = crew?.take((from) => this.#pick(from));
    if (crew === undefined || guest === undefined) return;
    const outcome = await work(guest, crew, guest.name);
    if (outcome === 'back') return crew.back(guest);
    // Half of them are back at once, under the same name; the others when somebody joins.
    crew.free(guest);
    if (this.#random() < 0.5 && !this.#over) crew.join();
  }

  async #join(): Promise<void> {
    const crew = this.#pick(this.#crews);
    if (crew?.join()) this.#tell('join', crew.agent);
  }

  async #cluster(runMs: number, outageMs: number): Promise<void> {
    // Early: the backlog that it leaves makes heaps grow once, and memory is judged by the later two thirds.
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
      if (this.#bytes() !== bytes) this.problems.push('bytes went to a cluster that was away');
      for (const { proxy } of this.#kafka.brokers) await proxy?.resume();
    });
  }

  #bytes(): number {
    return this.#kafka.brokers.reduce((all, { proxy }) => all + (proxy?.counters.bytes ?? 0), 0);
  }

  async #troubled(fault: string, what: string, work: () => Promise<void>): Promise<void> {
    this.#tell(fault, what);
    this.trouble = this.last;
    await work();
    this.trouble = '';
    this.#wellSince = Date.now();
  }

  #calm(): boolean {
    return this.trouble === '' && Date.now() - this.#wellSince > aftermathMs;
  }

  #tell(fault: string, what: string): void {
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
