/**
 * Input topics whose logs are not what they were, on a real Kafka with real processes: the group's
 * offset lies behind the end (a log that was truncated, a mirror that was switched to), the topic
 * was created again, records were deleted before they were read.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { withKafka } from '@kafnus/agent-testkit';
import {
  AgentProcess,
  commitOffset,
  committedOffsets,
  createTopics,
  deleteRecords,
  produceAll,
  readAll,
  recreateTopic,
  startLocalKafka,
  type LocalKafka,
} from '@kafnus/local-stack';
import { notification, reading } from './notifications.js';

jest.setTimeout(180_000);

withKafka(describe)('an input topic', () => {
  let kafka: LocalKafka;
  let servers: string;
  beforeAll(async () => {
    kafka = await startLocalKafka({ partitions: 2 });
    servers = kafka.bootstrapServers;
  }, 60_000);
  afterAll(() => kafka?.stop(), 60_000);

  const input = (name: string): string => `raw-${name}`;
  const group = (name: string): string => `group-${name}`;

  /** Readings `from` to `to`, into one partition of the input. */
  const produce = (name: string, partition: number, from: number, to: number): Promise<unknown> =>
    produceAll(
      servers,
      Array.from({ length: to - from }, (_, index) => ({
        topic: input(name),
        partition,
        ...notification(`Sensor:${partition}`, from + index, { service: name }),
      })),
    );

  const outputs = async (name: string): Promise<number[]> =>
    (await readAll(servers, name)).map(({ value }) => reading(value)).sort((a, b) => a - b);

  const start = (name: string, env: Readonly<Record<string, string>> = {}): AgentProcess =>
    new AgentProcess({
      agent: 'historic',
      brokers: servers,
      env: { KAFNUS_INPUT_TOPIC: input(name), KAFNUS_GROUP_ID: group(name), KAFNUS_INSTANCE_ID: 'a', ...env },
    });

  const commit = (name: string, partition: number, offset: number): Promise<void> =>
    commitOffset(servers, group(name), { topic: input(name), partition, offset });

  async function metric(agent: AgentProcess, name: string): Promise<number> {
    const { body } = await agent.get('/metrics');
    return Number(new RegExp(`^${name}\\{[^}]*\\} (\\d+)$`, 'm').exec(body)?.[1]);
  }

  test('that ends before the offset of the group: its partition stands until it is told to resume, the other goes on', async () => {
    const name = 'truncated';
    await createTopics(servers, [{ topic: input(name), partitions: 2 }]);
    await commit(name, 0, 1000);
    await produce(name, 0, 0, 5);
    await produce(name, 1, 100, 105);
    // The second start finds the same: a restart decides nothing.
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const agent = start(name);
      const status = await agent.until('held up', ({ problem, ledger }) => {
        return problem !== null && (attempt > 0 || ledger.read === 5);
      });
      expect(status.assignment.find(({ partition }) => partition === 0)).toMatchObject({
        state: 'out-of-range',
        committed: 1000,
        end: 5,
        lag: 5,
      });
      const ready = await agent.get('/ready');
      expect(ready.status).toBe(503);
      expect(ready.body).toContain('raw-truncated-0 stands: its log ends before offset 1000');
      expect((await agent.get('/live')).status).toBe(200);
      expect(await metric(agent, 'kafnus_out_of_range_partitions')).toBe(1);
      expect(await metric(agent, 'kafnus_offsets_out_of_range_total')).toBe(1);
      await agent.stop();
      expect(await outputs(name)).toEqual([100, 101, 102, 103, 104]);
    }

    const agent = start(name, { KAFNUS_ON_OFFSET_OUT_OF_RANGE: 'resume' });
    await agent.until('done', ({ ledger }) => ledger.read === 5);
    expect((await agent.get('/ready')).status).toBe(200);
    await agent.stop();
    expect(await outputs(name)).toEqual([0, 1, 2, 3, 4, 100, 101, 102, 103, 104]);
    expect((await committedOffsets(servers, group(name), input(name))).get(0)).toBe(5);
  });

  test('that is created again while an agent reads it: with resume, all of the new one is read', async () => {
    const name = 'recreated';
    await createTopics(servers, [{ topic: input(name), partitions: 1 }]);
    await produce(name, 0, 0, 20);
    const agent = start(name, { KAFNUS_ON_OFFSET_OUT_OF_RANGE: 'resume' });
    await agent.until('at the end', ({ ledger }) => ledger.read === 20);
    await recreateTopic(servers, { topic: input(name), partitions: 1 });
    await produce(name, 0, 20, 25);
    await agent.until('at the end of the new one', ({ ledger }) => ledger.read === 25);
    await produce(name, 0, 25, 30);
    await agent.until('further', ({ ledger, lag }) => ledger.read === 30 && lag === 0);
    await agent.stop();
    expect(await outputs(name)).toEqual(Array.from({ length: 30 }, (_, index) => index));
  });

  test('of which records were deleted before they were read: the loss is counted, and the rest is read', async () => {
    const name = 'overtaken';
    await createTopics(servers, [{ topic: input(name), partitions: 1 }]);
    await commit(name, 0, 2);
    await produce(name, 0, 0, 10);
    await deleteRecords(servers, { topic: input(name), partition: 0 }, 6);
    const agent = start(name);
    await agent.until('done', ({ ledger, lag }) => ledger.read === 4 && lag === 0);
    expect(await metric(agent, 'kafnus_records_deleted_unread_total')).toBe(4);
    await agent.untilLogged('records were deleted before they were read');
    expect((await agent.get('/ready')).status).toBe(200);
    await agent.stop();
    expect(await outputs(name)).toEqual([6, 7, 8, 9]);
  });
});
