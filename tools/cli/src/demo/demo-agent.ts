/** An agent of the demo, as a process. */
import type { AgentStatus } from '@kafnus/agent-runtime';
import { AgentProcess, type ProcessEnd } from '@kafnus/local-stack';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DemoKafka } from './demo-kafka.js';
import type { AgentName } from './demo-expectations.js';

/** Longer than the agents' own limit (KAFNUS_SHUTDOWN_TIMEOUT_MS). */
const stopTimeoutMs = 6000;

export class DemoAgent {
  readonly name: AgentName;
  readonly #process: AgentProcess;
  #http: string | undefined;
  /** How it ended; undefined while it runs. */
  end: ProcessEnd | undefined;
  /** Its last status. */
  status: AgentStatus | undefined;

  constructor(name: AgentName, kafka: DemoKafka, env: Readonly<Record<string, string>>) {
    this.name = name;
    this.#process = new AgentProcess({
      agent: name,
      brokers: kafka.brokers,
      env: { ...env, ...kafka.agentEnv(name) },
    });
    void this.#process.ended.then((end) => (this.end = end));
  }

  /** host:port of its HTTP interface, once it has logged it. */
  get http(): string | undefined {
    return (this.#http ??= /"http":"([^"]+)"/.exec(this.#process.log)?.[1]);
  }

  get logFile(): string {
    return this.#process.logFile;
  }

  /** Whether its partitions are assigned and their state is restored. */
  get ready(): boolean {
    const { state, assignment = [] } = this.status ?? {};
    return (
      state === 'running' && assignment.length > 0 && assignment.every((partition) => partition.state === 'running')
    );
  }

  /** Fetches its status. Keeps the last one when the agent does not answer. */
  async poll(): Promise<void> {
    try {
      this.status = await this.#process.health();
      // Stores the address: the log file may be deleted when it is needed.
      void this.http;
    } catch {
      // It does not listen yet, or has ended.
    }
  }

  /** kafnus_unkeyed_records_total; NaN when the agent does not answer. */
  async unkeyed(): Promise<number> {
    try {
      const { body } = await this.#process.get('/metrics');
      return Number(/^kafnus_unkeyed_records_total(?:\{[^}]*\})? (\S+)/m.exec(body)?.[1] ?? Number.NaN);
    } catch {
      return Number.NaN;
    }
  }

  lastLogLines(count: number): string[] {
    return this.#process.log.trimEnd().split('\n').slice(-count);
  }

  /** Sends SIGTERM, and SIGKILL when it does not end in time. */
  async stop(): Promise<void> {
    if (this.end) return;
    const stopped = this.#process.kill('SIGTERM');
    const timely = await Promise.race([stopped, sleep(stopTimeoutMs, undefined, { ref: false })]);
    if (timely === undefined) await this.#process.kill('SIGKILL');
  }

  removeLog(): void {
    rmSync(dirname(this.logFile), { recursive: true, force: true });
  }
}
