/** An agent that is killed repeatedly under load. */
import { expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { expectExactlyOnce } from './harness/expectations.js';
import { shortSession, withFleet } from './harness/fleet.js';
import { seeded } from './harness/random.js';
import { describeFaults } from './harness/suite.js';
import { Workload } from './harness/workload.js';

const kills = 20;

describeFaults('20 kill -9 in a row', {}, (kafka) => {
  test.concurrent.each(['historic', 'lastdata'] as const)('of %s, each restarted at once', async (agent) => {
    const random = seeded(20);
    await withFleet(kafka(), new Workload({ agent }), shortSession, async (fleet) => {
      const flow = fleet.flow(1000);
      let busyLives = 0;
      for (let kill = 0; kill < kills; kill += 1) {
        const victim = fleet.start('pod-0');
        // One process in four is killed while it starts, joins or restores; the others while they
        // process the backlog of their predecessor.
        if (random() < 0.75) {
          const { ledger } = await victim.until('processing', ({ assignment }) =>
            assignment.some(({ committed }) => committed !== null),
          );
          if (ledger.read > 0) busyLives += 1;
        }
        await sleep(random() * 600);
        expect(await victim.kill()).toEqual({ code: null, signal: 'SIGKILL' });
      }
      await flow.stop();
      const last = fleet.start('pod-0');
      await fleet.finished();
      expect(busyLives).toBeGreaterThan(0);
      await expectExactlyOnce(fleet.workload, kafka(), { alive: [last] });
    });
  });
});
