/**
 * What the loop relies on, as one suite for every implementation of the port: the in-memory session, on which the loop is
 * tested with thousands of faults, must behave like the one on a real Kafka, or those tests prove nothing.
 *
 * Jest's functions are handed in: outside of a test run `@jest/globals` cannot be imported, and this module is a part of a
 * library.
 */
import {
  partitionName,
  type CommitOutcome,
  type OutgoingRecord,
  type Session,
  type TopicPartition,
} from '@kafnus/agent-runtime';
import type * as JestGlobals from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { atLeastOnceCases } from './conformance-at-least-once.js';
import { logRangeCases } from './conformance-log-range.js';
import {
  caseMs,
  eventually,
  first,
  headersOf,
  now,
  numbered,
  Scene,
  settled,
  together,
  valueOf,
  values,
  type Delivery,
  type SessionHarness,
} from './conformance-scene.js';

export type { Delivery, HarnessSession, SessionHarness } from './conformance-scene.js';

/** What of Jest the suite needs. */
export interface TestFunctions extends Pick<typeof JestGlobals, 'afterAll' | 'beforeAll' | 'expect' | 'test'> {
  readonly describe: (name: string, suite: () => void) => void;
}

/** Cases so far: suites that share a cluster do not share topics. */
let scenes = 0;

/** Far less than a group needs to notice that a member is gone without a word (its session timeout, 10 s). */
const handoverMs = 5000;

/**
 * Defines the suite.
 * @param makeHarness is called once, before the first case
 * @param delivery at-least-once leaves out what is about transactions, and has cases of its own
 */
export function describeSessionConformance(
  jest: TestFunctions,
  name: string,
  makeHarness: () => Promise<SessionHarness>,
  delivery: Delivery = 'exactly-once',
): void {
  const { afterAll, beforeAll, describe, expect, test } = jest;

  describe(`session conformance: ${name}, ${delivery}`, () => {
    let harness: SessionHarness;
    beforeAll(async () => {
      harness = await makeHarness();
    }, caseMs);
    afterAll(() => harness?.close(), caseMs);

    /** Each case has topics and a group of its own. */
    function scene(title: string, play: (scene: Scene) => Promise<void>): void {
      test(
        title,
        async () => {
          const stage = new Scene(harness, `case${(scenes += 1)}`, delivery);
          try {
            await play(stage);
          } finally {
            await stage.end();
          }
        },
        caseMs,
      );
    }

    /** A case about transactions. */
    function transactional(title: string, play: (scene: Scene) => Promise<void>): void {
      if (delivery === 'exactly-once') scene(title, play);
    }

    describe('records', () => {
      scene('arrive in order, from the accepted offset, and with all that they have', async (stage) => {
        await stage.input(1);
        await harness.produce([
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
        // What sets a member by assignment loses __proto__, and makes a header that throws when it is looked at.
        const names = ['__proto__', 'constructor', 'toString', '0', '', 'é€😀', '__proto__'];
        const headers = names.map((name, place) => ({ [name]: place === 0 ? '' : `${place}` }));
        const pairs = names.map((name, place) => [name, place === 0 ? '' : `${place}`]);
        await stage.input(1);
        await stage.output();
        await harness.produce([{ topic: stage.in, partition: 0, key: 'k', value: 'v', headers, timestamp: now }]);
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
        const [copy] = await harness.readCommitted(stage.target);
        expect(headersOf(copy)).toEqual(pairs);
      });

      scene('of a partition come only after it was accepted', async (stage) => {
        await stage.input(2);
        await harness.produce([...numbered(stage.in, 0, 5), ...numbered(stage.in, 1, 5)]);
        const member = await stage.member('a');
        const assigned = await member.assignment();
        expect(assigned).toHaveLength(2);
        await member.idle(harness.quietMs);
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
        await member.idle(harness.quietMs);
        expect(member.records).toEqual([]);
        expect(await session.commit([])).toEqual({ kind: 'committed' });
        await harness.produce(numbered(stage.in, 0, 1));
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
        await harness.produce([...numbered(stage.in, 0, 5), ...numbered(stage.in, 1, 5)]);
        await together([member, other], () => false, { wantRecords: false, forMs: harness.quietMs });
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
        await harness.produce(numbered(stage.in, 0, 5));
        const member = await stage.member('a').then((joined) => joined.joined(1));
        await member.receive(5);
        expect(member.session.watermarks({ topic: stage.in, partition: 0 })).toEqual({ low: 0, high: 5 });
        expect(member.session.watermarks({ topic: stage.in, partition: 7 })).toBeNull();
      });
    });

    describe('a transaction', () => {
      transactional('is invisible until it is committed, and complete after it, the offsets with it', async (stage) => {
        await stage.input(1);
        await stage.output();
        await harness.produce(numbered(stage.in, 0, 3));
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
        const [full, tombstone, bare, ofBytes, ofText, ...timed] = await harness.readCommitted(stage.target);
        // See writable-time.ts: a time that brokers refuse would stop everything.
        const ahead = timed.splice(3).map(({ timestamp }) => timestamp);
        expect(timed.map(({ timestamp }) => timestamp)).toEqual([1, -1, -1]);
        for (const time of ahead) expect(Math.abs(time - Date.now())).toBeLessThan(60_000);
        expect(ahead).toHaveLength(2);
        // Not toMatchObject: for it null matches an empty Buffer, which has no members.
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
        await harness.produce(numbered(stage.in, 0, 2));
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
          await harness.produce([...numbered(stage.in, 0, 50), ...numbered(stage.in, 1, 50)]);
          const member = await stage.member('a', 10).then((joined) => joined.joined(2));
          await member.receive(20);
          const { session } = member;
          await session.begin();
          session.send(stage.out('never', 0));
          expect(await session.abort()).toMatchObject({ kind: 'aborted' });
          // Time to fetch ahead of what was delivered.
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
        await harness.produce(numbered(stage.in, 0, 30));
        const member = await stage.member('a', 10);
        const assigned = await member.assignment();
        await member.session.accept([{ ...first(assigned), offset: 5 }]);
        // Once before anything was delivered, and once after.
        await stage.quiet();
        await member.session.rewind([{ ...stage.input0, offset: null }]);
        await member.receive(20);
        await member.session.rewind([{ ...stage.input0, offset: null }]);
        await member.receive(20 + 25);
        expect(member.values(0).slice(-25)).toEqual(values(0, 30).slice(5));
        expect(member.values(0)[0]).toBe('0#5');
      });

      scene(
        'to a topic that does not exist is aborted and names the topic, and the next one goes well',
        async (stage) => {
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
          // Without a transaction, what the other topic took stays there.
          expect(await stage.read()).toEqual(delivery === 'exactly-once' ? ['0:fine'] : ['0:lost too', '0:fine']);
          expect(await session.committed([stage.input0])).toEqual([{ ...stage.input0, offset: null }]);
        },
      );

      /**
       * A partition that has refused a batch misses its sequence numbers in the next transaction:
       * that is aborted as well, by no fault of its records, and names no topic. The producer goes
       * on with a new epoch then.
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
          await harness.createTopic(stage.target, 2, { 'max.message.bytes': '2000' });
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
            // Each is good, and together they are too large a batch.
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
        await harness.createTopic(stage.target, 2, { 'message.timestamp.after.max.ms': '60000' });
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
    });

    describe('a log', () => logRangeCases(scene, expect, () => harness));

    if (delivery === 'at-least-once') {
      describe('records sent', () => atLeastOnceCases(scene, expect, () => harness));
    }

    describe('an identity', () => {
      transactional(
        'of a successor fences the predecessor: its open records never appear, its commit is unknown, reset() regains it',
        async (stage) => {
          await stage.input(1);
          await stage.output();
          await harness.produce(numbered(stage.in, 0, 3));
          const old = await stage.member('same').then((joined) => joined.joined(1));
          await old.session.begin();
          old.session.send(stage.out('zombie', 0));
          await stage.quiet();
          const young = await stage.member('same');
          // What the fenced one goes on to send is as futile as the rest, and must not disturb it before it commits.
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
          // Now it is the other one that is fenced.
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
          await harness.produce([{ topic: stage.target, partition: 0, value: 'behind' }]);
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
    });

    describe('a group', () => {
      scene(
        'moves a partition only after its release; then nothing of it is delivered to the one before',
        async (stage) => {
          await stage.input(2);
          await harness.produce([...numbered(stage.in, 0, 500), ...numbered(stage.in, 1, 500)]);
          const one = await stage.member('one', 10).then((joined) => joined.joined(2));
          await one.receive(40);
          one.releases = false;
          const two = await stage.member('two', 10);
          await together([one, two], () => one.revoked.length > 0);
          expect(one.revoked).toHaveLength(1);
          expect(one.lost).toBe(false);
          const moved = first(one.revoked);
          // Until the release the records are still its own to finish, and nobody else's.
          await together([two], () => false, { forMs: harness.quietMs });
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
          // What stayed has flowed on, without a gap.
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
        await harness.produce(numbered(stage.in, 0, 3));
        const one = await stage.member('one').then((joined) => joined.joined(1));
        await one.receive(3);
        const two = await stage.member('two');
        await one.session.begin();
        one.session.send(stage.out('first', 0));
        expect((await one.session.commit([{ ...stage.input0, offset: 2 }])).kind).toBe('committed');
        expect(await two.session.committed([stage.input0])).toEqual([{ ...stage.input0, offset: 2 }]);
      });
    });

    describe('a changelog', () => {
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

      transactional(
        'is restored to its end: committed entries, tombstones too, and of this partition',
        async (stage) => {
          await stage.input(1);
          await harness.createTopic(stage.target, 2, { 'cleanup.policy': 'compact' });
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
          for (const record of [put('a', '1'), put('b', '2'), put('other', '3', 1), put('a', '4')])
            session.send(record);
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
        },
      );

      for (const compression of ['lz4', 'zstd']) {
        transactional(`whose records are kept with compression.type=${compression} is restored`, async (stage) => {
          await stage.input(1);
          await harness.createTopic(stage.target, 1, { 'cleanup.policy': 'compact', 'compression.type': compression });
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
        await harness.createTopic(stage.target, 1, { 'cleanup.policy': 'compact' });
        const { session } = await stage.member('a');
        expect(await restored(session, { topic: stage.target, partition: 0 })).toEqual({ entries: [], count: 0 });
      });

      transactional(
        'is not restored past a transaction that is still undecided; the signal ends the waiting',
        async (stage) => {
          await stage.input(1);
          await harness.createTopic(stage.target, 1, { 'cleanup.policy': 'compact' });
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
    });

    describe('a topic', () => {
      scene('is created as it is said, and then found', async (stage) => {
        await stage.input(1);
        const { session } = await stage.member('a');
        expect(await session.partitionCount(stage.target)).toBeNull();
        expect((await session.ensureTopic(stage.target, null)).kind).toBe('missing');
        const spec = { partitions: 3, replicationFactor: -1, config: { 'retention.ms': '12345678' } };
        await eventually(async () =>
          expect(await session.ensureTopic(stage.target, spec)).toMatchObject({ kind: 'writable', partitions: 3 }),
        );
        const state = await session.ensureTopic(stage.target, null);
        expect(state.kind === 'writable' ? state.inSync : 0).toBeGreaterThan(0);
        expect(await session.partitionCount(stage.target)).toBe(3);
        // One that is there stays as it is.
        expect(await session.ensureTopic(stage.target, { ...spec, partitions: 5 })).toMatchObject({
          kind: 'writable',
          partitions: 3,
        });
        expect(await session.partitionCount(stage.in)).toBe(1);
      });

      scene('of an illegal name is unwritable', async (stage) => {
        await stage.input(1);
        const { session } = await stage.member('a');
        const spec = { partitions: 1, replicationFactor: -1, config: {} };
        for (const name of ['no spaces', 'ca\u00f1\u00f3n', 'x'.repeat(250), '..']) {
          expect((await session.ensureTopic(name, spec)).kind).toBe('unwritable');
        }
      });
    });
  });
}
