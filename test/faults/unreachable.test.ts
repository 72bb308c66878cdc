/**
 * A cluster that is unreachable for longer than any timeout: the agent waits, reports it, needs no
 * more memory, and resumes by itself.
 */
import { describe, expect, jest, test } from '@jest/globals';
import { withKafka } from '@kafnus/agent-testkit';
import { startLocalKafka, type AgentProcess, type LocalKafka } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from './harness/eventually.js';
import { expectAtLeastOnce, expectExactlyOnce, metric } from './harness/expectations.js';
import { Fleet } from './harness/fleet.js';
import { production } from './harness/suite.js';
import { Workload, type AgentName } from './harness/workload.js';

/**
 * Longer than the session timeout, the transaction timeout and the commit timeout.
 * FAULTS_OUTAGE_SECONDS=180 makes it an outage of minutes, as `make soak` has.
 */
const outageMs = Number(process.env['FAULTS_OUTAGE_SECONDS'] ?? '30') * 1000;
const mostGrowth = 100 * 2 ** 20;

/** The kinds of outage. */
const outages: readonly (readonly [string, (kafka: LocalKafka) => Promise<void>])[] = [
  [
    'refuses connections',
    async ({ brokers }) => void (await Promise.all(brokers.map(async (broker) => broker.proxy?.refuse()))),
  ],
  ['does not answer', async ({ brokers }) => brokers.forEach((broker) => broker.proxy?.stall())],
];

jest.setTimeout(300_000 + outageMs);

withKafka(describe)('a cluster', () => {
  test.concurrent.each(outages)('that %s for a while, in both delivery modes', async (_how, strike) => {
    // Each case has a separate cluster, so that its outage does not affect the other case. One
    // broker is enough, as all are unreachable.
    const kafka = await startLocalKafka({ ...production, brokers: 1, proxied: true });
    const fleetOf = (agent: AgentName, delivery: string): Promise<Fleet> =>
      Fleet.of(kafka, new Workload({ agent }), { KAFNUS_DELIVERY: delivery });
    const once = await fleetOf('historic', 'exactly-once');
    const atLeastOnce = await fleetOf('historic', 'at-least-once');
    const late = await fleetOf('lastdata', 'exactly-once');
    const fleets = [once, atLeastOnce, late];
    try {
      const flows = fleets.map((fleet) => fleet.flow(300));
      const agents = [once.start('pod-0'), atLeastOnce.start('pod-0')];
      await Promise.all(agents.map((agent) => agent.until('processing', ({ ledger }) => ledger.read > 1000)));
      const before = await Promise.all(agents.map(memory));

      await strike(kafka);
      const struck = Date.now();
      // This agent starts during the outage and must retry its first connection.
      const latecomer = late.start('pod-0');
      try {
        await eventually(() => expectReadiness(agents, 503), outageMs);
        for (const agent of agents) expect((await agent.health()).problem).not.toBeNull();
        while (Date.now() - struck < outageMs) {
          await expectBounded(agents, before);
          await sleep(500);
        }
        expect((await latecomer.health()).assignment).toEqual([]);
        await expectReadiness([...agents, latecomer], 503);
      } finally {
        await Promise.all(kafka.brokers.map(async (broker) => broker.proxy?.resume()));
      }

      await latecomer.until('processing', ({ ledger }) => ledger.read > 0);
      await Promise.all(flows.map((flow) => flow.stop()));
      await Promise.all(fleets.map((fleet) => fleet.finished()));
      expect([...agents, latecomer].map(({ end }) => end)).toEqual([undefined, undefined, undefined]);
      await eventually(() => expectReadiness([...agents, latecomer], 200));
      await expectBounded(agents, before);
      await expectExactlyOnce(once.workload, kafka, { alive: agents.slice(0, 1) });
      await expectAtLeastOnce(atLeastOnce.workload, kafka, { alive: agents.slice(1) });
      await expectExactlyOnce(late.workload, kafka, { alive: [latecomer], complete: true });
      await Promise.all(fleets.map((fleet) => fleet.stop()));
    } finally {
      await Promise.all(fleets.map((fleet) => fleet.end()));
      await kafka.stop();
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

/** Resident memory, in bytes. */
function memory(agent: AgentProcess): Promise<number> {
  return metric(agent, 'kafnus_process_resident_memory_bytes');
}
