/** Transactions: what is visible when, and how a refused record is reported. */
import { type CommitOutcome, type OutgoingRecord, type Session } from '@kafnus/agent-runtime';
import { first, now, numbered, values, type Suite } from './scene.js';

export function transactionCases({ scene, transactional, expect, harness, delivery }: Suite): void {
  transactional('is invisible until it is committed, and complete after it, the offsets with it', async (stage) => {
    await stage.input(1);
    await stage.output();
    await harness().produce(numbered(stage.in, 0, 3));
    const member = await stage.member('a').then((joined) => joined.joined(1));
    await member.receive(3);
    const { session } = member;
    expect(await session.committed([stage.input0])).toEqual([{ ...stage.input0, offset: null }]);
    await session.begin();
    const sent = [stage.out('one', 0), stage.out('two', 1), stage.out('three', 0)];
    for (const record of sent) expect(session.send(record)).toBe('queued');
    await stage.quiet();
    expect(await stage.read()).toEqual([]);
    expect(await session.committed([stage.input0])).toEqual([{ ...stage.input0, offset: null }]);
    expect(await session.commit([{ ...stage.input0, offset: 3 }])).toEqual({ kind: 'committed' });
    expect(await stage.read()).toEqual(['0:one', '0:three', '1:two']);
    expect(await session.committed([stage.input0])).toEqual([{ ...stage.input0, offset: 3 }]);
  });

  scene('keeps key, value, headers and timestamp of what is sent', async (stage) => {
    await stage.input(1);
    await stage.output();
    const { session } = await stage.member('a').then((joined) => joined.joined(1));
    await session.begin();
    const headers = [{ a: 'text' }, { a: Buffer.from([0xff, 0]) }, { b: '' }];
    session.send({ topic: stage.target, partition: 1, key: 'k', value: 'v\u00e9', headers, timestamp: now - 2 });
    session.send({
      topic: stage.target,
      partition: 1,
      key: Buffer.from([0xfe]),
      value: null,
      headers: [],
      timestamp: now,
    });
    session.send({
      topic: stage.target,
      partition: 1,
      key: null,
      value: Buffer.from([0xfd]),
      headers: [],
      timestamp: now,
    });
    const empty = Buffer.alloc(0);
    session.send({ topic: stage.target, partition: 1, key: empty, value: empty, headers: [], timestamp: now });
    session.send({ topic: stage.target, partition: 1, key: '', value: '', headers: [], timestamp: now });
    for (const timestamp of [0, -1, -2, now + 86_400_000, 2 ** 63])
      session.send({ topic: stage.target, partition: 1, key: null, value: 't', headers: [], timestamp });
    expect((await session.commit([])).kind).toBe('committed');
    const [full, tombstone, bare, ofBytes, ofText, ...timed] = await harness().readCommitted(stage.target);
    // See writable-time.ts: a timestamp that brokers refuse would stop the agent.
    const ahead = timed.splice(3).map(({ timestamp }) => timestamp);
    expect(timed.map(({ timestamp }) => timestamp)).toEqual([1, -1, -1]);
    for (const time of ahead) expect(Math.abs(time - Date.now())).toBeLessThan(60_000);
    expect(ahead).toHaveLength(2);
    // toMatchObject would accept an empty Buffer for null.
    expect([ofBytes?.key, ofBytes?.value]).toEqual([empty, empty]);
    expect([ofText?.key, ofText?.value]).toEqual([empty, empty]);
    expect(full).toMatchObject({
      partition: 1,
      timestamp: now - 2,
      key: Buffer.from('k'),
      value: Buffer.from('v\u00e9'),
    });
    expect(full?.headers.flatMap(Object.entries)).toEqual([
      ['a', Buffer.from('text')],
      ['a', Buffer.from([0xff, 0])],
      ['b', Buffer.alloc(0)],
    ]);
    expect(tombstone).toMatchObject({ key: Buffer.from([0xfe]), value: null, headers: [], timestamp: now });
    expect(bare).toMatchObject({ key: null, value: Buffer.from([0xfd]) });
  });

  scene('of offsets alone is committed as well', async (stage) => {
    await stage.input(1);
    await harness().produce(numbered(stage.in, 0, 2));
    const member = await stage.member('a').then((joined) => joined.joined(1));
    await member.receive(2);
    await member.session.begin();
    expect(await member.session.commit([{ ...stage.input0, offset: 2 }])).toEqual({ kind: 'committed' });
    expect(await member.session.committed([stage.input0])).toEqual([{ ...stage.input0, offset: 2 }]);
  });

  transactional(
    'that is aborted is never seen; after rewind the same records come again, also those fetched ahead',
    async (stage) => {
      await stage.input(2);
      await stage.output();
      await harness().produce([...numbered(stage.in, 0, 50), ...numbered(stage.in, 1, 50)]);
      const member = await stage.member('a', 10).then((joined) => joined.joined(2));
      await member.receive(20);
      const { session } = member;
      await session.begin();
      session.send(stage.out('never', 0));
      expect(await session.abort()).toMatchObject({ kind: 'aborted' });
      // Time for the session to fetch ahead.
      await stage.quiet();
      member.records.length = 0;
      await session.rewind([
        { topic: stage.in, partition: 0, offset: 3 },
        { topic: stage.in, partition: 1, offset: null },
      ]);
      await member.receive(97);
      expect(member.values(0)).toEqual(values(0, 50).slice(3));
      expect(member.values(1)).toEqual(values(1, 50));
      await session.begin();
      session.send(stage.out('seen', 0));
      expect((await session.commit([{ topic: stage.in, partition: 0, offset: 50 }])).kind).toBe('committed');
      expect(await stage.read()).toEqual(['0:seen']);
      expect(await session.committed([stage.input0])).toEqual([{ ...stage.input0, offset: 50 }]);
    },
  );

  scene('rewind without an offset goes back to where the partition was accepted', async (stage) => {
    await stage.input(1);
    await harness().produce(numbered(stage.in, 0, 30));
    const member = await stage.member('a', 10);
    const assigned = await member.assignment();
    await member.session.accept([{ ...first(assigned), offset: 5 }]);
    // Before the first record is delivered, and after it.
    await stage.quiet();
    await member.session.rewind([{ ...stage.input0, offset: null }]);
    await member.receive(20);
    await member.session.rewind([{ ...stage.input0, offset: null }]);
    await member.receive(20 + 25);
    expect(member.values(0).slice(-25)).toEqual(values(0, 30).slice(5));
    expect(member.values(0)[0]).toBe('0#5');
  });

  scene('to a topic that does not exist is aborted and names the topic, and the next one goes well', async (stage) => {
    await stage.input(1);
    await stage.output();
    const { session } = await stage.member('a').then((joined) => joined.joined(1));
    const nowhere = `${stage.target}-nowhere`;
    await session.begin();
    session.send({ ...stage.out('lost', 0), topic: nowhere });
    session.send(stage.out('lost too', 0));
    const outcome = await session.commit([{ ...stage.input0, offset: 1 }]);
    expect(outcome).toMatchObject({ kind: 'aborted' });
    expect(outcome.kind === 'aborted' && outcome.refused?.get(nowhere)).toMatchObject({ kind: 'passing' });
    await session.begin();
    session.send(stage.out('fine', 0));
    expect((await session.commit([])).kind).toBe('committed');
    // Without a transaction, the records of the other topic stay.
    expect(await stage.read()).toEqual(delivery === 'exactly-once' ? ['0:fine'] : ['0:lost too', '0:fine']);
    expect(await session.committed([stage.input0])).toEqual([{ ...stage.input0, offset: null }]);
  });

  /**
   * A partition that has refused a batch misses its sequence numbers in the next transaction. So
   * that one is aborted as well, without naming a topic, and the producer continues with a new
   * epoch.
   */
  const commitNext = async (session: Session, record: OutgoingRecord): Promise<void> => {
    const outcomes: CommitOutcome[] = [];
    for (let attempt = 0; attempt < 2 && outcomes.at(-1)?.kind !== 'committed'; attempt += 1) {
      await session.begin();
      session.send(record);
      outcomes.push(await session.commit([]));
    }
    expect(outcomes.at(-1)).toEqual({ kind: 'committed' });
    for (const outcome of outcomes.slice(0, -1)) {
      expect(outcome).toMatchObject({ kind: 'aborted', cause: 'out_of_order_sequence_number' });
      expect(outcome).not.toHaveProperty('topics');
      expect(outcome).not.toHaveProperty('unnamed');
    }
  };

  transactional(
    'that a topic refuses for its contents is aborted, and the topic and the reason are named',
    async (stage) => {
      await stage.input(1);
      await harness().createTopic(stage.target, 2, { 'max.message.bytes': '2000' });
      const { session } = await stage.member('a').then((joined) => joined.joined(1));
      for (let round = 0; round < 3; round += 1) {
        await session.begin();
        session.send(stage.out('good', 1));
        session.send({ ...stage.out('', 0), value: 'x'.repeat(5000) });
        const outcome = await session.commit([{ ...stage.input0, offset: 1 }]);
        expect(outcome.kind === 'aborted' && outcome.refused?.get(stage.target)).toMatchObject({
          kind: 'contents',
          about: 'size',
        });
        // Each record is accepted, but a batch of all is too large.
        await session.begin();
        for (let part = 0; part < 10; part += 1) session.send({ ...stage.out('', 0), value: 'x'.repeat(1000) });
        const together = await session.commit([]);
        expect(together.kind === 'aborted' && together.refused?.get(stage.target)?.kind).toBe('contents');
        await commitNext(session, stage.out(`small ${round}`, 0));
      }
      expect(await stage.read()).toEqual(['0:small 0', '0:small 1', '0:small 2']);
      expect(await session.committed([stage.input0])).toEqual([{ ...stage.input0, offset: null }]);
    },
  );

  transactional('is not blamed for what was refused of the one before, however much that was', async (stage) => {
    await stage.input(1);
    await harness().createTopic(stage.target, 2, { 'message.timestamp.after.max.ms': '60000' });
    const { session } = await stage.member('a').then((joined) => joined.joined(1));
    for (let round = 0; round < 5; round += 1) {
      await session.begin();
      for (let part = 0; part < 3000; part += 1)
        session.send({ ...stage.out('never', part % 2), timestamp: now + 1_800_000 });
      const outcome = await session.commit([]);
      expect(outcome.kind === 'aborted' && outcome.refused?.get(stage.target)?.kind).toBe('contents');
      await session.begin();
      session.send({ ...stage.out('never', 0), timestamp: now + 1_800_000 });
      const single = await session.commit([]);
      expect(single.kind === 'aborted' && single.refused?.get(stage.target)).toMatchObject({ about: 'time' });
      await commitNext(session, stage.out(`good ${round}`, 0));
    }
    expect(await stage.read()).toEqual(['0:good 0', '0:good 1', '0:good 2', '0:good 3', '0:good 4']);
  });

  scene('refuses a record that is too large at once, and takes the others', async (stage) => {
    await stage.input(1);
    await stage.output();
    const { session } = await stage.member('a').then((joined) => joined.joined(1));
    await session.begin();
    expect(session.send({ ...stage.out('', 0), value: Buffer.alloc(2_000_000) })).toBe('too-large');
    expect(session.send({ ...stage.out('', 0), headers: [{ h: Buffer.alloc(2_000_000) }] })).toBe('too-large');
    expect(session.send(stage.out('small', 0))).toBe('queued');
    expect(await session.commit([])).toEqual({ kind: 'committed' });
    expect(await stage.read()).toEqual(['0:small']);
  });
}
