/** Logs that have changed: truncated, created again, or with deleted records. */
import type { LogJump } from '@kafnus/agent-runtime';
import { first, numbered, together, values, type Member, type Suite } from './scene.js';

export function logRangeCases({ scene, expect, harness }: Suite): void {
  const jumped = (member: Member): Promise<void> => together([member], () => member.jumps.length > 0);
  const backwards = (jump: LogJump): object => ({ kind: 'out-of-range', jump });

  for (const records of [5, 0]) {
    scene(
      `that ends before the position (${records} records) is reported; nothing of it comes until rewind() says from where`,
      async (stage) => {
        await stage.input(1);
        await harness().produce(numbered(stage.in, 0, records));
        const member = await stage.member('a');
        const { session } = member;
        await session.accept([{ ...first(await member.assignment()), offset: 1000 }]);
        await jumped(member);
        expect(member.jumps).toEqual([backwards({ ...stage.input0, position: 1000, found: 0 })]);
        await harness().produce(numbered(stage.in, 0, 2));
        await member.idle(harness().quietMs);
        expect(member.records).toEqual([]);
        expect(session.watermarks(stage.input0)).toEqual({ low: 0, high: records + 2 });

        await session.rewind([{ ...stage.input0, offset: 1 }]);
        await member.receive(records + 1);
        expect(member.records.map(({ offset }) => offset)).toEqual([...values(0, records + 2).keys()].slice(1));
        expect(member.jumps).toHaveLength(1);
      },
    );
  }

  scene('that ends before the position is reported again, when the position is sought again', async (stage) => {
    await stage.input(1);
    await harness().produce(numbered(stage.in, 0, 5));
    const member = await stage.member('a');
    await member.session.accept([{ ...first(await member.assignment()), offset: 1000 }]);
    await jumped(member);
    await member.session.rewind([{ ...stage.input0, offset: 7 }]);
    await together([member], () => member.jumps.length > 1);
    expect(member.jumps).toEqual([
      backwards({ ...stage.input0, position: 1000, found: 0 }),
      backwards({ ...stage.input0, position: 7, found: 0 }),
    ]);
    expect(member.records).toEqual([]);
  });

  scene('that ends before the position of one partition does not hold up the other', async (stage) => {
    await stage.input(2);
    await harness().produce([...numbered(stage.in, 0, 5), ...numbered(stage.in, 1, 5)]);
    const member = await stage.member('a');
    const assigned = await member.assignment();
    await member.session.accept(assigned.map((each) => ({ ...each, offset: each.partition === 0 ? 1000 : 2 })));
    await jumped(member);
    await harness().produce(numbered(stage.in, 1, 5));
    await member.receive(8);
    expect(member.values(1)).toEqual([...values(1, 5).slice(2), ...values(1, 5)]);
    expect(member.values(0)).toEqual([]);
  });

  scene('whose records were deleted before they were read is read on behind them, and says so', async (stage) => {
    await stage.input(1);
    await harness().produce(numbered(stage.in, 0, 10));
    await harness().deleteRecords(stage.input0, 6);
    const member = await stage.member('a');
    await member.session.accept([{ ...first(await member.assignment()), offset: 2 }]);
    await member.receive(4);
    await member.idle(harness().quietMs);
    expect(member.values(0)).toEqual(values(0, 10).slice(6));
    expect(member.jumps).toEqual([{ kind: 'deleted', jump: { ...stage.input0, position: 2, found: 6 } }]);
    expect(member.session.watermarks(stage.input0)).toEqual({ low: 6, high: 10 });
  });

  scene('whose records were all deleted says so, and comes to its end', async (stage) => {
    await stage.input(1);
    await harness().produce(numbered(stage.in, 0, 10));
    await harness().deleteRecords(stage.input0, 10);
    const member = await stage.member('a');
    await member.session.accept([{ ...first(await member.assignment()), offset: 2 }]);
    await jumped(member);
    await harness().produce(numbered(stage.in, 0, 1));
    await member.receive(1);
    expect(member.jumps).toEqual([{ kind: 'deleted', jump: { ...stage.input0, position: 2, found: 10 } }]);
  });

  scene('that begins late is nothing to report for a group without an offset', async (stage) => {
    await stage.input(1);
    await harness().produce(numbered(stage.in, 0, 10));
    await harness().deleteRecords(stage.input0, 6);
    const member = await stage.member('a').then((joined) => joined.joined(1));
    await member.receive(4);
    await member.idle(harness().quietMs);
    expect(member.values(0)).toEqual(values(0, 10).slice(6));
    expect(member.jumps).toEqual([]);
  });

  scene('of a topic that is created again while it is read loses no record of the new one', async (stage) => {
    await stage.input(1);
    await harness().produce(numbered(stage.in, 0, 20));
    const member = await stage.member('a').then((joined) => joined.joined(1));
    await member.receive(20);
    await harness().recreateTopic(stage.in, 1);
    await harness().produce(numbered(stage.in, 0, 3));
    // Either the group notices this, and assigns the partition again; or the session reports it,
    // and this resumes at the beginning of the new log.
    await together([member], () => {
      if (member.jumps.length > 0) void member.session.rewind([{ ...stage.input0, offset: 0 }]);
      return member.records.length > 20 || member.jumps.length > 0;
    });
    await member.receive(23);
    expect(member.values(0).slice(20)).toEqual(values(0, 3));
  });
}
