/**
 * Section "growth": the cost of a record as one dimension of a deployment grows. A cost that rises
 * with the size of the deployment limits it.
 */
import type { LocalKafka } from '@kafnus/local-stack';
import { createTopics } from '@kafnus/local-stack';
import { agentContender, outputTopic, type Contender } from '../contender.js';
import { tenantNames, typicalLoad, type Load } from '../notification.js';
import type { Options } from '../options.js';
import { writeState } from '../pipeline/state.js';
import { typicalPartitions, writeNotifications } from '../pipeline/write-backlog.js';
import { runRounds, type BacklogFigures, type Entry } from '../rounds.js';
import { shown, table } from '../table.js';

interface GrowthPoint extends Omit<BacklogFigures, 'name'> {
  readonly value: number;
  readonly notifications: number;
}

interface GrowthDimension {
  readonly agent: 'historic' | 'lastdata';
  /** The growing dimension. */
  readonly dimension: string;
  readonly points: readonly GrowthPoint[];
}

export interface GrowthResult {
  readonly dimensions: readonly GrowthDimension[];
}

const entityCounts = [10_000, 100_000, 1_000_000];
const tenantCounts = [1, 10, 100, 1000];
const partitionCounts = [1, 4, 16, 64];
const entitiesOfNotification = [1, 10, 50];

export async function measureGrowth(kafka: LocalKafka, options: Options): Promise<GrowthResult> {
  const records = Math.max(50_000, Math.round(options.records / 3));
  const rounds = options.comparisonRounds;
  const dimensions: GrowthDimension[] = [];
  const add = async (
    agent: GrowthDimension['agent'],
    dimension: string,
    points: readonly (Entry & { readonly value: number })[],
  ): Promise<void> => {
    const [first] = points;
    if (first === undefined) return;
    const figures = await runRounds(points, rounds, first);
    dimensions.push({
      agent,
      dimension,
      points: figures.map(({ name: _name, ...rest }, place) => ({
        value: points[place]?.value ?? 0,
        notifications: points[place]?.backlog.records ?? 0,
        ...rest,
      })),
    });
  };
  const backlog = (topic: string, load: Partial<Load>, partitions = typicalPartitions, count = records) =>
    writeNotifications(kafka, topic, count, { ...typicalLoad, ...load }, partitions);

  const byEntities = [];
  for (const entities of entityCounts) {
    byEntities.push({
      value: entities,
      contender: lastdataWithState(entities),
      backlog: await backlog(`raw_entities_${entities}`, { entities }),
    });
  }
  await add('lastdata', 'entities in the state', byEntities);

  const byTenants = [];
  for (const tenants of tenantCounts) {
    byTenants.push({
      value: tenants,
      contender: historicWithTopics(tenants),
      backlog: await backlog(`raw_tenants_${tenants}`, { tenants }),
    });
  }
  await add('historic', 'tenants', byTenants);

  const byPartitions = [];
  for (const partitions of partitionCounts) {
    const contender = agentContender('historic', `${partitions} partitions`);
    byPartitions.push({
      value: partitions,
      contender,
      backlog: await backlog(`raw_partitions_${partitions}`, {}, partitions),
    });
  }
  await add('historic', 'partitions of the raw topic', byPartitions);

  const bySize = [];
  for (const entitiesPerNotification of entitiesOfNotification) {
    // Fewer large notifications, but enough for many transactions.
    const count = Math.min(records, Math.max(5000, Math.round((records * 3) / entitiesPerNotification)));
    bySize.push({
      value: entitiesPerNotification,
      contender: agentContender('historic', `${entitiesPerNotification} entities a notification`),
      backlog: await backlog(
        `raw_size_${entitiesPerNotification}`,
        { entitiesPerNotification },
        typicalPartitions,
        count,
      ),
    });
  }
  await add('historic', 'entities of a notification', bySize);
  return { dimensions };
}

function lastdataWithState(entities: number): Contender {
  return {
    ...agentContender('lastdata', `${shown(entities)} entities`),
    prepare: ({ brokers, run, partitions }) => writeState(brokers, run, entities, partitions),
  };
}

/** Creates the topics beforehand, so that the steady state is measured. */
function historicWithTopics(tenants: number): Contender {
  return {
    ...agentContender('historic', `${shown(tenants)} tenants`),
    async prepare({ brokers, run }) {
      await createTopics(
        brokers,
        tenantNames(tenants).map((tenant) => ({ topic: outputTopic(run, tenant), partitions: 1 })),
      );
    },
  };
}

export function growthTables({ dimensions }: GrowthResult): string {
  return dimensions
    .map(({ agent, dimension, points }) => {
      const perEntity = dimension.startsWith('entities of');
      const heads = [dimension, 'notifications/s', 'µs CPU a notification', 'peak RSS MB'];
      const rows = points.map((point) => [
        shown(point.value),
        shown(point.recordsPerSecond),
        shown(point.cpuMicrosPerRecord),
        shown(point.peakRssMb),
        ...(perEntity ? [shown(point.cpuMicrosPerRecord / point.value)] : []),
      ]);
      return table(`${agent} by ${dimension}`, [...heads, ...(perEntity ? ['µs CPU an entity'] : [])], rows);
    })
    .join('\n');
}
