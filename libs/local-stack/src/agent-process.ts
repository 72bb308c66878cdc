/**
 * An agent as users run it: `node services/<name>/dist/main.js` with environment variables, watched
 * over HTTP.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentStatus } from '@kafnus/agent-runtime';

const root = join(import.meta.dirname, '..', '..', '..');

export interface AgentProcessOptions {
  /** `historic`, `lastdata`, ... */
  readonly agent: string;
  readonly brokers: string;
  /** Further `KAFNUS_...` variables. The HTTP port is any free one unless it is given. */
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Runs this instead of the service's main module. */
  readonly script?: string;
  /** Options of Node itself, such as `--import`. */
  readonly execArgv?: readonly string[];
}

/** How a process ended. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class AgentProcess {
  readonly child: ChildProcess;
  /** Resolves when the process has ended, however. */
  readonly ended: Promise<ProcessEnd>;
  readonly logFile: string;
  #url: string | undefined;
  #end: ProcessEnd | undefined;

  constructor(options: AgentProcessOptions) {
    const script = options.script ?? join(root, 'services', options.agent, 'dist', 'main.js');
    if (!existsSync(script)) throw new Error(`${script} is missing: build first (make build)`);
    this.logFile = join(mkdtempSync(join(tmpdir(), 'kafnus-agent-')), 'log');
    const log = createWriteStream(this.logFile);
    this.child = spawn(process.execPath, [...(options.execArgv ?? []), script, ...(options.args ?? [])], {
      env: {
        PATH: process.env['PATH'],
        KAFNUS_KAFKA_BROKERS: options.brokers,
        KAFNUS_HTTP_HOST: '127.0.0.1',
        KAFNUS_HTTP_PORT: '0',
        ...options.env,
      },
      // The channel ties the child to this process: it stops when we are gone.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    // The one that ends first must not end the log: the last words of a process that is killed come
    // by the other.
    this.child.stdout?.pipe(log, { end: false });
    this.child.stderr?.pipe(log, { end: false });
    this.child.once('close', () => log.end());
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.#url ??= /"http":"([^"]+)"/.exec(chunk.toString())?.[1];
    });
    this.ended = new Promise((resolve) => {
      this.child.once('exit', (code, signal) => {
        this.#end = { code, signal };
        resolve(this.#end);
      });
    });
  }

  /** @throws Error when it could not be started */
  get pid(): number {
    const { pid } = this.child;
    if (pid === undefined) throw new Error('the agent did not start');
    return pid;
  }

  /** What it has logged so far: for messages of failed tests. */
  get log(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8') : '';
  }

  /** How it ended; undefined while it runs. */
  get end(): ProcessEnd | undefined {
    return this.#end;
  }

  /** Freezes it (SIGSTOP): it keeps its connections and does nothing. */
  pause(): void {
    this.child.kill('SIGSTOP');
  }

  /** Ends {@link pause}. */
  resume(): void {
    this.child.kill('SIGCONT');
  }

  /** Waits until its log holds the text, also when it has ended. @throws Error after `timeoutMs` */
  async untilLogged(text: string, timeoutMs = 60_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!this.log.includes(text)) {
      if (Date.now() > deadline)
        throw new Error(`'${text}' was not logged within ${timeoutMs} ms:\n${this.log.slice(-3000)}`);
      await sleep(50);
    }
  }

  /** One answer of the HTTP interface. @throws Error when there is none */
  async get(path: string): Promise<{ readonly status: number; readonly body: string }> {
    if (this.#url === undefined) throw new Error('the agent has not told its address yet');
    const response = await fetch(`http://${this.#url}${path}`, { signal: AbortSignal.timeout(5000) });
    return { status: response.status, body: await response.text() };
  }

  async health(): Promise<AgentStatus> {
    return JSON.parse((await this.get('/health')).body) as AgentStatus;
  }

  /**
   * Waits until the condition holds for its health. @throws Error after `timeoutMs`, or when the
   * process ends
   */
  async until(what: string, condition: (status: AgentStatus) => boolean, timeoutMs = 60_000): Promise<AgentStatus> {
    const deadline = Date.now() + timeoutMs;
    let last: AgentStatus | undefined;
    while (Date.now() < deadline) {
      if (this.#end)
        throw new Error(`the agent ended (${JSON.stringify(this.#end)}) before ${what}:\n${this.log.slice(-3000)}`);
      try {
        last = await this.health();
        if (condition(last)) return last;
      } catch {
        // Not listening yet, or busy.
      }
      await sleep(50);
    }
    throw new Error(`not ${what} within ${timeoutMs} ms: ${JSON.stringify(last)}\n${this.log.slice(-3000)}`);
  }

  /** Waits until its partitions are assigned and restored. */
  ready(timeoutMs = 60_000): Promise<AgentStatus> {
    const running = ({ state, assignment }: AgentStatus): boolean =>
      state === 'running' && assignment.length > 0 && assignment.every((partition) => partition.state === 'running');
    return this.until('ready', running, timeoutMs);
  }

  /** Sends a signal and waits for the end. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<ProcessEnd> {
    this.child.kill(signal);
    return this.ended;
  }

  /** Stops it as an orchestrator does. @throws Error when it does not end with 0 */
  async stop(): Promise<void> {
    if (this.#end) return;
    const end = await this.kill('SIGTERM');
    if (end.code !== 0) throw new Error(`the agent stopped with ${JSON.stringify(end)}:\n${this.log.slice(-3000)}`);
  }
}
