/** Problems that last at the same time: each is reported until its own cause is gone. */
import { describe, expect, jest, test } from '@jest/globals';
import { Problems } from '../src/problems.js';
import { changelog, groupId, input, inputTopic } from './counting-agent.js';
import { Rig } from './loop-rig.js';

jest.setTimeout(30_000);

const p0 = { topic: 'raw', partition: 0 };
const p1 = { topic: 'raw', partition: 1 };

describe('Problems', () => {
  test('the end of one cause leaves the others', () => {
    const problems = new Problems();
    expect(problems.text).toBeNull();
    problems.set('preparation', 'no changelog');
    problems.set('cluster', 'brokers down');
    problems.set('recovery', 'recovering');
    expect(problems.text).toBe('recovering; brokers down; no changelog');
    problems.clear('cluster');
    problems.clear('topics');
    expect(problems.text).toBe('recovering; no changelog');
    problems.set('recovery', 'still recovering');
    expect(problems.text).toBe('still recovering; no changelog');
    problems.clear('recovery');
    problems.clear('preparation');
    expect(problems.text).toBeNull();
  });

  test('a record waits until it is committed itself, whatever else is', () => {
    const problems = new Problems();
    problems.setWaiting({ ...p0, offset: 7 }, 'waiting for out-a');
    problems.setWaiting({ ...p1, offset: 0 }, 'waiting for out-b');
    problems.clearCommitted([
      { ...p0, committed: 7 },
      { ...p1, committed: null },
    ]);
    expect(problems.text).toBe('waiting for out-a; waiting for out-b');
    problems.clear('topics');
    problems.clearCommitted([{ ...p0, committed: 8 }]);
    expect(problems.text).toBe('waiting for out-b');
    problems.clearPartitions([p1]);
    expect(problems.text).toBeNull();
  });

  test('what many partitions wait for is said once, and the rest is counted', () => {
    const problems = new Problems();
    for (let partition = 0; partition < 6; partition += 1) {
      problems.setWaiting({ topic: 'raw', partition, offset: 0 }, `waiting for out-${partition >> 1}`);
    }
    expect(problems.text).toBe('waiting for out-0; waiting for out-1; waiting for out-2');
    problems.set('cluster', 'brokers down');
    expect(problems.text).toBe('brokers down; waiting for out-0; waiting for out-1; and 1 more');
  });
});

describe('an agent with several problems', () => {
  /**
   * Partition 0 waits for out-b; partition 1 can go on, as each of its records is a poll and a
   * transaction.
   */
  function waiting(): Rig {
    const rig = new Rig(2, { KAFNUS_BATCH_SIZE: '1' }, { limits: { transaction: 1, ahead: 1 } });
    rig.cluster.faults.silentTopics.set('out-b', Infinity);
    rig.produce([{ partition: 0, ...input('x', 'emit', 'b') }]);
    return rig;
  }

  test('a commit of other records does not end the waiting for a topic', async () => {
    const rig = waiting();
    const { loop } = rig.start();
    await rig.cluster.until(() => loop.status.problem?.includes('out-b') === true, 'waiting');
    const reported: (string | null)[] = [];
    rig.cluster.faults.onCall = () => void reported.push(loop.status.problem);
    rig.produce([1, 2, 3].map(() => ({ partition: 1, ...input('y', 'emit', 'a') })));
    await rig.cluster.until(() => rig.lag === 1, 'the others committed');
    const commits = reported.length;
    await rig.cluster.until(() => reported.length > commits + 1, 'seen after the last commit');
    expect(reported.filter((text) => text?.includes('waiting for out-b') !== true)).toEqual([]);
    rig.cluster.faults.silentTopics.clear();
    await rig.finish();
    expect(loop.status.problem).toBeNull();
  });

  test('brokers that answer again do not end the waiting for a topic', async () => {
    const rig = waiting();
    const { loop } = rig.start();
    await rig.cluster.until(() => loop.status.problem?.includes('out-b') === true, 'waiting');
    loop.status.clusterAway(new Error('all brokers down'));
    expect(loop.status.problem).toMatch(/^the cluster does not answer: all brokers down; waiting for out-b/);
    await rig.cluster.until(() => loop.status.problem?.includes('cluster') !== true, 'the cluster back');
    expect(loop.status.problem).toMatch(/^waiting for out-b/);
    rig.cluster.faults.silentTopics.clear();
    await rig.finish();
    expect(loop.status.problem).toBeNull();
  });

  test('the partition of the record that waits goes to another process, and the problem with it', async () => {
    const rig = waiting();
    const one = rig.start();
    await rig.cluster.until(() => one.loop.status.problem?.includes('out-b') === true, 'waiting');
    const two = rig.start('two');
    rig.cluster.rotate('counting');
    await rig.cluster.until(() => two.loop.status.problem?.includes('out-b') === true, 'moved');
    await rig.cluster.until(() => one.loop.status.problem === null, 'given up');
    rig.cluster.faults.silentTopics.clear();
    await rig.finish();
  });

  test('a commit does not end the waiting for the changelog of partitions that have come', async () => {
    const rig = new Rig(2);
    const one = rig.start();
    const two = rig.start('two');
    const running = (loop: typeof one.loop): number[] =>
      loop.status.partitions().flatMap(({ partition, state }) => (state === 'running' ? [partition] : []));
    await rig.cluster.until(() => running(one.loop).length === 1 && running(two.loop).length === 1, 'shared');
    const [kept = -1] = running(one.loop);
    rig.cluster.faults.silentTopics.set(changelog, Infinity);
    two.loop.stop();
    await two.ended;
    await rig.cluster.until(() => one.loop.status.problem?.includes('changelog') === true, 'waiting');
    rig.produce([{ partition: kept, ...input('x', 'emit') }]);
    await rig.cluster.until(() => rig.lag === 0, 'committed');
    // The commit has been heard of when the next one begins.
    rig.produce([{ partition: kept, ...input('x', 'emit') }]);
    await rig.cluster.until(() => rig.lag === 0, 'committed again');
    expect(one.loop.status.problem).toContain('changelog');
    expect(one.loop.status.partitions().map(({ topic, state }) => [topic, state])).toEqual([
      [inputTopic, 'running'],
      [inputTopic, 'restoring'],
    ]);
    rig.cluster.faults.silentTopics.clear();
    await rig.cluster.until(() => one.loop.status.problem === null, 'nothing wrong any more');
    await rig.finish();
  });

  test('brokers that answer do not end a recovery', async () => {
    const rig = new Rig(1);
    rig.produce([input('x', 'emit')]);
    let goOn: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    rig.cluster.faults.onCall = ({ operation }) => (operation === 'reset' ? held : undefined);
    rig.cluster.faults.commits.push('unknown-aborted');
    const { loop } = rig.start();
    await rig.cluster.until(() => loop.lifecycle.state === 'recovering', 'recovering');
    loop.status.clusterAway(new Error('all brokers down'));
    await rig.cluster.until(() => loop.status.problem?.includes('brokers') !== true, 'the cluster back');
    expect(loop.status.problem).toBe('recovering: injected: unknown-aborted');
    goOn();
    await rig.finish();
    expect(loop.status.problem).toBeNull();
  });

  test('the partition of transactions that were aborted goes to another process, and the problem with it', async () => {
    const rig = new Rig(1);
    rig.cluster.faults.commits.push('aborted', 'aborted', 'aborted');
    rig.produce([input('x', 'emit')]);
    const one = rig.start();
    await rig.cluster.until(() => one.loop.status.problem?.includes('one after the other') === true, 'not ready');
    const two = rig.start('two');
    rig.cluster.rotate(groupId);
    await rig.cluster.until(() => rig.lag === 0, 'committed');
    await rig.cluster.until(() => two.loop.status.partitions().length === 1, 'moved');
    expect(one.loop.status.partitions()).toEqual([]);
    expect(one.loop.status.lastCommit).toBeNull();
    expect(one.loop.status.problem).toBeNull();
    await rig.finish();
  });

  test('after a recovery, transactions that were aborted before it are no problem any more', async () => {
    const rig = new Rig(1);
    rig.cluster.faults.commits.push('aborted', 'aborted', 'aborted', 'unknown-aborted', 'aborted');
    rig.produce([input('x', 'emit')]);
    const reported: (string | null)[] = [];
    let recovered = false;
    rig.cluster.faults.onCall = ({ operation }) => {
      if (operation === 'reset') recovered = true;
      if (recovered && operation === 'begin') reported.push(loop.status.problem);
    };
    const { loop } = rig.start();
    await rig.cluster.until(() => loop.status.problem?.includes('one after the other') === true, 'not ready');
    await rig.finish();
    // The transaction that follows it, and the one after that was aborted once more.
    expect(reported).toEqual([null, null]);
  });
});
