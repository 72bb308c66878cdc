/** Failures of brokers in a three-node cluster: clean stops, kills and network faults. */
import { expect, test } from '@jest/globals';
import { partitionLeaders, type LocalBroker, type LocalKafka } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { inSync } from './harness/in-sync.js';
import { eventually } from './harness/eventually.js';
import { expectExactlyOnce } from './harness/expectations.js';
import { withFleet, type Fleet } from './harness/fleet.js';
import { describeFaults } from './harness/suite.js';
import { Workload } from './harness/workload.js';

/**
 * Finds a coordinator. Kafka hashes the id to a partition of the state topic, and the leader of
 * that partition is the coordinator.
 */
async function coordinator(kafka: LocalKafka, stateTopic: string, id: string): Promise<LocalBroker> {
  const leaders = await partitionLeaders(kafka.internalServers, stateTopic);
  const leader = leaders.get((javaHash(id) & 0x7fffffff) % leaders.size);
  const broker = kafka.brokers.find((candidate) => candidate.id === leader);
  if (broker === undefined)
    throw new Error(`${leader ?? 'nobody'} is the coordinator of ${id}, of ${leaders.size} partitions`);
  return broker;
}

/** Java's String.hashCode. */
function javaHash(text: string): number {
  let hash = 0;
  for (const character of text) hash = (Math.imul(31, hash) + character.charCodeAt(0)) | 0;
  return hash;
}

const coordinators = {
  transactions: ({ group }: Workload) => ['__transaction_state', `${group}-pod-0`] as const,
  group: ({ group }: Workload) => ['__consumer_offsets', group] as const,
};

/**
 * Runs two agents under load while `work` injects faults into the brokers, then checks
 * exactly-once.
 */
async function whileRecordsFlow(kafka: LocalKafka, work: (fleet: Fleet) => Promise<void>): Promise<void> {
  await withFleet(kafka, new Workload({ agent: 'lastdata' }), {}, async (fleet) => {
    const flow = fleet.flow(300);
    const agents = [fleet.start('pod-0'), fleet.start('pod-1')];
    await Promise.all(agents.map((agent) => agent.until('processing', ({ ledger }) => ledger.read > 0)));
    await work(fleet);
    await flow.stop();
    await fleet.finished();
    // No agent needed a restart.
    expect(agents.map(({ end }) => end)).toEqual([undefined, undefined]);
    await expectExactlyOnce(fleet.workload, kafka, { alive: agents });
  });
}

describeFaults('a cluster of three', { brokers: 3, proxied: true }, (kafka) => {
  test.each(['SIGTERM', 'SIGKILL'] as const)('is restarted broker by broker with %s', async (signal) => {
    await whileRecordsFlow(kafka(), async () => {
      for (const broker of kafka().brokers) {
        const { pid } = broker;
        if (signal === 'SIGTERM') await broker.stop();
        else await broker.kill();
        expect(broker.pid).toBeUndefined();
        await broker.start();
        expect(broker.pid).not.toBe(pid);
        await inSync(kafka());
      }
    });
  });

  // Each broker is killed while the one before is not in sync yet. Partitions fall below
  // min.insync.replicas, coordinators move while they load their state, and commits have unknown
  // outcomes.
  test('is restarted broker by broker with SIGKILL, each before the last one is in sync', async () => {
    await whileRecordsFlow(kafka(), async () => {
      for (const broker of kafka().brokers) {
        await broker.kill();
        await broker.start();
      }
      await inSync(kafka());
    });
  });

  test.each(['transactions', 'group'] as const)('loses the coordinator of the %s', async (kind) => {
    await whileRecordsFlow(kafka(), async ({ workload }) => {
      const [stateTopic, id] = coordinators[kind](workload);
      const broker = await coordinator(kafka(), stateTopic, id);
      await broker.kill();
      expect(broker.pid).toBeUndefined();
      await eventually(async () => expect((await coordinator(kafka(), stateTopic, id)).id).not.toBe(broker.id));
      await broker.start();
      await inSync(kafka());
    });
  });

  test('has a broker that stops answering, and then loses its connections', async () => {
    await whileRecordsFlow(kafka(), async ({ workload }) => {
      const { proxy } = await coordinator(kafka(), ...coordinators.transactions(workload));
      if (proxy === undefined) throw new Error('there is no proxy');
      const { bytes } = proxy.counters;
      expect(bytes).toBeGreaterThan(0);
      proxy.stall();
      await sleep(12_000);
      expect(proxy.cut()).toBeGreaterThan(0);
      await proxy.resume();
    });
  });
});
