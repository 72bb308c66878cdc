/**
 * What the status page is made of and how it is served; test/integration/status-page.test.ts looks
 * at it in a browser.
 */
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { AgentLoop } from '@kafnus/agent-runtime';
import { MemoryCluster } from '@kafnus/agent-testkit';
import fc from 'fast-check';

import type { InputRecord, RejectStep } from '@kafnus/agent-contract';
import { createHttp } from '../src/http.js';
import type { HttpOptions, HttpServer } from '../src/http.js';
import { LedgerBatch } from '../src/ledger.js';
import { Activity } from '../src/page/activity.js';
import { statusPage } from '../src/page/status-page.js';
import type { AgentStatus, StatusReport } from '../src/status.js';
import { Telemetry } from '../src/telemetry.js';
import { agent, groupId, inputTopic } from './counting-agent.js';
import { configOf, header, mixed } from './loop-rig.js';

const open: HttpServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

const status: AgentStatus = {
  agent: 'historic',
  instance: 'i1',
  version: '1.2.3',
  state: 'running',
  since: '2023-11-14T22:13:20.000Z',
  problem: null,
  stalled: false,
  assignment: [],
  lag: 0,
  lastCommit: null,
  stateEntries: null,
  ledger: {
    read: 3,
    emitted: 1,
    rekeyed: 0,
    skipped: { empty: 1 },
    rejected: { 'no-json': 1 },
    tenants: { city: { read: 3, emitted: 1, rekeyed: 0, skipped: { empty: 1 }, rejected: { 'no-json': 1 } } },
  },
};

function telemetryFor(agentName: string): Telemetry {
  return new Telemetry({
    agent: agentName,
    instance: 'i1',
    version: '1.2.3',
    level: 'silent',
    maxTenantLabels: 10,
    processMetrics: false,
  });
}

async function serve(more: Partial<HttpOptions> = {}) {
  const telemetry = telemetryFor('historic');
  const server = createHttp({
    status: () => status,
    ready: () => ({ ready: true, reason: 'running' }),
    live: () => ({ live: true, reason: 'running' }),
    telemetry,
    printableConfig: { kafkaSaslPassword: { value: '***', source: 'default' } },
    adminToken: '',
    host: '127.0.0.1',
    port: 0,
    ...more,
  });
  open.push(server);
  const { port } = await server.listen();
  const get = async (path: string): Promise<{ response: Response; text: string }> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { response, text: await response.text() };
  };
  const report = async (): Promise<StatusReport> => JSON.parse((await get('/status.json')).text);
  return { telemetry, get, report };
}

const rejectedBy = (tenant: string): RejectStep => ({
  kind: 'reject',
  tenant,
  rejections: [
    { code: 'no-json', message: 'secret-entity-7 is no JSON', stage: 'VALUE_CONVERTER' },
    { code: 'second', message: 'of no interest here', stage: 'VALUE_CONVERTER' },
  ],
});

const recordAt = (offset: number): InputRecord => ({
  topic: 'raw',
  partition: 3,
  offset,
  timestamp: 1,
  key: Buffer.from('secret-key'),
  value: Buffer.from('secret-value'),
  headers: [{ secret: 'secret-header' }],
});

/** A transaction that holds these rejects and nothing else. */
function decide(telemetry: Telemetry, rejects: readonly { readonly tenant: string; readonly offset: number }[]) {
  const batch = new LedgerBatch();
  for (const { tenant, offset } of rejects) {
    const step = rejectedBy(tenant);
    batch.count(step, recordAt(offset));
    telemetry.recordRejected(recordAt(offset), step);
  }
  return {
    commit: () =>
      telemetry.transactionCommitted({ records: rejects.length, outputs: 0, durationMs: 1, batchMs: 1 }, batch),
  };
}

/** The report that the page carries. */
function embedded(html: string): StatusReport {
  const [, json = ''] = /<script type="application\/json" id="report">([^]*?)<\/script>/.exec(html) ?? [];
  return JSON.parse(json);
}

describe('GET /', () => {
  test('is HTML that nobody keeps, frames or takes for something else', async () => {
    const { get } = await serve();
    const { response } = await get('/');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('referrer-policy')).toBe('no-referrer');
    expect(response.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  });

  test('the policy allows its own script and style by their hashes, and nothing else', async () => {
    const { get } = await serve();
    const { response, text } = await get('/');
    const directives = new Map(
      (response.headers.get('content-security-policy') ?? '').split('; ').map((directive) => {
        const [name = '', ...sources] = directive.split(' ');
        return [name, sources.join(' ')];
      }),
    );
    const hash = (content: string | undefined): string =>
      `'sha256-${createHash('sha256')
        .update(content ?? '')
        .digest('base64')}'`;
    expect(directives.get('default-src')).toBe("'none'");
    expect(directives.get('script-src')).toBe(hash(/<script type="module">([^]*?)<\/script>/.exec(text)?.[1]));
    expect(directives.get('style-src')).toBe(hash(/<style>([^]*?)<\/style>/.exec(text)?.[1]));
    expect(directives.get('connect-src')).toBe("'self'");
    expect(directives.get('require-trusted-types-for')).toBe("'script'");
    expect([...directives.values()].join(' ')).not.toMatch(/unsafe|\*|https?:/);
    // What such a policy would block anyway, and what would leave this host.
    expect(text).not.toMatch(/ on[a-z]+=| style=|(?:src|href)="(?!data:,|health|metrics|config|status\.json)/);
    expect(text).not.toMatch(/innerHTML|insertAdjacentHTML|document\.write|eval\(/);
  });

  test('carries the report, so that the first sight needs no second request', async () => {
    const { get } = await serve();
    const report = embedded((await get('/')).text);
    expect(report).toMatchObject({ agent: 'historic', state: 'running', ledger: { read: 3 } });
  });

  test.each([
    '<script>alert(1)</script>',
    '</script><script>alert(1)</script>',
    '<!--<script>',
    '"\'`&amp;',
    'a\u202eb\u200f',
    '\u2028\u2029\u0000',
    '__proto__',
  ])('a hostile name is data and nothing more (%#)', async (name) => {
    const { telemetry, get } = await serve({ status: () => ({ ...status, problem: name, instance: name }) });
    decide(telemetry, [{ tenant: name, offset: 1 }]).commit();
    const { text } = await get('/');
    expect(embedded(text)).toMatchObject({ problem: name, instance: name, rejects: [{ tenant: name }] });
    const plain = (await (await serve()).get('/')).text;
    const tags = (html: string): number => html.split('<').length;
    expect(tags(text)).toBe(tags(plain));
  });

  test('any report is data and nothing more', () => {
    const base: StatusReport = {
      ...status,
      time: status.since,
      ready: { ready: true, reason: '' },
      live: { live: true, reason: '' },
      activity: new Activity().recent(),
      rejects: [],
    };
    const tags = statusPage(base).split('<').length;
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (problem, topic) => {
        const partition = { topic, partition: 0, state: 'running', position: 1, committed: 1, end: 1, lag: 0 } as const;
        const report: StatusReport = { ...base, problem: `<${problem}`, assignment: [partition] };
        const html = statusPage(report);
        expect(html.split('<').length).toBe(tags);
        expect(embedded(html)).toEqual(JSON.parse(JSON.stringify(report)));
      }),
    );
  });
});

describe('GET /status.json', () => {
  test('is health without the tenants, and with what the page needs besides', async () => {
    const { get } = await serve();
    const { response, text } = await get('/status.json');
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const { ledger, ...rest } = status;
    const { tenants: _tenants, ...totals } = ledger;
    expect(JSON.parse(text)).toEqual({
      ...rest,
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      ledger: totals,
      ready: { ready: true, reason: 'running' },
      live: { live: true, reason: 'running' },
      activity: {
        everySeconds: 3,
        capacity: 200,
        readPerSecond: [],
        outputsPerSecond: [],
        rejectedPerSecond: [],
        lag: [],
      },
      rejects: [],
    });
  });

  test('tells where the rejects are and why, and nothing of what is in them', async () => {
    const { telemetry, get, report } = await serve();
    decide(telemetry, [{ tenant: 'city', offset: 41 }]).commit();
    decide(telemetry, [{ tenant: 'port', offset: 42 }]).commit();
    const at = { topic: 'raw', partition: 3, reason: 'no-json', time: expect.stringMatching(/Z$/) };
    expect((await report()).rejects).toEqual([
      { ...at, tenant: 'port', offset: 42 },
      { ...at, tenant: 'city', offset: 41 },
    ]);
    for (const path of ['/', '/status.json']) expect((await get(path)).text).not.toContain('secret');
  });

  test('has rates of the last minutes, sampled by the clock until the server is closed', async () => {
    let read = 0;
    const counting = (): AgentStatus => ({
      ...status,
      lag: 7,
      ledger: { ...status.ledger, read, rejected: { a: read / 10, b: read / 10 } },
    });
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] });
    try {
      const { report } = await serve({ status: counting });
      read = 300;
      jest.advanceTimersByTime(3000);
      read = 330;
      jest.advanceTimersByTime(3000);
      expect((await report()).activity).toMatchObject({
        readPerSecond: [100, 10],
        outputsPerSecond: [0, 0],
        rejectedPerSecond: [20, 2],
        lag: [7, 7],
      });
      const asked = jest.fn(counting);
      await serve({ status: asked });
      await open.pop()?.close();
      jest.advanceTimersByTime(60_000);
      expect(asked).not.toHaveBeenCalled();
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('recent activity', () => {
  const counters = (read: number, lag = 0) => ({ read, outputs: read * 2, rejected: 0, lag });

  test('rates are per second of the time that has passed, also when a timer is late', () => {
    let now = 1000;
    const activity = new Activity(() => now);
    now += 3000;
    activity.sample(counters(300, 5));
    now += 12_000;
    activity.sample(counters(301, 0));
    expect(activity.recent()).toEqual({
      everySeconds: 3,
      capacity: 200,
      readPerSecond: [100, 0.1],
      outputsPerSecond: [200, 0.2],
      rejectedPerSecond: [0, 0],
      lag: [5, 0],
    });
  });

  test('outputs are those of committed transactions', () => {
    const telemetry = telemetryFor('historic');
    const batch = new LedgerBatch();
    const output = { topic: 't', key: null, value: null, headers: [], timestamp: 1 };
    batch.count({ kind: 'emit', tenant: 'a', outputs: [output, output] }, recordAt(1));
    batch.count({ kind: 'emit', tenant: 'b', outputs: [output], reports: rejectedBy('b').rejections }, recordAt(2));
    // Of the records that a transaction writes, some are dead letters and changelog.
    telemetry.transactionCommitted({ records: 2, outputs: 6, durationMs: 1, batchMs: 1 }, batch);
    expect(telemetry.outputs).toBe(3);
    expect(telemetry.lastRejects).toEqual([]);
  });

  test('a sample right after the last one is left out, and its records count with the next', () => {
    let now = 0;
    const activity = new Activity(() => now);
    now += 3000;
    activity.sample(counters(30));
    now += 1;
    activity.sample(counters(60));
    now += 2999;
    activity.sample(counters(90));
    expect(activity.recent().readPerSecond).toEqual([10, 20]);
  });

  test('holds ten minutes, whatever the time', () => {
    let now = 0;
    const activity = new Activity(() => now);
    for (let index = 1; index <= 1000; index++) {
      now += 3000;
      activity.sample(counters(index * 3, index));
    }
    const { capacity, everySeconds, ...lists } = activity.recent();
    expect(capacity * everySeconds).toBe(600);
    for (const list of Object.values(lists)) expect(list).toHaveLength(capacity);
    expect(lists.lag.at(0)).toBe(801);
    expect(lists.lag.at(-1)).toBe(1000);
  });
});

describe('recent rejects', () => {
  const offsets = (telemetry: Telemetry): number[] => telemetry.lastRejects.map(({ offset }) => offset);
  const range = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) => ({ tenant: 'city', offset: from + index }));

  test('are those of committed transactions, newest first, and the last fifty', () => {
    const telemetry = telemetryFor('historic');
    decide(telemetry, range(0, 3)).commit();
    expect(offsets(telemetry)).toEqual([2, 1, 0]);
    decide(telemetry, range(3, 10_000)).commit();
    expect(offsets(telemetry)).toEqual(
      range(9950, 10_000)
        .map(({ offset }) => offset)
        .reverse(),
    );
  });

  test('what is decided behind a commit in flight waits for its own', () => {
    const telemetry = telemetryFor('historic');
    const first = decide(telemetry, range(0, 2));
    const second = decide(telemetry, range(2, 3));
    expect(offsets(telemetry)).toEqual([]);
    first.commit();
    expect(offsets(telemetry)).toEqual([1, 0]);
    second.commit();
    expect(offsets(telemetry)).toEqual([2, 1, 0]);
  });

  test('an abort undoes all that is decided', () => {
    const telemetry = telemetryFor('historic');
    decide(telemetry, range(0, 2));
    decide(telemetry, range(2, 3));
    telemetry.transactionAborted('timed out');
    decide(telemetry, range(5, 7)).commit();
    expect(offsets(telemetry)).toEqual([6, 5]);
  });

  test('are those of the ledger in a loop whose transactions fail', async () => {
    const cluster = new MemoryCluster();
    cluster.createTopic(inputTopic, 2);
    // Every other commit fails; the next records are decided meanwhile.
    let commits = 0;
    cluster.faults.onCall = ({ operation }) => {
      if (operation !== 'commit') return;
      commits += 1;
      if (commits % 2 === 0) cluster.faults.commits.push(commits % 4 === 0 ? 'aborted' : 'unknown-aborted');
    };
    const config = configOf({ KAFNUS_INSTANCE_ID: 'one' });
    const session = cluster.session({ inputTopic, groupId, instanceId: 'one', batchSize: config.batchSize });
    const telemetry = telemetryFor(agent.name);
    const loop = new AgentLoop({ agent, configured: agent.configure({}), config, session, telemetry });
    const ended = loop.run();
    const records = mixed(300).map((record) => ({ partition: 0, ...record, topic: inputTopic, timestamp: 1 }));
    for (let from = 0; from < records.length; from += 20) {
      cluster.produce(records.slice(from, from + 20));
      await cluster.until(() => cluster.lag(groupId, inputTopic) === 0, 'all input committed');
    }
    loop.stop();
    await ended;
    expect(commits).toBeGreaterThan(20);
    const places = telemetry.lastRejects.map(({ partition, offset }) => `${partition}@${offset}`);
    const rejected = cluster
      .read('dead')
      .filter(({ value }) => String(value).startsWith('reject'))
      .map((dead) => `${header(dead, '__connect.errors.partition')}@${header(dead, '__connect.errors.offset')}`);
    expect(rejected.length).toBeGreaterThan(10);
    expect(places.sort()).toEqual(rejected.sort());
    expect(loop.ledger.totals().rejected).toEqual({ 'no-good': rejected.length });
  });
});
