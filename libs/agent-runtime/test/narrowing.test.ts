import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Narrowing } from '../src/narrowing.js';

/**
 * Runs transactions over records in order until all are done. @returns the records found, and how
 * many transactions it took
 */
function run(
  records: readonly boolean[],
  refuses: (batch: readonly boolean[]) => boolean,
  full = 10_000,
): { found: number[]; transactions: number; refused: number; narrowing: Narrowing } {
  const narrowing = new Narrowing(full);
  const rest = [...records];
  const found: number[] = [];
  let transactions = 0;
  let refused = 0;
  for (let at = 0; at < rest.length;) {
    transactions += 1;
    if (transactions > 100_000) throw new Error('it does not end');
    const batch = rest.slice(at, at + Math.min(full, narrowing.limit));
    if (!refuses(batch)) {
      narrowing.committed(batch.length);
      at += batch.length;
      continue;
    }
    refused += 1;
    if (narrowing.refused(batch.length) === 'single') {
      found.push(at);
      // Dead-lettered from now on.
      rest[at] = false;
    }
  }
  return { found, transactions, refused, narrowing };
}

const anyBad = (batch: readonly boolean[]): boolean => batch.includes(true);

test('a transaction that is committed changes nothing', () => {
  const narrowing = new Narrowing(10);
  narrowing.committed(5);
  expect(narrowing.limit).toBe(Number.POSITIVE_INFINITY);
});

test('the records that are refused are found, all of them and no other', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 300 }), fc.constantFrom(3, 20, 10_000), (records, full) => {
      const bad = records.flatMap((isBad, at) => (isBad ? [at] : []));
      expect(run(records, anyBad, full).found).toEqual(bad);
    }),
  );
});

test('one in ten thousand is found in 14 halvings, and transactions are whole again soon after', () => {
  for (const place of [0, 1, 4999, 5000, 9999]) {
    const records = Array.from({ length: 20_000 }, (_, n) => n === place);
    const { found, transactions, narrowing } = run(records, anyBad);
    expect(found).toEqual([place]);
    expect(transactions).toBeLessThan(14 + 2 + 15 + 2);
    expect(narrowing.isActive).toBe(false);
  }
});

test('what is refused only together is found to be good, and stays below the size that is refused', () => {
  const records = Array.from({ length: 5000 }, () => false);
  const { found, refused, transactions } = run(records, (batch) => batch.length > 100);
  expect(found).toEqual([]);
  // A larger one is tried after 64 commits.
  expect(refused).toBeLessThan(30);
  expect(transactions).toBeLessThan(120);
});
