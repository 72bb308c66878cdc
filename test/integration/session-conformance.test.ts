import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { KafkaSession, loadConfig, type RuntimeConfig } from '@kafnus/agent-runtime';
import { createTopics, describeSessionConformance, produceAll, readAll, startLocalKafka, withKafka } from '@kafnus/agent-testkit';

function configOf(env: Record<string, string>): RuntimeConfig {
  const outcome = loadConfig({ name: 'conformance', settings: {} }, { argv: [], env });
  if (outcome.kind !== 'run') throw new Error('a configuration was asked for');
  return outcome.config;
}

function conformance(name: string, consumer: Record<string, string | number>): void {
  describeSessionConformance(
    { afterAll, beforeAll, describe: withKafka(describe), expect, test },
    name,
    async () => {
      const kafka = await startLocalKafka();
      const servers = kafka.bootstrapServers;
      return {
        createTopic: (topic, partitions, config = {}) => createTopics(servers, [{ topic, partitions, config }]),
        produce: (records) => produceAll(servers, records),
        readCommitted: (topic) => readAll(servers, topic),
        openSession: ({ inputTopic, groupId, instanceId, batchSize }) =>
          new KafkaSession({
            agent: 'conformance',
            inputTopic,
            config: configOf({
              KAFNUS_KAFKA_BROKERS: servers,
              KAFNUS_GROUP_ID: groupId,
              KAFNUS_INSTANCE_ID: instanceId,
              KAFNUS_BATCH_SIZE: String(batchSize),
              KAFNUS_KAFKA_CONSUMER: JSON.stringify(consumer),
            }),
            listener: {
              topicCreated: () => undefined,
              brokerProblem: () => undefined,
              clusterAway: () => undefined,
              commitRetry: () => undefined,
              clientLog: () => undefined,
            },
          }),
        quietMs: 700,
        close: () => kafka.stop(),
      };
    },
  );
}

conformance('a real Kafka', {});
// The coordinator assigns here (KIP-848), and tells members in another way.
conformance('a real Kafka with group.protocol=consumer', { 'group.protocol': 'consumer' });
