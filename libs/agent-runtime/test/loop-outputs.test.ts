/** What the loop writes: topics that refuse, records and transactions that become too large. */
import { describe, expect, jest, test } from '@jest/globals';
import { ConfigurationError } from '@kafnus/agent-runtime';
import { changelog, deadLetterTopic, input, inputTopic } from './counting-agent.js';
import { counted, header, mixed, Rig } from './loop-rig.js';

jest.setTimeout(60_000);

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
