import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { noState, PartitionStore } from '../src/state/partition-store.js';

const sorted = (entries: Iterable<[string, number]>): [string, number][] =>
  [...entries].sort(([a], [b]) => (a < b ? -1 : Number(a > b)));

function filled(count: number): PartitionStore {
  const store = new PartitionStore();
  for (let index = 0; index < count; index += 1) store.put({ key: `urn:ngsi-ld:Sensor:${index}`, value: index });
  return store;
}

describe('PartitionStore', () => {
  test('a change is seen at once, and taken back by undo', () => {
    const store = new PartitionStore();
    store.put({ key: 'a', value: 1 });
    store.committed(store.mark());
    store.put({ key: 'a', value: 2 });
    store.put({ key: 'a', value: 3 });
    store.put({ key: 'b', value: 4 });
    expect([store.get('a'), store.get('b'), store.size]).toEqual([3, 4, 2]);
    store.rollback();
    expect([store.get('a'), store.get('b'), store.size]).toEqual([1, undefined, 1]);
    expect([...store.entries()]).toEqual([['a', 1]]);
  });

  test('the transaction behind the one that commits can still be undone, to what that has committed', () => {
    const store = new PartitionStore();
    store.put({ key: 'a', value: 1 });
    const mark = store.mark();
    store.put({ key: 'a', value: 2 });
    store.put({ key: 'b', value: 2 });
    store.committed(mark);
    expect(store.get('a')).toBe(2);
    store.rollback();
    expect(sorted(store.entries())).toEqual([['a', 1]]);
    expect(store.mark()).toBe(0);
  });

  test('restores what a changelog says: the last value wins, null deletes', () => {
    const store = new PartitionStore();
    store.restore(Buffer.from('a'), 1);
    store.restore(Buffer.from('b'), 2);
    store.restore(Buffer.from('a'), 3);
    store.restore(Buffer.from('b'), null);
    store.restore(Buffer.from('never'), null);
    expect(sorted(store.entries())).toEqual([['a', 3]]);
    expect(store.size).toBe(1);
    store.rollback();
    expect(store.get('a')).toBe(3);
  });

  test('keys are any text: empty, long, of any script, and what objects have as members', () => {
    const keys = [
      '',
      'a',
      'é',
      '\u{1f600}',
      '__proto__',
      'constructor',
      'a\0b',
      'x'.repeat(5000),
      'y'.repeat(1_200_000),
      'é'.repeat(2000),
    ];
    const store = new PartitionStore();
    keys.forEach((key, value) => store.put({ key, value }));
    store.put({ key: 'behind the long ones', value: 99 });
    keys.forEach((key, value) => expect(store.get(key)).toBe(value));
    expect(store.get('behind the long ones')).toBe(99);
    expect(store.get('z'.repeat(1_200_000))).toBeUndefined();
    expect([...store.entries()].map(([key]) => key)).toEqual([...keys, 'behind the long ones']);
  });

  test('values are any number but NaN, which would be none', () => {
    const store = new PartitionStore();
    for (const value of [0, -0, -1, 0.1, Number.MAX_SAFE_INTEGER, Number.NEGATIVE_INFINITY]) {
      store.put({ key: 'k', value });
      expect(store.get('k')).toBe(value);
    }
    expect(() => store.put({ key: 'k', value: Number.NaN })).toThrow('NaN cannot be kept as the state of k');
  });

  test('grows to any number of keys, and forgets none on the way', () => {
    const count = 100_000;
    const store = filled(count);
    expect(store.size).toBe(count);
    for (let index = 0; index < count; index += 71) expect(store.get(`urn:ngsi-ld:Sensor:${index}`)).toBe(index);
    expect(store.get(`urn:ngsi-ld:Sensor:${count}`)).toBeUndefined();
    store.rollback();
    expect(store.size).toBe(0);
    expect([...store.entries()]).toEqual([]);
  });

  test('keys that begin alike are told apart, wherever they part', () => {
    const keys = [
      '["city","/air","Sensor","1"]',
      '["city","/air","Sensor","2"]',
      '["city","/air","Sensor",1"]',
      '["city","/water","Sensor","1"]',
      '["city","/air","Sensor,"1"]',
      ',',
      ',,',
      'a,',
      'a',
      ',a',
      'a,,',
    ];
    const store = new PartitionStore();
    keys.forEach((key, value) => store.put({ key, value }));
    keys.forEach((key, value) => expect(store.get(key)).toBe(value));
    expect([...store.entries()]).toEqual(keys.map((key, value) => [key, value]));
    for (const unknown of ['["city","/air","Sensor",', '["city","/air","Sensor","', '"1"]', '', 'a,a', ',,,'])
      expect(store.get(unknown)).toBeUndefined();
  });

  test('keys whose beginnings are all different are kept as well, and those that share one with earlier keys', () => {
    const store = new PartitionStore();
    const keys = Array.from({ length: 10_000 }, (_, index) => `${index},${index % 3}`);
    keys.forEach((key, value) => store.put({ key, value }));
    keys.push('1,x', '9999,x', '10000,x');
    keys.slice(-3).forEach((key, place) => store.put({ key, value: 10_000 + place }));
    keys.forEach((key, value) => expect(store.get(key)).toBe(value));
    expect([...store.entries()].map(([key]) => key)).toEqual(keys);
  });

  test('behaves like a map with snapshots, whatever is done in whatever order', () => {
    const key = fc.oneof(
      fc.constantFrom('a', 'b', 'c', '__proto__'),
      fc.string({ unit: fc.constantFrom('a', ','), maxLength: 4 }),
      fc.string({ unit: 'grapheme', maxLength: 8 }),
    );
    const action = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          do: fc.constant('put' as const),
          key,
          value: fc.integer(),
          // A store remembers what was read last: often the key that is put next, and often not
          // there yet.
          readBefore: fc.constantFrom('its own', 'another', 'none'),
          another: key,
        }),
      },
      fc.record({ do: fc.constant('begin commit' as const) }),
      fc.record({ do: fc.constant('committed' as const) }),
      fc.record({ do: fc.constant('undo' as const) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const store = new PartitionStore();
        let committed = new Map<string, number>();
        let committing: { readonly snapshot: Map<string, number>; readonly mark: number } | undefined;
        let now = new Map<string, number>();
        for (const step of actions) {
          if (step.do === 'put') {
            const read = step.readBefore === 'another' ? step.another : step.key;
            if (step.readBefore !== 'none') expect(store.get(read)).toBe(now.get(read));
            store.put(step);
            now.set(step.key, step.value);
          } else if (step.do === 'begin commit') {
            committing ??= { snapshot: new Map(now), mark: store.mark() };
          } else if (step.do === 'committed' && committing) {
            store.committed(committing.mark);
            committed = committing.snapshot;
            committing = undefined;
          } else if (step.do === 'undo') {
            store.rollback();
            now = new Map(committed);
            committing = undefined;
          }
          expect(sorted(store.entries())).toEqual(sorted(now));
          expect(store.size).toBe(now.size);
          for (const [known, value] of now) expect(store.get(known)).toBe(value);
        }
      }),
    );
  });
});

test('the state of an agent that keeps none is empty', () => {
  expect(noState.get('a')).toBeUndefined();
});
