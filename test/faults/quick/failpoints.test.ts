/**
 * kill -9 at the critical points of a transaction: open transactions are aborted, committed ones
 * stay, and nothing is duplicated.
 */
import { expect, test } from '@jest/globals';
import { expectExactlyOnce } from '../harness/expectations.js';
import { shortSession, withFleet } from '../harness/fleet.js';
import { describeFaults } from '../harness/suite.js';
import { Workload, type AgentName } from '../harness/workload.js';

const faults = ['kill-after-produce:500', 'kill-after-offsets:3', 'kill-in-commit:3', 'kill-after-commit:3'];
const cases = (['historic', 'lastdata'] as const).flatMap((agent) => faults.map((fault) => [agent, fault] as const));
const restoring = ['lastdata', 'kill-in-restore:200'] as const;

describeFaults('kill -9', { brokers: 1 }, (kafka) => {
  test.concurrent.each<readonly [AgentName, string]>([...cases, restoring])('of %s: %s', async (agent, fault) => {
    await withFleet(kafka(), new Workload({ agent }), { ...shortSession, KAFNUS_BATCH_SIZE: '200' }, async (fleet) => {
      await fleet.produce(3000);
      if (fault === restoring[1]) {
        // Creates a changelog to restore.
        const first = fleet.start('pod-0');
        await fleet.finished();
        await first.kill();
        await fleet.produce(500);
      }
      // Continuous input: the agent may process a backlog in fewer transactions than the failpoint
      // needs.
      const flow = fleet.flow(300);
      const victim = fleet.start('pod-0', { fault });
      expect(await victim.ended).toEqual({ code: null, signal: 'SIGKILL' });
      await flow.stop();
      await victim.untilLogged(`failpoint ${fault.split(':')[0]}`);

      const successor = fleet.start('pod-0');
      await fleet.finished();
      await expectExactlyOnce(fleet.workload, kafka(), { alive: [successor] });
    });
  });
});
