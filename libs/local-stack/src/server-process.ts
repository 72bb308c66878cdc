import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ending } from './ending.js';
import { lastLines } from './last-lines.js';

/** How a server is run. */
export interface ServerProcessPlan {
  /** Begins messages: `PostgreSQL`, `The Connect worker`. */
  readonly name: string;
  /** A command that ends when its standard input does, with all that it started. */
  readonly command: string;
  readonly args: readonly string[];
  /** All of its environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Whose rights it has, where they are not ours. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /**
   * What it prints is added to this file; the last lines of all of these end the message of a
   * failed start.
   */
  readonly logFiles: readonly [string, ...string[]];
  /** Whether it serves; asked again and again. */
  readonly isReady: () => Promise<boolean>;
  readonly startDeadlineMs: number;
  /** Ends it at once. */
  readonly end: (child: ChildProcess) => void;
}

/**
 * A server as a child process that a test may end and start again. Its standard input closes when
 * this process dies, however that happens. It has a session of its own: Ctrl-C on a terminal
 * reaches this process only, which ends its servers in the order that it likes.
 */
export class ServerProcess {
  readonly #plan: ServerProcessPlan;
  #child: ChildProcess | undefined;
  #ended: Promise<string> | undefined;

  constructor(plan: ServerProcessPlan) {
    this.#plan = plan;
  }

  /** undefined while it is down. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when it serves. @throws Error with its last words when it does not come so far */
  async start(): Promise<void> {
    const { name, command, args, env, cwd, user, logFiles, startDeadlineMs } = this.#plan;
    if (this.#child !== undefined) throw new Error(`${name} is running already (pid ${this.#child.pid})`);
    const log = openSync(logFiles[0], 'a');
    const child = spawn(command, args, { env, cwd, ...user, detached: true, stdio: ['pipe', log, log] });
    closeSync(log);
    this.#child = child;
    // Written to when it has just ended.
    child.stdin?.on('error', () => undefined);
    const ended = ending(child).then((how) => {
      this.#child = undefined;
      return how;
    });
    this.#ended = ended;

    const deadline = Date.now() + startDeadlineMs;
    let failure: string | undefined;
    void ended.then((how) => (failure = `did not start: ${how}`));
    while (failure === undefined && !(await this.#plan.isReady())) {
      await sleep(20);
      if (Date.now() > deadline) failure ??= `was not ready after ${startDeadlineMs / 1000} s`;
    }
    if (failure === undefined) return;
    await this.end();
    throw new Error(`${name} ${failure}\n${this.lastWords()}`);
  }

  /** Ends it, if it runs, and resolves when it is gone. */
  async end(): Promise<void> {
    if (this.#child === undefined) return;
    this.#plan.end(this.#child);
    await this.#ended;
  }

  /** Resolves when it is gone, with how it ended; never while it was not started. */
  ended(): Promise<string> {
    return this.#ended ?? new Promise(() => undefined);
  }

  /** The last lines of its logs. */
  lastWords(): string {
    return lastLines(this.#plan.logFiles);
  }
}
