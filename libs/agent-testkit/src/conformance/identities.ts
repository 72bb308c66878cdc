/** Transactional identities: a successor fences its predecessor. */
import { type CommitOutcome } from '@kafnus/agent-runtime';
import { setTimeout as sleep } from 'node:timers/promises';
import { numbered, type Suite } from './scene.js';

export function identityCases({ transactional, expect, harness }: Suite): void {
  transactional(
    'of a successor fences the predecessor: its open records never appear, its commit is unknown, reset() regains it',
    async (stage) => {
      await stage.input(1);
      await stage.output();
      await harness().produce(numbered(stage.in, 0, 3));
      const old = await stage.member('same').then((joined) => joined.joined(1));
      await old.session.begin();
      old.session.send(stage.out('zombie', 0));
      await stage.quiet();
      const young = await stage.member('same');
      // Further records of the fenced producer are lost as well, and it does not fail before its
      // commit.
      for (let count = 0; count < 5; count += 1) {
        expect(old.session.send(stage.out('zombie', 1))).toBe('queued');
        await sleep(100);
      }
      const outcome: CommitOutcome = await old.session.commit([{ ...stage.input0, offset: 3 }]);
      expect(outcome).toMatchObject({ kind: 'unknown', fenced: true });
      await young.session.begin();
      young.session.send(stage.out('young', 0));
      expect(await young.session.commit([])).toEqual({ kind: 'committed' });
      await old.session.reset();
      await old.session.begin();
      old.session.send(stage.out('again', 0));
      expect(await old.session.commit([])).toEqual({ kind: 'committed' });
      expect(await stage.read()).toEqual(['0:young', '0:again']);
      expect(await old.session.committed([stage.input0])).toEqual([{ ...stage.input0, offset: null }]);
      // Now the other one is fenced.
      await young.session.begin();
      young.session.send(stage.out('zombie', 0));
      expect(await young.session.commit([])).toMatchObject({ kind: 'unknown', fenced: true });
      await young.session.reset();
    },
  );

  transactional(
    'of a successor ends the transaction that a dead predecessor left open: readers go on at once',
    async (stage) => {
      await stage.input(1);
      await stage.output();
      const dead = await stage.member('same').then((joined) => joined.joined(1));
      await dead.session.begin();
      dead.session.send(stage.out('dead', 0));
      await stage.quiet();
      await harness().produce([{ topic: stage.target, partition: 0, value: 'behind' }]);
      expect(await stage.read()).toEqual([]);
      await stage.member('same');
      expect(await stage.read()).toEqual(['0:behind']);
    },
  );

  transactional('of another name fences nobody', async (stage) => {
    await stage.input(1);
    await stage.output();
    const one = await stage.member('one');
    await one.session.begin();
    one.session.send(stage.out('one', 0));
    const two = await stage.member('two');
    await two.session.begin();
    two.session.send(stage.out('two', 1));
    expect(await one.session.commit([])).toEqual({ kind: 'committed' });
    expect(await two.session.commit([])).toEqual({ kind: 'committed' });
    expect(await stage.read()).toEqual(['0:one', '1:two']);
  });
}
