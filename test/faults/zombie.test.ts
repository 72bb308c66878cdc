/**
 * A process that is suspended for longer than the session timeout (a paused virtual machine, a
 * swapping host) and then resumes with an open transaction for partitions that belong to another
 * process.
 */
import { expect, test } from '@jest/globals';
import { readAll, type LocalKafka } from '@kafnus/local-stack';
import { expectExactlyOnce, metric } from './harness/expectations.js';
import { withFleet } from './harness/fleet.js';
import { describeFaults } from './harness/suite.js';
import { Workload } from './harness/workload.js';

describeFaults('a zombie', {}, (kafka) => {
  test.concurrent.each(['stop-after-produce:700', 'stop-after-offsets:1', 'stop-in-offsets:1'])('%s', async (fault) => {
    await withFleet(kafka(), new Workload({ agent: 'lastdata' }), { KAFNUS_BATCH_SIZE: '500' }, async (fleet) => {
      await fleet.produce(4000);
      const zombie = fleet.start('zombie', { fault });
      await zombie.untilLogged(`failpoint ${fault.split(':')[0]}`);
      const successor = fleet.start('successor');
      await successor.until('assigned all partitions', ({ assignment }) => assignment.length === 4, 90_000);
      await successor.until('processing', ({ ledger }) => ledger.read > 0);
      await fleet.produce(1000);

      zombie.resume();
      await zombie.untilLogged('partitions lost');
      await zombie.until(
        'a member again',
        ({ assignment, state }) => state === 'running' && assignment.length === 2,
        90_000,
      );
      await fleet.produce(2000);
      await fleet.finished();
      expect(await metric(zombie, 'kafnus_transactions_aborted_total')).toBeGreaterThan(0);
      expect(await abortedRecords(fleet.workload, kafka())).toBeGreaterThan(0);
      await expectExactlyOnce(fleet.workload, kafka(), { alive: [zombie, successor], complete: true });
    });
  });
});

/** The number of output records in aborted transactions. */
async function abortedRecords(workload: Workload, { internalServers }: LocalKafka): Promise<number> {
  const topics = workload.tenants.map((tenant) => workload.outputTopic(tenant));
  const all = await readAll(internalServers, topics, { isolation: 'read_uncommitted' });
  return all.length - (await readAll(internalServers, topics)).length;
}
