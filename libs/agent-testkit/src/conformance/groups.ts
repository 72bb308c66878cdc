/** Consumer groups: partitions move between members without loss or overlap. */
import { partitionName } from '@kafnus/agent-runtime';
import { first, numbered, together, values, type Suite } from './scene.js';

/** Much less than the session timeout of 10 s, after which a group expels a silent member. */
const handoverMs = 5000;

export function groupCases({ scene, expect, harness }: Suite): void {
  scene(
    'moves a partition only after its release; then nothing of it is delivered to the one before',
    async (stage) => {
      await stage.input(2);
      await harness().produce([...numbered(stage.in, 0, 500), ...numbered(stage.in, 1, 500)]);
      const one = await stage.member('one', 10).then((joined) => joined.joined(2));
      await one.receive(40);
      one.releases = false;
      const two = await stage.member('two', 10);
      await together([one, two], () => one.revoked.length > 0);
      expect(one.revoked).toHaveLength(1);
      expect(one.lost).toBe(false);
      const moved = first(one.revoked);
      // Until the release, only this member may process the records.
      await together([two], () => false, { forMs: harness().quietMs });
      expect(two.owned.size).toBe(0);
      await one.session.begin();
      const done =
        1 +
        Math.max(
          -1,
          ...one.records.filter(({ partition }) => partition === moved.partition).map(({ offset }) => offset),
        );
      expect(await one.session.commit([{ ...moved, offset: done }])).toEqual({ kind: 'committed' });
      one.release(moved);
      const before = one.records.length;
      await together([one, two], () => two.owned.has(partitionName(moved)));
      await together([one, two], () => two.records.length >= 500 - done);
      expect(two.values(moved.partition)).toEqual(values(moved.partition, 500).slice(done));
      expect(one.records.slice(before).filter(({ partition }) => partition === moved.partition)).toEqual([]);
      // The partition that stayed was read without a gap.
      const stayed = 1 - moved.partition;
      await together([one, two], () => one.values(stayed).length >= 500);
      expect(one.values(stayed)).toEqual(values(stayed, 500));
    },
  );

  scene('gives the partitions of a member that closes to another at once', async (stage) => {
    await stage.input(2);
    const one = await stage.member('one').then((joined) => joined.joined(2));
    const two = await stage.member('two');
    await together([one, two], () => one.owned.size === 1 && two.owned.size === 1);
    const since = performance.now();
    const closing = one.session.close();
    await together([two], () => two.owned.size === 2);
    await closing;
    expect(performance.now() - since).toBeLessThan(handoverMs);
  });

  scene('goes on when a member closes before it has released what is taken away', async (stage) => {
    await stage.input(2);
    const one = await stage.member('one').then((joined) => joined.joined(2));
    one.releases = false;
    const two = await stage.member('two');
    await together([one, two], () => one.revoked.length > 0);
    const since = performance.now();
    const closing = one.session.close();
    await together([two], () => two.owned.size === 2);
    await closing;
    expect(performance.now() - since).toBeLessThan(handoverMs);
  });

  scene('is waited for no longer than until the signal: for offsets, topics and a new producer', async (stage) => {
    await stage.input(1);
    const { session } = await stage.member('one').then((joined) => joined.joined(1));
    const over = AbortSignal.abort(new Error('over'));
    await expect(session.committed([stage.input0], over)).rejects.toThrow('over');
    await expect(session.partitionCount(stage.in, over)).rejects.toThrow('over');
    expect(await session.partitionCount(stage.in)).toBe(1);
    await expect(session.reset(over)).rejects.toThrow('over');
  });

  scene('goes on when a member closes before it has accepted what it was assigned', async (stage) => {
    await stage.input(2);
    const one = await stage.member('one');
    await one.assignment();
    const since = performance.now();
    await one.session.close();
    const two = await stage.member('two').then((joined) => joined.joined(2));
    expect(performance.now() - since).toBeLessThan(handoverMs);
    expect(two.owned.size).toBe(2);
  });

  scene('lets a member commit while a rebalance is under way that it has not answered yet', async (stage) => {
    await stage.input(1);
    await stage.output();
    await harness().produce(numbered(stage.in, 0, 3));
    const one = await stage.member('one').then((joined) => joined.joined(1));
    await one.receive(3);
    const two = await stage.member('two');
    await one.session.begin();
    one.session.send(stage.out('first', 0));
    expect((await one.session.commit([{ ...stage.input0, offset: 2 }])).kind).toBe('committed');
    expect(await two.session.committed([stage.input0])).toEqual([{ ...stage.input0, offset: 2 }]);
  });
}
