import { describe, expect, test } from '@jest/globals';
import { count, keepingLines, keepingOf, lateOf, type Keeping, type Kept } from '../src/replay/keeping.js';
import { readKeeping } from '../src/replay/read-keeping.js';
import { reportText, Survey } from '../src/replay/survey.js';
import { styleOf } from '../src/terminal/style.js';

const now = Date.UTC(2026, 4, 1);
const minute = 60_000;
const day = 86_400_000;

function kept(keeping: Keeping, ...timestamps: readonly number[]): Kept {
  const one: Kept = { topic: 'raw_historic', keeping, records: 0, late: 0, oldestMs: 0 };
  for (const timestamp of timestamps) count(one, timestamp, now);
  return one;
}

describe('what a topic keeps', () => {
  test.each<[Readonly<Record<string, string>>, Keeping]>([
    [
      { 'cleanup.policy': 'delete', 'retention.ms': '60000' },
      { kind: 'time', ms: minute },
    ],
    [
      { 'cleanup.policy': 'compact,delete', 'retention.ms': '0' },
      { kind: 'time', ms: 0 },
    ],
    [{ 'cleanup.policy': 'delete', 'retention.ms': '-1' }, { kind: 'all' }],
    [{ 'cleanup.policy': 'compact', 'retention.ms': '60000' }, { kind: 'all' }],
    [
      { 'cleanup.policy': 'delete', 'retention.ms': '60000', 'message.timestamp.type': 'CreateTime' },
      { kind: 'time', ms: minute },
    ],
    // The broker's clock, not the record's.
    [
      { 'cleanup.policy': 'delete', 'retention.ms': '60000', 'message.timestamp.type': 'LogAppendTime' },
      { kind: 'all' },
    ],
  ])('%j: %j', (values, keeping) => {
    expect(keepingOf(new Map(Object.entries(values)))).toEqual(keeping);
  });

  test.each([{}, { 'cleanup.policy': 'delete' }, { 'retention.ms': '60000' }, { 'retention.ms': 'x' }])(
    'is unknown by %j',
    (values) => expect(keepingOf(new Map(Object.entries(values)))).toMatchObject({ kind: 'unknown' }),
  );

  test('is unknown, with the reason, where no broker answers', async () => {
    const found = await readKeeping({ KAFNUS_KAFKA_BROKERS: '127.0.0.1:1' }, 'raw_historic');
    expect(found).toMatchObject({ kind: 'unknown', reason: expect.stringContaining('127.0.0.1:1') });
  });
});

describe('which records are older than their topic keeps them', () => {
  test('those beyond retention.ms, by their own timestamps', () => {
    const one = kept({ kind: 'time', ms: minute }, now, now - minute, now - minute - 1, now - 3 * day, now + day);
    expect(one).toMatchObject({ records: 5, late: 2, oldestMs: 3 * day });
    expect(lateOf([one, kept({ kind: 'time', ms: minute }, 0)])).toBe(3);
  });

  test('none without a timestamp, where all is kept, and where nobody knows', () => {
    expect(kept({ kind: 'time', ms: minute }, -1)).toMatchObject({ records: 1, late: 0 });
    expect(kept({ kind: 'all' }, 0)).toMatchObject({ late: 0 });
    expect(kept({ kind: 'unknown', reason: 'no right' }, 0)).toMatchObject({ late: 0 });
  });

  test('it is said with the command that keeps them for a day at least, and the one that ends it', () => {
    const text = keepingLines([kept({ kind: 'time', ms: minute }, now, now - 3 * day)], 'b1:9092,b2:9092').join('\n');
    expect(text).toContain('1 of 2 records are older than raw_historic keeps them: the oldest is 3 d old');
    expect(text).toContain('retention.ms is 60000 (60 s)');
    expect(text).toContain(
      `  kafka-configs.sh --bootstrap-server b1:9092,b2:9092 --alter --entity-type topics --entity-name raw_historic --add-config retention.ms=${5 * day}\n`,
    );
    expect(text).toMatch(/set retention\.ms=60000 again.*--since.*--ignore-retention/);
  });

  test('nothing is said of what is kept, and what is not known is told as such', () => {
    expect(keepingLines([kept({ kind: 'time', ms: day }, now - minute), kept({ kind: 'all' }, 0)], 'b')).toEqual([]);
    const [line] = keepingLines([kept({ kind: 'unknown', reason: 'the user may not (DescribeConfigs)' }, 0)], 'b');
    expect(line).toBe('What raw_historic keeps is not known: the user may not (DescribeConfigs).');
  });

  test('a plan shows it before the command', () => {
    const survey = new Survey();
    survey.fit = 1;
    survey.destinations.set('raw_historic', kept({ kind: 'time', ms: minute }, 0));
    const run = { action: 'plan', topic: 'raw_errors', name: 'n', group: 'g', sent: 0, refused: false } as const;
    const text = reportText(survey.report({ ...run, complete: true }), 'kafnus x', ['Mind this.'], 80, styleOf(false));
    expect(text).toMatch(/\nMind this\.\n\nNothing was sent\. When they are kept, this sends them: kafnus x\n$/);
  });
});
