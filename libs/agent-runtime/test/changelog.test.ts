import { describe, expect, test } from '@jest/globals';
import { partitionMismatch } from '@kafnus/kafka-admin';
import fc from 'fast-check';
import { changelogRecord, changelogSpec, changelogTopic, parseChangelogValue } from '../src/state/changelog.js';

describe('the changelog', () => {
  test('is named for group and store, and compacted, with the partitions of the input', () => {
    expect(changelogTopic('ngsi-agent-lastdata', 'newest')).toBe('ngsi-agent-lastdata-newest-changelog');
    expect(changelogSpec(12, 3)).toEqual({
      partitions: 12,
      replicationFactor: 3,
      config: { 'cleanup.policy': 'compact', 'segment.bytes': '104857600' },
    });
  });

  test('holds a change in the partition of the input, readable, with the time of the record that made it', () => {
    expect(changelogRecord('log', 7, { key: 'Room:1', value: 1767225600000000 }, 1234)).toEqual({
      topic: 'log',
      partition: 7,
      key: 'Room:1',
      value: '1767225600000000',
      headers: [],
      timestamp: 1234,
    });
  });

  test('is read back to the very number that was written', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const { value: written } = changelogRecord('log', 0, { key: 'k', value }, 0);
        expect(parseChangelogValue(Buffer.from(String(written)))).toBe(value === 0 ? 0 : value);
      }),
    );
  });

  test.each([0, 7, 999_999, 9007199254740991, 9007199254740992, 9007199254740994, -1, 1e21, 0.5])(
    '%p is read back, by digits or not',
    (value) => {
      expect(parseChangelogValue(Buffer.from(String(value)))).toBe(value);
    },
  );

  test('a tombstone deletes', () => {
    expect(parseChangelogValue(null)).toBeNull();
  });

  test.each(['', 'NaN', 'Infinity', 'abc', '12 34', '12x', '/0', ':', '{"value":1}'])(
    '%p is nobody of ours',
    (text) => {
      expect(parseChangelogValue(Buffer.from(text))).toBeUndefined();
    },
  );

  test('that does not fit its input is named with both numbers, what is wrong and what to do', () => {
    const text = partitionMismatch('g-newest-changelog', 4, 'raw_lastdata', 8);
    expect(text).toMatch(/changelog topic g-newest-changelog has 4 partitions, but its input raw_lastdata has 8/);
    expect(text).toMatch(/"Adding partitions" in docs\/operations\.md/);
    expect(text).toContain('"kafnus state repartition --group g --input-topic raw_lastdata --partitions 8"');
    // After a move that was cut off the changelog is the larger one.
    expect(partitionMismatch('my-agents-newest-changelog', 8, 'raw', 4)).toContain(
      '--group my-agents --input-topic raw --partitions 8"',
    );
  });
});
