/** Commits without transactions: no offset is committed before its records are stored. */
import { numbered, valueOf, type Suite } from './scene.js';

export function atLeastOnceCases({ scene, alone, expect, harness }: Suite): void {
  scene('are there before the commit, and the offsets only after it', async (stage) => {
    await stage.input(1);
    await stage.output();
    const { session } = await stage.member('a').then((joined) => joined.joined(1));
    await session.begin();
    session.send(stage.out('one', 0));
    await stage.quiet();
    expect(await stage.read()).toEqual(['0:one']);
    expect(await session.committed([stage.input0])).toEqual([{ ...stage.input0, offset: null }]);
    expect(await session.commit([{ ...stage.input0, offset: 1 }])).toEqual({ kind: 'committed' });
    expect(await session.committed([stage.input0])).toEqual([{ ...stage.input0, offset: 1 }]);
  });

  scene('that a topic refuses fail the next commit, whenever they were refused, and that one only', async (stage) => {
    await stage.input(1);
    await stage.output();
    const { session } = await stage.member('a').then((joined) => joined.joined(1));
    const nowhere = `${stage.target}-nowhere`;
    await session.begin();
    session.send({ ...stage.out('lost', 0), topic: nowhere });
    // The refusal is reported between two commits, and a new batch begins.
    await stage.quiet();
    await session.begin();
    session.send(stage.out('taken', 0));
    const outcome = await session.commit([{ ...stage.input0, offset: 1 }]);
    expect(outcome).toMatchObject({ kind: 'aborted' });
    expect(outcome.kind === 'aborted' && outcome.refused?.get(nowhere)).toMatchObject({ kind: 'passing' });
    expect(await session.committed([stage.input0])).toEqual([{ ...stage.input0, offset: null }]);
    await session.begin();
    session.send(stage.out('again', 0));
    expect(await session.commit([{ ...stage.input0, offset: 1 }])).toEqual({ kind: 'committed' });
    expect(await stage.read()).toEqual(['0:taken', '0:again']);
  });

  for (const [when, isSentFirst] of [
    ['was queued when a fatal error ended the producer', true],
    ['is sent after a fatal error has ended the producer', false],
  ] as const) {
    alone(`of which one ${when} fail every commit until reset(), and then they are sent again`, async (stage) => {
      await stage.input(1);
      await stage.output();
      await harness().breakProducers(1);
      await harness().produce(numbered(stage.in, 0, 2));
      const member = await stage.member('a');
      const { session } = member;
      await session.begin();
      if (isSentFirst) expect(session.send(stage.out('lost', 0))).toBe('queued');
      await member.joined(1);
      await member.receive(2);
      if (!isSentFirst) {
        await harness().brokenProducer();
        expect(session.send(stage.out('lost', 0))).toBe('queued');
      }
      const failed = { kind: 'unknown', fenced: false };
      expect(await session.commit([{ ...stage.input0, offset: 2 }])).toMatchObject(failed);
      await session.begin();
      expect(await session.commit([{ ...stage.input0, offset: 2 }])).toMatchObject(failed);
      expect(await session.abort()).toMatchObject(failed);
      expect(await stage.read()).toEqual([]);
      expect(await session.committed([stage.input0])).toEqual([{ ...stage.input0, offset: null }]);

      await session.reset();
      await session.rewind([{ ...stage.input0, offset: 0 }]);
      member.records.length = 0;
      await member.receive(2);
      await session.begin();
      for (const record of member.records) session.send(stage.out(valueOf(record) ?? '', 0));
      expect(await session.commit([{ ...stage.input0, offset: 2 }])).toEqual({ kind: 'committed' });
      expect(await stage.read()).toEqual(['0:0#0', '0:0#1']);
      expect(await session.committed([stage.input0])).toEqual([{ ...stage.input0, offset: 2 }]);
    });
  }
}
