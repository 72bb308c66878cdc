/**
 * Processes with a wrong view of their identity: two with one instance id, one that was suspended
 * too long, one whose commits fail.
 */
import { expect, test } from '@jest/globals';
import type { AgentProcess } from '@kafnus/local-stack';
import { eventually } from './harness/eventually.js';
import { expectExactlyOnce, metric } from './harness/expectations.js';
import { consumer, promptShutdown, withFleet } from './harness/fleet.js';
import { describeFaults } from './harness/suite.js';
import { Workload } from './harness/workload.js';

describeFaults('an agent', {}, (kafka) => {
  test.concurrent('of two processes with one instance id, exactly one keeps running', async () => {
    await withFleet(kafka(), new Workload({ agent: 'lastdata' }), {}, async (fleet) => {
      const flow = fleet.flow(500);
      const first = fleet.start('twin');
      await first.until('processing', ({ ledger }) => ledger.read > 0);
      const second = fleet.start('twin');
      await Promise.race([first.ended, second.ended]);
      const [dead, alive] = first.end === undefined ? [second, first] : [first, second];
      expect(dead.end).toEqual({ code: 1, signal: null });
      await dead.untilLogged('KAFNUS_INSTANCE_ID');

      const { ledger } = await alive.health();
      await alive.until('at work alone', (status) => status.ledger.read > ledger.read + 1000);
      await flow.stop();
      await fleet.finished();
      expect(alive.end).toBeUndefined();
      await expectExactlyOnce(fleet.workload, kafka(), { alive: [alive] });
    });
  });

  test.concurrent('whose step takes longer than max.poll.interval.ms loses its partitions and comes back', async () => {
    const hasty = consumer({ 'session.timeout.ms': 3000, 'heartbeat.interval.ms': 500, 'max.poll.interval.ms': 4000 });
    await withFleet(kafka(), new Workload({ agent: 'lastdata' }), hasty, async (fleet) => {
      await fleet.produce(3000);
      const slow = fleet.start('slow', { fault: 'slow-step:12000' });
      await slow.untilLogged('failpoint slow-step');
      const successor = fleet.start('successor');
      await successor.until('assigned all partitions', ({ assignment }) => assignment.length === 4);
      await slow.untilLogged('partitions lost');
      await slow.until('back', ({ assignment }) => assignment.length === 2);
      await fleet.produce(1000);
      await fleet.finished();
      expect(await metric(slow, 'kafnus_transactions_aborted_total')).toBeGreaterThan(0);
      await expectExactlyOnce(fleet.workload, kafka(), { alive: [slow, successor], complete: true });
    });
  });

  test.concurrent.each(['historic', 'lastdata'] as const)(
    '%s of which one commit in three is aborted',
    async (agent) => {
      await withFleet(kafka(), new Workload({ agent }), { KAFNUS_BATCH_SIZE: '100' }, async (fleet) => {
        const unlucky = fleet.start('unlucky', { fault: 'abort-one-in:3' });
        const flow = fleet.flow(1000);
        await unlucky.until('busy', ({ ledger }) => ledger.read > 2000);
        await eventually(async () =>
          expect(await metric(unlucky, 'kafnus_transactions_aborted_total')).toBeGreaterThan(10),
        );
        await flow.stop();
        await fleet.finished();
        await expectExactlyOnce(fleet.workload, kafka(), { alive: [unlucky], complete: true });
      });
    },
  );

  test.concurrent('whose offset commit is never answered recovers by itself', async () => {
    await withFleet(
      kafka(),
      new Workload({ agent: 'lastdata' }),
      { ...promptShutdown, KAFNUS_BATCH_SIZE: '200' },
      async (fleet) => {
        await fleet.produce(3000);
        const agent = fleet.start('pod-0', { fault: 'hang-in-offsets:1' });
        await fleet.finished();
        await agent.untilLogged('failpoint hang-in-offsets');
        await agent.untilLogged('sendOffsetsToTransaction did not come back');
        expect(await metric(agent, 'kafnus_recoveries_total')).toBe(1);
        await expectExactlyOnce(fleet.workload, kafka(), { alive: [agent], complete: true });
        await expectForcedEnd(agent);
      },
    );
  });

  test.concurrent('that hangs reports that it is stalled, and its successor continues', async () => {
    await withFleet(
      kafka(),
      new Workload({ agent: 'historic' }),
      { ...promptShutdown, KAFNUS_STALL_TIMEOUT_MS: '10000' },
      async (fleet) => {
        await fleet.produce(3000);
        const fault = 'hang-in-offsets:1,hang-in-init:2';
        const hanging = fleet.start('pod-0', { fault, env: { KAFNUS_BATCH_SIZE: '200' } });
        await hanging.untilLogged('failpoint hang-in-init');
        await hanging.untilLogged('stalled: there is lag and no progress');
        expect((await hanging.get('/live')).status).toBe(503);
        // The orchestrator kills it then.
        await expectForcedEnd(hanging);
        const successor = fleet.start('pod-0');
        await fleet.finished();
        await expectExactlyOnce(fleet.workload, kafka(), { alive: [successor] });
      },
    );
  });
});

/** process.exit would wait for the hanging thread. */
async function expectForcedEnd(agent: AgentProcess): Promise<void> {
  const asked = Date.now();
  expect(await agent.kill('SIGTERM')).toEqual({ code: null, signal: 'SIGKILL' });
  expect(Date.now() - asked).toBeLessThan(6000);
}
