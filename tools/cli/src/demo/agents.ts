/** The four agents of a demo, as processes. */
import type { AgentStatus } from '@kafnus/agent-runtime';
import { AgentProcess, type ProcessEnd } from '@kafnus/local-stack';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './cluster.js';
import type { AgentName } from './expectations.js';

/** Longer than the agents' own limit (KAFNUS_SHUTDOWN_TIMEOUT_MS). */
const STOP_MS = 6000;

export class DemoAgent {
  readonly name: AgentName;
  readonly #process: AgentProcess;
  #http: string | undefined;
  /** How it ended; undefined while it runs. */
  end: ProcessEnd | undefined;
  /** What it last said about itself. */
  status: AgentStatus | undefined;

  constructor(name: AgentName, cluster: Cluster, env: Readonly<Record<string, string>>) {
    this.name = name;
    this.#process = new AgentProcess({
      agent: name,
      brokers: cluster.brokers,
      env: { ...env, ...cluster.agentEnv(name) },
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

  /** Whether it has its partitions, and their state. */
  get ready(): boolean {
    const { state, assignment = [] } = this.status ?? {};
    return (
      state === 'running' && assignment.length > 0 && assignment.every((partition) => partition.state === 'running')
    );
  }

  /** Asks for its status; keeps the last one when there is no answer. */
  async poll(): Promise<void> {
    try {
      this.status = await this.#process.health();
      // Asked for now: the log may be gone when it is wanted.
      void this.http;
    } catch {
      // Not listening yet, or ended.
    }
  }

  /** kafnus_unkeyed_records_total; NaN when there is no answer. */
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

  /** Stops it in order, or after a while by force. */
  async stop(): Promise<void> {
    if (this.end) return;
    const stopped = this.#process.kill('SIGTERM');
    const timely = await Promise.race([stopped, sleep(STOP_MS, undefined, { ref: false })]);
    if (timely === undefined) await this.#process.kill('SIGKILL');
  }

  removeLog(): void {
    rmSync(dirname(this.logFile), { recursive: true, force: true });
  }
}
