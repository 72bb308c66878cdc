/** Section "pipeline": each agent on a backlog. */
import type { LocalKafka } from '@kafnus/local-stack';
import { availableParallelism } from 'node:os';
import { agentContender } from '../contender.js';
import type { Options } from '../options.js';
import { runRounds, type BacklogFigures, type Entry } from '../rounds.js';
import { shown, table } from '../table.js';
import { writeNotifications, writeSinkFailures } from './write-backlog.js';

export interface PipelineResult {
  readonly records: number;
  readonly agents: readonly BacklogFigures[];
}

/**
 * Two processes of an agent, the client's threads and the broker: on fewer cores they only take
 * turns.
 */
export const coresForConcurrency = 4;

export async function measurePipeline(kafka: LocalKafka, options: Options): Promise<PipelineResult> {
  const { records, backlogRounds: rounds, quick } = options;
  const notifications = await writeNotifications(kafka, 'raw_bench', records);
  const historic: Entry = { contender: agentContender('historic'), backlog: notifications };
  if (quick) return { records, agents: await runRounds([historic], rounds, historic) };

  const failures = await writeSinkFailures(kafka, 'raw_failures', records);
  const atLeastOnce = agentContender('historic', 'historic, at least once', { KAFNUS_DELIVERY: 'at-least-once' });
  const twice = agentContender('historic', 'historic, two processes', { KAFNUS_CONCURRENCY: '2' });
  const entries: Entry[] = [
    historic,
    { contender: agentContender('lastdata'), backlog: notifications },
    { contender: agentContender('mutable'), backlog: notifications },
    { contender: agentContender('errors'), backlog: failures },
    { contender: atLeastOnce, backlog: notifications },
    ...(availableParallelism() >= coresForConcurrency ? [{ contender: twice, backlog: notifications }] : []),
  ];
  return { records, agents: await runRounds(entries, rounds, historic) };
}

export function pipelineTables({ records, agents }: PipelineResult): string {
  const title = `Throughput of one process on a backlog of ${shown(records)} notifications (900 bytes, ten attributes, 4 partitions)`;
  return backlogTable(title, agents);
}

/** @param reference the contender that the others are compared with */
export function backlogTable(title: string, figures: readonly BacklogFigures[], reference?: string): string {
  const base = figures.find(({ name }) => name === reference);
  const heads = ['', 'records/s', 'second half', 'µs CPU a record', 'second half', 'peak RSS MB', 'first commit ms'];
  const rows = figures.map((figure) => [
    figure.name,
    shown(figure.recordsPerSecond),
    shown(figure.warm.recordsPerSecond),
    shown(figure.cpuMicrosPerRecord),
    shown(figure.warm.cpuMicrosPerRecord),
    shown(figure.peakRssMb),
    shown(figure.firstCommitMs),
    ...(base ? [(base.warm.recordsPerSecond / figure.warm.recordsPerSecond).toFixed(2)] : []),
    ...(base ? [(base.warm.cpuMicrosPerRecord / figure.warm.cpuMicrosPerRecord).toFixed(2)] : []),
  ]);
  const ratios = base ? [`${base.name}: speed`, 'CPU'] : [];
  return table(title, [...heads, ...ratios], rows);
}
