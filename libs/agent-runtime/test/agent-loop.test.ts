/** The loop without faults, without transactions, with an agent that throws; and its status. */
import { describe, expect, jest, test } from '@jest/globals';
import type { InputRecord } from '@kafnus/agent-runtime';
import { changelog, groupId, input, inputTopic } from './counting-agent.js';
import { header, mixed, Rig, type Running } from './loop-rig.js';

jest.setTimeout(60_000);

describe('without faults', () => {
  test('each record is emitted, skipped or dead-lettered once, and counted', async () => {
    const rig = new Rig();
    rig.produce(mixed(100));
    const { loop } = rig.start();
    await rig.finish();
    expect(rig.counted).toBe(100);
    const { rejected, skipped } = loop.ledger.totals();
    expect(rejected).toEqual({ 'no-good': 14 });
    expect(skipped).toEqual({ unwanted: 14 });
    expect(loop.status.stateEntries).toBe(6);
    expect(loop.lifecycle.state).toBe('stopped');
  });

  test('a dead letter has key, value, headers and timestamp of the input, and behind them the context', async () => {
    const rig = new Rig(1);
    const headers = [{ 'fiware-service': 'a' }, { twice: '1' }, { twice: Buffer.from([0xff]) }];
    rig.cluster.produce([{ topic: inputTopic, partition: 0, ...input('k', 'reject'), headers, timestamp: 77 }]);
    rig.start();
    await rig.finish();
    const [deadRecord] = rig.deadLetters();
    expect(deadRecord).toMatchObject({ key: Buffer.from('k'), value: Buffer.from('reject:a:'), timestamp: 77 });
    expect(deadRecord?.headers.slice(0, 3)).toEqual([
      { 'fiware-service': Buffer.from('a') },
      { twice: Buffer.from('1') },
      { twice: Buffer.from([0xff]) },
    ]);
    expect(deadRecord && header(deadRecord, '__connect.errors.exception.class.name')).toBe('kafnus.rejected.no-good');
  });

  test('in at-least-once a commit waits for its interval, as no reader waits for the commit; the end of the process does not', async () => {
    const long = { KAFNUS_COMMIT_INTERVAL_MS: '60000', KAFNUS_TRANSACTION_TIMEOUT_MS: '120000' };
    const transactional = new Rig(1, long);
    transactional.produce(mixed(3, 1));
    transactional.start();
    await transactional.finish();

    const rig = new Rig(1, { ...long, KAFNUS_DELIVERY: 'at-least-once' });
    const { loop } = rig.start();
    for (let read = 1; read <= 5; read++) {
      rig.produce(mixed(1, 1));
      await rig.cluster.until(() => loop.status.partitions()[0]?.position === read, `${read} records decided`);
    }
    expect(loop.status.partitions()[0]?.committed).toBeNull();
    await rig.stop();
    expect(rig.lag).toBe(0);
    rig.verify();
  });

  test('several members share the partitions, and what each has counted adds up', async () => {
    const rig = new Rig(4);
    rig.produce(mixed(200, 4));
    const members = ['one', 'two', 'three'].map((instanceId) => rig.start(instanceId));
    await rig.drained();
    rig.produce(mixed(200, 4));
    await rig.drained();
    expect(
      members
        .flatMap(({ loop }) => loop.status.partitions())
        .map(({ partition }) => partition)
        .sort(),
    ).toEqual([0, 1, 2, 3]);
    await rig.stop();
    rig.verify();
    expect(rig.counted).toBe(400);
  });

  test('state is taken over by the next process', async () => {
    const rig = new Rig();
    rig.produce(mixed(50));
    const first = rig.start();
    await rig.drained();
    first.loop.stop();
    await first.ended;
    rig.produce(mixed(50));
    const second = rig.start('other');
    await rig.finish();
    expect(second.loop.status.stateEntries).toBe(6);
  });

  test('a record that is delivered again is not processed again', async () => {
    const rig = new Rig(1);
    rig.produce(mixed(3, 1));
    const running = rig.start();
    await rig.drained();
    await deliver(rig, running, rig.cluster.read(inputTopic));
    rig.produce(mixed(3, 1));
    await rig.finish();
    expect(rig.counted).toBe(6);
  });

  test('a record of a partition that was given away is left to its new owner', async () => {
    const rig = new Rig(2);
    rig.produce(mixed(10));
    const before = rig.start();
    await rig.drained();
    const after = rig.start('two');
    await rig.cluster.until(
      () => after.loop.status.partitions().some(({ state }) => state === 'running'),
      'taken over',
    );
    const moved = after.loop.status.partitions()[0]?.partition;
    rig.produce(mixed(10));
    await rig.drained();
    await deliver(
      rig,
      before,
      rig.cluster.read(inputTopic).filter(({ partition }) => partition === moved),
    );
    await rig.finish();
    expect(rig.counted).toBe(20);
  });

  test('the state that is restored holds all that the committed offsets cover', async () => {
    const rig = new Rig(1);
    for (const topic of ['out-a', changelog]) rig.cluster.createTopic(topic, 1);
    rig.produce([input('x', 'emit'), input('x', 'emit')]);
    // The member before has sent its offsets; what it wrote, and the end of its transaction, come a
    // moment later.
    const predecessor = rig.cluster.transaction(`${groupId}-old`);
    predecessor.offsets = { group: groupId, positions: [{ topic: inputTopic, partition: 0, offset: 1 }] };
    let asked = false;
    rig.cluster.faults.onCall = ({ operation }) => {
      asked ||= operation === 'committed';
    };
    rig.start();
    await rig.cluster.until(() => asked, 'the committed offsets asked for');
    const write = (topic: string, headers: Record<string, string>[]): void =>
      rig.cluster.write({ topic, partition: 0, key: 'x', value: '1', headers, timestamp: 1 }, predecessor);
    write('out-a', [{ from: '0@0' }]);
    write(changelog, []);
    rig.cluster.endTransaction(`${groupId}-old`, 'committed');
    await rig.finish();
    expect(rig.counted).toBe(1);
  });

  test('the output topic is created as the settings say, the changelog compacted and with the partitions of the input', async () => {
    const rig = new Rig(3, {
      KAFNUS_TOPIC_PARTITIONS: '5',
      KAFNUS_TOPIC_CONFIG: '{"retention.ms":1000}',
      KAFNUS_TOPIC_REPLICATION: '1',
    });
    rig.produce(mixed(10, 3));
    rig.start();
    await rig.finish();
    expect(rig.cluster.topicSpec('out-a')).toEqual({
      partitions: 5,
      replicationFactor: 1,
      config: { 'retention.ms': '1000' },
    });
    expect(rig.cluster.topicSpec(changelog)).toEqual({
      partitions: 3,
      replicationFactor: 1,
      config: { 'cleanup.policy': 'compact', 'segment.bytes': '104857600' },
    });
  });
});

describe('at-least-once', () => {
  const env = { KAFNUS_DELIVERY: 'at-least-once' };

  /** Every output of the pure fold is there at least once, and all input is committed. */
  function expectNothingLost(rig: Rig, expected: readonly string[]): void {
    expect(rig.lag).toBe(0);
    const outputs = new Set(rig.cluster.read('out-a').map((record) => header(record, 'from')));
    expect(expected.filter((from) => !outputs.has(from))).toEqual([]);
  }

  test.each(['aborted', 'unknown-aborted', 'unknown-committed'] as const)(
    'a commit that is %s loses nothing, and what was sent before it may come twice',
    async (fault) => {
      const rig = new Rig(1, env);
      rig.cluster.faults.commits.push(fault);
      rig.produce(Array.from({ length: 20 }, () => input('x', 'emit')));
      rig.start();
      await rig.drained();
      await rig.stop();
      expectNothingLost(
        rig,
        Array.from({ length: 20 }, (_, offset) => `0@${offset}`),
      );
    },
  );

  test.each([1, 3])('%i producers in a row that end with a fatal error lose nothing', async (producers) => {
    const rig = new Rig(1, env);
    rig.cluster.faults.brokenProducers = producers;
    rig.produce(Array.from({ length: 20 }, () => input('x', 'emit')));
    const { loop } = rig.start();
    await rig.drained();
    await rig.stop();
    expect(rig.cluster.faults.brokenProducers).toBe(0);
    expectNothingLost(
      rig,
      Array.from({ length: 20 }, (_, offset) => `0@${offset}`),
    );
    expect(loop.ledger.totals().read).toBe(20);
  });
});

describe('an agent that throws', () => {
  test('refuses that record, unchanged and with the exception named, and goes on with the next', async () => {
    const rig = new Rig(1);
    rig.cluster.produce([
      { topic: inputTopic, partition: 0, ...input('x', 'emit') },
      { topic: inputTopic, partition: 0, key: 'x', value: 'throw:a:', headers: [{ h: 'v' }], timestamp: 9 },
      { topic: inputTopic, partition: 0, ...input('x', 'emit') },
    ]);
    const { loop } = rig.start();
    await rig.drained();
    await rig.stop();
    expect(rig.outputs('out-a')).toEqual(['x=1 from 0@0', 'x=2 from 0@2']);
    const [deadRecord, ...more] = rig.deadLetters();
    expect(more).toEqual([]);
    expect(deadRecord).toMatchObject({ key: Buffer.from('x'), value: Buffer.from('throw:a:'), timestamp: 9 });
    expect(deadRecord?.headers[0]).toEqual({ h: Buffer.from('v') });
    expect(deadRecord && header(deadRecord, '__connect.errors.exception.class.name')).toBe(
      'kafnus.rejected.decision-failed',
    );
    expect(deadRecord && header(deadRecord, '__connect.errors.exception.message')).toContain('the agent is broken');
    expect(loop.ledger.totals()).toMatchObject({ read: 3, emitted: 2, rejected: { 'decision-failed': 1 } });
  });

  test('a header called __proto__ comes through to the dead letter, its value unchanged', async () => {
    const rig = new Rig(1);
    const headers = [{ ['__proto__']: Buffer.from([0xff, 0]) }, { ['__proto__']: '' }];
    rig.cluster.produce([{ topic: inputTopic, partition: 0, ...input('x', 'reject'), headers }]);
    rig.start();
    await rig.finish();
    const [deadRecord] = rig.deadLetters();
    expect(deadRecord?.headers.slice(0, 2).map((each) => Object.entries(each))).toEqual([
      [['__proto__', Buffer.from([0xff, 0])]],
      [['__proto__', Buffer.alloc(0)]],
    ]);
  });
});

describe('status', () => {
  test('lag counts from the committed offset, also before the first commit', async () => {
    const rig = new Rig(1);
    rig.produce(mixed(5, 1));
    rig.cluster.faults.onCall = ({ operation }) => (operation === 'commit' ? new Promise(() => undefined) : undefined);
    const { loop, session } = rig.start();
    await rig.cluster.until(() => loop.status.partitions().some(({ position }) => position !== null), 'processed');
    expect(loop.status.partitions()).toMatchObject([
      { topic: inputTopic, partition: 0, state: 'running', committed: null, end: 5, lag: 5 },
    ]);
    expect(loop.status.stuckMs).toBeGreaterThan(0);
    session.crash();
  });

  test('partitions that are being accepted are in the status: without them a group that is behind would look as if it were not', async () => {
    const rig = new Rig();
    rig.produce(mixed(10));
    const meanwhile: unknown[] = [];
    rig.cluster.faults.onCall = ({ operation }) => {
      if (operation === 'accept') meanwhile.push(loop.status.partitions().map(({ state, lag }) => ({ state, lag })));
    };
    const { loop } = rig.start();
    await rig.finish();
    const restoring = { state: 'restoring', lag: null };
    expect(meanwhile).toEqual([[restoring, restoring]]);
  });
});

/**
 * Has the session deliver records that nobody should get from it, and waits until the loop has had
 * its turn with them.
 */
async function deliver(rig: Rig, { session }: Running, records: readonly InputRecord[]): Promise<void> {
  expect(records).not.toEqual([]);
  const next = session.next.bind(session);
  let turns = 0;
  session.next = async (timeoutMs, wantRecords) => {
    turns += 1;
    return turns === 1 ? { kind: 'records', records, drained: true } : next(timeoutMs, wantRecords);
  };
  session.wake();
  await rig.cluster.until(() => turns > 1, 'the next turn');
}
