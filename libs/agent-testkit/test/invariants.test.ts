import { describe, expect, test } from '@jest/globals';
import { checkExactlyOnce, expectNoViolations, type ExpectedRecord, type SeenRecord } from '@kafnus/agent-testkit';
import fc from 'fast-check';

const due = (count: number, entity = 'Room:1'): ExpectedRecord[] =>
  Array.from({ length: count }, (_, sequence) => ({ id: `${entity}#${sequence}`, entity, sequence }));
const at = (ids: readonly string[], partition = 0): SeenRecord[] =>
  ids.map((id, offset) => ({ id, topic: 'out', partition, offset }));
const kinds = (expected: ExpectedRecord[], seen: SeenRecord[]): Record<string, number> =>
  Object.fromEntries(checkExactlyOnce(expected, seen).violations.map(({ kind, count }) => [kind, count]));

describe('checkExactlyOnce', () => {
  test('is content when each record is there once and in order', () => {
    const report = checkExactlyOnce(due(3), at(['Room:1#0', 'Room:1#1', 'Room:1#2']));
    expect(report).toEqual({ expected: 3, seen: 3, violations: [] });
    expect(() => expectNoViolations(report)).not.toThrow();
  });

  test('finds what is lost', () => {
    expect(kinds(due(3), at(['Room:1#0', 'Room:1#2']))).toEqual({ lost: 1 });
  });

  test('finds what is there twice, and does not call the second one out of order', () => {
    expect(kinds(due(2), at(['Room:1#0', 'Room:1#1', 'Room:1#0']))).toEqual({ duplicated: 1 });
  });

  test('finds what nobody sent', () => {
    expect(kinds(due(1), at(['Room:1#0', 'ghost']))).toEqual({ unexpected: 1 });
  });

  test('finds each record that comes after a later one of its entity', () => {
    expect(kinds(due(4), at(['Room:1#3', 'Room:1#0', 'Room:1#1', 'Room:1#2']))).toEqual({ 'out of order': 3 });
  });

  test('lets entities overtake each other', () => {
    expect(kinds([...due(1, 'A'), ...due(1, 'B')], at(['B#0', 'A#0']))).toEqual({});
  });

  test('finds an entity in two partitions, but allows it in two topics', () => {
    const first = at(['Room:1#0']);
    expect(kinds(due(2), [...first, ...at(['Room:1#1'], 1)])).toEqual({ split: 1 });
    expect(kinds(due(2), [...first, { id: 'Room:1#1', topic: 'dead', partition: 1, offset: 0 }])).toEqual({});
  });

  test('refuses expectations that cannot be told apart', () => {
    expect(() => checkExactlyOnce([...due(1), ...due(1)], [])).toThrow('Room:1#0 is expected twice');
  });

  test('any permutation of one entity is in order only when it is sorted', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6 }), (order) => {
        const found = kinds(due(6), at(order.map((sequence) => `Room:1#${sequence}`)));
        const sorted = order.every((sequence, index) => sequence === index);
        expect(Object.keys(found)).toEqual(sorted ? [] : ['out of order']);
      }),
    );
  });
});

describe('expectNoViolations', () => {
  test('throws a table with counts, the first cases and the context', () => {
    const report = checkExactlyOnce(due(9), at(['Room:1#0', 'Room:1#0']));
    const message = [
      'Not exactly once (broker 2 killed, seed 7): 9 records expected, 2 seen',
      '  lost                8',
      '    Room:1#1 (Room:1, sequence 1)',
      '    Room:1#2 (Room:1, sequence 2)',
      '    Room:1#3 (Room:1, sequence 3)',
      '    Room:1#4 (Room:1, sequence 4)',
      '    Room:1#5 (Room:1, sequence 5)',
      '    ... and 3 more',
      '  duplicated          1',
      '    Room:1#0 at out-0@0 and again at out-0@1',
    ].join('\n');
    expect(() => expectNoViolations(report, 'broker 2 killed, seed 7')).toThrow(new Error(message));
  });
});
