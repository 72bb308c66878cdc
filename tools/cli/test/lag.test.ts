import { describe, expect, test } from '@jest/globals';
import { lagFindings, type LagFinding, type LagLimits } from '../src/lag/lag-findings.js';
import { healthUrl, readHealth } from '../src/lag/agent-health.js';
import type { AgentSnapshot, HealthResult, GroupMember, PartitionSnapshot, Snapshot } from '../src/lag/lag-snapshot.js';
import { durationText } from '../src/terminal/duration-text.js';
import { rejectsHint, lagJson, lagLines } from '../src/lag/lag-view.js';
import { styleOf } from '../src/terminal/style.js';
import { kafnus } from './io.js';

const none: LagLimits = { maxLag: Infinity, maxAge: Infinity };

/** A partition of which everything is processed. */
function partition(number: number, more: Partial<PartitionSnapshot> = {}): PartitionSnapshot {
  const well = { hasLeader: true, first: 0, end: 1000, stable: 1000, committed: 1000, lag: 0, oldest: null };
  return { partition: number, ...well, ...more };
}

/** One that has `lag` records left of `end`. */
function behind(number: number, lag: number, end = 10_000): PartitionSnapshot {
  return partition(number, {
    end,
    stable: end,
    committed: end - lag,
    lag,
    oldest: { offset: end - lag, timestamp: 50_000 },
  });
}

function member(name: string, ...partitions: number[]): GroupMember {
  return { id: name, client: `kafnus-historic-${name}`, host: '10.0.0.1', partitions };
}

function agent(more: Partial<AgentSnapshot> = {}): AgentSnapshot {
  return {
    agent: 'historic',
    group: 'ngsi-agent-historic',
    topic: 'raw_historic',
    topicExists: true,
    state: 'stable',
    members: [member('a', 0, 1), member('b', 2, 3)],
    partitions: [0, 1, 2, 3].map((number) => partition(number)),
    refused: null,
    ...more,
  };
}

function snapshot(at: number, one: AgentSnapshot, more: Partial<Snapshot> = {}): Snapshot {
  return { at, agents: [one], health: [], keys: [], ...more };
}

/** What is found when nothing but the agent changes within three seconds. */
function found(
  before: AgentSnapshot,
  now: AgentSnapshot = before,
  more: Partial<Snapshot> = {},
  limits = none,
): LagFinding[] {
  return lagFindings(snapshot(60_000, before, more), snapshot(63_000, now, more), limits);
}

const codes = (findings: readonly LagFinding[]): string[] => findings.map(({ code }) => code);

describe('what is wrong', () => {
  test('no finding when all is well, or when nothing was published yet', () => {
    expect(found(agent())).toEqual([]);
    const unused = agent({
      state: 'none',
      members: [],
      partitions: [partition(0, { end: 0, stable: 0, committed: null })],
    });
    expect(found(unused)).toEqual([]);
    // One look knows of nothing that moves.
    const busy = agent({ partitions: [behind(0, 5000), partition(1), partition(2), partition(3)] });
    expect(codes(lagFindings(undefined, snapshot(1, busy), none))).not.toContain('stuck');
  });

  test('a missing topic, leader or right', () => {
    expect(found(agent({ topicExists: false, partitions: [] }))).toMatchObject([
      { code: 'topic-missing', level: 'error' },
    ]);
    expect(
      found(
        agent({
          partitions: [
            partition(0, { hasLeader: false, end: null, stable: null, first: null }),
            partition(1),
            partition(2),
            partition(3),
          ],
        }),
      ),
    ).toMatchObject([
      { code: 'no-leader', problem: 'raw_historic-0 has no leader: it can be neither read nor written' },
    ]);
    expect(found(agent({ refused: 'the group \u001b[31mx: no right' }))).toMatchObject([
      { code: 'refused', problem: 'the group \\u001b[31mx: no right' },
    ]);
  });

  test('brokers that do not answer', () => {
    expect(found(agent({ refused: 'raw_historic: Local: Timed out' }))[0]?.action).toMatch(
      /^check that the brokers are up/,
    );
    expect(found(agent({ refused: 'x: Broker: Group authorization failed' }))[0]?.action).toMatch(/^grant Describe/);
  });

  test('a group that never committed, and one without members', () => {
    const partitions = [partition(0, { committed: null, lag: 1000 })];
    expect(found(agent({ state: 'none', members: [], partitions }))).toMatchObject([
      { code: 'no-group', level: 'error' },
    ]);
    const gone = agent({ state: 'empty', members: [], partitions: [behind(0, 1)] });
    expect(found(gone)).toMatchObject([
      { code: 'no-members', problem: 'the group ngsi-agent-historic has no member, and 1 record is unprocessed' },
    ]);
    // Its offsets outlive the group.
    expect(codes(found({ ...gone, state: 'none' }))).toEqual(['no-members']);
  });

  test('a rebalance that does not end', () => {
    const joining = agent({ state: 'rebalancing', members: [member('a')] });
    expect(found(agent(), joining)).toEqual([]);
    expect(found(joining)).toMatchObject([{ code: 'rebalancing', level: 'warning' }]);
  });

  test('more members than partitions', () => {
    const members = ['a', 'b', 'c', 'd', 'e', 'f'].map((name, index) => member(name, ...(index < 4 ? [index] : [])));
    expect(found(agent({ members }))).toMatchObject([
      { code: 'idle-members', problem: '6 members share 4 partitions of raw_historic: 2 are idle' },
    ]);
  });

  test('a partition that is assigned to no member', () => {
    expect(found(agent({ members: [member('a', 0, 1, 2)] }))).toMatchObject([
      { code: 'unassigned', level: 'error', problem: 'no member of ngsi-agent-historic has raw_historic-3' },
    ]);
  });

  test('a member that commits nothing; not one that is slow, restores, or has lag only now', () => {
    const before = agent({ partitions: [behind(0, 500), behind(1, 500), partition(2), partition(3)] });
    const after = agent({ partitions: [behind(0, 600, 10_100), behind(1, 600, 10_100), partition(2), partition(3)] });
    expect(found(before, after)).toMatchObject([
      {
        code: 'stuck',
        level: 'error',
        problem:
          'kafnus-historic-a (10.0.0.1) has committed nothing in raw_historic-0, raw_historic-1 for 3 s, and 1,200 records are unprocessed there',
      },
    ]);
    const slow = agent({ partitions: [behind(0, 499), behind(1, 499), partition(2), partition(3)] });
    expect(codes(found(before, slow))).not.toContain('stuck');
    expect(codes(found(agent(), after))).not.toContain('stuck');
    const restoring: HealthResult = {
      ...health(),
      restoring: [0, 1].map((number) => ({ topic: 'raw_historic', partition: number, done: 0.5 })),
    };
    expect(codes(found(before, after, { health: [restoring] }))).not.toContain('stuck');
  });

  test('an open transaction of a producer; the member that waits behind it is not stuck', () => {
    const open = partition(0, { end: 120, stable: 100, committed: 100, lag: 20 });
    const held = agent({ partitions: [open, partition(1), partition(2), partition(3)] });
    expect(found(held)).toMatchObject([{ code: 'open-transaction', level: 'warning' }]);
    expect(found(held)[0]?.problem).toContain(
      'raw_historic-0: a transaction of a producer has been open for at least 3 s, at offset 100',
    );
    // Each look finds another one: they end.
    const moved = agent({
      partitions: [{ ...open, stable: 110, committed: 110, lag: 10 }, partition(1), partition(2), partition(3)],
    });
    expect(found(held, moved)).toEqual([]);
  });

  test('an offset behind the end of its log', () => {
    const recreated = partition(0, { first: 0, committed: 1000, lag: 5, end: 5 });
    const held = agent({ partitions: [recreated, partition(1), partition(2), partition(3)] });
    expect(found(held)).toMatchObject([{ code: 'out-of-range', level: 'error' }]);
    expect(found(held)[0]?.problem).toMatch(/^raw_historic-0 ends at offset 5, before offset 1,000 that /);
  });

  test('records that retention deleted before they were read', () => {
    const lost = partition(0, { first: 700, committed: 200, lag: 300, end: 1000 });
    expect(codes(found(agent({ partitions: [lost, partition(1), partition(2), partition(3)] })))).toContain('lost');
    expect(found(agent({ partitions: [lost] }))[0]?.problem).toContain('500 records were deleted by retention before');
  });

  test('an agent that falls behind, with and without partitions for more instances', () => {
    const grown = (lag: number, end: number): PartitionSnapshot[] =>
      [0, 1, 2, 3].map((number) => behind(number, lag, end));
    const before = agent({ partitions: grown(1000, 10_000) });
    const after = agent({ partitions: grown(1500, 11_000) });
    expect(found(before, after)).toMatchObject([
      {
        code: 'behind',
        problem: 'historic falls behind: 1,333/s are published, 667/s are processed, and 6,000 records are unprocessed',
        action: 'add instances: 4 partitions have 2 members',
      },
    ]);
    const members = [0, 1, 2, 3].map((number) => member(String(number), number));
    expect(found({ ...before, members }, { ...after, members })[0]?.action).toContain('Adding partitions');
    // It catches up.
    expect(found(after, agent({ partitions: grown(800, 11_100) }))).toEqual([]);
  });

  test('one hot partition, with no keys, one key, and for an unknown reason', () => {
    const flowing = agent({
      partitions: [
        partition(0, { end: 1970, stable: 1970, committed: 1970 }),
        partition(1, { end: 1010, stable: 1010, committed: 1010 }),
        partition(2),
        partition(3),
      ],
    });
    const sample = { topic: 'raw_historic', partition: 0, records: 100, unkeyed: 0, commonest: null };
    expect(found(agent(), flowing)).toMatchObject([
      { code: 'hot-partition', problem: '99 % of the records go to one of 4 partitions, raw_historic-0' },
    ]);
    const byKey = found(agent(), flowing, { keys: [{ ...sample, commonest: { key: 'sub\n', records: 90 } }] });
    expect(byKey[0]?.problem).toContain("90 of its newest 100 have the key 'sub\\n'");
    const unkeyed = found(agent(), flowing, { keys: [{ ...sample, unkeyed: 95 }] });
    expect(codes(unkeyed)).toEqual(['hot-partition', 'unkeyed']);
    expect(unkeyed[0]?.problem).toContain('95 of its newest 100 have no key');
    // So few records spread by chance, and one partition is always all.
    expect(
      found(
        agent(),
        agent({
          partitions: [
            partition(0, { end: 1050, stable: 1050, committed: 1050 }),
            partition(1),
            partition(2),
            partition(3),
          ],
        }),
      ),
    ).toEqual([]);
    expect(codes(found(agent({ partitions: [behind(0, 5000)] }), agent({ partitions: [behind(0, 4000)] })))).toEqual(
      [],
    );
    // By what waits, where nothing flows.
    const waiting = agent({ partitions: [behind(0, 5000), partition(1), partition(2), partition(3)] });
    const less = agent({ partitions: [behind(0, 4900), partition(1), partition(2), partition(3)] });
    expect(found(waiting, less)[0]?.problem).toBe('100 % of the lag is in one of 4 partitions, raw_historic-0');
  });

  test('the limits that the user sets', () => {
    const waiting = agent({ partitions: [0, 1, 2, 3].map((number) => behind(number, 10)) });
    const less = agent({ partitions: [0, 1, 2, 3].map((number) => behind(number, 9)) });
    expect(codes(found(waiting, less, {}, { maxLag: 35, maxAge: 13_000 }))).toEqual(['max-lag']);
    expect(codes(found(waiting, less, {}, { maxLag: 36, maxAge: 12_999 }))).toEqual(['max-age']);
  });

  test('what an instance reports, and what it has rejected between the snapshots', () => {
    const at = (sight: HealthResult, time: number): Snapshot => snapshot(time, agent(), { health: [sight] });
    const before = at(health(), 60_000);
    const rejected = { 'not-json': 12, 'service-invalid': 1, __proto__x: 0 };
    expect(lagFindings(before, at({ ...health(), rejected }, 63_000), none)).toMatchObject([
      {
        code: 'rejects',
        level: 'warning',
        problem: 'historic pod-0 rejected 11 records in 3 s: not-json 10, service-invalid 1',
      },
    ]);
    // It has been restarted: its counters begin again.
    expect(
      lagFindings(
        at({ ...health(), read: 500 }, 60_000),
        at({ ...health(), read: 3, rejected: { 'not-json': 3 } }, 63_000),
        none,
      ),
    ).toEqual([]);
    expect(codes(lagFindings(before, at({ ...health(), problem: 'no broker' }, 63_000), none))).toEqual(['unwell']);
    expect(codes(lagFindings(before, at({ ...health(), stalled: true }, 63_000), none))).toEqual(['unwell']);
    expect(
      codes(lagFindings(before, at({ kind: 'silent', url: 'http://x/health', problem: 'refused' }, 63_000), none)),
    ).toEqual(['silent']);
  });
});

function health(): Extract<HealthResult, { kind: 'health' }> {
  const well = {
    state: 'running',
    problem: null,
    stalled: false,
    read: 100,
    rejected: { 'not-json': 2 },
    stateEntries: null,
    restoring: [],
  };
  return { kind: 'health', url: 'http://x/health', agent: 'historic', instance: 'pod-0', ...well };
}

describe('GET /health', () => {
  test('is read as the agents write it, and anything else is an error', () => {
    const status = {
      agent: 'lastdata',
      instance: 'pod-1',
      state: 'running',
      problem: null,
      stalled: false,
      stateEntries: 7,
      ledger: { read: 5, emitted: 4, skipped: {}, rejected: { 'not-json': 1 }, tenants: {} },
      assignment: [
        { topic: 'raw_lastdata', partition: 0, state: 'running' },
        { topic: 'raw_lastdata', partition: 1, state: 'restoring', restore: { entries: 5, offset: 25, end: 100 } },
      ],
    };
    expect(readHealth('u', status)).toMatchObject({
      kind: 'health',
      agent: 'lastdata',
      read: 5,
      rejected: { 'not-json': 1 },
      stateEntries: 7,
      restoring: [{ topic: 'raw_lastdata', partition: 1, done: 0.25 }],
    });
    for (const other of [null, [], 'x', {}, { agent: 7, ledger: {} }, { agent: 'x', ledger: [] }]) {
      expect(readHealth('u', other)).toMatchObject({
        kind: 'silent',
        problem: 'the answer is not the status of an agent',
      });
    }
    expect(
      readHealth('u', {
        agent: 'x',
        ledger: { read: 'many', rejected: { a: 'b' } },
        assignment: [7, { state: 'restoring' }],
      }),
    ).toMatchObject({
      read: 0,
      rejected: {},
      restoring: [{ partition: -1, done: 0 }],
    });
  });

  test.each([
    ['localhost:8080', 'http://localhost:8080/health'],
    ['https://city.example/agents/', 'https://city.example/agents/health'],
    [' http://h:1/health ', 'http://h:1/health'],
  ])('%j is at %s', (text, url) => {
    expect(healthUrl(text)).toBe(url);
  });
});

describe('the tables', () => {
  const before = snapshot(60_000, agent({ partitions: [0, 1, 2, 3].map((number) => behind(number, 100, 10_000)) }));
  const now = snapshot(
    62_000,
    agent({ partitions: [0, 1, 2, 3].map((number) => behind(number, 150 + number, 10_200)) }),
    { health: [health()] },
  );
  const view = { before, now, findings: lagFindings(before, now, { ...none, maxLag: 10 }) };

  test('fit the width, show the greatest lag first, and end with the actions', () => {
    const lines = lagLines(view, 2, 100, styleOf(false));
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
    expect(lines[1]).toBe('historic  ngsi-agent-historic  stable        2           4   400    297  606    12 s');
    expect(lines.filter((line) => line.startsWith('raw_historic-')).map((line) => line.split(' ')[0])).toEqual([
      'raw_historic-3',
      'raw_historic-2',
    ]);
    expect(lines).toContain('and 2 more partitions have lag: --json lists all');
    expect(lines.join('\n')).toContain(
      'error: 606 records are unprocessed in raw_historic, more than --max-lag 10\n  -> ',
    );
    expect(lagLines({ before: undefined, now, findings: [] }, 2, 100, styleOf(false)).at(-1)).toBe('nothing is wrong');
  });

  test('show no numbers of an agent that the cluster refuses to describe', () => {
    const hidden = agent({ state: 'unknown', members: [], partitions: [], refused: 'not authorised' });
    const [, row] = lagLines({ before: undefined, now: snapshot(1, hidden), findings: [] }, 2, 100, styleOf(false));
    expect(row).toMatch(/^historic  ngsi-agent-historic  unknown +- +- +- +- +- +-$/);
  });

  test('mention rejects, which cause no lag', () => {
    expect(rejectsHint(now)).toMatch(/kafnus replay plan/);
    expect(rejectsHint({ ...now, health: [] })).toMatch(/--health/);
    expect(rejectsHint({ ...now, health: [{ ...health(), rejected: {} }] })).toBeUndefined();
  });

  test('as JSON have all of it', () => {
    expect(JSON.parse(JSON.stringify(lagJson(view)))).toMatchObject({
      at: '1970-01-01T00:01:02.000Z',
      seconds: 2,
      agents: [
        {
          agent: 'historic',
          lag: 606,
          oldestAgeMs: 12_000,
          rate: { in: 400 },
          partitions: [{ member: 'kafnus-historic-a', rate: { in: 100, out: 75 } }, {}, {}, {}],
        },
      ],
      findings: [{ code: 'max-lag', level: 'error' }],
    });
  });
});

test.each([
  [0, '0 ms'],
  [999, '999 ms'],
  [3000, '3 s'],
  [2549, '2.5 s'],
  [12_345, '12 s'],
  [119_999, '119 s'],
  [120_000, '2 min'],
  [36 * 3_600_000, '36 h'],
  [49 * 3_600_000, '2 d'],
])('%d ms is %s', (ms, text) => {
  expect(durationText(ms)).toBe(text);
});

describe.each(['lag', 'top'])('kafnus %s', (name) => {
  test.each([
    [['--agent', 'historical'], "--agent must be of historic, lastdata, mutable, errors, not 'historical'"],
    [['--group', 'g'], '--group and --input-topic are for one agent: name it with --agent'],
    [
      ['--agent', 'historic', '--input-topic', 'a/b'],
      "--input-topic 'a/b' is no legal topic name: letters, digits, dots, dashes and underscores",
    ],
    [
      ['--health', 'ftp://x'],
      "--health 'ftp://x' must be host:port or http://host:port of an agent, separated by commas",
    ],
    [['--interval', '10ms'], "--interval must be 500ms or more, not '10ms'"],
    [['--max-lag', 'much'], "--max-lag must be a whole number of at least 0, not 'much'"],
    [['now'], "unexpected argument 'now'"],
  ])('refuses %j', async (argv, message) => {
    const { code, stdout, stderr } = await kafnus([name, ...argv, '--brokers', 'localhost:1']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toBe(`kafnus ${name}: ${message}\n'kafnus ${name} --help' shows the usage.\n`);
  });
});
