/** The loop with a fault injected at each Session call: no fault shows in the outputs. */
import { describe, expect, jest, test } from '@jest/globals';
import type { CommitFault, MemoryOperation } from '@kafnus/agent-testkit';
import fc from 'fast-check';
import { changelog, groupId, input } from './counting-agent.js';
import { at, fail, mixed, Rig, type Act } from './loop-rig.js';

jest.setTimeout(60_000);

/** What can happen to a process; all of it must be invisible in what comes out. */
const faults: Readonly<Record<string, Act>> = {
  aborted: commitFault('aborted'),
  'unknown, and committed': commitFault('unknown-committed'),
  'unknown, and aborted': commitFault('unknown-aborted'),
  revoked: (rig) => rig.cluster.rotate(groupId),
  lost: (rig, session) => rig.cluster.lose(session),
  crashed: (rig, session) => rig.restart(session),
  'joined by another': (rig) => void rig.join(),
  fenced: (rig) => {
    // Somebody started a producer with our identity, and went away.
    rig.cluster.initTransactions(`${groupId}-one`);
  },
};

function commitFault(fault: CommitFault): Act {
  return (rig) => void rig.cluster.faults.commits.push(fault);
}

describe('under a fault', () => {
  // The number of calls of a run without faults: the points at which something can happen.
  const records = 24;

  const atAnyCall = Object.keys(faults).flatMap((name) => [
    { name, commits: 'between polls', env: {}, limits: undefined },
    { name, commits: 'within polls', env: { KAFNUS_BATCH_SIZE: '12' }, limits: { transaction: 3, ahead: 2 } },
  ]);

  test.each(atAnyCall)(
    '$name, at every single call, commits $commits: nothing shows',
    async ({ name, env, limits }) => {
      let fired = 0;
      for (let point = 1; ; point += 1) {
        const rig = new Rig(2, { KAFNUS_COMMIT_INTERVAL_MS: '1', ...env }, limits && { limits });
        rig.produce(mixed(records));
        const counter = at(rig, point, faults[name] ?? fail);
        rig.start();
        try {
          await rig.finish();
        } catch (error) {
          throw new Error(`${name} at call ${point}`, { cause: error });
        }

        if (counter.calls < point) break;
        fired += 1;
      }
      expect(fired).toBeGreaterThan(50);
    },
  );

  test.each(['aborted', 'revoked'])('%s: what is read again is not counted twice', async (name) => {
    for (let point = 1; point <= 8; point += 1) {
      const rig = new Rig();
      rig.produce(mixed(records));
      at(rig, point, faults[name] ?? fail, ['commit']);
      rig.start();
      await rig.finish();
      expect(rig.counted).toBe(records);
    }
  });

  test('the records of a commit that was made, though nobody heard of it, are not processed again', async () => {
    const rig = new Rig();
    rig.produce(mixed(records));
    at(rig, 1, faults['unknown, and committed'] ?? fail, ['commit']);
    rig.start();
    await rig.finish();
    expect(rig.counted).toBeLessThan(records);
  });

  test('lost: what was open is aborted, never committed; the coordinator is not relied on', async () => {
    const rig = new Rig(1, { KAFNUS_COMMIT_INTERVAL_MS: '5000' });
    rig.produce(Array.from({ length: 4 }, () => input('x', 'emit')));
    const calls: MemoryOperation[] = [];
    let lost = false;
    rig.cluster.faults.onCall = ({ session, operation }) => {
      if (lost) calls.push(operation);
      if (operation !== 'send' || lost) return;
      lost = true;
      rig.cluster.lose(session);
    };
    rig.start();
    await rig.cluster.until(() => calls.includes('release'), 'released');
    const before = calls.slice(0, calls.indexOf('release'));
    expect(before).toContain('abort');
    expect(before).not.toContain('commit');
    rig.produce([input('x', 'skip')]);
    await rig.finish();
  });

  test('lost while the changelog is waited for: the partitions are released without it', async () => {
    const rig = new Rig(1);
    rig.produce([input('x', 'emit')]);
    rig.cluster.faults.silentTopics.set(changelog, Infinity);
    const { loop, session } = rig.start();
    await rig.cluster.until(() => loop.status.problem?.includes('changelog') === true, 'waiting');
    let released = false;
    rig.cluster.faults.onCall = ({ operation }) => {
      released ||= operation === 'release';
    };
    rig.cluster.lose(session);
    await rig.cluster.until(() => released, 'released', 3000);
    rig.cluster.faults.silentTopics.clear();
    await rig.finish();
  });

  test('any sequence of them, with any input and any batches, by several members', async () => {
    const names = Object.keys(faults).filter((name) => name !== 'fenced');
    const schedule = fc.array(fc.record({ after: fc.integer({ min: 1, max: 40 }), fault: fc.constantFrom(...names) }), {
      maxLength: 8,
    });
    const kinds = fc.constantFrom('emit', 'twice', 'skip', 'reject', 'report');
    const inputs = fc.array(
      fc.record({ partition: fc.nat(2), key: fc.nat(3), kind: kinds, tenant: fc.constantFrom('a', 'b') }),
      { minLength: 1, maxLength: 80 },
    );
    const settings = fc.record({
      batchSize: fc.integer({ min: 1, max: 20 }),
      commitTurns: fc.integer({ min: 0, max: 5 }),
      queueSize: fc.constantFrom(1, 3, 1000),
      limits: fc.record({ transaction: fc.constantFrom(1, 5, 10_000), ahead: fc.constantFrom(1, 3, 2000) }),
    });
    await fc.assert(
      fc.asyncProperty(
        schedule,
        inputs,
        settings,
        async (planned, given, { batchSize, commitTurns, queueSize, limits }) => {
          const env = { KAFNUS_BATCH_SIZE: String(batchSize), KAFNUS_COMMIT_INTERVAL_MS: '1' };
          const rig = new Rig(3, env, { limits });
          Object.assign(rig.cluster.faults, { commitTurns, queueSize });
          rig.produce(
            given.map(({ partition, key, kind, tenant }) => ({ partition, ...input(`k${key}`, kind, tenant) })),
          );
          const ahead = [...planned];
          let due = ahead[0]?.after;
          rig.cluster.faults.onCall = ({ session }) => {
            if (due === undefined || (due -= 1) > 0) return;
            const next = ahead.shift();
            due = ahead[0]?.after;
            if (next) faults[next.fault]?.(rig, session);
          };
          rig.start();
          await rig.finish();
        },
      ),
      { numRuns: 150 },
    );
  });
});
