/** Members that join and leave under load. */
import { expect, test } from '@jest/globals';
import type { AgentStatus } from '@kafnus/agent-runtime';
import { endOffsets, type AgentProcess } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from './harness/eventually.js';
import { expectExactlyOnce, metric } from './harness/expectations.js';
import { consumer, endedCleanly, shortSession, promptShutdown, withFleet } from './harness/fleet.js';
import { seeded } from './harness/random.js';
import { describeFaults } from './harness/suite.js';
import { Workload, type AgentName } from './harness/workload.js';

const stormMs = 20_000;
const backlog = 120_000;
const storms: readonly (readonly [AgentName, string, Readonly<Record<string, string>>])[] = [
  ['historic', 'cooperative-sticky', shortSession],
  ['lastdata', 'cooperative-sticky', shortSession],
  ['lastdata', 'KIP-848', consumer({ 'group.protocol': 'consumer' })],
];

describeFaults('a group of agents', {}, (kafka) => {
  test.concurrent.each(storms)(
    'of %s goes through a storm under %s: every second one joins or leaves',
    async (agent, _protocol, env) => {
      const random = seeded(3);
      await withFleet(kafka(), new Workload({ agent }), env, async (fleet) => {
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
          else {
            const end = await member.kill('SIGTERM');
            // A process that has not installed its signal handlers yet is ended by the signal.
            const isNew = end.signal === 'SIGTERM' && member.log === '';
            expect({ end, clean: isNew || endedCleanly(member) }).toEqual({ end, clean: true });
          }
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

  test.concurrent('scales from 1 to 4 to 6 to 2 on four partitions', async () => {
    await withFleet(kafka(), new Workload({ agent: 'lastdata' }), {}, async (fleet) => {
      const members: AgentProcess[] = [];
      const scale = async (to: number): Promise<void> => {
        while (members.length < to) members.push(fleet.start(`pod-${members.length}`));
        await Promise.all(members.splice(to).map((member) => member.stop()));
      };
      /**
       * The number of partitions of each member, largest first. Every member must be ready, also
       * one without partitions.
       */
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
    });
  });

  test.concurrent('continues at once when one of its members is stopped in a backlog', async () => {
    const env = {
      ...promptShutdown,
      // The test measures LeaveGroup: neither of these timeouts may end the wait.
      ...consumer({ 'session.timeout.ms': 45_000, 'heartbeat.interval.ms': 1000 }),
      KAFNUS_TRANSACTION_TIMEOUT_MS: '60000',
    };
    await withFleet(kafka(), new Workload({ agent: 'historic' }), env, async (fleet) => {
      const [leaving, staying] = [fleet.start('leaving'), fleet.start('staying')];
      await fleet.produce(100);
      const two = ({ assignment }: AgentStatus): boolean => assignment.length === 2;
      await Promise.all([leaving.until('given two', two), staying.until('given two', two)]);
      // Both members start with a backlog of tens of thousands of records.
      const members = [leaving, staying];
      for (const member of members) member.pause();
      await fleet.produce(backlog);
      for (const member of members) member.resume();
      const { ledger } = await leaving.until('busy', (status) => status.ledger.read > 1000);
      expect(ledger.read).toBeLessThan(backlog / 4);

      const asked = Date.now();
      expect(await leaving.kill('SIGTERM')).toEqual({ code: 0, signal: null });
      expect(Date.now() - asked).toBeLessThan(5000);
      await staying.until('given all', ({ assignment }) => assignment.length === 4, 20_000);

      // The last member stops cleanly as well and leaves no open transaction, which would block
      // read_committed readers.
      expect((await staying.health()).lag).toBeGreaterThan(backlog / 4);
      expect(await staying.kill('SIGTERM')).toEqual({ code: 0, signal: null });
      for (const tenant of fleet.workload.tenants) {
        const topic = fleet.workload.outputTopic(tenant);
        const { internalServers } = kafka();
        const stable = (): Promise<number[]> => endOffsets(internalServers, topic, 'read_committed');
        await eventually(async () => expect(await stable()).toEqual(await endOffsets(internalServers, topic)), 10_000);
      }

      const successor = fleet.start('successor');
      await fleet.finished();
      await expectExactlyOnce(fleet.workload, kafka(), { alive: [successor] });
    });
  });
});
