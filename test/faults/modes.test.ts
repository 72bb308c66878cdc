/** Both delivery modes under both group protocols: a member is killed, one joins, one leaves. */
import { expect, test } from '@jest/globals';
import { committedOffsets } from '@kafnus/local-stack';
import { expectAtLeastOnce, expectExactlyOnce, metric } from './harness/expectations.js';
import { consumer, shortSession, withFleet } from './harness/fleet.js';
import { describeFaults } from './harness/suite.js';
import { Workload } from './harness/workload.js';

const protocols = { 'cooperative-sticky': shortSession, 'KIP-848': consumer({ 'group.protocol': 'consumer' }) };
const deliveries = ['exactly-once', 'at-least-once'] as const;
const cases = Object.entries(protocols).flatMap(([protocol, env]) =>
  deliveries.map((delivery) => [delivery, protocol, env] as const),
);

describeFaults('a group', {}, (kafka) => {
  test.concurrent.each(cases)(
    '%s, %s: loses a member, gains one and says goodbye to one',
    async (delivery, _protocol, env) => {
      await withFleet(
        kafka(),
        new Workload({ agent: 'historic' }),
        { ...env, KAFNUS_DELIVERY: delivery },
        async (fleet) => {
          const owns = (count: number) => (status: { readonly assignment: readonly unknown[] }) =>
            status.assignment.length === count;
          const flow = fleet.flow(1000);
          const [one, two] = [fleet.start('one'), fleet.start('two')];
          await one.until('given two', owns(2));
          await two.until('given two', owns(2));
          await one.until('processing', ({ ledger }) => ledger.read > 0);
          expect(await one.kill()).toEqual({ code: null, signal: 'SIGKILL' });
          await two.until('given all', owns(4));
          const three = fleet.start('three');
          await three.until('given two', owns(2));
          await two.stop();
          await three.until('given all', owns(4));
          await flow.stop();
          await fleet.finished();
          expect(await metric(three, 'kafnus_rebalances_total')).toBeGreaterThan(1);
          if (delivery === 'exactly-once') await expectExactlyOnce(fleet.workload, kafka(), { alive: [three] });
          else
            expect(await expectAtLeastOnce(fleet.workload, kafka(), { alive: [three] })).toBeLessThan(
              fleet.workload.size,
            );
        },
      );
    },
  );

  test.concurrent(
    'at-least-once: records that were written and not committed are processed again, and not lost',
    async () => {
      const env = { ...shortSession, KAFNUS_DELIVERY: 'at-least-once', KAFNUS_BATCH_SIZE: '200' };
      await withFleet(kafka(), new Workload({ agent: 'historic' }), env, async (fleet) => {
        await fleet.produce(3000);
        // Continuous input: the agent may process a backlog in fewer commits than the failpoint
        // needs.
        const flow = fleet.flow(300);
        const victim = fleet.start('pod-0', { fault: 'kill-before-commit:3' });
        expect(await victim.ended).toEqual({ code: null, signal: 'SIGKILL' });
        await flow.stop();
        await victim.untilLogged('failpoint kill-before-commit');
        // Two commits succeeded before the failpoint, so not all records are processed again.
        const { group, inputTopic } = fleet.workload;
        const committed = await committedOffsets(kafka().internalServers, group, inputTopic);
        expect(Math.max(...committed.values())).toBeGreaterThan(0);
        const successor = fleet.start('pod-0');
        await fleet.finished();
        const again = await expectAtLeastOnce(fleet.workload, kafka(), { alive: [successor] });
        expect(again).toBeGreaterThan(0);
      });
    },
  );

  test.concurrent('at-least-once: an offset commit that the group rejects silently is repeated', async () => {
    const env = { ...shortSession, KAFNUS_DELIVERY: 'at-least-once' };
    await withFleet(kafka(), new Workload({ agent: 'historic' }), env, async (fleet) => {
      const agent = fleet.start('pod-0', { fault: 'lose-commits:2' });
      await fleet.produce(3000);
      await fleet.finished();
      await agent.untilLogged('failpoint lose-commits');
      await expectAtLeastOnce(fleet.workload, kafka(), { alive: [agent] });
    });
  });
});
