/**
 * What is known of topics is bounded, grows old, and is taken back by better evidence; and how long
 * a topic in trouble is put up with.
 */
import { describe, expect, test } from '@jest/globals';
import { maxRefusedTopics, maxWritableTopics, TopicCache } from '../src/topic-cache.js';
import { TopicTroubles } from '../src/topic-troubles.js';
import { WaitBudget } from '../src/wait-budget.js';

const there = { kind: 'writable', partitions: 4, inSync: 3 } as const;
const error = new Error('no');

describe('what is known of topics', () => {
  test('made-up names push each other out, and no topic that is written to; memory is bounded', () => {
    const cache = new TopicCache(1000);
    cache.answered('good', there, 0);
    for (let n = 0; n < 300_000; n += 1) cache.answered(`made-up-${n}`, { kind: 'missing', error }, n);
    expect(cache.size).toBe(maxRefusedTopics + 1);
    expect(cache.get('good')?.kind).toBe('writable');
    expect(cache.get('made-up-299999')?.kind).toBe('refused');
    for (let n = 0; n < 2 * maxWritableTopics; n += 1) cache.answered(`created-${n}`, there, n);
    expect(cache.size).toBe(maxRefusedTopics + maxWritableTopics);
  });

  test('no answer changes nothing, and is asked for again soon', () => {
    const cache = new TopicCache(1000);
    cache.answered('a', { kind: 'unavailable', error }, 0);
    expect(cache.get('a')).toBeUndefined();
    cache.answered('a', there, 0);
    cache.answered('a', { kind: 'unavailable', error }, 400_000);
    expect(cache.get('a')).toMatchObject({ kind: 'writable', refreshAt: 410_000 });
  });

  test('a topic that was refused is writable as soon as a lookup finds it', () => {
    const cache = new TopicCache(1000);
    cache.answered('a', { kind: 'missing', error }, 0);
    cache.answered('a', there, 10);
    expect(cache.get('a')).toMatchObject({ kind: 'writable', partitions: 4 });
  });

  test('one whose writes failed is not, as it looked well before: not until its time is over, or more replicas are in sync', () => {
    const cache = new TopicCache(1000);
    cache.refuse('a', error, 0, 30_000);
    cache.answered('a', { ...there, inSync: 1 }, 10_000);
    expect(cache.get('a')).toMatchObject({ kind: 'refused', refreshAt: 20_000 });
    cache.answered('a', { ...there, inSync: 1 }, 29_000);
    expect(cache.get('a')?.kind).toBe('refused');
    cache.answered('a', { ...there, inSync: 1 }, 30_000);
    expect(cache.get('a')?.kind).toBe('writable');

    cache.refuse('a', error, 0, 30_000);
    cache.answered('a', { ...there, inSync: 1 }, 1000);
    cache.answered('a', { ...there, inSync: 2 }, 2000);
    expect(cache.get('a')?.kind).toBe('writable');

    cache.refuse('a', error, 0, 30_000);
    cache.answered('a', { kind: 'unavailable', error, inSync: 0 }, 1000);
    cache.answered('a', { ...there, inSync: 1 }, 2000);
    expect(cache.get('a')?.kind).toBe('writable');
  });

  test('the largest record that a topic has refused is forgotten when it is looked up again', () => {
    const cache = new TopicCache(1000);
    cache.answered('a', there, 0);
    const known = cache.get('a');
    if (known?.kind === 'writable') known.maxBytes = 10;
    expect(cache.get('a')).toMatchObject({ maxBytes: 10 });
    cache.answered('a', there, 300_000);
    expect(cache.get('a')).toMatchObject({ maxBytes: 1000 });
  });
});

describe('a topic in trouble', () => {
  test('that fails is put up with for its time and twice at least; after that once is enough, and it is left alone for longer and longer', () => {
    const troubles = new TopicTroubles(15_000);
    const penalty = (since: number, now: number): number => troubles.failed('a', since, now, false).penaltyMs;
    expect([penalty(0, 20_000), penalty(20_000, 25_000)]).toEqual([0, 30_000]);
    expect([1, 2, 3, 4, 5, 6].map((n) => penalty(n * 1e6, n * 1e6 + 5000))).toEqual([
      60_000, 120_000, 240_000, 480_000, 600_000, 600_000,
    ]);
    troubles.written('a');
    expect(troubles.isEmpty).toBe(true);
    expect(penalty(0, 5000)).toBe(0);
    expect(troubles.failed('b', 0, 5000, true).penaltyMs).toBe(30_000);
  });

  test('that was waited for, or failed, hours ago has its whole time again: its partition was elsewhere', () => {
    const troubles = new TopicTroubles(15_000);
    expect(troubles.waited('a', 0, 1000)).toBe(1000);
    expect(troubles.failed('b', 0, 1000, false).penaltyMs).toBe(0);
    const later = 3 * 3_600_000;
    expect(troubles.waited('a', later, later + 200)).toBe(200);
    expect(troubles.waited('a', later + 14_000, later + 14_900)).toBe(14_900);
    expect(troubles.failed('b', later, later + 100, false)).toEqual({ penaltyMs: 0, lostMs: 100 });
    expect(troubles.failed('b', later + 100, later + 16_000, false).penaltyMs).toBe(30_000);
  });

  test('is tried without a pause, however long its transactions take, and however short its time is', () => {
    const slow = new TopicTroubles(15_000);
    expect(slow.failed('a', 0, 60_000, false).penaltyMs).toBe(0);
    slow.forgetOld(110_000);
    expect(slow.failed('a', 60_100, 120_000, false)).toEqual({ penaltyMs: 30_000, lostMs: 120_000 });
    const short = new TopicTroubles(100);
    expect(short.waited('a', 0, 1)).toBe(1);
    expect(short.waited('a', 700, 701)).toBe(701);
  });

  test('is forgotten when it is not asked for any more, unless it was given up', () => {
    const troubles = new TopicTroubles(15_000);
    troubles.waited('a', 0, 1000);
    troubles.failed('b', 0, 1000, false);
    troubles.refusedEverything('c');
    troubles.refusedContents('d');
    troubles.forgetOld(3_600_000);
    expect(troubles.size).toBe(4);
    troubles.forgetOld(3_700_000);
    expect(troubles.size).toBe(2);
    expect(troubles.refusedEverything('c')).toBe(60_000);
  });

  test('five records refused and none taken between them are the topic', () => {
    const troubles = new TopicTroubles(15_000);
    const refused = (): number => troubles.refusedContents('a');
    expect([refused(), refused(), refused(), refused()]).toEqual([0, 0, 0, 0]);
    troubles.written('a');
    expect([refused(), refused(), refused(), refused(), refused(), refused()]).toEqual([0, 0, 0, 0, 30_000, 60_000]);
  });

  test('the memory of them is bounded', () => {
    const troubles = new TopicTroubles(15_000);
    for (let n = 0; n < 5000; n += 1) troubles.waited(`t${n}`, 0, 1);
    expect(troubles.size).toBe(1000);
    for (let n = 4000; n < 5000; n += 1) troubles.answered(`t${n}`);
    expect(troubles.isEmpty).toBe(true);
  });

  test('the time for waiting is spent once, and comes back slowly', () => {
    const budget = new WaitBudget(15_000, 0);
    expect(budget.left(1_000_000)).toBe(15_000);
    budget.spend(20_000, 1_000_000);
    expect(budget.left(1_000_000)).toBe(0);
    expect(budget.left(1_020_000)).toBeCloseTo(1000);
  });
});
