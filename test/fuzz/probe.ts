/** Asks an agent every second whether it lives and is ready, as an orchestrator does. */
import type { AgentProcess } from '@kafnus/local-stack';
import type { Finding } from './checks.js';

const everyMs = 1000;
/** The timeout of the chart's liveness probe. */
const limitMs = 5000;
/** An agent that waits for a topic which it has just created says so: that is over within this. */
const unreadyMs = 5000;

export class Probe {
  slowestMs = 0;
  readonly #process: AgentProcess;
  #timer: NodeJS.Timeout | undefined;
  #problems: string[] = [];
  #asking = false;
  /** Since when it is not ready; undefined while it is. */
  #unreadySince: number | undefined;

  constructor(process: AgentProcess) {
    this.#process = process;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#ask(), everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** What was wrong since it was last asked. */
  findings(): Finding[] {
    const problems = this.#problems;
    this.#problems = [];
    return problems.map((detail) => ({ kind: 'probe', detail }));
  }

  async #ask(): Promise<void> {
    if (this.#asking || this.#process.end !== undefined) return;
    this.#asking = true;
    for (const path of ['/live', '/ready']) {
      const asked = performance.now();
      try {
        const { status, body } = await this.#process.get(path);
        if (path === '/live' && status !== 200) this.#problems.push(`/live answers ${status}: ${body.slice(0, 500)}`);
        if (path === '/ready') this.#readiness(status, body);
      } catch (error) {
        if (this.#process.end === undefined && this.#timer !== undefined)
          this.#problems.push(`${path}: ${String(error)}`);
      }
      const took = performance.now() - asked;
      this.slowestMs = Math.max(this.slowestMs, took);
      if (took > limitMs) this.#problems.push(`${path} took ${Math.round(took)} ms`);
    }
    this.#asking = false;
  }

  #readiness(status: number, body: string): void {
    const now = performance.now();
    this.#unreadySince = status === 200 ? undefined : (this.#unreadySince ?? now);
    if (this.#unreadySince !== undefined && now - this.#unreadySince > unreadyMs)
      this.#problems.push(
        `/ready answers ${status} for ${Math.round(now - this.#unreadySince)} ms: ${body.slice(0, 500)}`,
      );
  }
}
