/** The end of the loop: stop() at any point, and the failures that end it. */
import { describe, expect, jest, test } from '@jest/globals';
import { changelog, groupId, input } from './counting-agent.js';
import { mixed, Rig } from './loop-rig.js';

jest.setTimeout(60_000);

describe('the end', () => {
  test('stop() commits what was processed, and leaves the group', async () => {
    const rig = new Rig(1, { KAFNUS_COMMIT_INTERVAL_MS: '5000', KAFNUS_BATCH_SIZE: '5' });
    rig.produce(Array.from({ length: 10 }, () => input('x', 'emit')));
    let deliveries = 0;
    const { loop, ended } = rig.start();
    rig.cluster.faults.onCall = ({ operation }) => {
      // Full batches and a long interval: nothing is committed on its own account.
      if (
        operation === 'next' &&
        loop.status.partitions().some(({ position }) => position === 10) &&
        (deliveries += 1) === 1
      )
        loop.stop();
    };
    await ended;
    expect(rig.lag).toBe(0);
    rig.verify();
    expect(loop.lifecycle.state).toBe('stopped');
    rig.start('two');
    rig.produce([input('x', 'emit')]);
    await rig.drained();
    await rig.finish();
  });

  test('stop() during the start ends it, though the cluster never answers', async () => {
    const rig = new Rig();
    rig.cluster.faults.onCall = ({ operation }) => (operation === 'start' ? new Promise(() => undefined) : undefined);
    const { loop, session, ended } = rig.start();
    loop.stop();
    await ended;
    expect(loop.lifecycle.state).toBe('stopped');
    // A flush that waits for brokers would go on otherwise.
    expect(session.isStopping).toBe(true);
  });

  test.each(['reset', 'committed', 'partitionCount', 'ensureTopic', 'restore'] as const)(
    'stop() in a recovery in which %s is never answered ends it, and nothing is lost or doubled',
    async (held) => {
      const rig = new Rig(1);
      rig.produce(mixed(10, 1));
      const { loop, ended } = rig.start();
      let asked = false;
      rig.cluster.faults.onCall = ({ operation }) => {
        if (operation !== held || loop.lifecycle.state !== 'recovering') return undefined;
        asked = true;
        return new Promise(() => undefined);
      };
      rig.cluster.faults.commits.push('unknown-committed');
      await rig.cluster.until(() => asked, 'waiting');
      loop.stop();
      await inTime(ended);
      expect(loop.lifecycle.state).toBe('stopped');
      rig.cluster.faults.onCall = () => undefined;
      rig.start();
      await rig.drained();
      rig.verify();
    },
  );

  test('stop() in a revocation that waits for a recovery ends it, and the partition is given back', async () => {
    const rig = new Rig(1);
    rig.produce(mixed(10, 1));
    const { loop, ended } = rig.start();
    let asked = false;
    let revoked = false;
    rig.cluster.faults.onCall = ({ operation }) => {
      if (operation === 'commit' && !revoked) {
        revoked = true;
        rig.cluster.rotate(groupId);
      }
      if (operation !== 'committed' || loop.lifecycle.state !== 'recovering') return undefined;
      asked = true;
      return new Promise(() => undefined);
    };
    rig.cluster.faults.commits.push('unknown-aborted');
    await rig.cluster.until(() => asked, 'waiting');
    loop.stop();
    await inTime(ended);
    expect(loop.lifecycle.state).toBe('stopped');
    rig.cluster.faults.onCall = () => undefined;
    rig.start('two');
    await rig.drained();
    rig.verify();
  });

  test.each(['committed', 'partitionCount', 'ensureTopic', 'restore'] as const)(
    'stop() while %s is never answered for partitions that have come ends it',
    async (held) => {
      const rig = new Rig(1);
      rig.cluster.createTopic(changelog, 1);
      let asked = false;
      rig.cluster.faults.onCall = ({ operation }) => {
        if (operation !== held) return undefined;
        asked = true;
        return new Promise(() => undefined);
      };
      const { loop, ended } = rig.start();
      await rig.cluster.until(() => asked, 'waiting');
      loop.stop();
      await inTime(ended);
      expect(loop.lifecycle.state).toBe('stopped');
    },
  );

  test('stop() while nobody answers about an output topic ends it; what was decided before is committed', async () => {
    const rig = new Rig(1, { KAFNUS_BATCH_SIZE: '10' });
    rig.produce([input('x', 'emit', 'a')]);
    const { loop, ended } = rig.start();
    await rig.drained();
    let asked = false;
    rig.cluster.faults.onCall = ({ operation }) => {
      if (operation !== 'ensureTopic') return undefined;
      asked = true;
      return new Promise(() => undefined);
    };
    rig.produce([input('x', 'emit', 'a'), input('x', 'emit', 'b'), input('x', 'emit', 'a')]);
    await rig.cluster.until(() => asked, 'waiting');
    loop.stop();
    await inTime(ended);
    expect(rig.lag).toBe(2);
    rig.cluster.faults.onCall = () => undefined;
    rig.start();
    await rig.finish();
  });

  test('an error beside the loop, where a commit is acted on, ends the process with it', async () => {
    const rig = new Rig(1);
    const { loop, ended } = rig.start();
    await rig.drained();
    loop.ledger.add = () => {
      throw new Error('the ledger is broken');
    };
    rig.produce([input('x', 'emit')]);
    await expect(inTime(ended)).rejects.toThrow('the ledger is broken');
    expect(loop.lifecycle.state).toBe('failed');
  });

  test('stop() during a restore ends it', async () => {
    const rig = new Rig();
    rig.produce(mixed(10));
    rig.cluster.createTopic(changelog, 2);
    // A transaction that nobody ends: the restore cannot come to its end.
    rig.cluster.write(
      { topic: changelog, partition: 0, key: 'k', value: '1', headers: [], timestamp: 1 },
      rig.cluster.transaction('stranger'),
    );
    const { loop, ended } = rig.start();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(loop.status.partitions().map(({ state }) => state)).toEqual(['restoring', 'restoring']);
    loop.stop();
    await ended;
    expect(loop.lifecycle.state).toBe('stopped');
    expect(rig.lag).toBe(10);
  });

  test('fenced twice within a minute: the process gives way, and says which setting is wrong', async () => {
    const rig = new Rig(1);
    rig.produce(mixed(40, 1));
    const { ended, loop } = rig.start('same');
    rig.cluster.faults.onCall = ({ operation }) => {
      if (operation === 'commit') rig.cluster.initTransactions(`${groupId}-same`);
    };
    await expect(ended).rejects.toThrow(/fenced twice.*instance id "same".*KAFNUS_INSTANCE_ID/);
    expect(loop.lifecycle.state).toBe('failed');
  });

  test('a session that fails ends the process with its error', async () => {
    const rig = new Rig(1);
    const { ended, session, loop } = rig.start();
    await rig.drained();
    session.fail(new Error('the client is beyond repair'));
    await expect(ended).rejects.toThrow('the client is beyond repair');
    expect(loop.lifecycle.state).toBe('failed');
  });
});

/** What should end soon, and not when something else lets it. */
async function inTime(ended: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('not within 2 s')), 2000);
  });
  await Promise.race([ended, late]).finally(() => clearTimeout(timer));
}
