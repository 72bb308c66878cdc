/** Section "peers": historic compared with other implementations. */
import type { LocalKafka } from '@kafnus/local-stack';
import { agentContender } from '../contender.js';
import type { Options } from '../options.js';
import { backlogTable } from '../pipeline/throughput.js';
import { writeNotifications } from '../pipeline/write-backlog.js';
import { runRounds, type BacklogFigures } from '../rounds.js';
import { shown } from '../table.js';
import { kafkaStreams, passThrough } from './contenders.js';
import { buildStreamsApplication } from './kafka-streams.js';
import { requireSameOutput } from './same-output.js';

export interface PeersResult {
  readonly records: number;
  readonly contenders: readonly BacklogFigures[];
}

/**
 * @throws Error when Kafka Streams does not write what historic writes: then there is nothing to
 * compare
 */
export async function measurePeers(kafka: LocalKafka, { records, backlogRounds }: Options): Promise<PeersResult> {
  const streams = kafkaStreams(await buildStreamsApplication());
  const historic = agentContender('historic');
  await requireSameOutput(kafka, [historic, streams]);
  const backlog = await writeNotifications(kafka, 'raw_peers', records);
  const entries = [historic, passThrough, streams].map((contender) => ({ contender, backlog }));
  return { records, contenders: await runRounds(entries, backlogRounds, { contender: historic, backlog }) };
}

export function peersTable({ records, contenders }: PeersResult): string {
  const title = `historic beside its peers: ${shown(records)} notifications, exactly once, commits every 100 ms`;
  return backlogTable(title, contenders, 'historic');
}
