import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  changes,
  misplaced,
  partitionOf,
  StateImage,
  type StateChange,
  type Placement,
} from '../src/state/state-placement.js';

const key = (id: string): string => JSON.stringify(['city', '/air', 'Device', id]);

function imageOf(records: Iterable<StateChange>): StateImage {
  const image = new StateImage();
  for (const record of records) image.apply(record);
  return image;
}

/** What lies where, as `[key, partition, value]`. */
function contents(image: StateImage): [string, number, number][] {
  return [...image].flatMap(([name, copies]) =>
    copies.map(({ partition, value }): [string, number, number] => [name, partition, value]),
  );
}

describe('the partition of a key', () => {
  // Kafka's own test vectors of murmur2, made positive; the check value of CRC-32/ISO-HDLC.
  test.each([
    ['murmur2', '21', -973932308],
    ['murmur2', 'foobar', -790332482],
    ['murmur2', 'a-little-bit-long-string', -985981536],
    ['crc32', '123456789', 0xcbf43926],
    ['crc32', '', 0],
  ] as const)('%s of %j', (partitioner, text, hash) => {
    const positive = partitioner === 'murmur2' ? hash & 0x7fffffff : hash;
    for (const partitions of [1, 4, 7, 1000]) {
      expect(partitionOf(partitioner, text, partitions)).toBe(positive % partitions);
    }
  });
});

describe('the image of a changelog', () => {
  test('keeps the last record of each key in each partition, and nothing of what was deleted', () => {
    const image = imageOf([
      { key: 'a', partition: 0, value: 2 },
      { key: 'a', partition: 1, value: 5 },
      { key: 'a', partition: 0, value: 1 },
      { key: 'b', partition: 0, value: 3 },
      { key: 'b', partition: 1, value: null },
      { key: 'b', partition: 0, value: null },
      { key: 'b', partition: 0, value: null },
    ]);
    expect(contents(image)).toEqual([
      ['a', 0, 1],
      ['a', 1, 5],
    ]);
    expect(image.size).toBe(1);
  });
});

describe('changes', () => {
  const records = fc.array(
    fc.record({
      key: fc.integer({ min: 0, max: 20 }).map((id) => key(`Sensor:${id}`)),
      partition: fc.nat({ max: 7 }),
      value: fc.option(fc.integer(), { freq: 10 }),
    }),
    { maxLength: 80 },
  );
  const placement = fc.constantFrom<Placement>('murmur2', 'crc32', 'everywhere');

  test('put the newest value of every entity where it belongs and nowhere else, and then there are none', () => {
    fc.assert(
      fc.property(records, placement, fc.integer({ min: 8, max: 12 }), (written, where, partitions) => {
        const image = imageOf(written);
        const newest = new Map<string, number>();
        for (const [name, , value] of contents(image)) newest.set(name, Math.max(newest.get(name) ?? -Infinity, value));

        const moved = imageOf([...written, ...changes(image, where, partitions)]);
        const expected = [...newest].flatMap(([name, value]) => {
          const id = (JSON.parse(name) as string[])[3] ?? '';
          const all = Array.from({ length: partitions }, (_, partition) => partition);
          const homes = where === 'everywhere' ? all : [partitionOf(where, id, partitions)];
          return homes.map((partition): [string, number, number] => [name, partition, value]);
        });
        expect(contents(moved).sort()).toEqual(expected.sort());
        expect([...changes(moved, where, partitions)]).toEqual([]);
      }),
    );
  });

  test('leave a key alone that is none of lastdata, unless it goes everywhere', () => {
    for (const strange of ['', 'Sensor:1', '["a","b","c"]', '["a","b","c",1]', '{"3":"x"}', 'null']) {
      const image = imageOf([{ key: strange, partition: 1, value: 7 }]);
      expect([...changes(image, 'murmur2', 3)]).toEqual([]);
      expect([...changes(image, 'everywhere', 3)]).toEqual([
        { key: strange, partition: 0, value: 7 },
        { key: strange, partition: 2, value: 7 },
      ]);
      expect(misplaced(image, 'murmur2', [2])).toEqual({ count: 1, example: { key: strange, partition: 1 } });
    }
  });
});

describe('what speaks against a partitioner', () => {
  const ids = Array.from({ length: 50 }, (_, index) => `Sensor:${index}`);
  const placed = (where: 'murmur2' | 'crc32', partitions: number): StateChange[] =>
    ids.map((id) => ({ key: key(id), partition: partitionOf(where, id, partitions), value: 10 }));

  test('is nothing for the one that was used, and much for the other', () => {
    for (const [used, other] of [
      ['murmur2', 'crc32'],
      ['crc32', 'murmur2'],
    ] as const) {
      const image = imageOf(placed(used, 4));
      expect(misplaced(image, used, [4])).toEqual({ count: 0 });
      expect(misplaced(image, other, [4]).count).toBeGreaterThan(25);
      // Another number of partitions is another placement.
      expect(misplaced(image, used, [5]).count).toBeGreaterThan(25);
      expect(misplaced(image, used, [5, 4])).toEqual({ count: 0 });
    }
  });

  test('is told by where the newest value lies, not by what was left elsewhere', () => {
    const leftovers = ids.map((id): StateChange => ({ key: key(id), partition: 9, value: 5 }));
    expect(misplaced(imageOf([...leftovers, ...placed('murmur2', 8)]), 'murmur2', [8])).toEqual({ count: 0 });
    const newer = ids.map((id): StateChange => ({ key: key(id), partition: 9, value: 15 }));
    expect(misplaced(imageOf([...newer, ...placed('murmur2', 8)]), 'murmur2', [8]).count).toBe(50);
  });
});
