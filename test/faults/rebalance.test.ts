/** Members that come and go while records flow. */
import { expect, test } from '@jest/globals';
import type { AgentProcess } from '@kafnus/agent-testkit';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from './harness/eventually.js';
import { expectExactlyOnce, metric } from './harness/expectations.js';
import { impatient, withFleet } from './harness/fleet.js';
import { seeded } from './harness/random.js';
import { describeFaults } from './harness/suite.js';
import { Workload } from './harness/workload.js';

const stormMs = 20_000;

describeFaults('a group of agents', {}, (kafka) => {
  test.each(['historic', 'lastdata'] as const)(
    'of %s goes through a storm: every second one joins or leaves',
    async (agent) => {
      const random = seeded(3);
      await withFleet(kafka(), new Workload({ agent }), impatient, async (fleet) => {
        const members = new Map<string, AgentProcess>();
        const join = (): void => {
          const free = ['a', 'b', 'c', 'd', 'e'].find((name) => !members.has(name)) ?? '';
          members.set(free, fleet.start(free));
        };
        const leave = async (): Promise<void> => {
          const [name, member] = [...members][Math.floor(random() * members.size)] ?? [];
          if (name === undefined || member === undefined) return;
          members.delete(name);
          if (random() < 0.5) expect(await member.kill('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });
          // A process that has not come so far as to listen to signals ends by them.
          else
            expect(await member.kill('SIGTERM')).toMatchObject(member.log === '' ? { signal: 'SIGTERM' } : { code: 0 });
        };

        join();
        join();
        const flow = fleet.flow(500);
        const changes: Promise<void>[] = [];
        for (const end = Date.now() + stormMs; Date.now() < end; await sleep(1000)) {
          if (members.size <= 2 || (members.size < 5 && random() < 0.5)) join();
          else changes.push(leave());
        }
        await Promise.all(changes);
        await flow.stop();
        await fleet.finished();
        const alive = [...members.values()];
        await Promise.all(alive.map((member) => member.until('running', ({ state }) => state === 'running')));
        const rebalances = await Promise.all(alive.map((member) => metric(member, 'kafnus_rebalances_total')));
        expect(Math.max(...rebalances)).toBeGreaterThan(2);
        expect(changes.length).toBeGreaterThan(3);
        await expectExactlyOnce(fleet.workload, kafka(), { alive });
      });
    },
  );

  test('scales from 1 to 4 to 6 to 2 on four partitions', async () => {
    await withFleet(kafka(), new Workload({ agent: 'lastdata' }), {}, async (fleet) => {
      const members: AgentProcess[] = [];
      const scale = async (to: number): Promise<void> => {
        while (members.length < to) members.push(fleet.start(`pod-${members.length}`));
        await Promise.all(members.splice(to).map((member) => member.stop()));
      };
      /** The partitions of each, most first; and each is ready, with or without any. */
      const shares = async (expected: readonly number[]): Promise<void> => {
        await eventually(async () => {
          const all = await Promise.all(members.map((member) => member.health()));
          expect(all.map(({ assignment }) => assignment.length).sort((a, b) => b - a)).toEqual(expected);
          const ready = await Promise.all(members.map((member) => member.get('/ready')));
          expect(ready.map(({ status }) => status)).toEqual(expected.map(() => 200));
        });
      };
      const flow = fleet.flow(300);
      await scale(1);
      await shares([4]);
      await scale(4);
      await shares([1, 1, 1, 1]);
      await scale(6);
      await shares([1, 1, 1, 1, 0, 0]);
      await scale(2);
      await shares([2, 2]);
      await flow.stop();
      await fleet.finished();
      await expectExactlyOnce(fleet.workload, kafka(), { alive: members });
      await scale(0);
    });
  });
});
