/** A cluster that is away for longer than any timeout: the agent waits, says so, does not grow, and goes on by itself. */
import { expect, test } from '@jest/globals';
import type { AgentProcess, LocalKafka } from '@kafnus/agent-testkit';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from './harness/eventually.js';
import { expectAtLeastOnce, expectExactlyOnce, metric } from './harness/expectations.js';
import { withFleet } from './harness/fleet.js';
import { describeFaults } from './harness/suite.js';
import { Workload } from './harness/workload.js';

/** Longer than the session timeout, the transaction timeout and the commit's deadline. */
const outageMs = 30_000;
const mostGrowth = 100 * 2 ** 20;

/** How the cluster goes away. */
const outages: readonly (readonly [string, (kafka: LocalKafka) => Promise<void>])[] = [
  [
    'refuses connections',
    async ({ brokers }) => void (await Promise.all(brokers.map(async (broker) => broker.proxy?.refuse()))),
  ],
  ['does not answer', async ({ brokers }) => brokers.forEach((broker) => broker.proxy?.stall())],
];

describeFaults('a cluster', { proxied: true }, (kafka) => {
  const cases = outages.flatMap(([how, strike]) =>
    (['exactly-once', 'at-least-once'] as const).map((delivery) => [how, delivery, strike] as const),
  );

  test.each(cases)('that %s for 30 s: %s', async (_how, delivery, strike) => {
    await withFleet(kafka(), new Workload({ agent: 'historic' }), { KAFNUS_DELIVERY: delivery }, async (fleet) => {
      const flow = fleet.flow(500);
      const agent = fleet.start('pod-0');
      await agent.until('at work', ({ ledger }) => ledger.read > 1000);
      const before = await memory(agent);

      await strike(kafka());
      const struck = Date.now();
      try {
        await eventually(async () => expect((await agent.get('/ready')).status).toBe(503));
        expect((await agent.health()).problem).not.toBeNull();
        let most = before;
        while (Date.now() - struck < outageMs) {
          most = Math.max(most, await memory(agent));
          await sleep(500);
        }
        expect(most - before).toBeLessThan(mostGrowth);
        expect((await agent.get('/ready')).status).toBe(503);
      } finally {
        await Promise.all(kafka().brokers.map(async (broker) => broker.proxy?.resume()));
      }

      await flow.stop();
      await fleet.finished();
      expect(agent.end).toBeUndefined();
      await eventually(async () => expect((await agent.get('/ready')).status).toBe(200));
      expect(await memory(agent)).toBeLessThan(before + mostGrowth);
      if (delivery === 'exactly-once') await expectExactlyOnce(fleet.workload, kafka(), { alive: [agent] });
      else await expectAtLeastOnce(fleet.workload, kafka(), { alive: [agent] });
      await agent.stop();
    });
  });
});

/** Resident memory in bytes. */
function memory(agent: AgentProcess): Promise<number> {
  return metric(agent, 'kafnus_process_resident_memory_bytes');
}
