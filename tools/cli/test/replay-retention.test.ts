import { describe, expect, test } from '@jest/globals';
import {
  countRecord,
  retentionWarnings,
  retentionOf,
  expiredRecords,
  type Retention,
  type DestinationRetention,
} from '../src/replay/retention.js';
import { readRetention } from '../src/replay/read-retention.js';
import { reportText, ReplayScan } from '../src/replay/replay-report.js';
import { styleOf } from '../src/terminal/style.js';

const now = Date.UTC(2026, 4, 1);
const minute = 60_000;
const day = 86_400_000;

function destination(retention: Retention, ...timestamps: readonly number[]): DestinationRetention {
  const counted: DestinationRetention = { topic: 'raw_historic', keeping: retention, records: 0, late: 0, oldestMs: 0 };
  for (const timestamp of timestamps) countRecord(counted, timestamp, now);
  return counted;
}

describe('the retention of a topic', () => {
  test.each<[Readonly<Record<string, string>>, Retention]>([
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
    // Kafka then deletes by the time of the broker.
    [
      { 'cleanup.policy': 'delete', 'retention.ms': '60000', 'message.timestamp.type': 'LogAppendTime' },
      { kind: 'all' },
    ],
  ])('%j: %j', (values, retention) => {
    expect(retentionOf(new Map(Object.entries(values)))).toEqual(retention);
  });

  test.each([{}, { 'cleanup.policy': 'delete' }, { 'retention.ms': '60000' }, { 'retention.ms': 'x' }])(
    'is unknown by %j',
    (values) => expect(retentionOf(new Map(Object.entries(values)))).toMatchObject({ kind: 'unknown' }),
  );

  test('is unknown, with the reason, when no broker answers', async () => {
    const found = await readRetention({ KAFNUS_KAFKA_BROKERS: '127.0.0.1:1' }, 'raw_historic');
    expect(found).toMatchObject({ kind: 'unknown', reason: expect.stringContaining('127.0.0.1:1') });
  });
});

describe('which records are older than the retention of their topic', () => {
  test('those beyond retention.ms, by their own timestamps', () => {
    const counted = destination(
      { kind: 'time', ms: minute },
      now,
      now - minute,
      now - minute - 1,
      now - 3 * day,
      now + day,
    );
    expect(counted).toMatchObject({ records: 5, late: 2, oldestMs: 3 * day });
    expect(expiredRecords([counted, destination({ kind: 'time', ms: minute }, 0)])).toBe(3);
  });

  test('none without a timestamp, when the retention is unlimited, and when it is unknown', () => {
    expect(destination({ kind: 'time', ms: minute }, -1)).toMatchObject({ records: 1, late: 0 });
    expect(destination({ kind: 'all' }, 0)).toMatchObject({ late: 0 });
    expect(destination({ kind: 'unknown', reason: 'no right' }, 0)).toMatchObject({ late: 0 });
  });

  test('the warning has the command that keeps them for at least one more day, and the one that reverts it', () => {
    const text = retentionWarnings(
      [destination({ kind: 'time', ms: minute }, now, now - 3 * day)],
      'b1:9092,b2:9092',
    ).join('\n');
    expect(text).toContain('1 of 2 records are older than the retention of raw_historic: the oldest is 3 d old');
    expect(text).toContain('retention.ms is 60000 (60 s)');
    expect(text).toContain(
      `  kafka-configs.sh --bootstrap-server b1:9092,b2:9092 --alter --entity-type topics --entity-name raw_historic --add-config retention.ms=${5 * day}\n`,
    );
    expect(text).toMatch(/set retention\.ms=60000 again.*--since.*--ignore-retention/);
  });

  test('there is no warning when all records are kept, and another one when the retention is unknown', () => {
    expect(
      retentionWarnings([destination({ kind: 'time', ms: day }, now - minute), destination({ kind: 'all' }, 0)], 'b'),
    ).toEqual([]);
    const [line] = retentionWarnings(
      [destination({ kind: 'unknown', reason: 'the user may not (DescribeConfigs)' }, 0)],
      'b',
    );
    expect(line).toBe('The retention of raw_historic is unknown: the user may not (DescribeConfigs).');
  });

  test('a plan shows the warning before the command', () => {
    const scan = new ReplayScan();
    scan.fit = 1;
    scan.destinations.set('raw_historic', destination({ kind: 'time', ms: minute }, 0));
    const run = { action: 'plan', topic: 'raw_errors', name: 'n', group: 'g', sent: 0, refused: false } as const;
    const text = reportText(scan.report({ ...run, complete: true }), 'kafnus x', ['Mind this.'], 80, styleOf(false));
    expect(text).toMatch(
      /\nMind this\.\n\nNothing was sent\. Once the retention is raised, this command sends them: kafnus x\n$/,
    );
  });
});
