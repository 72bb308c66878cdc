/**
 * The delivery guarantee of the loop, under every fault that the in-memory cluster can make, at
 * every point.
 */
import { describe, expect, jest, test } from '@jest/globals';
import { ConfigurationError, type InputRecord } from '@kafnus/agent-runtime';
import type { CommitFault, MemoryOperation, MemorySession } from '@kafnus/agent-testkit';
import fc from 'fast-check';
import { changelog, deadLetterTopic, groupId, input, inputTopic } from './counting-agent.js';
import { header, mixed, Rig, type Running } from './loop-rig.js';

jest.setTimeout(60_000);

type Act = (rig: Rig, session: MemorySession) => void;

/** What can happen to a process; all of it must be invisible in what comes out. */
const faults: Readonly<Record<string, Act>> = {
  aborted: commitFault('aborted'),
  'unknown, and committed': commitFault('unknown-committed'),
  'unknown, and aborted': commitFault('unknown-aborted'),
  revoked: (rig) => rig.cluster.rotate(groupId),
  lost: (rig, session) => rig.cluster.lose(session),
  crashed: (rig, session) => rig.restart(session),
  'joined by another': (rig) => void rig.join(),
  fenced: (rig) => {
    // Somebody started a producer with our identity, and went away.
    rig.cluster.initTransactions(`${groupId}-one`);
  },
};

function commitFault(fault: CommitFault): Act {
  return (rig) => void rig.cluster.faults.commits.push(fault);
}

/** Lets a fault happen at the n-th call, counted over all sessions. */
function at(rig: Rig, wanted: number, act: Act, operations?: readonly MemoryOperation[]): { calls: number } {
  const counter = { calls: 0 };
  rig.cluster.faults.onCall = ({ session, operation }) => {
    if (operations && !operations.includes(operation)) return;
    counter.calls += 1;
    if (counter.calls === wanted) act(rig, session);
  };
  return counter;
}

/** Counts the calls of one kind, without a fault. */
function counted(rig: Rig, operation: MemoryOperation): { readonly calls: number } {
  return at(rig, Number.POSITIVE_INFINITY, fail, [operation]);
}

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

describe('under a fault', () => {
  // The number of calls of a run without faults: the points at which something can happen.
  const records = 24;

  const atAnyCall = Object.keys(faults).flatMap((name) => [
    { name, commits: 'between polls', env: {}, limits: undefined },
    { name, commits: 'within polls', env: { KAFNUS_BATCH_SIZE: '12' }, limits: { transaction: 3, ahead: 2 } },
  ]);

  test.each(atAnyCall)(
    '$name, at every single call, commits $commits: nothing shows',
    async ({ name, env, limits }) => {
      let fired = 0;
      for (let point = 1; ; point += 1) {
        const rig = new Rig(2, { KAFNUS_COMMIT_INTERVAL_MS: '1', ...env }, limits && { limits });
        rig.produce(mixed(records));
        const counter = at(rig, point, faults[name] ?? fail);
        rig.start();
        try {
          await rig.finish();
        } catch (error) {
          throw new Error(`${name} at call ${point}`, { cause: error });
        }

        if (counter.calls < point) break;
        fired += 1;
      }
      expect(fired).toBeGreaterThan(50);
    },
  );

  test.each(['aborted', 'revoked'])('%s: what is read again is not counted twice', async (name) => {
    for (let point = 1; point <= 8; point += 1) {
      const rig = new Rig();
      rig.produce(mixed(records));
      at(rig, point, faults[name] ?? fail, ['commit']);
      rig.start();
      await rig.finish();
      expect(rig.counted).toBe(records);
    }
  });

  test('the records of a commit that was made, though nobody heard of it, are not processed again', async () => {
    const rig = new Rig();
    rig.produce(mixed(records));
    at(rig, 1, faults['unknown, and committed'] ?? fail, ['commit']);
    rig.start();
    await rig.finish();
    expect(rig.counted).toBeLessThan(records);
  });

  test('lost: what was open is aborted, never committed; the coordinator is not relied on', async () => {
    const rig = new Rig(1, { KAFNUS_COMMIT_INTERVAL_MS: '5000' });
    rig.produce(Array.from({ length: 4 }, () => input('x', 'emit')));
    const calls: MemoryOperation[] = [];
    let lost = false;
    rig.cluster.faults.onCall = ({ session, operation }) => {
      if (lost) calls.push(operation);
      if (operation !== 'send' || lost) return;
      lost = true;
      rig.cluster.lose(session);
    };
    rig.start();
    await rig.cluster.until(() => calls.includes('release'), 'released');
    const before = calls.slice(0, calls.indexOf('release'));
    expect(before).toContain('abort');
    expect(before).not.toContain('commit');
    rig.produce([input('x', 'skip')]);
    await rig.finish();
  });

  test('lost while the changelog is waited for: the partitions are released without it', async () => {
    const rig = new Rig(1);
    rig.produce([input('x', 'emit')]);
    rig.cluster.faults.silentTopics.set(changelog, Infinity);
    const { loop, session } = rig.start();
    await rig.cluster.until(() => loop.status.problem?.includes('changelog') === true, 'waiting');
    let released = false;
    rig.cluster.faults.onCall = ({ operation }) => {
      released ||= operation === 'release';
    };
    rig.cluster.lose(session);
    await rig.cluster.until(() => released, 'released', 3000);
    rig.cluster.faults.silentTopics.clear();
    await rig.finish();
  });

  test('any sequence of them, with any input and any batches, by several members', async () => {
    const names = Object.keys(faults).filter((name) => name !== 'fenced');
    const schedule = fc.array(fc.record({ after: fc.integer({ min: 1, max: 40 }), fault: fc.constantFrom(...names) }), {
      maxLength: 8,
    });
    const kinds = fc.constantFrom('emit', 'twice', 'skip', 'reject', 'report');
    const inputs = fc.array(
      fc.record({ partition: fc.nat(2), key: fc.nat(3), kind: kinds, tenant: fc.constantFrom('a', 'b') }),
      { minLength: 1, maxLength: 80 },
    );
    const settings = fc.record({
      batchSize: fc.integer({ min: 1, max: 20 }),
      commitTurns: fc.integer({ min: 0, max: 5 }),
      queueSize: fc.constantFrom(1, 3, 1000),
      limits: fc.record({ transaction: fc.constantFrom(1, 5, 10_000), ahead: fc.constantFrom(1, 3, 2000) }),
    });
    await fc.assert(
      fc.asyncProperty(
        schedule,
        inputs,
        settings,
        async (planned, given, { batchSize, commitTurns, queueSize, limits }) => {
          const env = { KAFNUS_BATCH_SIZE: String(batchSize), KAFNUS_COMMIT_INTERVAL_MS: '1' };
          const rig = new Rig(3, env, { limits });
          Object.assign(rig.cluster.faults, { commitTurns, queueSize });
          rig.produce(
            given.map(({ partition, key, kind, tenant }) => ({ partition, ...input(`k${key}`, kind, tenant) })),
          );
          const ahead = [...planned];
          let due = ahead[0]?.after;
          rig.cluster.faults.onCall = ({ session }) => {
            if (due === undefined || (due -= 1) > 0) return;
            const next = ahead.shift();
            due = ahead[0]?.after;
            if (next) faults[next.fault]?.(rig, session);
          };
          rig.start();
          await rig.finish();
        },
      ),
      { numRuns: 150 },
    );
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

describe('topics', () => {
  test('a tenant whose topic refuses is dead-lettered, with its state unmoved; the others go on', async () => {
    const rig = new Rig(1);
    rig.cluster.faults.refusedTopics.set('out-b', new Error('not authorised to write to topic out-b'));
    rig.produce([input('x', 'emit', 'a'), input('x', 'emit', 'b'), input('x', 'report', 'b'), input('x', 'emit', 'a')]);
    const { loop } = rig.start();
    await rig.drained();
    await rig.stop();
    expect(rig.outputs('out-a')).toEqual(['x=1 from 0@0', 'x=2 from 0@3']);
    expect(rig.deadLetters().map((deadRecord) => header(deadRecord, '__connect.errors.exception.message'))).toEqual([
      'not authorised to write to topic out-b',
      'not authorised to write to topic out-b',
    ]);
    expect(rig.deadLetters().map((deadRecord) => deadRecord.value?.toString())).toEqual(['emit:b:', 'report:b:']);
    expect(loop.ledger.totals()).toMatchObject({ read: 4, emitted: 2, rejected: { 'topic-unwritable': 2 } });
  });

  test('a topic that refuses only when it is written to costs one aborted transaction, and its tenant alone', async () => {
    const rig = new Rig(1);
    rig.produce([input('x', 'emit', 'a'), input('y', 'emit', 'b')]);
    rig.start();
    await rig.drained();
    rig.cluster.faults.refusedTopics.set('out-b', new Error('the right was taken away'));
    rig.produce([input('x', 'emit', 'a'), input('y', 'emit', 'b'), input('x', 'emit', 'a')]);
    await rig.drained();
    await rig.stop();
    expect(rig.outputs('out-a').map((text) => text.split(' ')[0])).toEqual(['x=1', 'x=2', 'x=3']);
    expect(rig.outputs('out-b').map((text) => text.split(' ')[0])).toEqual(['y=1']);
    expect(rig.deadLetters()).toHaveLength(1);
    expect(rig.restored(0)).toEqual(
      new Map([
        ['x', 3],
        ['y', 1],
      ]),
    );
  });

  test('an illegal topic name is a reject of its tenant', async () => {
    const rig = new Rig(1);
    rig.produce([input('x', 'emit', 'not legal'), input('x', 'emit', 'a')]);
    rig.start();
    await rig.drained();
    await rig.stop();
    expect(rig.outputs('out-a')).toEqual(['x=1 from 0@1']);
    expect(rig.deadLetters()).toHaveLength(1);
  });

  test.each(['out-a', deadLetterTopic, changelog])(
    '%s without an answer is waited for, and nothing is lost',
    async (topic) => {
      const rig = new Rig();
      rig.cluster.faults.silentTopics.set(topic, 2);
      rig.produce(mixed(30));
      const { loop } = rig.start();
      await rig.cluster.until(() => (rig.cluster.faults.silentTopics.get(topic) ?? 0) < 2, 'asked for');
      // The problem is there before the second answer.
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(loop.status.problem).toContain(topic === 'out-a' ? 'out-a' : topic === changelog ? 'changelog' : 'dead');
      await rig.finish();
      expect(rig.counted).toBe(30);
      expect(loop.status.problem).toBeNull();
    },
  );

  test('one without an answer while the transaction before is being committed: nothing of the records behind it is lost', async () => {
    const rig = new Rig(1);
    rig.cluster.faults.commitTurns = 20;
    rig.produce([input('x', 'emit', 'a')]);
    rig.start();
    await rig.drained();
    rig.cluster.faults.silentTopics.set('out-b', 1);
    rig.produce([1, 2, 3, 4].map(() => input('x', 'emit', 'a')));
    rig.produce([1, 2, 3, 4].map(() => input('y', 'emit', 'b')));
    await rig.finish();
    expect(rig.cluster.faults.silentTopics.get('out-b')).toBe(0);
  });

  test('without the right to create topics, a missing one is dead-lettered after its time, and the others go on', async () => {
    const rig = new Rig(1, { KAFNUS_TOPICS_CREATE: 'false', KAFNUS_TOPIC_TIMEOUT_MS: '100' });
    rig.cluster.createTopic('out-a', 2);
    rig.cluster.createTopic(deadLetterTopic, 1);
    rig.produce([input('x', 'emit', 'b'), input('x', 'emit', 'a')]);
    const { loop } = rig.start();
    await rig.drained();
    await rig.stop();
    expect(rig.outputs('out-a')).toEqual(['x=1 from 0@1']);
    expect(loop.ledger.totals().rejected).toEqual({ 'topic-unwritable': 1 });
    expect(rig.cluster.topicSpec('out-b')).toBeUndefined();
  });

  test('a dead-letter topic that refuses stops everything, rather than losing a record', async () => {
    const rig = new Rig(1);
    rig.cluster.faults.refusedTopics.set(deadLetterTopic, new Error('no right'));
    rig.produce([input('x', 'emit'), input('x', 'reject'), input('x', 'emit')]);
    const { loop } = rig.start();
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(loop.status.problem).toMatch(/dead letters cannot be written.*no right/);
    expect(rig.lag).toBeGreaterThan(0);
    rig.cluster.faults.refusedTopics.clear();
    await rig.finish();
  });

  test('a changelog with another number of partitions than the input ends the process, and the message says what to do', async () => {
    const rig = new Rig(2);
    rig.cluster.createTopic(changelog, 3);
    const { ended, loop } = rig.start();
    await expect(ended).rejects.toThrow(ConfigurationError);
    await expect(ended).rejects.toThrow(
      /counting-versions-changelog has 3 partitions, but its input raw has 2.*docs\/operations\.md/,
    );
    expect(loop.lifecycle.state).toBe('failed');
  });
});

describe('sizes', () => {
  test('an output that is too large is a reject', async () => {
    const rig = new Rig(1);
    rig.produce([input('x', 'emit', 'a', 'é'.repeat(600_000)), input('x', 'emit', 'a')]);
    const { loop } = rig.start();
    await rig.drained();
    await rig.stop();
    expect(loop.ledger.totals().rejected).toEqual({ 'record-too-large': 1 });
    expect(rig.outputs('out-a')).toEqual(['x=1 from 0@1']);
    const [deadRecord] = rig.deadLetters();
    expect(deadRecord?.value).toBeNull();
    expect(deadRecord && header(deadRecord, 'kafnus.value.omitted')).toMatch(/^12000\d\d bytes.*raw-0 at offset 0/);
  });

  test.each([
    ['value', input('x', 'reject', 'a', 'v'.repeat(1_047_900)), []],
    ['value and headers', input('x', 'reject', 'a', 'v'.repeat(985_000)), [{ large: Buffer.alloc(62_900, 'h') }]],
    ['headers', input('x', 'reject', 'a'), [{ large: Buffer.alloc(1_047_900, 'h') }]],
    ['key', { key: 'k'.repeat(1_047_900), value: 'reject:a:' }, []],
    ['headers of the output', input('x', 'loud', 'a', '900000'), []],
    ['key and its copies in the output', { key: 'k'.repeat(500_000), value: `emit:a:${'v'.repeat(600_000)}` }, []],
  ])(
    'a record that is too large by its %s is dead-lettered, with what fits, and the next one comes',
    async (_what, large, headers) => {
      const rig = new Rig(1);
      rig.cluster.produce([
        { topic: inputTopic, partition: 0, ...large, headers },
        { topic: inputTopic, partition: 0, ...input('x', 'emit', 'a') },
      ]);
      rig.start();
      await rig.drained();
      await rig.stop();
      expect(rig.deadLetters()).toHaveLength(1);
      expect(rig.outputs('out-a')).toEqual(['x=1 from 0@1']);
    },
  );

  test('an entry of the state that is too large is a reject, and the state does not have it', async () => {
    const rig = new Rig(1);
    rig.produce([input('x', 'heavy', 'a', '524000'), input('x', 'heavy', 'a', '523900'), input('x', 'emit', 'a')]);
    const { loop } = rig.start();
    await rig.drained();
    await rig.stop();
    expect(loop.ledger.totals()).toMatchObject({ read: 3, emitted: 2, rejected: { 'record-too-large': 1 } });
    expect([...rig.restored(0).keys()].map((key) => key.length)).toEqual([523_900, 1]);
    const [deadRecord] = rig.deadLetters();
    expect(deadRecord && header(deadRecord, '__connect.errors.exception.message')).toMatch(
      /entry of the state.* 1048071 bytes/,
    );
  });

  test('a record that is larger than what is read is a reject, and nobody looks into it', async () => {
    const rig = new Rig(1, { KAFNUS_MAX_INPUT_BYTES: '1000' });
    const padding = 'v'.repeat(1000 - 'k'.length - 'throw:a:'.length);
    rig.cluster.produce([
      { topic: inputTopic, partition: 0, key: 'k', value: `throw:a:${padding}v` },
      { topic: inputTopic, partition: 0, key: 'k', value: `throw:a:${padding}` },
    ]);
    const { loop } = rig.start();
    await rig.drained();
    await rig.stop();
    expect(loop.ledger.totals().rejected).toEqual({ 'input-too-large': 1, 'decision-failed': 1 });
    expect(rig.deadLetters().map(({ value }) => value?.length)).toEqual([1000, 999]);
    const [deadRecord] = rig.deadLetters();
    expect(deadRecord && header(deadRecord, '__connect.errors.exception.message')).toContain('KAFNUS_MAX_INPUT_BYTES');
  });

  test('headers count for what is read at most, names and values', async () => {
    const rig = new Rig(1, { KAFNUS_MAX_INPUT_BYTES: '1000' });
    const record = { topic: inputTopic, partition: 0, key: 'k', value: 'throw:a:' };
    const left = 1000 - 'k'.length - 'throw:a:'.length;
    rig.cluster.produce([
      { ...record, headers: [{ a: Buffer.alloc(left - 2, 'h') }, { b: '' }] },
      { ...record, headers: [{ a: Buffer.alloc(left - 2, 'h') }, { bc: '' }] },
      { ...record, headers: [{ ['n'.repeat(left)]: 'v' }] },
    ]);
    const { loop } = rig.start();
    await rig.drained();
    await rig.stop();
    expect(loop.ledger.totals().rejected).toEqual({ 'decision-failed': 1, 'input-too-large': 2 });
  });

  test('telemetry gets each dead letter, also of a record that is emitted in part', async () => {
    const rig = new Rig(1);
    rig.produce([input('a', 'report'), input('b', 'reject'), input('c', 'emit')]);
    const told = jest.spyOn(rig.start().telemetry, 'recordRejected');
    await rig.finish();
    expect(told.mock.calls.map(([{ offset }, { kind }]) => [offset, kind])).toEqual([
      [0, 'emit'],
      [1, 'reject'],
    ]);
  });

  test('slow decisions do not let a transaction become so old that the broker aborts it', async () => {
    const rig = new Rig(1, { KAFNUS_BATCH_SIZE: '100', KAFNUS_TRANSACTION_TIMEOUT_MS: '1000' });
    rig.produce(Array.from({ length: 100 }, (_, place) => input(`k${place}`, 'emit')));
    let now = 0;
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => (now += 20));
    try {
      const { telemetry } = rig.start();
      const committed = jest.spyOn(telemetry, 'transactionCommitted');
      await rig.finish();
      const sizes = committed.mock.calls.map(([{ records }]) => records);
      expect(sizes.reduce((sum, records) => sum + records, 0)).toBe(100);
      // A fourth of a second, at 20 ms for each record.
      expect(Math.max(...sizes)).toBeLessThan(20);
    } finally {
      clock.mockRestore();
    }
  });

  test('the limit is what the producer is set to', async () => {
    const rig = new Rig(1, { KAFNUS_KAFKA_PRODUCER: '{"message.max.bytes":5000}' });
    rig.cluster.faults.maxRecordBytes = 5000;
    rig.produce([input('x', 'emit', 'a', 'v'.repeat(6000)), input('x', 'emit', 'a', 'v'.repeat(4000))]);
    const { loop } = rig.start();
    await rig.drained();
    await rig.stop();
    expect(loop.ledger.totals()).toMatchObject({ emitted: 1, rejected: { 'record-too-large': 1 } });
  });

  test.each([
    // Each is written twice: its output, and its change of the state.
    { what: 'many', records: 12_000, text: 0, inTransaction: 5000, ahead: 1000 },
    // 2048 characters count as a record: 10,000 and 2000 of those.
    { what: 'large', records: 400, text: 200_000, inTransaction: 103, ahead: 21 },
  ])('$what records in one poll: a transaction is bounded, and what waits for one', async (given) => {
    const rig = new Rig(1, { KAFNUS_BATCH_SIZE: '20000', KAFNUS_COMMIT_INTERVAL_MS: '5000' });
    rig.produce(Array.from({ length: given.records }, () => input('x', 'emit', 'a', 'v'.repeat(given.text))));
    rig.cluster.faults.commitTurns = 50;
    let from = 0;
    let mostInTransaction = 0;
    let mostAhead = 0;
    rig.cluster.faults.onCall = ({ operation }) => {
      if (operation !== 'commit' && operation !== 'commit-done') return;
      const position = loop.status.partitions()[0]?.position ?? 0;
      if (operation === 'commit') {
        mostInTransaction = Math.max(mostInTransaction, position - from);
        from = position;
      } else mostAhead = Math.max(mostAhead, position - from);
    };
    const { loop } = rig.start();
    await rig.finish();
    expect({ inTransaction: mostInTransaction, ahead: mostAhead }).toEqual({
      inTransaction: given.inTransaction,
      ahead: given.ahead,
    });
  });

  test('at least once, commits come within a poll as well', async () => {
    const env = { KAFNUS_BATCH_SIZE: '100', KAFNUS_DELIVERY: 'at-least-once', KAFNUS_COMMIT_INTERVAL_MS: '5000' };
    const rig = new Rig(1, env, { limits: { transaction: 10, ahead: 5 } });
    rig.produce(mixed(100, 1));
    const commits = counted(rig, 'commit');
    rig.start();
    await rig.finish();
    expect(commits.calls).toBeGreaterThan(9);
  });

  test('a poll that ends with a commit begins nothing: the next transaction is as old as its first record', async () => {
    const rig = new Rig(1, { KAFNUS_BATCH_SIZE: '100' }, { limits: { transaction: 2, ahead: 2 } });
    const begun = counted(rig, 'begin');
    // Written twice, so that it fills a transaction alone.
    rig.produce([input('x', 'emit')]);
    rig.start();
    await rig.drained();
    await rig.stop();
    expect(begun.calls).toBe(1);
    rig.verify();
  });

  test('large headers of what is refused count', async () => {
    const rig = new Rig(1, { KAFNUS_BATCH_SIZE: '1000', KAFNUS_COMMIT_INTERVAL_MS: '5000' });
    const headers = [{ large: Buffer.alloc(900_000) }];
    const rejected = { topic: inputTopic, partition: 0, ...input('x', 'reject'), headers };
    rig.cluster.produce(Array.from({ length: 60 }, () => rejected));
    const commits = counted(rig, 'commit');
    rig.start();
    await rig.finish();
    // 60 of 900,000 are 54 MB, of which 20 fit into a transaction.
    expect(commits.calls).toBe(3);
  });

  test('a process that is to stop leaves the rest of a poll to the next one', async () => {
    const rig = new Rig(1, { KAFNUS_BATCH_SIZE: '100' }, { limits: { transaction: 10, ahead: 5 } });
    rig.produce(mixed(100, 1));
    rig.cluster.faults.onCall = ({ operation }) => {
      if (operation === 'commit') loop.stop();
    };
    const { loop, ended } = rig.start();
    await ended;
    expect(rig.counted).toBeGreaterThan(0);
    expect(rig.counted).toBeLessThan(30);
    rig.cluster.faults.onCall = () => undefined;
    rig.start();
    await rig.finish();
    expect(rig.counted).toBe(100);
  });

  test('a queue that is full is waited for at the same record', async () => {
    const rig = new Rig();
    rig.cluster.faults.queueSize = 2;
    rig.produce(mixed(60));
    rig.start();
    await rig.finish();
    expect(rig.counted).toBe(60);
  });
});

describe('the end', () => {
  test('stop() commits what was processed, and leaves the group', async () => {
    const rig = new Rig(1, { KAFNUS_COMMIT_INTERVAL_MS: '5000', KAFNUS_BATCH_SIZE: '5' });
    rig.produce(Array.from({ length: 10 }, () => input('x', 'emit')));
    let deliveries = 0;
    const { loop, ended } = rig.start();
    rig.cluster.faults.onCall = ({ operation }) => {
      // Full batches and a long interval: nothing is committed on its own account.
      if (
        operation === 'next' &&
        loop.status.partitions().some(({ position }) => position === 10) &&
        (deliveries += 1) === 1
      )
        loop.stop();
    };
    await ended;
    expect(rig.lag).toBe(0);
    rig.verify();
    expect(loop.lifecycle.state).toBe('stopped');
    rig.start('two');
    rig.produce([input('x', 'emit')]);
    await rig.drained();
    await rig.finish();
  });

  test('stop() during the start ends it, though the cluster never answers', async () => {
    const rig = new Rig();
    rig.cluster.faults.onCall = ({ operation }) => (operation === 'start' ? new Promise(() => undefined) : undefined);
    const { loop, session, ended } = rig.start();
    loop.stop();
    await ended;
    expect(loop.lifecycle.state).toBe('stopped');
    // A flush that waits for brokers would go on otherwise.
    expect(session.isStopping).toBe(true);
  });

  test.each(['reset', 'committed', 'partitionCount', 'ensureTopic', 'restore'] as const)(
    'stop() in a recovery in which %s is never answered ends it, and nothing is lost or doubled',
    async (held) => {
      const rig = new Rig(1);
      rig.produce(mixed(10, 1));
      const { loop, ended } = rig.start();
      let asked = false;
      rig.cluster.faults.onCall = ({ operation }) => {
        if (operation !== held || loop.lifecycle.state !== 'recovering') return undefined;
        asked = true;
        return new Promise(() => undefined);
      };
      rig.cluster.faults.commits.push('unknown-committed');
      await rig.cluster.until(() => asked, 'waiting');
      loop.stop();
      await inTime(ended);
      expect(loop.lifecycle.state).toBe('stopped');
      rig.cluster.faults.onCall = () => undefined;
      rig.start();
      await rig.drained();
      rig.verify();
    },
  );

  test('stop() in a revocation that waits for a recovery ends it, and the partition is given back', async () => {
    const rig = new Rig(1);
    rig.produce(mixed(10, 1));
    const { loop, ended } = rig.start();
    let asked = false;
    let revoked = false;
    rig.cluster.faults.onCall = ({ operation }) => {
      if (operation === 'commit' && !revoked) {
        revoked = true;
        rig.cluster.rotate(groupId);
      }
      if (operation !== 'committed' || loop.lifecycle.state !== 'recovering') return undefined;
      asked = true;
      return new Promise(() => undefined);
    };
    rig.cluster.faults.commits.push('unknown-aborted');
    await rig.cluster.until(() => asked, 'waiting');
    loop.stop();
    await inTime(ended);
    expect(loop.lifecycle.state).toBe('stopped');
    rig.cluster.faults.onCall = () => undefined;
    rig.start('two');
    await rig.drained();
    rig.verify();
  });

  test.each(['committed', 'partitionCount', 'ensureTopic', 'restore'] as const)(
    'stop() while %s is never answered for partitions that have come ends it',
    async (held) => {
      const rig = new Rig(1);
      rig.cluster.createTopic(changelog, 1);
      let asked = false;
      rig.cluster.faults.onCall = ({ operation }) => {
        if (operation !== held) return undefined;
        asked = true;
        return new Promise(() => undefined);
      };
      const { loop, ended } = rig.start();
      await rig.cluster.until(() => asked, 'waiting');
      loop.stop();
      await inTime(ended);
      expect(loop.lifecycle.state).toBe('stopped');
    },
  );

  test('stop() while nobody answers about an output topic ends it; what was decided before is committed', async () => {
    const rig = new Rig(1, { KAFNUS_BATCH_SIZE: '10' });
    rig.produce([input('x', 'emit', 'a')]);
    const { loop, ended } = rig.start();
    await rig.drained();
    let asked = false;
    rig.cluster.faults.onCall = ({ operation }) => {
      if (operation !== 'ensureTopic') return undefined;
      asked = true;
      return new Promise(() => undefined);
    };
    rig.produce([input('x', 'emit', 'a'), input('x', 'emit', 'b'), input('x', 'emit', 'a')]);
    await rig.cluster.until(() => asked, 'waiting');
    loop.stop();
    await inTime(ended);
    expect(rig.lag).toBe(2);
    rig.cluster.faults.onCall = () => undefined;
    rig.start();
    await rig.finish();
  });

  test('an error beside the loop, where a commit is acted on, ends the process with it', async () => {
    const rig = new Rig(1);
    const { loop, ended } = rig.start();
    await rig.drained();
    loop.ledger.add = () => {
      throw new Error('the ledger is broken');
    };
    rig.produce([input('x', 'emit')]);
    await expect(inTime(ended)).rejects.toThrow('the ledger is broken');
    expect(loop.lifecycle.state).toBe('failed');
  });

  test('stop() during a restore ends it', async () => {
    const rig = new Rig();
    rig.produce(mixed(10));
    rig.cluster.createTopic(changelog, 2);
    // A transaction that nobody ends: the restore cannot come to its end.
    rig.cluster.write(
      { topic: changelog, partition: 0, key: 'k', value: '1', headers: [], timestamp: 1 },
      rig.cluster.transaction('stranger'),
    );
    const { loop, ended } = rig.start();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(loop.status.partitions().map(({ state }) => state)).toEqual(['restoring', 'restoring']);
    loop.stop();
    await ended;
    expect(loop.lifecycle.state).toBe('stopped');
    expect(rig.lag).toBe(10);
  });

  test('fenced twice within a minute: the process gives way, and says which setting is wrong', async () => {
    const rig = new Rig(1);
    rig.produce(mixed(40, 1));
    const { ended, loop } = rig.start('same');
    rig.cluster.faults.onCall = ({ operation }) => {
      if (operation === 'commit') rig.cluster.initTransactions(`${groupId}-same`);
    };
    await expect(ended).rejects.toThrow(/fenced twice.*instance id "same".*KAFNUS_INSTANCE_ID/);
    expect(loop.lifecycle.state).toBe('failed');
  });

  test('a session that fails ends the process with its error', async () => {
    const rig = new Rig(1);
    const { ended, session, loop } = rig.start();
    await rig.drained();
    session.fail(new Error('the client is beyond repair'));
    await expect(ended).rejects.toThrow('the client is beyond repair');
    expect(loop.lifecycle.state).toBe('failed');
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

function fail(): never {
  throw new Error('there is no such fault');
}

/** What should end soon, and not when something else lets it. */
async function inTime(ended: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('not within 2 s')), 2000);
  });
  await Promise.race([ended, late]).finally(() => clearTimeout(timer));
}
