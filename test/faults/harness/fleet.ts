/**
 * The agent processes of one test: members of one consumer group, all stopped at the end of the
 * test.
 */
import { AgentProcess, committedOffsets, createTopics, produceAll, type LocalKafka } from '@kafnus/local-stack';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Workload } from './workload.js';

const failpoints = fileURLToPath(new URL('failpoints.mjs', import.meta.url));

export interface MemberOptions {
  /** Failpoints, see failpoints.mjs: `kill-after-produce:500`. */
  readonly fault?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Milliseconds until the group expels a dead member. */
const sessionTimeoutMs = 6000;

/** The setting KAFNUS_KAFKA_CONSUMER with these librdkafka properties. */
export function consumer(properties: Readonly<Record<string, string | number>>): Record<string, string> {
  return { KAFNUS_KAFKA_CONSUMER: JSON.stringify(properties) };
}

/** Short session timeouts, for tests that kill many members: partitions are reassigned sooner. */
export const shortSession = consumer({ 'session.timeout.ms': 2000, 'heartbeat.interval.ms': 500 });

const defaults = {
  ...consumer({ 'session.timeout.ms': sessionTimeoutMs, 'heartbeat.interval.ms': 1000 }),
  // LeaveGroup is answered when the current rebalance ends, which takes long on a busy machine with
  // many changing members. Tests of the time that a shutdown takes use {@link promptShutdown}.
  KAFNUS_SHUTDOWN_TIMEOUT_MS: '15000',
};

/** The shutdown timeout of production: a process stops within 5 s in any state. */
export const promptShutdown = { KAFNUS_SHUTDOWN_TIMEOUT_MS: '4500' };

/**
 * With FAULTS_DEBUG=fetch,cgrp, librdkafka's debug contexts are written to the agents' log files in
 * the temporary folder.
 */
function withDebugLogs(env: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const debug = process.env['FAULTS_DEBUG'];
  if (debug === undefined) return env;
  const properties = JSON.parse(env['KAFNUS_KAFKA_CONSUMER'] ?? '{}') as Record<string, string | number>;
  return { ...env, ...consumer({ ...properties, debug }), KAFNUS_LOG_LEVEL: 'debug' };
}

export class Fleet {
  readonly kafka: LocalKafka;
  readonly workload: Workload;
  readonly #env: Readonly<Record<string, string>>;
  readonly #members: AgentProcess[] = [];
  #flows: Flow[] = [];

  private constructor(kafka: LocalKafka, workload: Workload, env: Readonly<Record<string, string>>) {
    this.kafka = kafka;
    this.workload = workload;
    this.#env = env;
  }

  /** Creates the input topic. @param env variables of all members */
  static async of(kafka: LocalKafka, workload: Workload, env: Readonly<Record<string, string>> = {}): Promise<Fleet> {
    await createTopics(kafka.internalServers, [{ topic: workload.inputTopic, partitions: workload.partitions }]);
    return new Fleet(kafka, workload, env);
  }

  /** Starts a member. */
  start(instance: string, { fault, env }: MemberOptions = {}): AgentProcess {
    const all = { ...defaults, ...this.workload.env, ...this.#env, ...env, KAFNUS_INSTANCE_ID: instance };
    const member = new AgentProcess({
      agent: this.workload.agent,
      brokers: this.kafka.bootstrapServers,
      env: { ...withDebugLogs(all), ...(fault === undefined ? {} : { FAULT: fault }) },
      execArgv: fault === undefined ? [] : ['--import', failpoints],
    });
    this.#members.push(member);
    return member;
  }

  /** Publishes the next `records` records of the workload. */
  async produce(records: number, among?: readonly number[]): Promise<void> {
    await produceAll(this.kafka.internalServers, this.workload.take(records, among));
  }

  /**
   * Publishes about `perSecond` records a second until it is stopped, a batch every `everyMs`
   * milliseconds.
   */
  flow(perSecond: number, everyMs = 200): Flow {
    const flow = new Flow(this, perSecond, everyMs);
    this.#flows.push(flow);
    return flow;
  }

  /**
   * Waits until the group has committed all of the input. @throws Error after `timeoutMs`, or when
   * no member is running
   */
  async finished(timeoutMs = 90_000): Promise<void> {
    const { internalServers } = this.kafka;
    const { group, inputTopic, ends } = this.workload;
    const deadline = Date.now() + timeoutMs;
    let committed = new Map<number, number>();
    for (;;) {
      try {
        committed = await committedOffsets(internalServers, group, inputTopic);
      } catch {
        // Offsets are unstable while a transaction is open, and unavailable while a broker is down.
      }
      if (ends.every((end, partition) => (committed.get(partition) ?? 0) === end)) return;
      const problem =
        Date.now() > deadline
          ? `not finished within ${timeoutMs} ms`
          : this.#members.every(({ end }) => end !== undefined)
            ? 'no member is alive'
            : undefined;
      if (problem !== undefined) {
        const offsets = ends.map((end, partition) => `${committed.get(partition) ?? 0}/${end}`).join(' ');
        throw new Error(`${this.workload.name}: ${problem}; committed ${offsets}\n${await this.#diagnostics()}`);
      }
      await sleep(200);
    }
  }

  /** `/health` of the members and the last lines of their logs. */
  async #diagnostics(): Promise<string> {
    const diagnostics = this.#members.map(async (member) => {
      const health = await member.get('/health').then(
        ({ body }) => body,
        (error: unknown) => String(error),
      );
      return `${member.logFile} ${JSON.stringify(member.end)}\n${health}\n${member.log.slice(-2000)}`;
    });
    return (await Promise.all(diagnostics)).join('\n\n');
  }

  /**
   * Stops the running members with SIGTERM, as an orchestrator does. @throws Error when one does
   * not end cleanly
   */
  async stop(): Promise<void> {
    await Promise.all(this.#members.map(stopCleanly));
  }

  /** Kills all processes that still run. */
  async end(): Promise<void> {
    await Promise.allSettled(this.#flows.map((flow) => flow.stop()));
    await Promise.all(this.#members.map((member) => member.kill()));
  }
}

/**
 * Runs a test with a fleet. Members that run at its end must stop cleanly, and all are killed when
 * the test fails.
 */
export async function withFleet(
  kafka: LocalKafka,
  workload: Workload,
  env: Readonly<Record<string, string>>,
  work: (fleet: Fleet) => Promise<void>,
): Promise<void> {
  const fleet = await Fleet.of(kafka, workload, env);
  try {
    await work(fleet);
    await fleet.stop();
  } finally {
    await fleet.end();
  }
}

/**
 * Whether a process ended cleanly after SIGTERM: with exit code 0. A process with a client call
 * that never returned (librdkafka issue 5456) has a thread that cannot be stopped: it finishes its
 * work and sends itself SIGKILL.
 */
export function endedCleanly({ end, log }: AgentProcess): boolean {
  return end?.code === 0 || (end?.signal === 'SIGKILL' && log.includes('did not come back'));
}

/** Stops a running process with SIGTERM. @throws Error when it does not end cleanly */
export async function stopCleanly(member: AgentProcess): Promise<void> {
  if (member.end !== undefined) return;
  const end = await member.kill('SIGTERM');
  if (!endedCleanly(member))
    throw new Error(
      `after SIGTERM it ended with ${JSON.stringify(end)}, see ${member.logFile}:\n${member.log.slice(-3000)}`,
    );
}

/** A producer in the background. */
export class Flow {
  #stopped = false;
  readonly #done: Promise<void>;

  constructor(fleet: Fleet, perSecond: number, everyMs: number) {
    this.#done = this.#run(fleet, perSecond, everyMs);
    // stop() reports the error. Without this handler, a test that fails earlier would end with an
    // unhandled rejection.
    this.#done.catch(() => undefined);
  }

  /** Waits until the last record is acknowledged. @throws Error when a record was not */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  async #run(fleet: Fleet, perSecond: number, everyMs: number): Promise<void> {
    const started = Date.now();
    let written = 0;
    while (!this.#stopped) {
      const due = Math.floor(((Date.now() - started) / 1000) * perSecond) - written;
      if (due > 0) {
        await fleet.produce(due);
        written += due;
      }
      await sleep(everyMs);
    }
  }
}
