/**
 * Section "restore": how long an agent takes to start, how fast lastdata reads its state back from
 * the changelog, and how much memory an entity takes then.
 *
 * The speed is computed from the log lines of the start of the first restore and the end of the
 * last one. The memory is the resident memory minus that of a process that is ready with an empty
 * state, so it includes garbage of the restore.
 */
import { createTopics, residentBytes, usageOf, type LocalKafka } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent, type AgentName } from '../contender.js';
import type { Options } from '../options.js';
import { writeState } from '../pipeline/state.js';
import { typicalPartitions } from '../pipeline/write-backlog.js';
import { progress } from '../progress.js';
import { nextRun } from '../rounds.js';
import { median, rounded } from '../statistics.js';
import { shown, table } from '../table.js';

export interface RestoreResult {
  /** historic, on an empty topic: median of the rounds. */
  readonly readyMs: number;
  /** lastdata, by the number of entities in its changelog: medians of the rounds. */
  readonly restores: readonly RestoreFigures[];
}

interface RestoreFigures {
  readonly entities: number;
  readonly readyMs: number;
  readonly entitiesPerSecond: number;
  readonly bytesPerEntity: number;
  /** CPU time of the whole process, from its start until it is ready, per entity. */
  readonly cpuMicrosPerEntity: number;
  readonly peakRssMb: number;
  readonly rounds: readonly { readonly entitiesPerSecond: number; readonly bytesPerEntity: number }[];
}

/** The largest is the one that the targets are set for. */
const sizes = [100_000, 1_000_000];
/** Wait after startup, in ms, for garbage collection. */
const settlingMs = 1000;

export async function measureRestore(kafka: LocalKafka, { rounds }: Options): Promise<RestoreResult> {
  const { bootstrapServers: brokers } = kafka;
  const topic = 'raw_idle';
  await createTopics(brokers, [{ topic, partitions: typicalPartitions }]);
  const again = async (agent: AgentName, run: string, entities?: number): Promise<Start[]> => {
    const starts: Start[] = [];
    for (let round = 0; round < rounds; round++) starts.push(await startOnce(agent, brokers, topic, run, entities));
    return starts;
  };
  const readyMs = medianOf(await again('historic', nextRun()), (start) => start.readyMs);
  const empty = medianOf(await again('lastdata', nextRun(), 0), (start) => start.rssBytes);
  const restores: RestoreFigures[] = [];
  for (const entities of sizes) {
    const run = nextRun();
    progress(`writing the state of ${shown(entities)} entities`);
    await writeState(brokers, run, entities, typicalPartitions);
    const starts = await again('lastdata', run, entities);
    const each = starts.map(({ restoreMs, rssBytes }) => ({
      entitiesPerSecond: rounded(entities / (restoreMs / 1000), 3),
      bytesPerEntity: Math.round((rssBytes - empty) / entities),
    }));
    const figures: RestoreFigures = {
      entities,
      readyMs: Math.round(medianOf(starts, (start) => start.readyMs)),
      entitiesPerSecond: median(each.map((start) => start.entitiesPerSecond)),
      bytesPerEntity: median(each.map((start) => start.bytesPerEntity)),
      cpuMicrosPerEntity: rounded((medianOf(starts, (start) => start.cpuMs) * 1000) / entities, 3),
      peakRssMb: Math.round(medianOf(starts, (start) => start.peakRssBytes) / 1e6),
      rounds: each,
    };
    restores.push(figures);
    progress(
      `${shown(entities)} entities: ${shown(figures.entitiesPerSecond)}/s, ${figures.bytesPerEntity} bytes an entity`,
    );
  }
  return { readyMs: Math.round(readyMs), restores };
}

interface Start {
  readonly readyMs: number;
  readonly restoreMs: number;
  readonly cpuMs: number;
  readonly rssBytes: number;
  readonly peakRssBytes: number;
}

function medianOf(starts: readonly Start[], figure: (start: Start) => number): number {
  return median(starts.map(figure));
}

/** @throws Error when another number of entities is restored than there should be */
async function startOnce(
  agent: AgentName,
  brokers: string,
  inputTopic: string,
  run: string,
  entities?: number,
): Promise<Start> {
  const started = performance.now();
  const running = startAgent(agent, { brokers, inputTopic, run });
  try {
    const { stateEntries } = await running.process.ready(120_000);
    const readyMs = performance.now() - started;
    if (entities !== undefined && stateEntries !== entities)
      throw new Error(`${agent} has restored ${stateEntries ?? 0} of ${entities} entities`);
    const { cpuMs } = usageOf(running.pid);
    await sleep(settlingMs);
    const { peakRssBytes } = usageOf(running.pid);
    const restoreMs = entities === undefined ? 0 : restoreTime(running.process.log);
    return { readyMs, restoreMs, cpuMs, rssBytes: residentBytes(running.pid), peakRssBytes };
  } finally {
    await running.stop();
  }
}

/**
 * Milliseconds between the start of the first restore and the end of the last one. @throws Error
 * when the log has no report of one
 */
function restoreTime(log: string): number {
  const times = (message: string): number[] =>
    log
      .split('\n')
      .filter((line) => line.includes(`"msg":"${message}"`))
      .map((line) => Date.parse((JSON.parse(line) as { readonly time: string }).time));
  const milliseconds = Math.max(...times('state restored')) - Math.min(...times('restoring state'));
  if (Number.isFinite(milliseconds)) return Math.max(1, milliseconds);
  throw new Error(`the log has no report of a restore:\n${log.slice(-3000)}`);
}

export function restoreTable({ readyMs, restores }: RestoreResult): string {
  const heads = ['', 'ms until ready', 'entities/s', 'bytes an entity', 'µs CPU an entity', 'peak RSS MB'];
  const rows = restores.map((restore) => [
    `lastdata, ${shown(restore.entities)} entities`,
    shown(restore.readyMs),
    shown(restore.entitiesPerSecond),
    shown(restore.bytesPerEntity),
    shown(restore.cpuMicrosPerEntity),
    shown(restore.peakRssMb),
  ]);
  return table('Start of an agent', heads, [['historic', shown(readyMs), '', '', '', ''], ...rows]);
}
