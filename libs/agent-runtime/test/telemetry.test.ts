import { describe, expect, test } from '@jest/globals';

import type { InputRecord, Rejection, Step } from '@kafnus/agent-contract';
import { LedgerBatch } from '../src/ledger.js';
import { metricsReference, Telemetry } from '../src/telemetry.js';
import type { TelemetryOptions } from '../src/telemetry.js';
import type { AgentStatus, PartitionStatus } from '../src/status.js';

type Line = Readonly<Record<string, unknown>>;

function setUp(more: Partial<TelemetryOptions> = {}): { telemetry: Telemetry; lines: Line[]; clock: { now: number } } {
  const lines: Line[] = [];
  const clock = { now: 1_700_000_000_000 };
  const telemetry = new Telemetry({
    agent: 'historic',
    instance: 'i1',
    version: '1.2.3',
    level: 'debug',
    maxTenantLabels: 10,
    processMetrics: false,
    now: () => clock.now,
    destination: { write: (line: string) => void lines.push(JSON.parse(line)) },
    ...more,
  });
  return { telemetry, lines, clock };
}

/** Sample lines of the exposition by name and labels, without the label `agent`. */
async function samples(telemetry: Telemetry): Promise<Map<string, number>> {
  const { body } = await telemetry.scrape();
  const lines = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line): [string, number] => {
      expect(line).toContain('agent="historic"');
      const at = line.lastIndexOf(' ');
      return [
        line
          .slice(0, at)
          .replace(/,?agent="historic"/, '')
          .replace('{}', ''),
        Number(line.slice(at + 1)),
      ];
    }),
  );
}

const rejection: Rejection = { code: 'bad-date', message: 'x is no date', stage: 'VALUE_CONVERTER' };
const output = { topic: 't', key: null, value: null, headers: [], timestamp: 1 };

function record(more: Partial<InputRecord> = {}): InputRecord {
  return {
    topic: 'raw',
    partition: 0,
    offset: 7,
    timestamp: 1_699_999_990_000,
    key: null,
    value: null,
    headers: [],
    ...more,
  };
}

function batchOf(...steps: Step[]): LedgerBatch {
  const batch = new LedgerBatch();
  for (const step of steps) batch.count(step, record());
  return batch;
}

const everyKind: Step[] = [
  { kind: 'emit', tenant: 'a', outputs: [output, output], skipped: ['stale'], reports: [rejection, rejection] },
  { kind: 'emit', tenant: 'a', outputs: [output], rekeyed: 1 },
  { kind: 'skip', tenant: 'a', reason: 'empty', hopsExceeded: true },
  { kind: 'reject', tenant: 'b', rejections: [rejection] },
];

function status(assignment: readonly PartitionStatus[] = []): AgentStatus {
  return {
    agent: 'historic',
    instance: 'i1',
    version: '1.2.3',
    state: 'running',
    since: '2023-11-14T22:13:20.000Z',
    problem: null,
    stalled: true,
    assignment,
    lag: 3,
    lastCommit: '2023-11-14T22:13:20.000Z',
    stateEntries: 42,
    ledger: { read: 0, emitted: 0, rekeyed: 0, skipped: {}, rejected: {}, tenants: {} },
  };
}

const partition: PartitionStatus = {
  topic: 'raw',
  partition: 0,
  state: 'running',
  position: 5,
  committed: 5,
  end: 8,
  lag: 3,
};
const restoring: PartitionStatus = {
  topic: 'raw',
  partition: 1,
  state: 'restoring',
  position: null,
  committed: null,
  end: null,
  lag: null,
  restore: { entries: 5, offset: 40, end: 100 },
};
const commit = { records: 3, outputs: 2, durationMs: 20, batchMs: 80 };

/** Every event of the vocabulary once. */
function everything(telemetry: Telemetry): void {
  const outOfRange = { ...partition, partition: 3, state: 'out-of-range' } as const;
  telemetry.observe({ status: () => status([partition, restoring, outOfRange]), ready: () => ({ ready: true }) });
  telemetry.starting({ version: '1.2.3' });
  telemetry.partitionsAssigned([partition]);
  telemetry.restoreStarted({ topic: 'raw', partition: 0 });
  telemetry.restoreProgress({ topic: 'raw', partition: 0, entries: 5 });
  telemetry.transactionCommitted(commit, batchOf(...everyKind));
  telemetry.transactionAborted('revoked', { records: 3 });
  telemetry.commitRetry(new Error('timed out'));
  telemetry.recovering('unknown-outcome', new Error('timed out'));
  telemetry.fenced();
  telemetry.topicCreated('smart');
  telemetry.topicUnwritable('smart', new Error('not authorised'));
  telemetry.rekeyRefused(new Error('not authorised'));
  telemetry.offsetOutOfRange({ topic: 'raw', partition: 3, position: 9, found: 0 }, 'stop');
  telemetry.recordsDeleted({ topic: 'raw', partition: 3, position: 9, found: 12 }, 3);
  telemetry.brokerProblem(new Error('all brokers down'));
  telemetry.brokerBack();
  telemetry.stalled({ lag: 3, seconds: 60 });
  telemetry.unstalled();
  telemetry.partitionsRevoked([{ topic: 'raw', partition: 1 }]);
  telemetry.partitionsLost([{ topic: 'raw', partition: 2 }]);
  telemetry.restoreFinished({ topic: 'raw', partition: 0, entries: 5, seconds: 1.5 });
  telemetry.stopping('SIGTERM');
  telemetry.stopped(0);
}

describe('metrics', () => {
  test('every metric of the table is moved by an event', async () => {
    const { telemetry } = setUp();
    everything(telemetry);
    const found = await samples(telemetry);
    for (const { name, type, labels } of metricsReference) {
      const sampled = type === 'histogram' ? `${name}_count` : name;
      const [key, value] = [...found].find(([sample]) => sample === sampled || sample.startsWith(`${sampled}{`)) ?? [];
      // Unlabelled ones are there from the start, at 0: only a value shows that something moves
      // them.
      expect({ name, value: value !== undefined && value > 0 }).toEqual({ name, value: true });
      const [, inside = ''] = /\{(.*)\}/.exec(key ?? '') ?? [];
      const names = inside
        .split(',')
        .filter((label) => label !== '')
        .map((label) => label.replace(/=.*/, ''));
      expect({ name, labels: ['agent', ...names] }).toEqual({ name, labels });
    }
  });

  test('names and help follow the conventions of Prometheus', () => {
    for (const { name, type, help } of metricsReference) {
      expect(name).toMatch(/^kafnus_[a-z_]+$/);
      expect({ name, counter: name.endsWith('_total') }).toEqual({ name, counter: type === 'counter' });
      expect(help).toMatch(/^[A-Z0-9].*\.$/);
    }
    expect(new Set(metricsReference.map(({ name }) => name)).size).toBe(metricsReference.length);
  });

  test('counters are those of the committed batches', async () => {
    const { telemetry } = setUp();
    telemetry.transactionCommitted(commit, batchOf(...everyKind));
    telemetry.transactionCommitted(commit, batchOf(...everyKind));
    const found = await samples(telemetry);
    const expected: [string, number][] = [
      ['kafnus_records_read_total{tenant="a"}', 6],
      ['kafnus_records_read_total{tenant="b"}', 2],
      ['kafnus_records_emitted_total{tenant="a"}', 2],
      ['kafnus_records_emitted_total{tenant="b"}', 0],
      ['kafnus_records_rekeyed_total{tenant="a"}', 2],
      ['kafnus_rekey_hops_exceeded_total', 2],
      ['kafnus_records_skipped_total{tenant="a",reason="empty"}', 2],
      ['kafnus_records_rejected_total{tenant="b",reason="bad-date"}', 2],
      ['kafnus_outputs_total{tenant="a"}', 4],
      ['kafnus_dead_letters_total{tenant="a"}', 2],
      ['kafnus_dead_letters_total{tenant="b"}', 2],
      ['kafnus_parts_skipped_total{reason="stale"}', 2],
      ['kafnus_reports_total{tenant="a",code="bad-date"}', 4],
      ['kafnus_unkeyed_records_total', 8],
      ['kafnus_transactions_committed_total', 2],
      ['kafnus_transaction_duration_seconds_sum', 0.04],
      ['kafnus_batch_duration_seconds_sum', 0.16],
    ];
    for (const [name, value] of expected) expect([name, found.get(name)]).toEqual([name, value]);
  });

  test('tenants beyond the bound share a label', async () => {
    const { telemetry } = setUp({ maxTenantLabels: 1 });
    const step = (tenant: string): Step => ({ kind: 'skip', tenant, reason: 'empty' });
    telemetry.transactionCommitted(commit, batchOf(step('a'), step('b'), step('c"\n')));
    const found = await samples(telemetry);
    expect(found.get('kafnus_records_read_total{tenant="_other"}')).toBe(2);
    expect([...found.keys()].filter((name) => name.startsWith('kafnus_records_read_total'))).toHaveLength(2);
  });

  test('gauges are read at the scrape, and those of departed partitions vanish', async () => {
    const { telemetry, clock } = setUp();
    const other: PartitionStatus = { ...partition, partition: 1, lag: null, end: null };
    let assignment: PartitionStatus[] = [partition, other];
    telemetry.observe({ status: () => status(assignment), ready: () => ({ ready: false }) });
    telemetry.transactionCommitted(commit, batchOf(...everyKind));
    let found = await samples(telemetry);
    expect(found.get('kafnus_consumer_lag{topic="raw",partition="0"}')).toBe(3);
    expect(found.has('kafnus_consumer_lag{topic="raw",partition="1"}')).toBe(false);
    expect(found.get('kafnus_event_time_lag_seconds{topic="raw",partition="0"}')).toBe(10);
    expect(found.get('kafnus_assigned_partitions')).toBe(2);
    expect(found.get('kafnus_ready')).toBe(0);
    clock.now += 5000;
    found = await samples(telemetry);
    expect(found.get('kafnus_event_time_lag_seconds{topic="raw",partition="0"}')).toBe(15);
    assignment = [{ ...partition, lag: 0 }];
    found = await samples(telemetry);
    expect(found.get('kafnus_event_time_lag_seconds{topic="raw",partition="0"}')).toBe(0);
    assignment = [];
    found = await samples(telemetry);
    expect([...found.keys()].filter((name) => /consumer_lag|event_time/.test(name))).toEqual([]);
  });

  test('a partition that comes back has no time of a commit that was acted on after it was revoked', async () => {
    const { telemetry } = setUp();
    telemetry.observe({ status: () => status([partition]), ready: () => ({ ready: true }) });
    telemetry.partitionsRevoked([partition]);
    telemetry.transactionCommitted(commit, batchOf(...everyKind));
    telemetry.partitionsAssigned([partition]);
    const found = await samples(telemetry);
    expect([...found.keys()].filter((name) => name.includes('event_time'))).toEqual([]);
  });

  test('a restore tells how much is left, and that it is over', async () => {
    const { telemetry } = setUp();
    let assignment: PartitionStatus[] = [partition, restoring, { ...restoring, partition: 2 }];
    telemetry.observe({ status: () => status(assignment), ready: () => ({ ready: false }) });
    let found = await samples(telemetry);
    expect(found.get('kafnus_assigned_partitions')).toBe(3);
    expect(found.get('kafnus_restoring_partitions')).toBe(2);
    expect(found.get('kafnus_restore_remaining_records')).toBe(120);
    assignment = [partition];
    found = await samples(telemetry);
    expect(found.get('kafnus_restoring_partitions')).toBe(0);
    expect(found.get('kafnus_restore_remaining_records')).toBe(0);
  });

  test('two agents in one process do not meet, and process metrics have the prefix', async () => {
    const one = setUp({ processMetrics: true }).telemetry;
    const two = setUp().telemetry;
    one.topicCreated('t');
    expect((await samples(one)).get('kafnus_topics_created_total')).toBe(1);
    expect((await samples(two)).get('kafnus_topics_created_total')).toBe(0);
    const { body } = await one.scrape();
    expect(body).toContain('kafnus_process_cpu_seconds_total');
    expect(body.split('\n').filter((line) => line !== '' && !/^(#|kafnus_)/.test(line))).toEqual([]);
  });
});

describe('log lines', () => {
  test('are JSON with time, level, agent and instance', () => {
    const { telemetry, lines } = setUp();
    telemetry.topicCreated('smart');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      level: 'info',
      agent: 'historic',
      instance: 'i1',
      topic: 'smart',
      msg: 'topic created',
    });
    expect(lines[0]?.['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test('are errors only when an operator must act', () => {
    const { telemetry, lines } = setUp();
    everything(telemetry);
    telemetry.stopped(1, new Error('fatal'));
    expect(lines.filter(({ level }) => level === 'error').map(({ msg }) => String(msg).split(/[:;]/)[0])).toEqual([
      'topic cannot be written',
      'records are not re-keyed',
      'the log ends before the position, and nothing of this partition is read',
      'records were deleted before they were read',
      'stalled',
      'stopped because of a failure',
    ]);
    expect(lines.filter(({ level }) => level === 'fatal')).toEqual([]);
  });

  test('about records are at debug, with the request they came from', () => {
    const { telemetry, lines } = setUp();
    const headers = [
      { 'Fiware-Service': 'smart' },
      { 'fiware-servicepath': Buffer.from('/a') },
      { 'fiware-correlator': 'c'.repeat(500) },
    ];
    telemetry.recordRejected(record({ headers }), { kind: 'reject', tenant: 'smart', rejections: [rejection] });
    telemetry.recordRejected(record(), { kind: 'emit', tenant: 'smart', outputs: [output], reports: [rejection] });
    expect(lines).toMatchObject([
      {
        level: 'debug',
        service: 'smart',
        servicepath: '/a',
        correlator: 'c'.repeat(200),
        topic: 'raw',
        partition: 0,
        offset: 7,
        rejections: [{ code: 'bad-date', message: 'x is no date' }],
      },
      { level: 'debug', msg: 'parts of a record rejected' },
    ]);
    // Not again within 10 s, whatever comes.
    telemetry.recordRejected(record(), { kind: 'emit', tenant: 'smart', outputs: [output], reports: [rejection] });
    expect(lines).toHaveLength(2);
    telemetry.setLevel('info');
    telemetry.recordRejected(record(), { kind: 'reject', tenant: 'smart', rejections: [rejection] });
    telemetry.transactionCommitted(commit, batchOf());
    expect(lines.slice(2).map(({ msg }) => msg)).toEqual(['log level changed']);
  });

  test('a decision that throws is an error with its stack, one line for each place in the code', () => {
    const { telemetry, lines } = setUp();
    const broken = (text: string): Error => new TypeError(text);
    for (const text of ['first', 'second']) telemetry.decisionFailed(record(), broken(text));
    telemetry.decisionFailed(record(), 'no error at all');
    telemetry.decisionFailed(record(), Object.assign(new Error(''), { stack: '\n'.repeat(1 << 20) }));
    expect(lines).toMatchObject([
      {
        level: 'error',
        topic: 'raw',
        partition: 0,
        offset: 7,
        error: 'first',
        stack: expect.stringMatching(/ at broken/),
      },
      { level: 'error', error: 'no error at all', stack: '' },
    ]);
  });

  test('the level can be changed, to one that exists', () => {
    const { telemetry, lines } = setUp();
    telemetry.setLevel('error');
    expect(lines).toMatchObject([{ before: 'debug', level: 'error' }]);
    telemetry.topicCreated('t');
    expect(lines).toHaveLength(1);
    // @ts-expect-error: what a caller without types may do
    expect(() => telemetry.setLevel('loud')).toThrow('unknown log level "loud"');
    expect(telemetry.logger.level).toBe('error');
  });

  test('about brokers that are away come once in 10 s, with a count', () => {
    const { telemetry, lines, clock } = setUp();
    for (let second = 0; second < 25; second++) {
      telemetry.brokerProblem(Object.assign(new Error('down'), { code: -187 }));
      clock.now += 1000;
    }
    expect(lines).toMatchObject([
      { level: 'warn', error: 'down', code: -187, repeated: 0 },
      { repeated: 9 },
      { repeated: 9 },
    ]);
    telemetry.brokerBack();
    telemetry.brokerBack();
    expect(lines.slice(3)).toMatchObject([{ level: 'info', msg: 'brokers are back', seconds: 25, problems: 25 }]);
    telemetry.brokerProblem('down again');
    expect(lines.slice(4)).toMatchObject([{ error: 'down again', repeated: 0 }]);
  });

  test('about topics repeat by topic', () => {
    const { telemetry, lines } = setUp();
    for (const topic of ['a', 'b', 'a']) telemetry.topicUnwritable(topic, new Error('no'));
    expect(lines.map(({ topic }) => topic)).toEqual(['a', 'b']);
  });

  test('about topics are bounded, however many names are made up, and all are counted', async () => {
    const { telemetry, lines, clock } = setUp();
    for (let n = 0; n < 500; n += 1) telemetry.topicUnwritable(`made-up-${n}`, new Error('no'));
    expect(lines).toHaveLength(20);
    clock.now += 10_000;
    telemetry.topicUnwritable('city', new Error('no'));
    expect(lines.at(-1)).toMatchObject({ topic: 'city', others: 480 });
    expect((await samples(telemetry)).get('kafnus_topic_failures_total')).toBe(501);
  });

  test('never hold a secret by name', () => {
    const { telemetry, lines } = setUp();
    telemetry.logger.info({
      password: 's3cret',
      config: { kafkaSaslPassword: 's3cret', 'sasl.password': 's3cret' },
      'ssl.key.pem': 's3cret',
    });
    expect(JSON.stringify(lines)).not.toContain('s3cret');
    expect(JSON.stringify(lines)).toContain('***');
  });
});
