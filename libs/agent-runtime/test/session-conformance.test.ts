import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { describeSessionConformance, MemoryCluster } from '@kafnus/agent-testkit';

describeSessionConformance({ afterAll, beforeAll, describe, expect, test }, 'in memory', async () => {
  const cluster = new MemoryCluster();
  return {
    createTopic: async (topic, partitions, config) => cluster.createTopic(topic, partitions, config),
    produce: async (records) => cluster.produce(records),
    readCommitted: async (topic) => cluster.read(topic),
    openSession: (options) => cluster.session(options),
    quietMs: 30,
    close: async () => undefined,
  };
});
