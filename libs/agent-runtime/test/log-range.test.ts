/**
 * Logs that are not what they were: truncated or created again, or with records deleted before they
 * were read.
 */
import { describe, expect, jest, test } from '@jest/globals';
import type { CommitFault, MemoryOperation } from '@kafnus/agent-testkit';
import { jumpAt, ReadPositions } from '../src/kafka/read-positions.js';
import { DeletedRecords } from '../src/log-range.js';
import { groupId, input, inputTopic } from './counting-agent.js';
import { header, Rig, type Running } from './loop-rig.js';

jest.setTimeout(60_000);

const resume = { KAFNUS_ON_OFFSET_OUT_OF_RANGE: 'resume' };

/** Records of a partition, each with another key, so that outputs name their input. */
function records(partition: number, count: number, log: string): (ReturnType<typeof input> & { partition: number })[] {
  return Array.from({ length: count }, (_, index) => ({ partition, ...input(`${log}-${index}`, 'emit') }));
}

/** A rig whose two partitions were read to the end, 10 records each. */
async function readRig(env: Readonly<Record<string, string>> = {}): Promise<{ rig: Rig; running: Running }> {
  const rig = new Rig(2, env);
  rig.produce([...records(0, 10, 'old'), ...records(1, 10, 'old')]);
  const running = rig.start();
  await rig.drained();
  return { rig, running };
}

/** The keys of all outputs, from one partition of the input. */
function keysFrom(rig: Rig, partition: number): (string | undefined)[] {
  return rig.cluster
    .read('out-a')
    .filter((record) => header(record, 'from')?.startsWith(`${partition}@`))
    .map(({ key }) => key?.toString());
}

const committed = (rig: Rig, partition = 0): number | null =>
  rig.cluster.group(groupId).committed({ topic: inputTopic, partition });

async function metric({ telemetry }: Running, name: string): Promise<number> {
  const { body } = await telemetry.scrape();
  return Number(new RegExp(`^${name}\\{.*\\} (\\d+)$`, 'm').exec(body)?.[1]);
}

describe('a log that ends before the position', () => {
  test('stop: its partition stands and says why, the other goes on, and nothing counts as read', async () => {
    const { rig, running } = await readRig();
    const { loop } = running;
    rig.cluster.truncate(inputTopic, 0, 0);
    rig.produce([...records(0, 3, 'new'), ...records(1, 5, 'new')]);
    await rig.cluster.until(() => keysFrom(rig, 1).length === 15, 'the other partition read');
    await rig.cluster.until(() => loop.status.problem !== null, 'reported');
    expect(loop.status.problem).toMatch(/^raw-0 stands: its log ends before offset 10, .* goes on at 0/);
    expect(loop.status.partitions().find(({ partition }) => partition === 0)).toMatchObject({
      state: 'out-of-range',
      position: 10,
      end: 3,
      lag: 3,
    });
    expect(keysFrom(rig, 0)).toHaveLength(10);
    expect(committed(rig)).toBe(10);
    expect(await metric(running, 'kafnus_offsets_out_of_range_total')).toBe(1);
    // A restart would not help: it is no stall.
    await new Promise((resolve) => setTimeout(resolve, 60));
    loop.status.lookForProgress();
    expect(loop.status.stuckMs).toBeLessThan(50);
    await rig.stop();

    const successor = rig.start();
    await rig.cluster.until(() => successor.loop.status.problem !== null, 'reported by the next process');
    expect(successor.loop.status.problem).toContain('raw-0 stands');
    expect(keysFrom(rig, 0)).toHaveLength(10);
    await rig.stop();
  });

  test('stop: a partition that is taken away and given again is found out again', async () => {
    const { rig, running } = await readRig();
    rig.cluster.truncate(inputTopic, 0, 0);
    await rig.cluster.until(() => running.loop.status.problem !== null, 'reported');
    let revoked = 0;
    rig.cluster.faults.onCall = ({ operation }) => {
      if (operation === 'release') revoked += 1;
    };
    rig.cluster.rotate(groupId);
    await rig.cluster.until(() => revoked > 0, 'released');
    await rig.cluster.until(() => running.loop.status.problem?.includes('raw-0') === true, 'found again');
    await rig.stop();
  });

  test.each(['aborted', 'unknown-aborted', 'unknown-committed'] as const)(
    'stop: after a commit that is %s it still stands',
    async (fault) => {
      const { rig, running } = await readRig();
      rig.cluster.truncate(inputTopic, 0, 0);
      await rig.cluster.until(() => running.loop.status.problem !== null, 'reported');
      rig.cluster.faults.commits.push(fault);
      rig.produce([...records(0, 3, 'new'), ...records(1, 5, 'new')]);
      await rig.cluster.until(() => committed(rig, 1) === 15, 'the other partition committed');
      await rig.cluster.until(() => running.loop.status.problem?.includes('raw-0 stands') === true, 'still reported');
      expect(keysFrom(rig, 0)).toHaveLength(10);
      expect(keysFrom(rig, 1)).toHaveLength(15);
      await rig.stop();
    },
  );

  test('resume: what the new log holds is read, once, and its offset replaces the old one', async () => {
    const { rig, running } = await readRig(resume);
    rig.cluster.truncate(inputTopic, 0, 0);
    rig.produce(records(0, 3, 'new'));
    await rig.cluster.until(() => committed(rig) === 3, 'the new log committed');
    expect(keysFrom(rig, 0).slice(10)).toEqual(['new-0', 'new-1', 'new-2']);
    expect(running.loop.status.problem).toBeNull();
    expect(await metric(running, 'kafnus_offsets_out_of_range_total')).toBe(1);
    await rig.stop();
    rig.start();
    rig.produce(records(0, 1, 'newer'));
    await rig.drained();
    expect(keysFrom(rig, 0).slice(13)).toEqual(['newer-0']);
    await rig.stop();
  });

  test('resume: the offset of an empty log is committed, so that a successor does not find the old one', async () => {
    const { rig } = await readRig(resume);
    rig.cluster.truncate(inputTopic, 0, 0);
    await rig.cluster.until(() => committed(rig) === 0, 'committed');
    await rig.stop();
  });

  test('resume: records of the old log that are still to be processed are not lost', async () => {
    const rig = new Rig(1, { ...resume, KAFNUS_COMMIT_INTERVAL_MS: '20', KAFNUS_BATCH_SIZE: '10' });
    rig.produce(records(0, 10, 'old'));
    // Behind the records that this poll has brought: they are in hand, and nothing of them is
    // committed.
    let polls = 0;
    rig.cluster.faults.onCall = ({ operation }) => {
      if (operation === 'send' && (polls += 1) === 1) rig.cluster.truncate(inputTopic, 0, 0);
    };
    rig.start();
    await rig.cluster.until(() => committed(rig) === 0, 'committed');
    rig.produce(records(0, 2, 'new'));
    await rig.drained();
    expect(keysFrom(rig, 0)).toEqual([...Array.from({ length: 10 }, (_, index) => `old-${index}`), 'new-0', 'new-1']);
    await rig.stop();
  });

  const faults: readonly CommitFault[] = ['aborted', 'unknown-aborted', 'unknown-committed'];
  test.each(faults)('resume: a commit that is %s, at every call, loses nothing and doubles nothing', async (fault) => {
    let fired = 0;
    for (let point = 1; ; point += 1) {
      const { rig } = await readRig(resume);
      let calls = 0;
      rig.cluster.faults.onCall = () => {
        if ((calls += 1) === point) rig.cluster.faults.commits.push(fault);
      };
      rig.cluster.truncate(inputTopic, 0, 0);
      rig.produce([...records(0, 3, 'new'), ...records(1, 3, 'new')]);
      await rig.cluster.until(() => committed(rig) === 3 && committed(rig, 1) === 13, `committed, at call ${point}`);
      // The state that a fault leaves behind is seen by the next records.
      rig.produce([...records(0, 1, 'newer'), ...records(1, 1, 'newer')]);
      await rig.cluster.until(() => committed(rig) === 4 && committed(rig, 1) === 14, `at the end, at call ${point}`);
      const expected = ['new-0', 'new-1', 'new-2', 'newer-0'];
      expect(keysFrom(rig, 0).slice(10)).toEqual(expected);
      expect(keysFrom(rig, 1).slice(10)).toEqual(expected);
      await rig.stop();
      if (calls < point) break;
      fired += 1;
      if (fired > 60) break;
    }
    expect(fired).toBeGreaterThan(20);
  });

  test.each<MemoryOperation>(['commit', 'rewind'])(
    'resume: a crash at %s leaves it to the next process',
    async (at) => {
      const { rig } = await readRig(resume);
      let crashed = false;
      rig.cluster.faults.onCall = ({ session, operation }) => {
        if (operation !== at || crashed) return;
        crashed = true;
        rig.restart(session);
      };
      rig.cluster.truncate(inputTopic, 0, 0);
      rig.produce(records(0, 3, 'new'));
      await rig.cluster.until(() => committed(rig) === 3, 'the new log committed');
      expect(crashed).toBe(true);
      expect(keysFrom(rig, 0).slice(10)).toEqual(['new-0', 'new-1', 'new-2']);
      await rig.stop();
    },
  );
});

describe('records that are deleted before they are read', () => {
  test('are counted, and the rest is read', async () => {
    const { rig } = await readRig();
    await rig.stop();
    rig.produce(records(0, 10, 'late'));
    rig.cluster.deleteRecords(inputTopic, 0, 14);
    const running = rig.start();
    await rig.cluster.until(() => committed(rig) === 20, 'the rest committed');
    expect(keysFrom(rig, 0).slice(10)).toEqual(Array.from({ length: 6 }, (_, index) => `late-${index + 4}`));
    expect(await metric(running, 'kafnus_records_deleted_unread_total')).toBe(4);
    expect(running.loop.status.problem).toBeNull();
    await rig.stop();
  });

  test('all of them: nothing waits any more', async () => {
    const { rig } = await readRig();
    await rig.stop();
    rig.produce(records(0, 10, 'late'));
    rig.cluster.deleteRecords(inputTopic, 0, 20);
    const running = rig.start();
    await rig.cluster.until(() => running.loop.status.partitions().length === 2, 'joined');
    expect(running.loop.status.partitions().map(({ lag }) => lag)).toEqual([0, 0]);
    await rig.stop();
  });

  test('are counted once, however often the gap is read over', () => {
    const deleted = new DeletedRecords();
    const place = { topic: 't', partition: 0 };
    expect(deleted.count({ ...place, position: 5, found: 9 })).toBe(4);
    expect(deleted.count({ ...place, position: 5, found: 9 })).toBe(0);
    expect(deleted.count({ ...place, position: 5, found: 12 })).toBe(3);
    expect(deleted.count({ ...place, partition: 1, position: 5, found: 12 })).toBe(7);
    deleted.forget([place]);
    expect(deleted.count({ ...place, position: 5, found: 9 })).toBe(4);
  });
});

describe('a log of records 0 to 4 and markers 5 to 7, read to its end', () => {
  const place = { topic: 'raw', partition: 0 };
  let logStart = 0;

  function readToTheEnd(): ReadPositions {
    logStart = 0;
    const positions = new ReadPositions(() => logStart);
    positions.begin(place, 5);
    positions.reachedEnd({ ...place, offset: 8 }, 5);
    return positions;
  }

  test.each([6, 8])('deleted up to %i: only markers were, and nothing is reported', (deletedTo) => {
    const record = readToTheEnd();
    logStart = deletedTo;
    expect(record.follows({ ...place, offset: 8 }, record.next('raw-0'))).toBe(true);
    expect(record.takeJumps()).toEqual([]);
    const end = readToTheEnd();
    logStart = deletedTo;
    end.reachedEnd({ ...place, offset: 8 }, 5);
    expect(end.takeJumps()).toEqual([]);
    expect(end.next('raw-0')).toBe(deletedTo);
  });

  test('deleted beyond that end: records may have been deleted unread, and that is reported', () => {
    const positions = readToTheEnd();
    logStart = 9;
    expect(positions.follows({ ...place, offset: 9 }, positions.next('raw-0'))).toBe(true);
    const jump = { ...place, position: 5, found: 9 };
    expect(positions.takeJumps()).toEqual([{ kind: 'deleted', jump }]);
  });

  test('read again from before its last record, which was deleted meanwhile: that is reported', () => {
    const positions = readToTheEnd();
    positions.begin(place, 4);
    logStart = 8;
    expect(positions.follows({ ...place, offset: 8 }, positions.next('raw-0'))).toBe(true);
    expect(positions.takeJumps()).toHaveLength(1);
  });
});

test.each([
  { expected: 5, found: 5, logStart: 0, kind: 'none' },
  { expected: 5, found: 4, logStart: 0, kind: 'out-of-range' },
  { expected: 5, found: 4, logStart: 4, kind: 'out-of-range' },
  // Transaction markers, compaction: the log still has the position.
  { expected: 5, found: 9, logStart: 0, kind: 'none' },
  { expected: 5, found: 9, logStart: 5, kind: 'none' },
  { expected: 5, found: 9, logStart: null, kind: 'none' },
  { expected: 5, found: 9, logStart: 6, kind: 'deleted' },
  { expected: 5, found: 9, logStart: 9, kind: 'deleted' },
])('expected $expected, found $found, log from $logStart: $kind', ({ expected, found, logStart, kind }) => {
  expect(jumpAt(expected, found, logStart)).toBe(kind);
});
