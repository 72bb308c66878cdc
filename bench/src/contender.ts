/** A measured program: an agent, or a peer that does the same work in another way. */
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentProcess } from '@kafnus/local-stack';

/** One run of a contender. */
export interface Job {
  readonly brokers: string;
  readonly inputTopic: string;
  /** Unique to the run: the consumer group, and the prefix of the output topics. */
  readonly run: string;
}

/** A running contender. */
export interface Running {
  readonly pid: number;
  /** Resolves with the end of its log when the process has ended. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

export interface Contender {
  readonly name: string;
  /** Preparation that a peer needs and an agent does itself. */
  readonly prepare?: (job: Job & { readonly partitions: number }) => Promise<void>;
  start(job: Job): Running;
}

/** The topic that a contender writes to in a run, for a tenant. */
export function outputTopic(run: string, tenant: string): string {
  return `${run}_${tenant}`;
}

export type AgentName = 'historic' | 'lastdata' | 'mutable' | 'errors';

/** An agent as a process. @param env further settings */
export function agentContender(agent: AgentName, name: string = agent, env: Record<string, string> = {}): Contender {
  return { name, start: (job) => startAgent(agent, job, env) };
}

export interface RunningAgent extends Running {
  readonly process: AgentProcess;
}

export function startAgent(agent: AgentName, job: Job, env: Record<string, string> = {}): RunningAgent {
  const process = new AgentProcess({
    agent,
    brokers: job.brokers,
    env: {
      KAFNUS_GROUP_ID: job.run,
      KAFNUS_INPUT_TOPIC: job.inputTopic,
      KAFNUS_OUTPUT_TOPIC: agent === 'errors' ? `${job.run}_{db}` : `${job.run}_{service}`,
      KAFNUS_DEAD_LETTER_TOPIC: `${job.run}_dead`,
      KAFNUS_LOG_LEVEL: 'info',
      ...env,
    },
  });
  return {
    process,
    pid: process.pid,
    ended: process.ended.then(async (end) => {
      await sleep(100); // the log is written behind
      return `${JSON.stringify(end)}\n${process.log.slice(-3000)}`;
    }),
    stop: () => process.stop(),
  };
}
