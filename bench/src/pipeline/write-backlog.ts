/** Fills raw topics. */
import { createTopics, produceAll, type LocalKafka, type RecordToWrite } from '@kafnus/local-stack';
import { rawRecords, sinkFailures, tenantNames, typicalLoad, type Load } from '../notification.js';
import { progress } from '../progress.js';
import type { Backlog } from './backlog.js';

export const typicalPartitions = 4;

/** A raw topic with so many notifications. */
export function writeNotifications(
  kafka: LocalKafka,
  topic: string,
  records: number,
  load: Load = typicalLoad,
  partitions = typicalPartitions,
): Promise<Backlog> {
  const outputs = records * load.entitiesPerNotification;
  return write(kafka, topic, records, load, partitions, outputs, rawRecords(topic, records, load));
}

/** A dead-letter topic with so many failures of sinks. */
export function writeSinkFailures(kafka: LocalKafka, topic: string, records: number): Promise<Backlog> {
  const failures = sinkFailures(topic, records, typicalLoad);
  return write(kafka, topic, records, typicalLoad, typicalPartitions, records, failures);
}

async function write(
  { bootstrapServers }: LocalKafka,
  topic: string,
  records: number,
  load: Load,
  partitions: number,
  outputs: number,
  content: Iterable<RecordToWrite>,
): Promise<Backlog> {
  progress(`writing ${records.toLocaleString('en')} records to ${topic}`);
  await createTopics(bootstrapServers, [{ topic, partitions }]);
  await produceAll(bootstrapServers, content);
  return { brokers: bootstrapServers, topic, partitions, records, tenants: tenantNames(load.tenants), outputs };
}
