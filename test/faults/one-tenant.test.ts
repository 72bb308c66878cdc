/** Topics of one tenant that a dead broker takes away: the other tenants go on. */
import { afterEach, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentProcess, LocalKafka } from '@kafnus/local-stack';
import { inSync } from './harness/in-sync.js';
import { expectExactlyOnce, header, metric, readStable } from './harness/expectations.js';
import { withFleet } from './harness/fleet.js';
import { describeFaults } from './harness/suite.js';
import { Workload } from './harness/workload.js';

const tenant = 'harbour';
const givenUpMs = 40_000;
/** All that one topic may stop the others for, once it is known to be unwritable. */
const longestPauseMs = 5000;
const observedMs = 20_000;

const unwritable = [
  ['without a leader', '3', '1'],
  ['with too few replicas in sync', '3:1', '2'],
] as const;

/** Records of a tenant by what became of them. */
async function counts(agent: AgentProcess, of: string): Promise<{ emitted: number; refused: number }> {
  const totals = (await agent.health()).ledger.tenants[of];
  return { emitted: totals?.emitted ?? 0, refused: totals?.rejected['topic-unwritable'] ?? 0 };
}

/** @returns the time until it holds, ms */
async function until(holds: () => Promise<boolean>, timeoutMs: number, what: string): Promise<number> {
  const started = Date.now();
  while (!(await holds())) {
    if (Date.now() - started > timeoutMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(100);
  }
  return Date.now() - started;
}

/** @returns the longest time without an emitted record of the tenant, ms */
async function longestPause(agent: AgentProcess, of: string, durationMs: number): Promise<number> {
  const end = Date.now() + durationMs;
  let longest = 0;
  for (let before = (await counts(agent, of)).emitted; Date.now() < end;) {
    const grown = async (): Promise<boolean> => (await counts(agent, of)).emitted > before;
    longest = Math.max(longest, await until(grown, givenUpMs, `a record of ${of} is emitted`));
    before = (await counts(agent, of)).emitted;
  }
  return longest;
}

/** What was dead-lettered because of its topic is expected as a dead letter, not as an output. */
async function expectRefused(workload: Workload, kafka: LocalKafka): Promise<void> {
  for (const deadLetter of await readStable(kafka, workload.deadLetterTopic)) {
    if (header(deadLetter, '__connect.errors.exception.class.name') !== 'kafnus.rejected.topic-unwritable') continue;
    expect(header(deadLetter, 'fiware-service')).toBe(tenant);
    workload.refuse(header(deadLetter, 'fiware-correlator'), deadLetter);
  }
}

describeFaults('a broker that has the topic of one tenant', { brokers: 3 }, (kafka) => {
  afterEach(async () => {
    for (const broker of kafka().brokers) if (broker.pid === undefined) await broker.start();
  });

  test.each(unwritable)(
    'is killed: the topic is %s; that tenant is dead-lettered until the broker is back, the other goes on',
    async (_state, replicas, minInSync) => {
      const workload = new Workload({ agent: 'historic' });
      const broker = kafka().brokers.find(({ id }) => id === 3);
      if (broker === undefined) throw new Error('there is no broker 3');
      await kafka().tool(
        'org.apache.kafka.tools.TopicCommand',
        '--create',
        '--topic',
        workload.outputTopic(tenant),
        '--replica-assignment',
        Array.from({ length: 4 }, () => replicas).join(','),
        '--config',
        `min.insync.replicas=${minInSync}`,
      );
      await withFleet(kafka(), workload, { KAFNUS_TOPIC_TIMEOUT_MS: '6000' }, async (fleet) => {
        const agent = fleet.start('pod-0');
        const flow = fleet.flow(100);
        await agent.until('writing', ({ ledger }) => (ledger.tenants[tenant]?.emitted ?? 0) > 0);
        await broker.kill();
        await until(async () => (await counts(agent, tenant)).refused > 0, givenUpMs, 'the tenant is dead-lettered');
        const before = await counts(agent, tenant);
        expect(await longestPause(agent, 'city', observedMs)).toBeLessThan(longestPauseMs);
        expect((await counts(agent, tenant)).refused).toBeGreaterThan(before.refused);
        expect((await agent.get('/ready')).status).toBe(200);

        await broker.start();
        const away = await counts(agent, tenant);
        const grown = async (): Promise<boolean> => (await counts(agent, tenant)).emitted > away.emitted;
        await until(grown, 60_000, 'the tenant is written again');
        await inSync(kafka());
        await flow.stop();
        await fleet.finished();
        const recoveries = await metric(agent, 'kafnus_recoveries_total');
        expect(recoveries).toBeLessThan(2);
        await expectRefused(workload, kafka());
        await expectExactlyOnce(workload, kafka(), { alive: [agent], complete: recoveries === 0 });
      });
    },
  );
});
