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
