/** Changelogs: a restore reads the committed entries to the end. */
import { type OutgoingRecord, type Session, type TopicPartition } from '@kafnus/agent-runtime';
import { now, type Suite } from './scene.js';

export function changelogCases({ scene, transactional, expect, harness }: Suite): void {
  const restored = async (
    session: Session,
    changelog: TopicPartition,
  ): Promise<{ entries: string[]; count: number }> => {
    const entries: string[] = [];
    const count = await session.restore(
      changelog,
      (key, value) => entries.push(`${key.toString()}=${value === null ? 'null' : value.toString()}`),
      () => undefined,
      new AbortController().signal,
    );
    return { entries, count };
  };

  transactional('is restored to its end: committed entries, tombstones too, and of this partition', async (stage) => {
    await stage.input(1);
    await harness().createTopic(stage.target, 2, { 'cleanup.policy': 'compact' });
    const { session } = await stage.member('a');
    const put = (key: string, value: string | null, partition = 0): OutgoingRecord => ({
      topic: stage.target,
      partition,
      key,
      value,
      headers: [],
      timestamp: now,
    });
    await session.begin();
    for (const record of [put('a', '1'), put('b', '2'), put('other', '3', 1), put('a', '4')]) session.send(record);
    expect((await session.commit([])).kind).toBe('committed');
    await session.begin();
    session.send(put('never', '5'));
    await stage.quiet();
    await session.abort();
    await session.begin();
    session.send(put('b', null));
    expect((await session.commit([])).kind).toBe('committed');
    await session.begin();
    session.send(put('never', '6'));
    await stage.quiet();
    await session.abort();
    expect(await restored(session, { topic: stage.target, partition: 0 })).toEqual({
      entries: ['a=1', 'b=2', 'a=4', 'b=null'],
      count: 4,
    });
    expect((await restored(session, { topic: stage.target, partition: 1 })).entries).toEqual(['other=3']);
  });

  for (const compression of ['lz4', 'zstd']) {
    transactional(`whose records are kept with compression.type=${compression} is restored`, async (stage) => {
      await stage.input(1);
      await harness().createTopic(stage.target, 1, { 'cleanup.policy': 'compact', 'compression.type': compression });
      const { session } = await stage.member('a');
      const expected: string[] = [];
      for (let transaction = 0; transaction < 6; transaction += 1) {
        const isAborted = transaction % 3 === 1;
        await session.begin();
        for (let place = 0; place < 200; place += 1) {
          const key = `["city","/","AirQualityObserved","station-${transaction}-${place}"]`;
          const value = place % 10 === 9 ? null : `${transaction * 1000 + place}`;
          session.send({ topic: stage.target, partition: 0, key, value, headers: [], timestamp: now });
          if (!isAborted) expected.push(`${key}=${value}`);
        }
        if (isAborted) {
          await stage.quiet();
          await session.abort();
        } else expect(await session.commit([])).toEqual({ kind: 'committed' });
      }
      const { entries, count } = await restored(session, { topic: stage.target, partition: 0 });
      expect(entries).toEqual(expected);
      expect(count).toBe(expected.length);
    });
  }

  scene('that is empty is restored at once', async (stage) => {
    await stage.input(1);
    await harness().createTopic(stage.target, 1, { 'cleanup.policy': 'compact' });
    const { session } = await stage.member('a');
    expect(await restored(session, { topic: stage.target, partition: 0 })).toEqual({ entries: [], count: 0 });
  });

  transactional(
    'is not restored past a transaction that is still undecided; the signal ends the waiting',
    async (stage) => {
      await stage.input(1);
      await harness().createTopic(stage.target, 1, { 'cleanup.policy': 'compact' });
      const { session: writer } = await stage.member('writer');
      await writer.begin();
      writer.send({ topic: stage.target, partition: 0, key: 'a', value: '1', headers: [], timestamp: now });
      await stage.quiet();
      const { session } = await stage.member('reader');
      const abort = new AbortController();
      const given = session.restore(
        { topic: stage.target, partition: 0 },
        () => undefined,
        () => undefined,
        abort.signal,
      );
      const whole = restored(session, { topic: stage.target, partition: 0 });
      expect(await Promise.race([given, whole, stage.quiet('waits')])).toBe('waits');
      abort.abort();
      await expect(given).rejects.toThrow();
      expect((await writer.commit([])).kind).toBe('committed');
      expect(await whole).toEqual({ entries: ['a=1'], count: 1 });
    },
  );
}
