/** Records: what reaches the loop, and from which offset. */
import { setTimeout as sleep } from 'node:timers/promises';
import { first, headersOf, now, numbered, settled, together, valueOf, values, type Suite } from './scene.js';

export function consumingCases({ scene, transactional, expect, harness }: Suite): void {
  scene('arrive in order, from the accepted offset, and with all that they have', async (stage) => {
    await stage.input(1);
    await harness().produce([
      ...numbered(stage.in, 0, 3),
      {
        topic: stage.in,
        partition: 0,
        key: 'k',
        value: 'v',
        headers: [{ h: 'x' }, { h: 'y' }],
        timestamp: now - 1,
      },
      { topic: stage.in, partition: 0, key: null, value: null, timestamp: now },
    ]);
    const member = await stage.member('a');
    const assigned = await member.assignment();
    await member.session.accept([{ ...first(assigned), offset: 2 }]);
    await member.receive(3);
    expect(member.values(0)).toEqual(['0#2', 'v', null]);
    expect(member.records.map(({ offset }) => offset)).toEqual([2, 3, 4]);
    const [, full, tombstone] = member.records;
    const place = { topic: stage.in, partition: 0, offset: 3 };
    expect(full).toMatchObject({ ...place, timestamp: now - 1, key: Buffer.from('k'), value: Buffer.from('v') });
    expect(headersOf(full)).toEqual([
      ['h', 'x'],
      ['h', 'y'],
    ]);
    expect(tombstone).toMatchObject({ key: null, value: null, headers: [], timestamp: now });
  });

  scene('have and keep headers of any name as own members, also of one that every object has', async (stage) => {
    // Setting a member by assignment loses __proto__, and makes a header that throws when it is
    // read.
    const names = ['__proto__', 'constructor', 'toString', '0', '', 'é€😀', '__proto__'];
    const headers = names.map((name, place) => ({ [name]: place === 0 ? '' : `${place}` }));
    const pairs = names.map((name, place) => [name, place === 0 ? '' : `${place}`]);
    await stage.input(1);
    await stage.output();
    await harness().produce([{ topic: stage.in, partition: 0, key: 'k', value: 'v', headers, timestamp: now }]);
    const member = await stage.member('a').then((joined) => joined.joined(1));
    await member.receive(1);
    const [record] = member.records;
    expect(headersOf(record)).toEqual(pairs);
    const visited: string[] = [];
    for (const header of record?.headers ?? []) for (const name in header) visited.push(name);
    expect(visited).toEqual(names);
    await member.session.begin();
    member.session.send({ ...stage.out('copy', 0), headers: record?.headers ?? [] });
    expect(await member.session.commit([{ ...stage.input0, offset: 1 }])).toEqual({ kind: 'committed' });
    const [copy] = await harness().readCommitted(stage.target);
    expect(headersOf(copy)).toEqual(pairs);
  });

  scene('of a partition come only after it was accepted', async (stage) => {
    await stage.input(2);
    await harness().produce([...numbered(stage.in, 0, 5), ...numbered(stage.in, 1, 5)]);
    const member = await stage.member('a');
    const assigned = await member.assignment();
    expect(assigned).toHaveLength(2);
    await member.idle(harness().quietMs);
    expect(member.records).toEqual([]);
    await member.session.accept(assigned.map((partition) => ({ ...partition, offset: null })));
    await member.receive(10);
    expect(member.values(0)).toEqual(values(0, 5));
    expect(member.values(1)).toEqual(values(1, 5));
  });

  transactional('of a transaction come when it is committed, and never when it is aborted', async (stage) => {
    await stage.input(1);
    const member = await stage.member('a').then((joined) => joined.joined(1));
    const { session } = member;
    const sendInput = async (value: string): Promise<void> => {
      await session.begin();
      session.send({ ...stage.input0, key: 'key', value, headers: [], timestamp: now });
      await stage.quiet();
    };
    await sendInput('never');
    await session.abort();
    await sendInput('in time');
    await member.idle(harness().quietMs);
    expect(member.records).toEqual([]);
    expect(await session.commit([])).toEqual({ kind: 'committed' });
    await harness().produce(numbered(stage.in, 0, 1));
    await member.receive(2);
    expect(member.values(0)).toEqual(['in time', '0#0']);
  });

  scene('are held back while none are wanted, and rebalances are not', async (stage) => {
    await stage.input(2);
    const member = await stage.member('a');
    await member.joined(2);
    const other = await stage.member('b');
    await together([member, other], () => member.owned.size === 1 && other.owned.size === 1, {
      wantRecords: false,
    });
    await harness().produce([...numbered(stage.in, 0, 5), ...numbered(stage.in, 1, 5)]);
    await together([member, other], () => false, { wantRecords: false, forMs: harness().quietMs });
    expect([...member.records, ...other.records]).toEqual([]);
    await together([member, other], () => member.records.length + other.records.length >= 10);
    const all = [...member.records, ...other.records].map(valueOf).sort();
    expect(all).toEqual([...values(0, 5), ...values(1, 5)]);
  });

  scene('wake() ends the waiting, also when it comes first; without anything, next() is idle', async (stage) => {
    await stage.input(1);
    const { session } = await stage.member('a').then((member) => member.joined(1));
    await settled(session);
    expect(await session.next(20, true)).toEqual({ kind: 'idle' });
    session.wake();
    expect(await session.next(20_000, true)).toEqual({ kind: 'woken' });
    const waiting = session.next(20_000, false);
    await sleep(20);
    session.wake();
    expect(await waiting).toEqual({ kind: 'woken' });
    expect(await session.next(20, true)).toEqual({ kind: 'idle' });
  });

  scene('tell how far a partition reaches', async (stage) => {
    await stage.input(1);
    await harness().produce(numbered(stage.in, 0, 5));
    const member = await stage.member('a').then((joined) => joined.joined(1));
    await member.receive(5);
    expect(member.session.watermarks({ topic: stage.in, partition: 0 })).toEqual({ low: 0, high: 5 });
    expect(member.session.watermarks({ topic: stage.in, partition: 7 })).toBeNull();
  });
}
