/** Problems of the keys of an input topic: skewed partitions, and records without key. Pure. */
import { grouped, quoted } from '../terminal/text.js';
import { partitionOf, type AgentSnapshot, type Snapshot } from './lag-snapshot.js';

/** With fewer records between two snapshots, their distribution over partitions is chance. */
const minFlow = 100;
/** A smaller lag is normal. */
export const minLag = 1000;

/** A partition that gets most of the records, or has most of the lag. */
export function hotPartition(
  before: Snapshot | undefined,
  now: Snapshot,
  agent: AgentSnapshot,
): [string, string] | undefined {
  const { topic, partitions } = agent;
  if (partitions.length < 2) return undefined;
  // At least three times its share, and more than half.
  const least = Math.max(0.5, Math.min(0.9, 3 / partitions.length));
  const flows = partitions.map(({ partition, end }) => {
    const earlier = before && partitionOf(before, agent, partition);
    return { partition, count: earlier === undefined ? 0 : Math.max(0, (end ?? 0) - (earlier.end ?? 0)) };
  });
  const lags = partitions.map(({ partition, lag }) => ({ partition, count: lag }));
  const hottest = (
    counts: readonly { partition: number; count: number }[],
    atLeast: number,
  ): { partition: number; part: number } | undefined => {
    const total = counts.reduce((sum, { count }) => sum + count, 0);
    const top = counts.reduce((a, b) => (b.count > a.count ? b : a));
    return total >= atLeast && top.count >= least * total
      ? { partition: top.partition, part: top.count / total }
      : undefined;
  };
  const flow = hottest(flows, minFlow);
  const hot = flow ?? hottest(lags, minLag);
  if (hot === undefined) return undefined;
  const what = flow === undefined ? 'of the lag is in' : 'of the records go to';
  const problem = `${percent(hot.part)} ${what} one of ${partitions.length} partitions, ${topic}-${hot.partition}`;
  const keys = now.keys.find((one) => one.topic === topic && one.partition === hot.partition);
  if (keys !== undefined && keys.unkeyed > keys.records / 2) {
    return [
      `${problem}; ${keys.unkeyed} of its newest ${keys.records} have no key`,
      'the producer must set the entity id as key (Orion 4.6: "key": "${id}" of kafkaCustom): the records are then distributed, and read once',
    ];
  }
  if (keys?.commonest && keys.commonest.records > keys.records / 2) {
    return [
      `${problem}; ${keys.commonest.records} of its newest ${keys.records} have the key ${quoted(keys.commonest.key)}`,
      'split the subscription, or use the entity id as key ("Record keys and order" in docs/orion.md): a partition is read by one process only',
    ];
  }
  return [
    problem,
    'check the keys of the producer ("Record keys and order" in docs/orion.md): a partition is read by one process only',
  ];
}

export function unkeyedRecords(now: Snapshot, { topic }: AgentSnapshot): [string, string] | undefined {
  const keys = now.keys.filter((one) => one.topic === topic);
  const records = keys.reduce((sum, one) => sum + one.records, 0);
  const unkeyed = keys.reduce((sum, one) => sum + one.unkeyed, 0);
  if (unkeyed === 0) return undefined;
  return [
    `${grouped(unkeyed)} of the newest ${grouped(records)} records in ${topic} have no key: agents re-key them, or do not keep the order of an entity (KAFNUS_REKEY)`,
    'the producer must set the entity id as key (Orion 4.6: "key": "${id}" of kafkaCustom)',
  ];
}

function percent(part: number): string {
  return `${Math.round(part * 100)} %`;
}
