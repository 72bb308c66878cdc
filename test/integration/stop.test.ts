/**
 * An agent that is told to stop while it waits for the cluster: it has nothing to finish then, and
 * ends within its time, with exit code 0, whatever it waits for.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { startOtherProducer, withKafka, type OtherProducer, type OtherProducerOptions } from '@kafnus/agent-testkit';
import {
  AgentProcess,
  createTopics,
  produceAll,
  startLocalKafka,
  type LocalKafka,
  type RecordToWrite,
  type TcpProxy,
} from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { notification } from './notifications.js';

jest.setTimeout(120_000);

/** Kubernetes, by our chart, kills a pod some seconds after this. */
const inTimeMs = 5000;
const instanceId = 'pod-0';

/** How the cluster goes away. */
const outages: readonly (readonly [string, (proxy: TcpProxy) => Promise<void> | void])[] = [
  ['does not answer', (proxy) => proxy.stall()],
  ['refuses connections', (proxy) => proxy.refuse()],
];

withKafka(describe)('an agent that is told to stop', () => {
  let kafka: LocalKafka;
  let agents: AgentProcess[] = [];
  let producers: OtherProducer[] = [];
  let scenes = 0;

  beforeAll(async () => {
    kafka = await startLocalKafka({ proxied: true });
  });

  afterAll(() => kafka.stop());

  /** An input topic with two partitions, and a group of its own. */
  async function scene(agent: string): Promise<{ topic: string; group: string; start: () => AgentProcess }> {
    scenes += 1;
    const topic = `raw_${scenes}`;
    const group = `group-${scenes}`;
    await createTopics(kafka.internalServers, [{ topic, partitions: 2 }]);
    const env = {
      KAFNUS_INPUT_TOPIC: topic,
      KAFNUS_GROUP_ID: group,
      KAFNUS_INSTANCE_ID: instanceId,
    };
    const start = (): AgentProcess => {
      const process = new AgentProcess({ agent, brokers: kafka.bootstrapServers, env });
      agents.push(process);
      return process;
    };
    return { topic, group, start };
  }

  /** A producer past the proxy; it lives as long as the test. */
  async function other(options: OtherProducerOptions): Promise<void> {
    producers.push(await startOtherProducer(kafka.internalServers, options));
  }

  /** Runs a test, and afterwards heals the network and ends what the test has started. */
  async function play(work: (proxy: TcpProxy) => Promise<void>): Promise<void> {
    const proxy = kafka.brokers[0]?.proxy;
    if (!proxy) throw new Error('the broker has no proxy');
    try {
      await work(proxy);
    } finally {
      await proxy.resume();
      await Promise.all(agents.map((agent) => agent.kill()));
      await Promise.all(producers.map((producer) => producer.close()));
      agents = [];
      producers = [];
    }
  }

  async function expectEnd(agent: AgentProcess): Promise<void> {
    const asked = performance.now();
    const end = await agent.kill('SIGTERM');
    const tookMs = Math.round(performance.now() - asked);
    if (end.code !== 0) throw new Error(`${JSON.stringify(end)} after ${tookMs} ms:\n${agent.log.slice(-3000)}`);
    expect(tookMs).toBeLessThan(inTimeMs);
  }

  const record = (topic: string, sequence: number, partition: number): RecordToWrite => ({
    topic,
    partition,
    ...notification(`Sensor:${partition}`, sequence),
    timestamp: Date.now(),
  });

  test.each(outages)('in a recovery, when the cluster %s, ends in time', async (_how, strike) => {
    await play(async (proxy) => {
      const { topic, group, start } = await scene('historic');
      const agent = start();
      await agent.ready();
      await produceAll(kafka.internalServers, [record(topic, 0, 0)]);
      await agent.until('at work', ({ ledger }) => ledger.read === 1);
      // Another producer of its identity: its next commit is fenced, and it pauses before it takes
      // the identity back.
      await other({ transactionalId: `${group}-${instanceId}` });
      await produceAll(kafka.internalServers, [record(topic, 1, 0)]);
      await agent.until('recovering', ({ state }) => state === 'recovering');
      await strike(proxy);
      await sleep(2000);
      expect((await agent.health()).state).toBe('recovering');
      await expectEnd(agent);
    });
  });

  test('while its committed offsets are not stable ends in time', async () => {
    await play(async () => {
      const { topic, group, start } = await scene('historic');
      await holdOffsets(topic, group);
      const agent = start();
      await agent.until('given its partitions', ({ assignment }) => assignment.length === 2);
      await sleep(1000);
      await expectEnd(agent);
    });
  });

  test.each(outages)('when the cluster %s while its committed offsets are read, ends in time', async (_how, strike) => {
    await play(async (proxy) => {
      const { topic, group, start } = await scene('lastdata');
      await holdOffsets(topic, group);
      const agent = start();
      await agent.until('given its partitions', ({ assignment }) => assignment.length === 2);
      await strike(proxy);
      await sleep(2000);
      await expectEnd(agent);
    });
  });

  test.each(outages)('without anything to do, when the cluster %s, ends in time', async (_how, strike) => {
    await play(async (proxy) => {
      const { topic, start } = await scene('lastdata');
      const agent = start();
      await agent.ready();
      await produceAll(kafka.internalServers, [record(topic, 0, 0), record(topic, 1, 1)]);
      await agent.until('at work', ({ ledger }) => ledger.emitted === 2);
      await strike(proxy);
      await sleep(2000);
      await expectEnd(agent);
    });
  });

  /**
   * An open transaction with offsets of the group: the coordinator calls them unstable, and tells
   * them to nobody.
   */
  async function holdOffsets(topic: string, group: string): Promise<void> {
    const positions = [{ topic, partition: 0, offset: 0 }];
    await other({ transactionalId: `${group}-other`, openOffsets: { group, positions } });
  }
});
