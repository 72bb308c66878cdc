import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ending } from './ending.js';
import type { KafkaDistribution } from './kafka-distribution.js';
import { lastLines } from './last-lines.js';
import type { TcpProxy } from './tcp-proxy.js';

/**
 * One broker (and controller) of a local Kafka: a Java process that a test may kill, freeze and
 * start again.
 */
export interface LocalBroker {
  readonly id: number;
  /**
   * The port that clients use: the proxy's, when there is one. It stays the same when the broker is
   * started again.
   */
  readonly port: number;
  /** undefined while the broker is down. */
  readonly pid: number | undefined;
  /** What the broker logs. */
  readonly logFile: string;
  /** Stands between the clients and this broker; only with `proxied: true`. */
  readonly proxy: TcpProxy | undefined;
  /**
   * Sends a signal that ends the process and resolves when it is gone. Default SIGKILL: a crash.
   */
  kill(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  /** A controlled shutdown; a broker that is not gone after 30 s is killed. */
  stop(): Promise<void>;
  /** Starts the broker on the same ports and data, and resolves when it serves clients. */
  start(): Promise<void>;
  /**
   * Resolves when the process is gone, whoever ended it, with how and its last words; never before
   * the first start.
   */
  ended(): Promise<string>;
  /**
   * Freezes the process (SIGSTOP): it keeps its connections and answers nothing. A frozen broker is
   * the one thing that outlives a parent that a signal kills.
   */
  pause(): void;
  /** Ends {@link pause}. */
  resume(): void;
}

/** How one broker is run. */
export interface BrokerProcessPlan {
  readonly id: number;
  readonly port: number;
  readonly logFile: string;
  readonly proxy: TcpProxy | undefined;
  readonly java: string;
  readonly javaArguments: readonly string[];
  /** Resolves when the rest of the cluster and its clients can see the broker. */
  readonly visible: () => Promise<void>;
}

/** The command line of a {@link BrokerProcess}. */
export function brokerArguments(
  { log4jConfig, classPath }: KafkaDistribution,
  plan: {
    readonly jvmOptions: readonly string[];
    readonly logFile: string;
    readonly config: string;
    readonly clusterId: string;
    /** Deleted when the parent dies. */
    readonly scratch: string;
  },
): string[] {
  const log = [`-Dkafnus.log=${plan.logFile}`, `-Dlog4j2.configurationFile=${log4jConfig}`];
  const main = ['-cp', classPath, 'kafnus.stack.Broker', plan.config, plan.clusterId, plan.scratch];
  return [...plan.jvmOptions, ...log, ...main];
}

/**
 * How long the start of a broker may take, in ms: several of them on a busy machine with two cores.
 */
const START_DEADLINE = 90_000;
const STOP_DEADLINE = 30_000;

/** A broker as a child process; it is not running before start(). */
export class BrokerProcess implements LocalBroker {
  readonly id: number;
  readonly port: number;
  readonly logFile: string;
  readonly proxy: TcpProxy | undefined;
  readonly #plan: BrokerProcessPlan;
  #child: ChildProcess | undefined;
  #ended: Promise<string> | undefined;

  constructor(plan: BrokerProcessPlan) {
    this.id = plan.id;
    this.port = plan.port;
    this.logFile = plan.logFile;
    this.proxy = plan.proxy;
    this.#plan = plan;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async start(): Promise<void> {
    await this.launch();
    await this.#plan.visible();
  }

  /**
   * Starts the process and resolves when the broker says that it is up: the others may not know it
   * yet.
   */
  async launch(): Promise<void> {
    if (this.#child !== undefined) throw new Error(`Broker ${this.id} is running already (pid ${this.#child.pid})`);
    const errors = openSync(`${this.logFile}.err`, 'a');
    // Standard input is never written to: the broker dies when it closes, that is, when this
    // process dies.
    const child = spawn(this.#plan.java, this.#plan.javaArguments, { stdio: ['pipe', 'pipe', errors] });
    closeSync(errors);
    this.#child = child;
    // A frozen broker would not notice that its parent is gone.
    const thaw = (): void => void child.kill('SIGCONT');
    process.once('exit', thaw);
    const ended = ending(child).then((how) => {
      this.#child = undefined;
      process.off('exit', thaw);
      return how;
    });
    this.#ended = ended;
    const outcome = await Promise.race([saysReady(child), ended, sleep(START_DEADLINE, 'timeout', { ref: false })]);
    if (outcome === 'ready') return;
    await this.kill();
    const what = outcome === 'timeout' ? `was not ready after ${START_DEADLINE / 1000} s` : `did not start: ${outcome}`;
    throw new Error(`Broker ${this.id} ${what}\n${this.#lastWords()}`);
  }

  ended(): Promise<string> {
    const ended = this.#ended ?? new Promise<string>(() => undefined);
    return ended.then((how) => `Broker ${this.id}: ${how}\n${this.#lastWords()}`);
  }

  #lastWords(): string {
    return lastLines([`${this.logFile}.err`, this.logFile]);
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const gone = this.#ended;
    child.kill(signal);
    // A frozen process handles SIGTERM only when it goes on.
    child.kill('SIGCONT');
    await gone;
  }

  async stop(): Promise<void> {
    const deadline = setTimeout(() => void this.kill(), STOP_DEADLINE);
    await this.kill('SIGTERM');
    clearTimeout(deadline);
  }

  pause(): void {
    this.#running().kill('SIGSTOP');
  }

  resume(): void {
    this.#running().kill('SIGCONT');
  }

  #running(): ChildProcess {
    if (this.#child === undefined) throw new Error(`Broker ${this.id} is not running`);
    return this.#child;
  }
}

function saysReady(child: ChildProcess): Promise<'ready'> {
  return new Promise((resolve) => {
    let said = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (/^ready$/m.test(said)) resolve('ready');
    });
  });
}
