import { expect, test } from '@jest/globals';
import { topicsOf } from '../src/agent-topics.js';
import { loadConfig } from '../src/config.js';
import { agent, deadLetterTopic, inputTopic } from './counting-agent.js';

test('the topics of an agent, from its settings', () => {
  const outcome = loadConfig<object>(
    { name: 'counting', settings: {} },
    {
      argv: [],
      env: {
        KAFNUS_KAFKA_BROKERS: 'kafka:9092',
        KAFNUS_TOPIC_PARTITIONS: '6',
        KAFNUS_TOPIC_REPLICATION: '3',
        KAFNUS_TOPICS_CREATE: 'false',
        KAFNUS_GROUP_ID: 'counters',
        KAFNUS_KAFKA_PRODUCER: '{"message.max.bytes": 2000000}',
      },
    },
  );
  if (outcome.kind !== 'run') throw new Error(outcome.kind);
  expect(topicsOf(agent, outcome.config)).toEqual({
    agent: 'counting',
    groupId: 'counters',
    inputTopic,
    deadLetterTopic,
    changelog: 'counters-versions-changelog',
    readsDeadLetters: false,
    partitions: 6,
    replication: 3,
    maxRecordBytes: 2_000_000,
    aheadMs: 3_540_000,
    createsTopics: false,
  });
});
