/** Several partitions at a time, and what becomes of the others when one fails. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { StateRestorer } from '../src/state-restorer.js';
import type { ChangelogEntry, Session, TopicPartition } from '../src/session.js';

type Progress = Parameters<Session['restore']>[2];

/** A restore that the test leads. */
interface Restore {
  readonly partition: number;
  readonly onEntry: ChangelogEntry;
  readonly onProgress: Progress;
  readonly finish: () => void;
  readonly fail: (error: Error) => void;
}

const changelog = 'group-newest-changelog';
const running: Restore[] = [];
const finished: object[] = [];
const foreign: object[] = [];
let aborted: number[] = [];

beforeEach(() => {
  for (const list of [running, finished, foreign]) list.length = 0;
  aborted = [];
});

/** Ends as the session does when it is told to: a little later, and with the reason. */
const restore: Session['restore'] = ({ partition }, onEntry, onProgress, signal) =>
  new Promise((resolve, reject) => {
    const stopped = (): void =>
      void setImmediate(() => {
        aborted.push(partition);
        reject(signal.reason as Error);
      });
    signal.addEventListener('abort', stopped);
    const fail = (error: Error): void => {
      signal.removeEventListener('abort', stopped);
      reject(error);
    };
    running.push({ partition, onEntry, onProgress, finish: () => resolve(1), fail });
  });

const restorer = new StateRestorer({
  configured: { inputTopic: 'raw' },
  config: { topicReplication: 1 },
  changelog,
  session: {
    committed: (partitions) => Promise.resolve(partitions.map((each) => ({ ...each, offset: 7 }))),
    partitionCount: () => Promise.resolve(4),
    ensureTopic: () => Promise.resolve({ kind: 'writable', partitions: 4 }),
    restore,
  },
  onProgress: () => undefined,
  telemetry: {
    restoreStarted: () => undefined,
    restoreProgress: () => undefined,
    restoreFinished: (event) => finished.push(event),
    foreignChangelogRecord: (record) => foreign.push(record),
  },
});

const partitions: TopicPartition[] = [0, 1, 2, 3].map((partition) => ({ topic: 'raw', partition }));

function quiet(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 5);
  });
}

function started(): number[] {
  return running.map(({ partition }) => partition);
}

describe('the stores of an assignment', () => {
  test('are restored two at a time, each from its own partition', async () => {
    const prepared = restorer.prepare(partitions, new AbortController().signal);
    await quiet();
    expect(started()).toEqual([0, 1]);
    running[1]?.finish();
    await quiet();
    expect(started()).toEqual([0, 1, 2]);
    for (const { partition, onEntry } of running) onEntry(Buffer.from(`key ${partition}`), Buffer.from(`${partition}`));
    running[2]?.finish();
    running[0]?.finish();
    await quiet();
    expect(started()).toEqual([0, 1, 2, 3]);
    running[3]?.finish();
    const { positions, stores } = await prepared;
    expect(positions).toEqual(partitions.map((each) => ({ ...each, offset: 7 })));
    expect([...stores].map(([name, store]) => [name, ...store.entries()]).sort()).toEqual([
      ['raw-0', ['key 0', 0]],
      ['raw-1', ['key 1', 1]],
      ['raw-2', ['key 2', 2]],
      ['raw-3'],
    ]);
    expect(finished).toHaveLength(4);
  });

  test('tell their progress one by one, until each is there', async () => {
    const prepared = restorer.prepare(partitions.slice(0, 2), new AbortController().signal);
    await quiet();
    running[1]?.onProgress({ entries: 5, offset: 6, end: 9 });
    const progress = (): unknown[] => partitions.slice(0, 2).map((each) => restorer.progress(each));
    expect(progress()).toEqual([undefined, { entries: 5, offset: 6, end: 9 }]);
    for (const { finish } of running) finish();
    await prepared;
    expect(progress()).toEqual([undefined, undefined]);
  });

  test('leave out a record that nobody of ours wrote, and say where it is', async () => {
    const prepared = restorer.prepare(partitions.slice(0, 1), new AbortController().signal);
    await quiet();
    running[0]?.onEntry(Buffer.from('a'), Buffer.from('1'));
    running[0]?.onEntry(Buffer.from('b'), Buffer.from('one'));
    running[0]?.finish();
    expect([...((await prepared).stores.get('raw-0')?.entries() ?? [])]).toEqual([['a', 1]]);
    expect(foreign).toEqual([{ topic: changelog, partition: 0, key: 'b' }]);
  });

  test('when one fails, the other ends before the failure is told, and no further one begins', async () => {
    const prepared = restorer.prepare(partitions, new AbortController().signal);
    await quiet();
    running[0]?.fail(new Error('gone'));
    await expect(prepared).rejects.toThrow('gone');
    expect(aborted).toEqual([1]);
    await quiet();
    expect(started()).toEqual([0, 1]);
  });

  test('are given up when the partitions are taken away', async () => {
    const abort = new AbortController();
    const prepared = restorer.prepare(partitions, abort.signal);
    await quiet();
    abort.abort(new Error('taken away'));
    await expect(prepared).rejects.toThrow('taken away');
    expect(aborted.sort()).toEqual([0, 1]);
    await quiet();
    expect(started()).toEqual([0, 1]);
  });
});
