/** The agents of one test: real processes of one group, that all end with it. */
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

/** Until a group misses a dead member, in ms. */
const sessionTimeoutMs = 6000;

/** librdkafka properties of the consumer, as KAFNUS_KAFKA_CONSUMER takes them. */
export function consumer(properties: Readonly<Record<string, string | number>>): Record<string, string> {
  return { KAFNUS_KAFKA_CONSUMER: JSON.stringify(properties) };
}

/** For tests in which many members die: their successors need not wait so long. */
export const impatient = consumer({ 'session.timeout.ms': 2000, 'heartbeat.interval.ms': 500 });

const defaults = {
  ...consumer({ 'session.timeout.ms': sessionTimeoutMs, 'heartbeat.interval.ms': 1000 }),
  // A goodbye to the group is answered when the rebalance under way ends, and that waits for members that come and go on a busy
  // machine. How soon a process stops is asserted where it is the point: with {@link prompt}.
  KAFNUS_SHUTDOWN_TIMEOUT_MS: '15000',
};

/** Stops as it does in production: within 5 s, in whatever state. */
export const prompt = { KAFNUS_SHUTDOWN_TIMEOUT_MS: '4500' };

/** FAULTS_DEBUG=fetch,cgrp: what librdkafka does goes to the logs of the agents, in the temporary folder. */
function talkative(env: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
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

  /** Creates the input topic. @param env for all members */
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
      env: { ...talkative(all), ...(fault === undefined ? {} : { FAULT: fault }) },
      execArgv: fault === undefined ? [] : ['--import', failpoints],
    });
    this.#members.push(member);
    return member;
  }

  /** Writes so many records of the workload. */
  async produce(records: number, among?: readonly number[]): Promise<void> {
    await produceAll(this.kafka.internalServers, this.workload.take(records, among));
  }

  /** Writes records all the time, about so many a second, until it is stopped; a batch each `everyMs` milliseconds. */
  flow(perSecond: number, everyMs = 200): Flow {
    const flow = new Flow(this, perSecond, everyMs);
    this.#flows.push(flow);
    return flow;
  }

  /** Resolves when the group has committed all of the input. @throws Error after `timeoutMs`, or when no member is alive */
  async finished(timeoutMs = 90_000): Promise<void> {
    const { internalServers } = this.kafka;
    const { group, inputTopic, ends } = this.workload;
    const deadline = Date.now() + timeoutMs;
    let committed = new Map<number, number>();
    for (;;) {
      try {
        committed = await committedOffsets(internalServers, group, inputTopic);
      } catch {
        // Not stable while a transaction is open, and not there while a broker is away.
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
        throw new Error(`${this.workload.name}: ${problem}; committed ${offsets}\n${await this.#words()}`);
      }
      await sleep(200);
    }
  }

  /** What the members say of themselves, and the last lines of their logs. */
  async #words(): Promise<string> {
    const words = this.#members.map(async (member) => {
      const health = await member.get('/health').then(
        ({ body }) => body,
        (error: unknown) => String(error),
      );
      return `${member.logFile} ${JSON.stringify(member.end)}\n${health}\n${member.log.slice(-2000)}`;
    });
    return (await Promise.all(words)).join('\n\n');
  }

  /** Stops the members that are alive as an orchestrator does. @throws Error when one does not end cleanly */
  async stop(): Promise<void> {
    await Promise.all(this.#members.map(stopCleanly));
  }

  /** Ends everything that still runs, at once. */
  async end(): Promise<void> {
    await Promise.allSettled(this.#flows.map((flow) => flow.stop()));
    await Promise.all(this.#members.map((member) => member.kill()));
  }
}

/** Runs a test with a fleet. Members that are alive at its end have to stop cleanly; whatever happens, none is left behind. */
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
 * Whether a process that was told to stop did it in order: with 0. One in which a call of the client has never come back (librdkafka
 * issue 5456) has a thread that cannot be ended: it finishes its work all the same, and kills itself.
 */
export function endedCleanly({ end, log }: AgentProcess): boolean {
  return end?.code === 0 || (end?.signal === 'SIGKILL' && log.includes('did not come back'));
}

/** Stops a process, if it runs, as an orchestrator does. @throws Error when it does not end cleanly */
export async function stopCleanly(member: AgentProcess): Promise<void> {
  if (member.end !== undefined) return;
  const end = await member.kill('SIGTERM');
  if (!endedCleanly(member))
    throw new Error(
      `told to stop, it ended with ${JSON.stringify(end)}, see ${member.logFile}:\n${member.log.slice(-3000)}`,
    );
}

/** A producer in the background. */
export class Flow {
  #stopped = false;
  readonly #done: Promise<void>;

  constructor(fleet: Fleet, perSecond: number, everyMs: number) {
    this.#done = this.#run(fleet, perSecond, everyMs);
    // Told by stop(): a test that fails earlier must not end with an unhandled rejection.
    this.#done.catch(() => undefined);
  }

  /** Resolves when the last record is acknowledged. @throws Error when one was not */
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
