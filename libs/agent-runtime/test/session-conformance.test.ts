import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { describeSessionConformance, MemoryCluster } from '@kafnus/agent-testkit';

for (const delivery of ['exactly-once', 'at-least-once'] as const) {
  const functions = { afterAll, beforeAll, describe, expect, test };
  const makeHarness = async (): ReturnType<Parameters<typeof describeSessionConformance>[2]> => {
    const cluster = new MemoryCluster();
    return {
      createTopic: async (topic, partitions, config) => cluster.createTopic(topic, partitions, config),
      deleteRecords: async ({ topic, partition }, before) => cluster.deleteRecords(topic, partition, before),
      recreateTopic: async (topic, partitions) => cluster.recreateTopic(topic, partitions),
      produce: async (records) => cluster.produce(records),
      readCommitted: async (topic) => cluster.read(topic),
      openSession: (options) => cluster.session(options),
      breakProducers: async (count) => void (cluster.faults.brokenProducers = count),
      brokenProducer: async () => undefined,
      quietMs: 30,
      close: async () => undefined,
    };
  };
  describeSessionConformance(functions, 'in memory', makeHarness, delivery);
}
