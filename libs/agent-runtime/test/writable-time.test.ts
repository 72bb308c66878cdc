import { expect, jest, test } from '@jest/globals';
import { writableTime } from '../src/writable-time.js';

const hour = 3_600_000;

test.each([1, 1000, 1_767_225_600_000])('a time of the past stays what it is: %d', (time) => {
  expect(writableTime(time)).toBe(time);
});

test('so does one of the near future, and "no time"', () => {
  const soon = Date.now() + hour / 2;
  expect(writableTime(soon)).toBe(soon);
  expect(writableTime(-1)).toBe(-1);
});

test('0, which the client takes for now, is written as 1: the same each time', () => {
  expect(writableTime(0)).toBe(1);
});

test.each([2 * hour, 1e15, 2 ** 63])('what is too far ahead is written with the time of writing: %d ms', (ahead) => {
  const before = Date.now();
  const written = writableTime(before + ahead);
  expect(written).toBeGreaterThanOrEqual(before);
  expect(written).toBeLessThanOrEqual(Date.now());
});

test.each([-2, -(2 ** 63), Number.NaN])('%d is no time', (time) => {
  expect(writableTime(time)).toBe(-1);
});

test('what was too far ahead once is taken when its time has come', () => {
  jest.useFakeTimers({ now: Date.now() });
  try {
    const later = Date.now() + 5 * hour;
    expect(writableTime(later)).toBe(Date.now());
    jest.setSystemTime(later);
    expect(writableTime(later)).toBe(later);
  } finally {
    jest.useRealTimers();
  }
});
