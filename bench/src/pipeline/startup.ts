/** How long an agent takes from its start until its partitions are assigned and restored. */
import { createTopics, type LocalKafka } from '@kafnus/agent-testkit';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent, type AgentName } from '../contender.js';
import { usageOf } from '../process-usage.js';
import { progress } from '../progress.js';
import { nextRun } from '../rounds.js';
import { median, rounded } from '../statistics.js';
import { shown, table } from '../table.js';
import { writeState } from './state.js';
import { typicalPartitions } from './write-backlog.js';

export interface StartupFigures {
  /** historic, on an empty topic: medians of a few starts. */
  readonly readyMs: number;
  /** lastdata, by the number of entities in its changelog. */
  readonly restores: readonly RestoreFigures[];
}

export interface RestoreFigures {
  readonly entities: number;
  readonly readyMs: number;
  /** Entities restored per second: without the time in which an agent starts anyway. */
  readonly entitiesPerSecond: number;
  readonly peakRssMb: number;
}

const starts = 3;
const sizes = [100_000, 1_000_000];

export async function measureStartup(kafka: LocalKafka): Promise<StartupFigures> {
  const { bootstrapServers: brokers } = kafka;
  const topic = 'raw_idle';
  await createTopics(brokers, [{ topic, partitions: typicalPartitions }]);
  const times: number[] = [];
  for (let start = 0; start < starts; start++) {
    times.push((await timeToReady('historic', brokers, topic, nextRun())).readyMs);
  }
  const readyMs = Math.round(median(times));
  const restores: RestoreFigures[] = [];
  for (const entities of sizes) {
    const run = nextRun();
    progress(`writing the state of ${shown(entities)} entities`);
    await writeState(brokers, run, entities, typicalPartitions);
    const ready = await timeToReady('lastdata', brokers, topic, run, entities);
    const seconds = Math.max(1, ready.readyMs - readyMs) / 1000;
    restores.push({ ...ready, entities, entitiesPerSecond: rounded(entities / seconds, 3) });
    progress(`restored ${shown(entities)} entities in ${seconds.toFixed(1)} s`);
  }
  return { readyMs, restores };
}

async function timeToReady(
  agent: AgentName,
  brokers: string,
  inputTopic: string,
  run: string,
  entities = 0,
): Promise<{ readyMs: number; peakRssMb: number }> {
  const started = performance.now();
  const running = startAgent(agent, { brokers, inputTopic, run });
  try {
    const status = await running.process.ready(120_000);
    const readyMs = Math.round(performance.now() - started);
    if ((status.stateEntries ?? 0) !== entities) {
      throw new Error(`${agent} has restored ${status.stateEntries ?? 0} of ${entities} entities`);
    }
    await sleep(100);
    return { readyMs, peakRssMb: Math.round(usageOf(running.pid).peakRssBytes / 1e6) };
  } finally {
    await running.stop();
  }
}

export function startupTable({ readyMs, restores }: StartupFigures): string {
  const heads = ['', 'ms until ready', 'entities/s', 'peak RSS MB'];
  const rows = restores.map((restore) => [
    `lastdata, ${shown(restore.entities)} entities`,
    shown(restore.readyMs),
    shown(restore.entitiesPerSecond),
    shown(restore.peakRssMb),
  ]);
  return table('Start of an agent', heads, [['historic', shown(readyMs), '', ''], ...rows]);
}
