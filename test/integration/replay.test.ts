/**
 * `kafnus replay` on a real Kafka, with the command and the agents as processes. Each record is
 * sent once and unchanged although processes are killed, a record that fails again does not loop,
 * and a record that is not a dead letter is not sent.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { deadLetter, type InputRecord } from '@kafnus/agent-runtime';
import { withKafka } from '@kafnus/agent-testkit';
import {
  AgentProcess,
  committedOffsets,
  createTopics,
  endOffsets,
  produceAll,
  readAll,
  startLocalKafka,
  type LocalKafka,
  type RecordToWrite,
} from '@kafnus/local-stack';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { notification } from './notifications.js';

jest.setTimeout(180_000);

const cli = join(import.meta.dirname, '..', '..', 'tools', 'cli', 'dist');

interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Started = { readonly kill: (signal: NodeJS.Signals) => void; readonly ended: Promise<Ran> };

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Started {
  const child = spawn(process.execPath, args, { env: { PATH: process.env['PATH'], ...env } });
  child.stdin.end();
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += String(chunk)));
  child.stderr.on('data', (chunk: Buffer) => (stderr += String(chunk)));
  const ended = once(child, 'close').then(([code, signal]): Ran => ({ code, signal, stdout, stderr }));
  return { kill: (signal) => void child.kill(signal), ended };
}

/** The headers of a record as [name, text]. */
function pairs(headers: InputRecord['headers']): [string, string][] {
  return headers.flatMap((header) =>
    Object.entries(header).map(([name, value]): [string, string] => [name, String(value)]),
  );
}

function markOf(record: InputRecord): string | undefined {
  return pairs(record.headers).find(([name]) => name === 'kafnus-replay')?.[1];
}

withKafka(describe)('kafnus replay', () => {
  let kafka: LocalKafka;
  const agents: AgentProcess[] = [];

  beforeAll(async () => {
    kafka = await startLocalKafka({
      users: { admin: 'admin', limited: 'limited' },
      authorizer: true,
      // The dead letters are older than the default retention, which the broker enforces from
      // 30 s after its start.
      properties: { 'log.retention.ms': '-1', 'log.retention.check.interval.ms': '500' },
    });
  });

  afterAll(async () => {
    await Promise.all(agents.map((agent) => agent.kill()));
    await kafka.stop();
  });

  /** Each test has a separate topic prefix. */
  function scene(prefix: string) {
    const brokers = kafka.internalServers;
    const env = { KAFNUS_KAFKA_BROKERS: brokers, KAFNUS_TOPIC_PREFIX: prefix };
    const topic = (name: string): string => prefix + name;
    return {
      topic,
      create: (...names: readonly string[]) =>
        createTopics(
          brokers,
          names.map((name) => ({ topic: topic(name), partitions: 4 })),
        ),
      publish: (records: Iterable<RecordToWrite>) => produceAll(brokers, records),
      read: (name: string) => readAll(brokers, topic(name)),
      kafnus: (...args: readonly string[]) => run([join(cli, 'main.js'), 'replay', ...args], env).ended,
      start: (...args: readonly string[]) => run([join(cli, 'main.js'), 'replay', ...args], env),
      /** Runs the replay in a process that kills itself. */
      applyUntil: (step: 'written' | 'committed', times: number) =>
        run(['--input-type=module', '--eval', endingReplay({ brokers, prefix, step, times })]).ended,
      agent: (name: string, more: Readonly<Record<string, string>> = {}) => {
        const agent = new AgentProcess({
          agent: name,
          brokers,
          env: {
            KAFNUS_TOPIC_PREFIX: prefix,
            KAFNUS_GROUP_ID: `${prefix}${name}`,
            KAFNUS_INSTANCE_ID: `${prefix}0`,
            ...more,
          },
        });
        agents.push(agent);
        return agent;
      },
    };
  }

  async function digested(agent: AgentProcess, read: number): Promise<void> {
    await agent.until(`through ${read} records`, ({ ledger, lag }) => ledger.read >= read && lag === 0);
  }

  test('a rejected record is sent unchanged, is accepted once the cause is removed, and only once', async () => {
    const { topic, create, publish, read, kafnus, agent } = scene('cured.');
    await create('raw_historic');
    const timeless = (id: string, service: string): RecordToWrite => ({
      topic: topic('raw_historic'),
      key: id,
      value: `{"subscriptionId":"s","data":[{"id":"${id}","type":"Park","area":{"type":"Number","value":1}}]}`,
      headers: [{ 'fiware-service': service }, { 'Fiware-ServicePath': '/Parks' }, { twice: 'a' }, { twice: '' }],
      timestamp: Date.UTC(2026, 4, 1, 10),
    });
    const ids = Array.from({ length: 20 }, (_, index) => `park:${index}`);
    await publish([
      ...ids.map((id) => timeless(id, 'harbour')),
      timeless('elsewhere', 'oldtown'),
      { topic: topic('raw_historic'), key: 'bad', value: '{"no json', headers: [{ 'fiware-service': 'harbour' }] },
      { topic: topic('raw_historic'), ...notification('fine', 1, { service: 'harbour' }) },
    ]);
    const first = agent('historic');
    await digested(first, 23);
    await first.stop();
    const originals = await read('raw_historic');
    expect(await read('raw_errors')).toHaveLength(22);

    const plan = await kafnus('plan', '--tenant', 'harbour', '--json');
    expect(plan).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(plan.stdout)).toMatchObject({
      read: 22,
      fit: 21,
      sent: 0,
      counts: [
        { from: topic('raw_historic'), tenant: 'harbour', reason: 'timeinstant-missing', count: 20 },
        { from: topic('raw_historic'), tenant: 'harbour', reason: 'not-json', count: 1 },
      ],
    });
    expect(await read('raw_historic')).toHaveLength(originals.length);

    const apply = ['apply', '--tenant', 'harbour', '--reason', 'timeinstant-missing'];
    const applied = await kafnus(...apply);
    expect(applied).toMatchObject({ code: 0, stdout: expect.stringContaining('20 of 20 records were sent back') });
    expect(await kafnus(...apply)).toMatchObject({ code: 0, stdout: expect.stringContaining('0 of 0 records') });

    const all = await read('raw_historic');
    const back = all.filter((record) => markOf(record) !== undefined);
    expect(back.map(markOf)).toEqual(ids.map(() => '1'));
    for (const record of back) {
      const original = originals.find(({ key }) => String(key) === String(record.key));
      const { value, timestamp, partition } = record;
      expect({ value, timestamp, partition }).toEqual({
        value: original?.value,
        timestamp: original?.timestamp,
        partition: original?.partition,
      });
      expect(pairs(record.headers)).toEqual([...pairs(original?.headers ?? []), ['kafnus-replay', '1']]);
    }

    const cured = agent('historic', { KAFNUS_MISSING_TIME_INSTANT: 'record-timestamp' });
    await digested(cured, 20);
    await cured.stop();
    const rows = await read('harbour');
    expect(rows.map(({ key }) => /"entityid":"([^"]+)"/.exec(String(key))?.[1]).sort()).toEqual(
      [...ids, 'fine'].sort(),
    );
    expect(rows.filter((row) => markOf(row) !== undefined)).toEqual([]);
  });

  test('a record that is rejected again keeps its mark, and is sent once more only on request', async () => {
    const { topic, create, publish, read, kafnus, agent } = scene('again.');
    await create('raw_historic');
    const message = '{"headers":{"fiware-service":"Harbour"},"data":[{"id":"n","type":"T"}]}';
    await publish([
      { topic: topic('raw_historic'), key: 'b', value: '{"no json', headers: [{ 'fiware-service': 'harbour' }] },
      // No header: the tenant is in the message, and must be found there after the replay as well.
      { topic: topic('raw_historic'), key: 'n', value: message },
    ]);
    const historic = agent('historic');
    await digested(historic, 2);
    const deadLetters = async (): Promise<(string | undefined)[]> => (await read('raw_errors')).map(markOf).sort();
    expect(await deadLetters()).toEqual([undefined, undefined]);

    expect(await kafnus('apply')).toMatchObject({ code: 0, stdout: expect.stringContaining('2 of 2') });
    await digested(historic, 4);
    expect(await deadLetters()).toEqual(['1', '1', undefined, undefined]);
    const { ledger } = await historic.health();
    expect(Object.keys(ledger.tenants)).toEqual(['harbour']);

    const nothing = await kafnus('apply');
    expect(nothing).toMatchObject({ code: 0, stdout: expect.stringContaining('0 of 0') });
    expect(nothing.stdout).toContain('2 from again.raw_historic were replayed before and refused again');
    expect(await kafnus('apply', '--again')).toMatchObject({ code: 0, stdout: expect.stringContaining('2 of 2') });
    await digested(historic, 6);
    expect(await deadLetters()).toEqual(['1', '1', '2', '2', undefined, undefined]);
    // Sends these records once more, and no others.
    expect(await kafnus('apply', '--again', '--limit', '1')).toMatchObject({
      stdout: expect.stringContaining('1 of 1'),
    });
    await historic.stop();
  });

  test('killed at any moment, the same command continues: no duplicates, no losses, in order', async () => {
    const { topic, create, publish, read, start, kafnus, applyUntil } = scene('killed.');
    await create('raw_historic', 'raw_errors');
    const count = 3000;
    const made = Array.from({ length: count }, (_, index): InputRecord => {
      const { key, value, headers } = notification(`Sensor:${index % 50}`, index);
      return {
        topic: topic('raw_historic'),
        partition: (index % 50) % 4,
        offset: index,
        timestamp: Date.UTC(2026, 4, 1) + index,
        key: Buffer.from(key),
        value: Buffer.from(value),
        headers,
      };
    });
    await publish(made.map((record) => letterOf(topic('raw_errors'), record)));

    // The critical points: everything is written and not committed; committed, and the process does
    // not know it.
    expect(await applyUntil('written', 2)).toMatchObject({ signal: 'SIGKILL', stderr: '' });
    expect(await read('raw_historic')).toHaveLength(500);
    expect(await applyUntil('committed', 1)).toMatchObject({ signal: 'SIGKILL', stderr: '' });
    expect(await read('raw_historic')).toHaveLength(1000);
    // Random points.
    for (const atLeast of [1300, 1700]) {
      const process = start('apply', '--rate', '500');
      while ((await endOffsets(kafka.internalServers, topic('raw_historic'))).reduce((a, b) => a + b) < atLeast) {
        await sleep(50);
      }
      process.kill('SIGKILL');
      expect(await process.ended).toMatchObject({ signal: 'SIGKILL' });
    }
    // Ctrl-C ends it cleanly.
    const interrupted = start('apply', '--rate', '400');
    const before = (await read('raw_historic')).length;
    while ((await read('raw_historic')).length <= before) await sleep(50);
    interrupted.kill('SIGINT');
    const { code, stdout } = await interrupted.ended;
    expect(code).toBe(130);
    expect(stdout).toContain('the same command continues from here');

    expect(await kafnus('apply')).toMatchObject({ code: 0 });
    const seen = await read('raw_historic');
    expect(seen).toHaveLength(count);
    const byKey = (
      records: readonly { readonly key: Buffer | string | null; readonly value: Buffer | string | null }[],
    ) => {
      const groups = new Map<string, string[]>();
      for (const { key, value } of records)
        groups.set(String(key), [...(groups.get(String(key)) ?? []), String(value)]);
      return groups;
    };
    const [came, sent] = [byKey(seen), byKey(made)];
    expect([...came.keys()].sort()).toEqual([...sent.keys()].sort());
    for (const [key, values] of sent)
      expect(came.get(key)?.join('\n') === values.join('\n') ? 'in order' : key).toBe('in order');
  });

  test('two concurrent runs of one replay: the second takes over from the first', async () => {
    const { topic, create, publish, read, start, kafnus } = scene('two.');
    await create('raw_mutable', 'raw_errors');
    const made = Array.from({ length: 400 }, (_, index): InputRecord => {
      const { key, value, headers } = notification(`Sensor:${index}`, index);
      const place = { topic: topic('raw_mutable'), partition: 0, offset: index, timestamp: 1_780_000_000_000 };
      return { ...place, key: Buffer.from(key), value: Buffer.from(value), headers };
    });
    await publish(made.map((record) => letterOf(topic('raw_errors'), record)));
    const first = start('apply', '--rate', '20');
    while ((await read('raw_mutable')).length === 0) await sleep(50);
    expect(await kafnus('apply')).toMatchObject({ code: 0 });
    const { code, stderr } = await first.ended;
    expect(code).toBe(1);
    expect(stderr).toContain('another run of the same replay has started');
    expect(new Set((await read('raw_mutable')).map(({ value }) => String(value))).size).toBe(400);
    expect(await read('raw_mutable')).toHaveLength(400);
  });

  test('a publisher with crc32 and more partitions than before: a record goes to the partition of its key', async () => {
    const { topic, create, publish, read, kafnus } = scene('grown.');
    await create('raw_lastdata', 'raw_errors');
    const keys = Array.from({ length: 40 }, (_, index) => `subscription-${index}`);
    // librdkafka's default partitioner, which Orion uses.
    const settings = { partitioner: 'consistent_random' };
    const { value, headers } = notification('e', 1);
    await produceAll(
      kafka.internalServers,
      keys.map((key) => ({ topic: topic('raw_lastdata'), key, value, headers })),
      { settings },
    );
    await publish(
      keys.map((key) =>
        letterOf(topic('raw_errors'), {
          // From the time when the topic had one partition.
          ...{ topic: topic('raw_lastdata'), partition: 0, offset: 7, timestamp: 1_780_000_000_000 },
          ...{ key: Buffer.from(key), value: Buffer.from(value), headers },
        }),
      ),
    );
    expect(await kafnus('apply')).toMatchObject({ code: 0, stdout: expect.stringContaining('40 of 40') });
    const partitionsOf = new Map<string, Set<number>>();
    for (const { key, partition } of await read('raw_lastdata')) {
      partitionsOf.set(String(key), (partitionsOf.get(String(key)) ?? new Set<number>()).add(partition));
    }
    expect([...partitionsOf.values()].map(({ size }) => size)).toEqual(keys.map(() => 1));
  });

  test('a record that is not a dead letter, or names a topic that is not a raw one, is not sent without an explicit destination', async () => {
    const { topic, create, publish, read, kafnus } = scene('hostile.');
    await create('raw_historic', 'raw_errors', 'harbour', 'payments');
    const context = (origin: string, partition: string, offset: string): RecordToWrite['headers'] => [
      { '__connect.errors.topic': origin },
      { '__connect.errors.partition': partition },
      { '__connect.errors.offset': offset },
      { '__connect.errors.exception.class.name': 'org.apache.kafka.connect.errors.DataException' },
    ];
    const deadLetterRecord = (headers: RecordToWrite['headers']): RecordToWrite => ({
      topic: topic('raw_errors'),
      key: 'k',
      value: 'v',
      headers: headers ?? [],
    });
    await publish([
      deadLetterRecord([]),
      deadLetterRecord([{ '__connect.errors.topic': topic('raw_historic') }]),
      deadLetterRecord(context(topic('raw_historic'), '-1', '0')),
      deadLetterRecord(context(topic('payments'), '0', '0')),
      deadLetterRecord(context('__consumer_offsets', '0', '0')),
      deadLetterRecord(context('../..\u001b[31m', '0', '0')),
      // A loop: its origin is the dead-letter topic itself.
      deadLetterRecord(context(topic('raw_errors'), '0', '0')),
      deadLetterRecord([{ 'fiware-service': 'harbour' }, ...(context(topic('harbour'), '1', '0') ?? [])]),
    ]);
    const ends = async (): Promise<number> => {
      const counts = await Promise.all(
        ['raw_historic', 'raw_errors', 'harbour', 'payments'].map(async (name) => (await read(name)).length),
      );
      return counts.reduce((a, b) => a + b);
    };
    const before = await ends();
    const { code, stdout } = await kafnus('apply');
    expect(code).toBe(0);
    expect(stdout).toContain('0 of 0 records');
    expect(stdout).toContain('3 are no dead letters');
    expect(stdout).toContain(`add --from ${topic('harbour')} --to ${topic('harbour')}`);
    expect(stdout).not.toContain('\u001b');
    expect(await ends()).toBe(before);

    const told = await kafnus('apply', '--from', topic('harbour'), '--to', topic('harbour'));
    expect(told).toMatchObject({ code: 0, stdout: expect.stringContaining('1 of 1') });
    expect((await read('harbour')).map(({ partition, headers }) => ({ partition, headers: pairs(headers) }))).toEqual([
      {
        partition: 1,
        headers: [
          ['fiware-service', 'harbour'],
          ['kafnus-replay', '1'],
        ],
      },
    ]);
    expect(await ends()).toBe(before + 1);
  });

  test('a record older than the retention of its topic is not sent: Kafka would delete it', async () => {
    const { topic, create, publish, read, kafnus } = scene('late.');
    await create('raw_errors');
    const plans = ['raw_historic', 'raw_mutable'].map((name) => ({
      topic: topic(name),
      partitions: 1,
      // As by default, segment.ms is not more than the retention: the new transaction marker starts
      // another segment.
      config: { 'retention.ms': '60000', 'segment.ms': '60000' },
    }));
    await createTopics(kafka.internalServers, plans);
    const age = 3 * 86_400_000;
    const ages = [age, age - 1000, 0];
    await publish(
      ['raw_historic', 'raw_mutable'].flatMap((name) =>
        ages.map((old, index): RecordToWrite => {
          const { key, value, headers } = notification(`Sensor:${index}`, index);
          const place = { topic: topic(name), partition: 0, offset: index, timestamp: Date.now() - old };
          return letterOf(topic('raw_errors'), {
            ...place,
            ...{ key: Buffer.from(key), value: Buffer.from(value), headers },
          });
        }),
      ),
    );
    const historic = ['--from', topic('raw_historic')];

    const plan = await kafnus('plan', ...historic);
    expect(plan).toMatchObject({ code: 0, stderr: '' });
    expect(plan.stdout).toContain(
      '2 of 3 records are older than the retention of late.raw_historic: the oldest is 3 d old',
    );
    expect(plan.stdout).toContain('Once the retention is raised, this command sends them: kafnus replay apply');
    const refused = await kafnus('apply', ...historic);
    expect(refused).toMatchObject({ code: 1, stdout: expect.stringContaining('0 of 3 records') });
    expect(refused.stderr).toContain('kafnus replay: nothing was sent.\n2 of 3 records are older than');
    const json = await kafnus('apply', '--json', ...historic);
    expect(json).toMatchObject({ code: 1, stderr: refused.stderr });
    expect(JSON.parse(json.stdout)).toMatchObject({
      action: 'apply',
      fit: 3,
      sent: 0,
      refused: true,
      destinations: [{ topic: topic('raw_historic'), keeping: { kind: 'time', ms: 60_000 }, records: 3, late: 2 }],
    });
    expect(await read('raw_historic')).toEqual([]);

    // The suggested command is enough, and the same replay continues.
    const [, options = ''] = /kafka-configs\.sh --bootstrap-server \S+ (.*)/.exec(refused.stderr) ?? [];
    await kafka.tool('kafka.admin.ConfigCommand', ...options.split(' '));
    expect(await kafnus('apply', ...historic)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('3 of 3 records were sent back'),
    });

    // The warning was right: Kafka deletes records that are sent anyway.
    const late = ['--from', topic('raw_mutable'), '--until', '1h'];
    const insisted = await kafnus('apply', ...late, '--ignore-retention');
    expect(insisted).toMatchObject({ code: 0, stdout: expect.stringContaining('2 of 2 records') });
    expect(insisted.stdout).toContain('2 of 2 records are older than the retention of late.raw_mutable');
    expect(await endOffsets(kafka.internalServers, topic('raw_mutable'))).toEqual([3]);
    while ((await read('raw_mutable')).length > 0) await sleep(100);
    expect(await read('raw_historic')).toHaveLength(3);
  });

  test('without the topic, or without the rights, it sends nothing and says what is missing', async () => {
    const { topic, create, publish, kafnus } = scene('denied.');
    expect(await kafnus('plan')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('the dead-letter topic denied.raw_errors does not exist'),
    });
    await create('raw_errors', 'raw_historic');
    const record: InputRecord = {
      ...{ topic: topic('raw_mutable'), partition: 0, offset: 0, timestamp: 1_780_000_000_000 },
      ...{ key: Buffer.from('k'), value: Buffer.from('v'), headers: [] },
    };
    await publish([letterOf(topic('raw_errors'), record)]);
    expect(await kafnus('apply')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('the topic denied.raw_mutable, to which records would be sent, does not exist'),
    });
    await publish([letterOf(topic('raw_errors'), { ...record, topic: topic('raw_historic') })]);

    // Grants the rights one by one: the message of each run names the next missing one.
    const limited = {
      KAFNUS_KAFKA_BROKERS: kafka.bootstrapServers,
      KAFNUS_KAFKA_SECURITY_PROTOCOL: 'sasl_plaintext',
      KAFNUS_KAFKA_SASL_MECHANISM: 'PLAIN',
      KAFNUS_KAFKA_SASL_USERNAME: 'limited',
      KAFNUS_KAFKA_SASL_PASSWORD: 'limited',
      KAFNUS_TOPIC_PREFIX: topic(''),
    };
    const apply = ['apply', '--from', topic('raw_historic'), '--name', 'limited'];
    const asLimited = (): Promise<Ran> => run([join(cli, 'main.js'), 'replay', ...apply], limited).ended;
    const allow = (...rights: readonly string[]): Promise<string> =>
      kafka.tool('org.apache.kafka.tools.AclCommand', '--add', '--allow-principal', 'User:limited', ...rights);
    const before = await endOffsets(kafka.internalServers, topic('raw_historic'));

    await allow('--operation', 'Read', '--topic', topic('raw_errors'));
    const group = ['--group', 'kafnus-replay-limited'];
    expect(await asLimited()).toMatchObject({ code: 1, stderr: expect.stringMatching(/ransactional/) });
    await allow('--operation', 'All', '--transactional-id', 'kafnus-replay-limited');
    expect(await asLimited()).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/the group kafnus-replay-limited: .*[Aa]uthorization/),
    });
    await allow('--operation', 'Read', ...group);
    expect(await asLimited()).toMatchObject({ code: 1, stderr: expect.stringContaining(topic('raw_historic')) });
    await allow('--operation', 'Read', '--topic', topic('raw_historic'));
    const refused = await asLimited();
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(topic('raw_historic')) });
    expect(refused.stderr).toMatch(/authorization/i);
    expect(await endOffsets(kafka.internalServers, topic('raw_historic'), 'read_committed')).toEqual(before);
    expect((await committedOffsets(kafka.internalServers, 'kafnus-replay-limited', topic('raw_errors'))).size).toBe(0);
    await allow('--operation', 'Write', '--topic', topic('raw_historic'));
    const sent = await asLimited();
    expect(sent).toMatchObject({ code: 0, stdout: expect.stringContaining('1 of 1') });
    // An optional right.
    expect(sent.stdout).toContain(
      'The retention of denied.raw_historic is unknown: the user may not (DescribeConfigs).',
    );
  });
});

function letterOf(topic: string, record: InputRecord): RecordToWrite {
  const deadLetterRecord = deadLetter(topic, record, [
    { code: 'not-json', message: 'made by a test', stage: 'VALUE_CONVERTER' },
  ]);
  const { key, value, headers, timestamp } = deadLetterRecord;
  return { topic, key, value, headers, timestamp: timestamp ?? -1 };
}

/**
 * Runs the same replay as `kafnus replay apply`, and kills its process at the given step of the
 * given transaction.
 */
function endingReplay(options: { brokers: string; prefix: string; step: string; times: number }): string {
  const module = (path: string): string => JSON.stringify(pathToFileURL(join(cli, path)).href);
  return `
    import { replayDeadLetters } from ${module('replay/replay-dead-letters.js')};
    import { defaultReplayName } from ${module('replay/replay-selection.js')};
    import { namesOf } from ${module('kafka/topic-names.js')};
    const { inputs: rawTopics, deadLetter: topic } = namesOf({ KAFNUS_TOPIC_PREFIX: ${JSON.stringify(options.prefix)} });
    const lists = { tenants: [], reasons: [], entities: [], since: undefined, until: undefined };
    let left = ${options.times};
    await replayDeadLetters({
      action: 'apply',
      address: ${JSON.stringify(options.brokers)},
      producer: {},
      name: defaultReplayName({ topic, ...lists, from: [], again: false, to: undefined }),
      selection: { topic, ...lists, originTopics: [], onlyReplayed: false, destination: undefined, rawTopics },
      prefix: ${JSON.stringify(options.prefix)},
      limit: Infinity,
      rate: Infinity,
      retention: async () => ({ kind: 'all' }),
      ignoreRetention: false,
      onProgress: () => undefined,
      interrupted: () => false,
      sleep: async () => undefined,
      onStep: (step) => { if (step === ${JSON.stringify(options.step)} && (left -= 1) === 0) process.kill(process.pid, 'SIGKILL'); },
    });`;
}
