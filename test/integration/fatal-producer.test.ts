/**
 * At-least-once when the broker gives the producer no id: what the agent has read is written, or it
 * says why it is not.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { withKafka } from '@kafnus/agent-testkit';
import {
  AgentProcess,
  committedOffsets,
  createTopics,
  produceAll,
  readAll,
  refuseProducerIds,
  startLocalKafka,
  type LocalKafka,
} from '@kafnus/local-stack';
import { notification, reading } from './notifications.js';

jest.setTimeout(120_000);

/** Error codes of Kafka's protocol. */
const clusterAuthorizationFailed = 31;
const invalidTransactionTimeout = 50;

const records = 20;

withKafka(describe)('an agent in at-least-once, whose producer gets no id', () => {
  let kafka: LocalKafka;
  beforeAll(async () => {
    kafka = await startLocalKafka({ proxied: true, partitions: 1 });
  }, 60_000);
  afterAll(() => kafka?.stop(), 60_000);

  async function start(name: string, answers: () => number | undefined): Promise<AgentProcess> {
    const input = `${name}_historic`;
    await createTopics(kafka.internalServers, [{ topic: input, partitions: 1 }]);
    for (const { proxy } of kafka.brokers) proxy?.filter(refuseProducerIds(answers));
    const notifications = Array.from({ length: records }, (_, index) => ({
      topic: input,
      partition: 0,
      ...notification('Sensor:1', index, { service: name }),
    }));
    await produceAll(kafka.internalServers, notifications);
    return new AgentProcess({
      agent: 'historic',
      brokers: kafka.bootstrapServers,
      env: {
        KAFNUS_DELIVERY: 'at-least-once',
        KAFNUS_INPUT_TOPIC: input,
        KAFNUS_GROUP_ID: `group-${name}`,
        KAFNUS_INSTANCE_ID: 'a',
      },
    });
  }

  const committed = (name: string): Promise<ReadonlyMap<number, number>> =>
    committedOffsets(kafka.internalServers, `group-${name}`, `${name}_historic`);

  test('writes all of it with the next producer, when that one gets an id', async () => {
    const errors = [invalidTransactionTimeout, invalidTransactionTimeout];
    const agent = await start('spared', () => errors.shift());
    try {
      await agent.until('done', ({ ledger }) => ledger.read >= records);
      const written = (await readAll(kafka.internalServers, 'spared')).map(({ value }) => reading(value));
      expect([...new Set(written)]).toEqual(Array.from({ length: records }, (_, index) => index));
      const { body } = await agent.get('/metrics');
      expect(body).toMatch(/kafnus_recoveries_total\{.*\} 2/);
    } finally {
      await agent.stop();
    }
    expect((await committed('spared')).get(0)).toBe(records);
  });

  test('ends and names the right that is missing, and has committed nothing', async () => {
    const agent = await start('forbidden', () => clusterAuthorizationFailed);
    expect(await agent.ended).toEqual({ code: 1, signal: null });
    expect(agent.log).toContain('Cluster authorization failed');
    expect(agent.log).toContain('grant IdempotentWrite on the cluster');
    expect((await committed('forbidden')).get(0) ?? null).toBeNull();
  });
});
