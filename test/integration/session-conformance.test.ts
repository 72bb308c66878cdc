import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { KafkaSession, loadConfig, type OutgoingRecord, type RuntimeConfig } from '@kafnus/agent-runtime';
import {
  describeSessionConformance,
  withKafka,
  type Delivery,
  type HarnessSession,
  type SessionHarness,
} from '@kafnus/agent-testkit';
import {
  createTopics,
  deleteRecords,
  produceAll,
  readAll,
  recreateTopic,
  refuseProducerIds,
  startLocalKafka,
  type LocalKafka,
} from '@kafnus/local-stack';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { defaultMaxBytes, recordBytes } from '../../libs/agent-runtime/src/record-size.js';

function configOf(env: Record<string, string>): RuntimeConfig {
  const outcome = loadConfig({ name: 'conformance', settings: {} }, { argv: [], env });
  if (outcome.kind !== 'run') throw new Error('a configuration was asked for');
  return outcome.config;
}

function open(
  servers: string,
  { inputTopic, groupId, instanceId, batchSize, delivery }: HarnessSession,
  consumer: object,
  producer: object = {},
  env: Readonly<Record<string, string>> = {},
): KafkaSession {
  const config = configOf({
    KAFNUS_KAFKA_BROKERS: servers,
    KAFNUS_GROUP_ID: groupId,
    KAFNUS_INSTANCE_ID: instanceId,
    KAFNUS_DELIVERY: delivery,
    KAFNUS_BATCH_SIZE: String(batchSize),
    KAFNUS_KAFKA_CONSUMER: JSON.stringify(consumer),
    KAFNUS_KAFKA_PRODUCER: JSON.stringify(producer),
    ...env,
  });
  const listener = {
    topicCreated: () => undefined,
    brokerProblem: () => undefined,
    clusterAway: () => undefined,
    commitRetry: () => undefined,
    clientLog: () => undefined,
  };
  return new KafkaSession({ agent: 'conformance', topics: [inputTopic], config, listener });
}

const delivery = 'exactly-once';

/** The client asks again after half a second: see {@link fatalAnswers}. */
const fatalAfterMs = 3000;

/**
 * Answers that end so many producers some time after their start: twice COORDINATOR_NOT_AVAILABLE,
 * upon which the client asks again, then INVALID_TRANSACTION_TIMEOUT, which is fatal to any
 * producer. Records that are sent meanwhile wait in the queue.
 */
function fatalAnswers(producers: number): () => number | undefined {
  const codes = Array.from({ length: producers }, () => [15, 15, 50]).flat();
  return () => codes.shift();
}

withKafka(describe)('the session on a real Kafka', () => {
  let kafka: LocalKafka;
  let servers: string;
  beforeAll(async () => {
    kafka = await startLocalKafka({ proxied: true });
    servers = kafka.bootstrapServers;
  }, 60_000);
  afterAll(() => kafka?.stop(), 60_000);

  function conformance(name: string, consumer: Readonly<Record<string, string>>, delivery?: Delivery): void {
    const makeHarness = async (): Promise<SessionHarness> => ({
      createTopic: (topic, partitions, config = {}) =>
        createTopics(kafka.internalServers, [{ topic, partitions, config }]),
      deleteRecords: (partition, before) => deleteRecords(kafka.internalServers, partition, before),
      recreateTopic: (topic, partitions) => recreateTopic(kafka.internalServers, { topic, partitions }),
      produce: (records) => produceAll(kafka.internalServers, records),
      readCommitted: (topic) => readAll(kafka.internalServers, topic),
      openSession: (options) => open(servers, options, consumer),
      breakProducers: async (count) => {
        for (const { proxy } of kafka.brokers) proxy?.filter(refuseProducerIds(fatalAnswers(count)));
      },
      brokenProducer: () => sleep(fatalAfterMs),
      quietMs: 700,
      close: async () => undefined,
    });
    describeSessionConformance({ afterAll, beforeAll, describe, expect, test }, name, makeHarness, delivery);
  }

  conformance('a classic group', {});
  // With KIP-848 the coordinator assigns the partitions.
  conformance('group.protocol=consumer', { 'group.protocol': 'consumer' });
  conformance('a classic group', {}, 'at-least-once');

  test.concurrent(
    'accepts records up to exactly the computed maximum size',
    async () => {
      await createTopics(servers, [{ topic: 'sizes', partitions: 1 }]);
      const session = open(
        servers,
        { inputTopic: 'sizes', groupId: 'sizes', instanceId: 'a', delivery, batchSize: 1 },
        {},
      );
      await session.start();
      try {
        const base = { topic: 'sizes', partition: 0, key: null, value: null, headers: [], timestamp: Date.now() };
        const manyHeaders = Array.from({ length: 2000 }, (_, index) => ({
          [`header-${index}`]: 'x'.repeat(index % 200),
        }));
        for (const record of [base, { ...base, key: 'k'.repeat(500_000) }, { ...base, headers: manyHeaders }]) {
          const full = { ...record, value: Buffer.alloc(defaultMaxBytes - recordBytes(record), 'v') };
          expect(recordBytes(full)).toBe(defaultMaxBytes);
          await session.begin();
          expect(session.send(full)).toBe('queued');
          expect(await session.commit([])).toEqual({ kind: 'committed' });
        }
        expect(await readAll(servers, 'sizes')).toHaveLength(3);
      } finally {
        await session.close();
      }
    },
    60_000,
  );

  describe('a transaction that is older than its coordinator waits', () => {
    async function aged(act: (session: KafkaSession, topic: string) => Promise<void>): Promise<void> {
      const topic = `aged-${randomUUID()}`;
      await createTopics(kafka.internalServers, [{ topic, partitions: 1 }]);
      const identity: HarnessSession = { inputTopic: topic, groupId: topic, instanceId: 'a', delivery, batchSize: 1 };
      const session = open(servers, identity, {}, {}, { KAFNUS_TRANSACTION_TIMEOUT_MS: '2000' });
      try {
        await session.start();
        await act(session, topic);
      } finally {
        await session.close();
      }
    }
    const record = (topic: string, value: string): OutgoingRecord => ({
      topic,
      partition: 0,
      key: null,
      value,
      headers: [],
      timestamp: Date.now(),
    });

    test.concurrent(
      'is aborted before the coordinator aborts it',
      () =>
        aged(async (session, topic) => {
          await session.begin();
          session.send(record(topic, 'too late'));
          await sleep(1700);
          const outcome = await session.commit([]);
          expect(outcome).toMatchObject({ kind: 'aborted', cause: 'timed_out' });
          expect(outcome.kind === 'aborted' && outcome.error.message).toContain('KAFNUS_TRANSACTION_TIMEOUT_MS');
        }),
      60_000,
    );

    test.concurrent.each(['commit', 'abort'] as const)(
      'and was aborted by it: %s reports no fencing, and a new producer goes on',
      (call) =>
        aged(async (session, topic) => {
          // Twice within a minute, which would be a second process if it were a fencing.
          for (const value of ['once', 'twice']) {
            await session.begin();
            session.send(record(topic, 'too late'));
            await sleep(5000);
            const outcome = call === 'commit' ? await session.commit([]) : await session.abort();
            expect(outcome).toMatchObject({ kind: 'unknown', cause: 'transaction_timeout', fenced: false });
            expect(outcome.kind === 'unknown' && outcome.error.message).toContain('the coordinator has aborted');
            await session.reset();
            await session.begin();
            session.send(record(topic, value));
            expect(await session.commit([])).toEqual({ kind: 'committed' });
          }
          const seen = (await readAll(servers, topic)).map(({ value }) => String(value));
          expect(seen).toEqual(['once', 'twice']);
        }),
      60_000,
    );

    test.concurrent(
      'does not concern one that is committed in time, however long after the commit before it',
      () =>
        aged(async (session, topic) => {
          for (const pauseMs of [0, 2500]) {
            await sleep(pauseMs);
            await session.begin();
            session.send(record(topic, 'in time'));
            await sleep(1000);
            expect(await session.commit([])).toEqual({ kind: 'committed' });
          }
        }),
      60_000,
    );
  });

  // The transaction timeout bounds the steps of a commit in both ways of delivery: here to 0.8 s
  // for the offsets.
  test('without transactions, commits the offsets however long the records take', async () => {
    await createTopics(kafka.internalServers, [{ topic: 'slow', partitions: 1 }]);
    const session = open(
      servers,
      { inputTopic: 'slow', groupId: 'slow', instanceId: 'a', delivery: 'at-least-once', batchSize: 1 },
      {},
      {},
      { KAFNUS_TRANSACTION_TIMEOUT_MS: '1000' },
    );
    await session.start();
    const [proxy] = kafka.brokers.map((broker) => broker.proxy);
    try {
      for (let isMember = false; !isMember;) {
        const event = await session.next(1000, true);
        if (event.kind !== 'assigned') continue;
        await session.accept(event.partitions.map((partition) => ({ ...partition, offset: 0 })));
        isMember = event.partitions.length > 0;
      }
      await session.begin();
      proxy?.stall();
      session.send({ topic: 'slow', partition: 0, key: null, value: 'v', headers: [], timestamp: Date.now() });
      const committed = session.commit([{ topic: 'slow', partition: 0, offset: 1 }]);
      await sleep(2000);
      await proxy?.resume();
      expect(await committed).toEqual({ kind: 'committed' });
    } finally {
      await proxy?.resume();
      await session.close();
    }
  }, 60_000);

  // The leader of a new partition rejects the first requests and accepts later ones. With more than
  // one request in flight, a fifth of these topics would miss records of a committed transaction.
  test.concurrent(
    'loses no record that is written to a topic right after its creation',
    async () => {
      await createTopics(servers, [{ topic: 'tenants', partitions: 1 }]);
      const session = open(
        servers,
        { inputTopic: 'tenants', groupId: 'tenants', instanceId: 'a', delivery, batchSize: 1 },
        {},
        { 'linger.ms': 0 },
      );
      const topics = Array.from({ length: 40 }, (_, index) => `tenant-${index}`);
      const values = Array.from({ length: 40 }, (_, index) => String(index));
      await session.start();
      try {
        for (const topic of topics) {
          await session.begin();
          const spec = { partitions: 4, replicationFactor: 1, config: {} };
          while ((await session.ensureTopic(topic, spec)).kind !== 'writable') await sleep(1);
          for (const value of values) {
            const partition = Number(value) % 4;
            session.send({ topic, partition, key: null, value, headers: [], timestamp: Date.now() });
            // One request for each record, as far as the settings allow.
            await sleep(1);
          }
          expect(await session.commit([])).toEqual({ kind: 'committed' });
        }
        const seen = await readAll(servers, topics);

        for (const topic of topics) {
          const found = seen.filter((record) => record.topic === topic).map(({ value }) => String(value));
          expect({ topic, found: found.toSorted() }).toEqual({ topic, found: values.toSorted() });
        }
      } finally {
        await session.close();
      }
    },
    120_000,
  );
});
