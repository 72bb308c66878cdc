/** A cluster that is away for longer than any timeout: the agent waits, says so, does not grow, and goes on by itself. */
import { expect, test } from '@jest/globals';
import type { AgentProcess, LocalKafka } from '@kafnus/agent-testkit';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from './harness/eventually.js';
import { expectAtLeastOnce, expectExactlyOnce, metric } from './harness/expectations.js';
import { Fleet } from './harness/fleet.js';
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
  test.each(outages)('that %s for 30 s, with both ways of delivery', async (_how, strike) => {
    const fleets = await Promise.all(
      (['exactly-once', 'at-least-once'] as const).map((delivery) =>
        Fleet.of(kafka(), new Workload({ agent: 'historic' }), { KAFNUS_DELIVERY: delivery }),
      ),
    );
    try {
      const flows = fleets.map((fleet) => fleet.flow(300));
      const agents = fleets.map((fleet) => fleet.start('pod-0'));
      await Promise.all(agents.map((agent) => agent.until('at work', ({ ledger }) => ledger.read > 1000)));
      const before = await Promise.all(agents.map(memory));

      await strike(kafka());
      const struck = Date.now();
      try {
        await eventually(() => expectReadiness(agents, 503), outageMs);
        for (const agent of agents) expect((await agent.health()).problem).not.toBeNull();
        while (Date.now() - struck < outageMs) {
          await expectBounded(agents, before);
          await sleep(500);
        }
        await expectReadiness(agents, 503);
      } finally {
        await Promise.all(kafka().brokers.map(async (broker) => broker.proxy?.resume()));
      }

      await Promise.all(flows.map((flow) => flow.stop()));
      await Promise.all(fleets.map((fleet) => fleet.finished()));
      expect(agents.map(({ end }) => end)).toEqual([undefined, undefined]);
      await eventually(() => expectReadiness(agents, 200));
      await expectBounded(agents, before);
      const [once, atLeastOnce] = fleets;
      if (once) await expectExactlyOnce(once.workload, kafka(), { alive: agents.slice(0, 1) });
      if (atLeastOnce) await expectAtLeastOnce(atLeastOnce.workload, kafka(), { alive: agents.slice(1) });
    } finally {
      await Promise.all(fleets.map((fleet) => fleet.end()));
    }
  });
});

async function expectReadiness(agents: readonly AgentProcess[], status: number): Promise<void> {
  const answers = await Promise.all(agents.map((agent) => agent.get('/ready')));
  expect(answers.map((answer) => answer.status)).toEqual(agents.map(() => status));
}

async function expectBounded(agents: readonly AgentProcess[], before: readonly number[]): Promise<void> {
  const now = await Promise.all(agents.map(memory));
  now.forEach((bytes, index) => expect(bytes - (before[index] ?? 0)).toBeLessThan(mostGrowth));
}

/** Resident memory in bytes. */
function memory(agent: AgentProcess): Promise<number> {
  return metric(agent, 'kafnus_process_resident_memory_bytes');
}
