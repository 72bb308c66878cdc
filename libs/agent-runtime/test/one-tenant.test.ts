/**
 * One tenant's topic, or one record, must never stop the others: the loop on a cluster whose topics
 * refuse in every way.
 */
import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { changelog, deadLetterTopic, groupId, input, inputTopic } from './counting-agent.js';
import { counted, header, Rig } from './loop-rig.js';

jest.setTimeout(60_000);

const large = { transaction: 10_000, ahead: 2000 };

function messages(rig: Rig): (string | undefined)[] {
  return rig.deadLetters().map((deadRecord) => header(deadRecord, '__connect.errors.exception.message'));
}

function reasons(rig: Rig): (string | undefined)[] {
  return rig.deadLetters().map((deadRecord) => header(deadRecord, '__connect.errors.exception.class.name'));
}

const isBad = ({ value }: { readonly value: string | Buffer | null }): boolean =>
  value?.toString().includes('bad') === true;

/** Refuses the outputs of bad records, and their dead-letter records never. */
function refuseBad(rig: Rig): void {
  rig.cluster.faults.refusesRecord = (output) => output.topic.startsWith('out-') && isBad(output);
}

test('topics that are well cost one lookup each', async () => {
  const rig = new Rig(1, { KAFNUS_BATCH_SIZE: '2' });
  const lookups = counted(rig, 'ensureTopic');
  rig.produce(Array.from({ length: 20 }, (_, n) => input('x', 'emit', n % 2 === 0 ? 'a' : 'b')));
  rig.start();
  await rig.finish();
  // Those of the tenants, and the changelog.
  expect(lookups.calls).toBe(3);
});

describe('a topic that does not exist, where creation is off', () => {
  test('unknown services one after the other: each is dead-lettered at once, and nothing is aborted', async () => {
    const rig = new Rig(1, { KAFNUS_TOPICS_CREATE: 'false', KAFNUS_BATCH_SIZE: '100' });
    rig.cluster.createTopic('out-a', 2);
    rig.cluster.createTopic(deadLetterTopic, 1);
    const aborts = counted(rig, 'abort');
    rig.produce(Array.from({ length: 200 }, (_, n) => input('x', 'emit', n % 2 === 0 ? 'a' : `unknown${n}`)));
    const since = performance.now();
    const { loop } = rig.start();
    await rig.drained();
    await rig.stop();
    // 100 times KAFNUS_TOPIC_TIMEOUT_MS would be 25 minutes.
    expect(performance.now() - since).toBeLessThan(5000);
    expect(aborts.calls).toBe(0);
    expect(loop.ledger.totals()).toMatchObject({ emitted: 100, rejected: { 'topic-unwritable': 100 } });
    expect(rig.outputs('out-a')).toHaveLength(100);
    expect(messages(rig)[0]).toMatch(/unknown1 does not exist/);
  });
});

describe('a topic without an answer', () => {
  test('is waited for, while what was decided before is committed', async () => {
    const rig = new Rig(1, { KAFNUS_BATCH_SIZE: '100', KAFNUS_COMMIT_INTERVAL_MS: '5000' });
    rig.produce([input('x', 'emit'), input('x', 'emit'), input('y', 'emit', 'b'), input('x', 'emit')]);
    rig.cluster.faults.silentTopics.set('out-b', Infinity);
    const { loop } = rig.start();
    await rig.cluster.until(() => loop.status.problem?.includes('out-b') === true, 'waiting');
    await rig.cluster.until(() => rig.outputs('out-a').length === 2, 'committed');
    expect(rig.lag).toBe(2);
    rig.cluster.faults.silentTopics.clear();
    await rig.finish();
    expect(rig.deadLetters()).toEqual([]);
    expect(loop.status.problem).toBeNull();
  });

  test('is given up after its time, and the others go on; the next ones get less, all together', async () => {
    const rig = new Rig(1, { KAFNUS_TOPIC_TIMEOUT_MS: '600' });
    for (let tenant = 0; tenant < 20; tenant += 1) rig.cluster.faults.silentTopics.set(`out-silent${tenant}`, Infinity);
    rig.produce(
      Array.from({ length: 40 }, (_, n) => input('x', 'emit', n % 2 === 0 ? 'a' : `silent${Math.floor(n / 2)}`)),
    );
    const since = performance.now();
    const { loop } = rig.start();
    await rig.drained();
    const took = performance.now() - since;
    await rig.stop();
    expect(loop.ledger.totals()).toMatchObject({ emitted: 20, rejected: { 'topic-unwritable': 20 } });
    // The first one is waited for, and it alone: 20 times that would be 12 s.
    expect(took).toBeGreaterThan(600);
    expect(took).toBeLessThan(4000);
    expect(loop.status.problem).toBeNull();
  });

  test('is not given up while there is no answer about the dead-letter topic either: the cluster is away', async () => {
    const rig = new Rig(1, { KAFNUS_TOPIC_TIMEOUT_MS: '100' });
    rig.cluster.faults.silentTopics.set('out-a', Infinity);
    rig.cluster.faults.silentTopics.set(deadLetterTopic, Infinity);
    rig.produce([input('x', 'emit')]);
    const { loop } = rig.start();
    await rig.cluster.until(() => loop.status.problem?.includes('nor is there an answer') === true, 'waiting');
    await new Promise((resolve) => setTimeout(resolve, 1200));
    rig.cluster.faults.silentTopics.clear();
    await rig.finish();
    expect(rig.deadLetters()).toEqual([]);
  });

  test('whose lookup hangs is waited for beside the loop, which answers the group meanwhile', async () => {
    const rig = new Rig(2);
    let answer: () => void = () => undefined;
    let hangs: Promise<void> | undefined;
    let released = 0;
    rig.cluster.faults.onCall = ({ operation }) => {
      if (operation === 'release') released += 1;
      return operation === 'ensureTopic' ? hangs : undefined;
    };
    const { loop } = rig.start();
    await rig.cluster.until(() => loop.status.partitions().length === 2, 'assigned');
    hangs = new Promise<void>((resolve) => (answer = resolve));
    rig.produce([{ partition: 1, ...input('y', 'emit', 'c') }]);
    await rig.cluster.until(() => loop.status.problem?.includes('no answer within') === true, 'waiting');
    const before = released;
    rig.cluster.rotate(groupId);
    await rig.cluster.until(() => released > before, 'released');
    hangs = undefined;
    answer();
    await rig.finish();
  });
});

describe('a topic whose writes fail though it looks well', () => {
  test('is tried for its time, then left alone; the others go on', async () => {
    const rig = new Rig(1, { KAFNUS_TOPIC_TIMEOUT_MS: '300', KAFNUS_BATCH_SIZE: '4' });
    rig.cluster.faults.failingTopics.set('out-b', { inSync: 1 });
    rig.produce(Array.from({ length: 40 }, (_, n) => input('x', 'emit', n % 4 === 1 ? 'b' : 'a')));
    const { loop } = rig.start();
    await rig.drained();
    await rig.stop();
    expect(loop.ledger.totals()).toMatchObject({ emitted: 30, rejected: { 'topic-unwritable': 10 } });
    expect(rig.outputs('out-a')).toHaveLength(30);
    expect(messages(rig)[0]).toMatch(/writes to topic out-b fail: injected: message timed out/);
  });

  test('is not to blame while the dead-letter topic fails as well', async () => {
    const rig = new Rig(1, { KAFNUS_TOPIC_TIMEOUT_MS: '100' });
    rig.cluster.faults.failingTopics.set('out-a', { inSync: 1 });
    rig.cluster.faults.failingTopics.set(deadLetterTopic, { inSync: 1 });
    rig.produce([input('x', 'emit'), input('x', 'reject')]);
    const { loop } = rig.start();
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(loop.status.problem).toMatch(/transactions are aborted, one after the other/);
    rig.cluster.faults.failingTopics.clear();
    await rig.finish();
    expect(reasons(rig)).toEqual(['kafnus.rejected.no-good']);
    expect(loop.status.problem).toBeNull();
  });
});

describe('a record that its topic refuses', () => {
  test.each(['exactly-once', 'at-least-once'])(
    '%s: it is dead-lettered as record-refused, and it alone, in a few transactions',
    async (delivery) => {
      const rig = new Rig(1, { KAFNUS_BATCH_SIZE: '1000', KAFNUS_DELIVERY: delivery }, { limits: large });
      refuseBad(rig);
      const commits = counted(rig, 'commit');
      rig.produce(
        Array.from({ length: 1000 }, (_, n) =>
          input(`k${n % 7}`, 'emit', n % 3 === 0 ? 'a' : 'b', n === 700 ? 'bad' : ''),
        ),
      );
      const { loop } = rig.start();
      await rig.finish(isBad, delivery === 'at-least-once');
      expect(loop.ledger.totals()).toMatchObject({ read: 1000, emitted: 999, rejected: { 'record-refused': 1 } });
      expect(new Set(reasons(rig))).toEqual(new Set(['kafnus.rejected.record-refused']));
      expect(new Set(messages(rig))).toEqual(new Set(['topic out-b refuses the record: Broker: Invalid record']));
      // Ten halvings, and as many until transactions are whole again.
      expect(commits.calls).toBeLessThan(30);
      expect(loop.status.problem).toBeNull();
    },
  );

  test('at-least-once: a refusal of what was sent behind the commit is not held against the next one', async () => {
    const env = { KAFNUS_DELIVERY: 'at-least-once', KAFNUS_BATCH_SIZE: '2' };
    // Two records, each written twice: its output, and its change of the state.
    const rig = new Rig(1, env, { limits: { transaction: 4, ahead: 4 } });
    refuseBad(rig);
    rig.produce([input('x', 'emit'), input('y', 'emit', 'a', 'bad')]);
    let commits = 0;
    rig.cluster.faults.onCall = ({ operation }) => {
      if (operation !== 'commit-done' || (commits += 1) > 1) return undefined;
      // Read and sent when the first commit has failed, and before the loop has heard of it.
      rig.produce([input('z', 'emit', 'a', 'bad')]);
      return new Promise((resolve) => setTimeout(resolve, 20));
    };
    const { loop } = rig.start();
    await rig.finish(isBad, true);
    expect(loop.ledger.totals()).toMatchObject({ emitted: 1, rejected: { 'record-refused': 2 } });
  });

  test('any of them, among any others, in any batches, with other faults: nothing lost, twice, out of order or on a wrong state', async () => {
    const kinds = fc.constantFrom('emit', 'twice', 'skip', 'reject', 'report');
    const inputs = fc.array(
      fc.record({
        partition: fc.nat(2),
        key: fc.nat(3),
        kind: kinds,
        tenant: fc.constantFrom('a', 'b'),
        bad: fc.boolean(),
      }),
      { minLength: 1, maxLength: 60 },
    );
    const settings = fc.record({
      batchSize: fc.integer({ min: 1, max: 30 }),
      commitTurns: fc.integer({ min: 0, max: 5 }),
      queueSize: fc.constantFrom(1, 3, 1000),
      limits: fc.record({ transaction: fc.constantFrom(1, 5, 10_000), ahead: fc.constantFrom(1, 3, 2000) }),
      faults: fc.array(fc.constantFrom('aborted', 'unknown-committed', 'unknown-aborted', undefined), {
        maxLength: 12,
      }),
      rotateAt: fc.integer({ min: 5, max: 200 }),
    });
    await fc.assert(
      fc.asyncProperty(inputs, settings, async (given, { batchSize, limits, faults, rotateAt, ...rest }) => {
        const env = { KAFNUS_BATCH_SIZE: String(batchSize), KAFNUS_COMMIT_INTERVAL_MS: '1' };
        const rig = new Rig(3, env, { limits });
        Object.assign(rig.cluster.faults, rest);
        refuseBad(rig);
        const planned = [...faults];
        let calls = 0;
        rig.cluster.faults.onCall = ({ operation }) => {
          calls += 1;
          if (calls === rotateAt) rig.cluster.rotate(groupId);
          const fault = operation === 'commit' ? planned.shift() : undefined;
          if (fault) rig.cluster.faults.commits.push(fault);
        };
        // Not one bad record after the other: that is a topic that refuses everything.
        const records = given.map(({ partition, key, kind, tenant, bad }, n) => ({
          partition,
          ...input(`k${key}`, kind, tenant, bad && n % 3 === 0 ? 'bad' : ''),
        }));
        rig.produce(records);
        rig.start();
        rig.join();
        await rig.finish(isBad);
      }),
      { numRuns: 100 },
    );
  });

  test('for its size: what is as large is refused without asking, and what is smaller is not', async () => {
    const rig = new Rig(1, { KAFNUS_BATCH_SIZE: '100' }, { limits: large });
    rig.cluster.createTopic('out-b', 2, { 'max.message.bytes': '3000' });
    rig.produce(Array.from({ length: 5 }, () => input('x', 'emit', 'a')));
    rig.produce([input('y', 'emit', 'b', 'v'.repeat(5000))]);
    const { loop } = rig.start();
    await rig.drained();
    const commits = counted(rig, 'commit');
    rig.produce(
      Array.from({ length: 30 }, (_, n) => input('y', 'emit', 'b', n % 2 === 0 ? 'v'.repeat(6000) : 'small')),
    );
    await rig.finish(({ value }) => (value?.length ?? 0) > 3000);
    expect(loop.ledger.totals().rejected).toEqual({ 'record-refused': 1, 'record-too-large': 15 });
    expect(commits.calls).toBeLessThan(6);
  });

  test('together with others only: none of them is refused, and transactions stay small enough', async () => {
    const rig = new Rig(1, { KAFNUS_BATCH_SIZE: '1000' }, { limits: large });
    rig.cluster.createTopic('out-b', 2, { 'max.message.bytes': '10000' });
    rig.produce(Array.from({ length: 600 }, (_, n) => input(`k${n % 5}`, 'emit', 'b', 'v'.repeat(500))));
    const commits = counted(rig, 'commit');
    rig.start();
    await rig.finish();
    expect(rig.deadLetters()).toEqual([]);
    // 600 of 520 bytes are 32 batches of 10,000 at least.
    expect(commits.calls).toBeLessThan(150);
  });

  test('one after the other: it is the topic, and its records are dead-lettered without asking', async () => {
    const rig = new Rig(1, { KAFNUS_BATCH_SIZE: '200' }, { limits: large });
    rig.cluster.faults.refusesRecord = ({ topic }) => topic === 'out-b';
    rig.produce(Array.from({ length: 200 }, (_, n) => input('x', 'emit', n % 2 === 0 ? 'a' : 'b')));
    const commits = counted(rig, 'commit');
    const { loop } = rig.start();
    await rig.drained();
    await rig.stop();
    expect(loop.ledger.totals().rejected).toEqual({ 'record-refused': 5, 'topic-unwritable': 95 });
    expect(loop.ledger.totals().emitted).toBe(100);
    expect(commits.calls).toBeLessThan(60);
    expect(messages(rig).at(-1)).toMatch(/topic out-b refuses one record after the other/);
  });
});

describe('a refusal that names no topic', () => {
  test('is found by halves: the tenant of that topic is dead-lettered, the others go on', async () => {
    const rig = new Rig(1, { KAFNUS_BATCH_SIZE: '100' }, { limits: large });
    rig.cluster.faults.unnamedRefusals.set('out-b', new Error('Broker: Topic authorization failed'));
    rig.produce(Array.from({ length: 100 }, (_, n) => input('x', 'emit', n % 10 === 7 ? 'b' : 'a')));
    const { loop } = rig.start();
    await rig.drained();
    await rig.stop();
    expect(loop.ledger.totals()).toMatchObject({ emitted: 90, rejected: { 'topic-unwritable': 10 } });
    expect(messages(rig)[0]).toBe('topic out-b: Broker: Topic authorization failed');
  });

  test('of the dead-letter topic stops the agent, not ready, and nothing is lost', async () => {
    const rig = new Rig(1);
    rig.cluster.faults.unnamedRefusals.set(deadLetterTopic, new Error('Broker: Topic authorization failed'));
    rig.produce([input('x', 'emit'), input('x', 'reject'), input('x', 'emit')]);
    const { loop } = rig.start();
    await rig.cluster.until(() => loop.status.problem?.includes('dead letters cannot be written') === true, 'waiting');
    rig.cluster.faults.unnamedRefusals.clear();
    await rig.finish();
    expect(loop.status.problem).toBeNull();
  });
});

test('a changelog that refuses without a name stops the agent, and dead-letters no tenant', async () => {
  const rig = new Rig(1);
  rig.produce([input('x', 'emit'), input('x', 'emit', 'b'), input('x', 'emit', 'c')]);
  const { loop } = rig.start();
  await rig.drained();
  rig.cluster.faults.unnamedRefusals.set(changelog, new Error('Broker: Topic authorization failed'));
  rig.cluster.faults.silentTopics.set(changelog, Infinity);
  rig.produce([input('x', 'emit'), input('x', 'emit', 'b'), input('x', 'emit', 'c')]);
  await rig.cluster.until(() => loop.status.problem?.includes('the state cannot be written') === true, 'waiting');
  await new Promise((resolve) => setTimeout(resolve, 1500));
  rig.cluster.faults.unnamedRefusals.clear();
  rig.cluster.faults.silentTopics.clear();
  await rig.finish();
  expect(rig.deadLetters()).toEqual([]);
  expect(loop.status.problem).toBeNull();
});

describe('a dead-letter record that its topic refuses', () => {
  test('for its size goes without its value, and says where that is', async () => {
    const rig = new Rig(1);
    rig.cluster.createTopic(deadLetterTopic, 1, { 'max.message.bytes': '3000' });
    rig.produce([
      input('x', 'emit'),
      input('x', 'reject', 'a', 'v'.repeat(4000)),
      input('x', 'report', 'a', 'v'.repeat(4000)),
    ]);
    const { loop } = rig.start();
    await rig.finish();
    expect(reasons(rig)).toEqual(['kafnus.rejected.no-good', 'kafnus.rejected.no-good']);
    for (const deadRecord of rig.deadLetters()) {
      expect(deadRecord.value).toBeNull();
      expect(header(deadRecord, 'kafnus.value.omitted')).toMatch(
        /bytes, too large for dead: read them from raw-0 at offset/,
      );
    }
    // Of the record that is only reported the row goes out.
    expect(rig.outputs('out-a')).toHaveLength(2);
    expect(loop.ledger.totals()).toMatchObject({ read: 3, emitted: 2, rejected: { 'no-good': 1 } });
  });

  test('for its time gets the time of now, and keeps all it has', async () => {
    const rig = new Rig(1);
    for (const topic of ['out-a', deadLetterTopic])
      rig.cluster.createTopic(topic, 2, { 'message.timestamp.after.max.ms': '60000' });
    const future = Date.now() + 1_800_000;
    rig.cluster.produce([
      { topic: inputTopic, partition: 0, ...input('x', 'emit'), timestamp: future },
      { topic: inputTopic, partition: 0, ...input('x', 'emit'), timestamp: 1 },
    ]);
    const { loop } = rig.start();
    await rig.drained();
    await rig.stop();
    expect(loop.ledger.totals()).toMatchObject({ emitted: 1, rejected: { 'record-refused': 1 } });
    const [deadRecord] = rig.deadLetters();
    expect(deadRecord?.value?.toString()).toBe('emit:a:');
    expect(deadRecord?.timestamp).toBeLessThan(future);
    expect(deadRecord && header(deadRecord, 'kafnus.timestamp')).toBe(String(future));
  });

  test('in every form stops the agent, not ready and with the reason, until the topic takes it', async () => {
    const rig = new Rig(1);
    rig.cluster.faults.refusesRecord = ({ topic }) => topic === deadLetterTopic;
    rig.produce([input('x', 'emit'), input('x', 'reject'), input('x', 'emit')]);
    const aborts = counted(rig, 'commit');
    const { loop } = rig.start();
    await rig.cluster.until(
      () => loop.status.problem?.includes('is refused, also without its value') === true,
      'stands',
    );
    expect(loop.status.problem).toContain('raw-0 at offset 1');
    expect(rig.outputs('out-a')).toEqual(['x=1 from 0@0']);
    const before = aborts.calls;
    await new Promise((resolve) => setTimeout(resolve, 1200));
    // It tries again, and not as often as it can.
    expect(aborts.calls - before).toBeLessThan(5);
    rig.cluster.faults.refusesRecord = () => false;
    await rig.finish();
    expect(loop.status.problem).toBeNull();
  });
});

test('a changelog that refuses a record costs that record its row and its state, and no other', async () => {
  const rig = new Rig(1);
  rig.cluster.faults.refusesRecord = ({ topic, key }) => topic === changelog && String(key) === 'odd';
  rig.produce([input('x', 'emit'), input('odd', 'emit'), input('x', 'emit')]);
  rig.start();
  await rig.finish(({ key }) => String(key) === 'odd');
});

test('transactions that are aborted one after the other make the agent not ready, and are tried at leisure', async () => {
  const rig = new Rig(1);
  rig.cluster.faults.commits.push(...Array.from({ length: 5 }, () => 'aborted' as const));
  rig.produce([input('x', 'emit')]);
  const commits = counted(rig, 'commit');
  const { loop } = rig.start();
  await rig.cluster.until(
    () => loop.status.problem?.includes('one after the other: injected: aborted') === true,
    'not ready',
  );
  expect(commits.calls).toBe(3);
  await rig.finish();
  expect(loop.status.problem).toBeNull();
});
