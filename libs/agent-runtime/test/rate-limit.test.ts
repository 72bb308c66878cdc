import { expect, test } from '@jest/globals';

import { RateLimit } from '../src/rate-limit.js';

test('one of a kind per interval; what was held back is told', () => {
  let now = 0;
  const limit = new RateLimit(10, () => now);
  expect([limit.take('a'), limit.take('a'), limit.take('b'), limit.take('a')]).toEqual([0, null, 0, null]);
  now = 10;
  expect([limit.take('a'), limit.take('a')]).toEqual([2, null]);
  expect([limit.reset('a'), limit.reset('a'), limit.take('a')]).toEqual([1, 0, 0]);
});

test('some of a kind per interval; the first of the next interval tells what was held back', () => {
  let now = 0;
  const limit = new RateLimit(10, () => now);
  const take = (): number | null => limit.take('a', 2);
  expect([take(), take(), take(), take()]).toEqual([0, 0, null, null]);
  now = 10;
  expect([take(), take(), take()]).toEqual([2, 0, null]);
});

test('kinds are bounded: the oldest is forgotten', () => {
  const limit = new RateLimit(10, () => 0, 2);
  expect([limit.take('a'), limit.take('b'), limit.take('c'), limit.take('c'), limit.take('a')]).toEqual([
    0,
    0,
    0,
    null,
    0,
  ]);
});
