/**
 * Records that are made to stop an agent. Each must affect its own outcome only: the same process
 * must emit the good record after it within seconds.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { InputRecord, RecordHeader } from '@kafnus/agent-runtime';
import { withKafka } from '@kafnus/agent-testkit';
import {
  AgentProcess,
  createTopics,
  produceAll,
  readAll,
  startLocalKafka,
  usageOf,
  type LocalKafka,
} from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';

jest.setTimeout(180_000);

const agents = ['historic', 'lastdata', 'mutable', 'errors'] as const;
type AgentName = (typeof agents)[number];

/** The maximum time for the good record after a poisonous one, in ms, on a busy machine. */
const promptMs = 20_000;
/** The memory limit of the chart. */
const limitMiB = 640;
const timestamp = Date.now();
const outputs: Readonly<Record<AgentName, string>> = {
  historic: 'city',
  lastdata: 'city_lastdata',
  mutable: 'city_mutable',
  errors: 'city_error_log',
};

interface Poison {
  readonly key?: string;
  readonly value: string | Buffer | null;
  readonly headers?: readonly RecordHeader[];
}

/** The outcome of one poisonous record. */
interface Outcome {
  /** The reason code, when it was rejected. */
  readonly rejected: string | undefined;
  readonly deadLetter: InputRecord | undefined;
  /** The output records of the poisonous record. */
  readonly written: readonly InputRecord[];
}

const fiware: readonly RecordHeader[] = [{ 'fiware-service': 'city' }, { 'fiware-servicepath': '/air' }];

const TimeInstant = '{"type":"DateTime","value":"2026-01-01T00:00:00.000Z"}';

function entity(id: string, more: object = {}): object {
  return { id, type: 'T', TimeInstant: JSON.parse(TimeInstant) as object, ...more };
}

function notification(...data: readonly object[]): string {
  return JSON.stringify({ subscriptionId: 's', data });
}

/** The headers of a sink's dead letter. */
const failure: readonly RecordHeader[] = [
  { '__connect.errors.topic': 'city' },
  { '__connect.errors.exception.class.name': 'org.postgresql.util.PSQLException' },
];

let kafka: LocalKafka;
const running = new Map<AgentName, AgentProcess>();
let marks = 0;

/** Publishes the record and a good one after it in the same partition, and returns the outcome. */
async function survive(
  agent: AgentName,
  poison: Poison,
  settings: Readonly<Record<string, string | number>> = {},
): Promise<Outcome> {
  const process = running.get(agent);
  if (process === undefined) throw new Error(`${agent} does not run`);
  const { bootstrapServers } = kafka;
  const topic = `raw_${agent}`;
  const before = (await process.health()).ledger;
  const mark = `good-${(marks += 1)}`;
  const good =
    agent === 'errors'
      ? {
          value: null,
          headers: [...failure, { '__connect.errors.exception.message': mark }, { 'fiware-service': 'city' }],
        }
      : { value: notification(entity(mark)), headers: fiware };
  const [written, deadLetters] = [await size(outputs[agent]), await size(deadLetterTopic(agent))];
  const bad = { topic, partition: 0, timestamp, key: 'poison', headers: fiware, ...poison };
  await produceAll(bootstrapServers, [bad], { settings });
  await produceAll(bootstrapServers, [{ topic, partition: 0, timestamp, key: 'good', ...good }]);
  const { ledger } = await process.until(
    `the record behind the poison (${agent})`,
    (status) => status.ledger.read === before.read + 2,
    promptMs,
  );
  expect(process.end).toBeUndefined();
  expect(ledger.read).toBe(ledger.emitted + sum(ledger.skipped) + sum(ledger.rejected));
  const all = (await readAll(bootstrapServers, outputs[agent])).slice(written);
  expect(all.some(({ value }) => String(value).includes(mark))).toBe(true);
  const [deadLetter, ...more] = (await readAll(bootstrapServers, deadLetterTopic(agent))).slice(deadLetters);
  expect(more).toEqual([]);
  const rejected = Object.keys(ledger.rejected).find((reason) => ledger.rejected[reason] !== before.rejected[reason]);
  return { rejected, deadLetter, written: all.filter(({ value }) => !String(value).includes(mark)) };
}

function deadLetterTopic(agent: AgentName): string {
  return agent === 'errors' ? 'raw_errors_dead' : `dead_${agent}`;
}

async function size(topic: string): Promise<number> {
  return (await readAll(kafka.bootstrapServers, topic)).length;
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/** Header names and values, in order. */
function pairs(headers: readonly RecordHeader[]): [string, string][] {
  return headers.flatMap((header) =>
    Object.entries(header).map(([name, value]): [string, string] => [name, Buffer.from(value).toString('hex')]),
  );
}

/**
 * Expects the key, value, timestamp and headers of the record, followed by Connect's context
 * headers only.
 */
function expectUnchanged(
  deadLetter: InputRecord | undefined,
  { key = 'poison', value, headers = fiware }: Poison,
): void {
  expect(deadLetter?.key).toEqual(Buffer.from(key));
  expect(deadLetter?.value?.equals(Buffer.from(value ?? ''))).toBe(value === null ? undefined : true);
  expect(deadLetter?.timestamp).toBe(timestamp);
  const found = pairs(deadLetter?.headers ?? []);
  expect(found.slice(0, headers.length)).toEqual(pairs(headers));
  expect(found.slice(headers.length).every(([name]) => name.startsWith('__connect.errors.'))).toBe(true);
}

withKafka(describe)('a poisonous record', () => {
  beforeAll(async () => {
    kafka = await startLocalKafka();
    const topics = agents.flatMap((agent) => [`raw_${agent}`, deadLetterTopic(agent), outputs[agent]]);
    await createTopics(
      kafka.bootstrapServers,
      topics.map((topic) => ({ topic, partitions: 1 })),
    );
    for (const agent of agents) {
      const env = agent === 'errors' ? {} : { KAFNUS_DEAD_LETTER_TOPIC: deadLetterTopic(agent) };
      // The heap size of the image under the chart's memory limit.
      const execArgv = ['--max-old-space-size=512'];
      running.set(agent, new AgentProcess({ agent, brokers: kafka.bootstrapServers, env, execArgv }));
    }
    await Promise.all([...running.values()].map((process) => process.ready()));
  });

  afterAll(async () => {
    await Promise.all([...running.values()].map((process) => process.kill()));
    await kafka?.stop();
  });

  describe('with a header called __proto__', () => {
    const headers = [...fiware, { ['__proto__']: Buffer.from([0xff, 0, 0x41]) }, { ['__proto__']: '' }, { after: 'x' }];

    test.each(agents.slice(0, 3))('is processed by %s like any other', async (agent) => {
      const { rejected, deadLetter, written } = await survive(agent, { value: notification(entity('p1')), headers });
      expect(rejected).toBeUndefined();
      expect(deadLetter).toBeUndefined();
      expect(written).toHaveLength(1);
    });

    test.each(agents.slice(0, 3))('is rejected by %s with that header unchanged', async (agent) => {
      const poison = { value: 'no JSON', headers };
      const { rejected, deadLetter } = await survive(agent, poison);
      expect(rejected).toBe('not-json');
      expectUnchanged(deadLetter, poison);
    });

    test('is logged by errors', async () => {
      const { written } = await survive('errors', { value: null, headers: [...failure, ...headers] });
      expect(written).toHaveLength(1);
    });
  });

  describe('that is made to be slow', () => {
    const ones = '1'.repeat(30_000);

    test.each([
      ['geo:point', `${ones},${ones}x`],
      ['geo:line', [`${ones},${ones}x`, '1,1']],
      ['geo:box', ['1,1', `${ones},${ones}x`]],
      ['geo:polygon', [`${ones},${ones}x`, '1,1', '1,2', '1,1']],
    ])('by a %s is a row without the geometry, and a report', async (type, value) => {
      const poison = { value: notification(entity('slow', { a: { type, value } })) };
      const { rejected, deadLetter, written } = await survive('historic', poison);
      expect(rejected).toBeUndefined();
      expect(written).toHaveLength(1);
      expectUnchanged(deadLetter, poison);
    });

    test('by the message of a sink is logged', async () => {
      const backslashes = '\\'.repeat(200_000);
      const message = { '__connect.errors.exception.message': `password=${backslashes}"${backslashes}x` };
      const { written } = await survive('errors', { value: null, headers: [...failure, ...fiware, message] });
      expect(written).toHaveLength(1);
    });
  });

  describe('whose output is far larger than itself', () => {
    const minimal = (count: number): object[] =>
      Array.from({ length: count }, (_, index) => ({ id: String(index).padStart(5, '0') }));

    test.each([
      ['fiware-servicepath', 8000, 250_000],
      ['fiware-datamodel', 8000, 250_000],
      ['fiware-correlator', 30_000, 500_000],
    ])('by its header %s is rejected', async (name, entities, length) => {
      const headers = [{ 'fiware-service': 'city' }, { [name]: '/'.padEnd(length, 'x') }];
      const poison = { value: notification(...minimal(entities)), headers };
      const { rejected, deadLetter } = await survive('lastdata', poison);
      expect(rejected).toBe('header-too-long');
      expectUnchanged(deadLetter, poison);
    });

    test('by the number of its entities is rejected, and one of half as many is not', async () => {
      const poison = { value: notification(...minimal(60_000)) };
      const { rejected, deadLetter } = await survive('lastdata', poison);
      expect(rejected).toBe('output-too-large');
      expectUnchanged(deadLetter, poison);
      const { written } = await survive('lastdata', { value: notification(...minimal(25_000)) });
      expect(written).toHaveLength(25_000);
    });

    test('by 1,500 bad attributes is a row and one dead letter, which names the first', async () => {
      const attributes = Object.fromEntries(Array.from({ length: 1500 }, (_, index) => [`a${index}`, index]));
      const poison = { value: notification(entity('bad', attributes)) };
      const { deadLetter, written } = await survive('historic', poison);
      expect(written).toHaveLength(1);
      expectUnchanged(deadLetter, poison);
      expect(String(deadLetter?.headers.at(-1)?.['__connect.errors.exception.message'])).toMatch(
        /^1500 problems: .*; and \d+ more$/,
      );
    });

    test('by more attributes than a table has columns is rejected', async () => {
      const attributes = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`a${index}`, index]));
      const poison = { value: notification(entity('bad', attributes)) };
      const { rejected, deadLetter } = await survive('historic', poison);
      expect(rejected).toBe('attributes-too-many');
      expectUnchanged(deadLetter, poison);
    });

    test('by a type that no key of the state takes is rejected', async () => {
      // In the outputs each of these characters is one byte; in the key of the state it has three.
      const poison = { value: notification({ ...entity('e', {}), type: '€'.repeat(349_150) }) };
      const { rejected, deadLetter } = await survive('lastdata', poison, { 'message.max.bytes': 1_048_588 });
      expect(rejected).toBe('entity-type-invalid');
      expect(deadLetter?.key?.toString()).toBe('poison');
    });

    test('by its compression is rejected before it is parsed', async () => {
      // 40 MB of blanks, of which the broker sees 40 KB.
      const settings = { 'message.max.bytes': 60_000_000, 'compression.type': 'gzip' };
      for (const agent of ['historic', 'errors'] as const) {
        const { rejected, deadLetter } = await survive(agent, { value: Buffer.alloc(40_000_000, ' ') }, settings);
        expect(rejected).toBe('input-too-large');
        expect(deadLetter?.value).toBeNull();
        expect(pairs(deadLetter?.headers ?? []).map(([name]) => name)).toContain('kafnus.value.omitted');
      }
    });
  });

  describe('of many headers', () => {
    const named = (count: number): RecordHeader[] => Array.from({ length: count }, () => ({ h: '' }));

    test('is rejected with all of them unchanged', async () => {
      const poison = { value: 'no JSON', headers: [...fiware, ...named(99_000)] };
      const { rejected, deadLetter } = await survive('historic', poison);
      expect(rejected).toBe('not-json');
      expectUnchanged(deadLetter, poison);
    });

    test('is rejected without them, where a consumer of the dead letter would get none', async () => {
      const poison = { value: 'no JSON', headers: [...fiware, ...named(99_998)] };
      const { rejected, deadLetter } = await survive('historic', poison);
      expect(rejected).toBe('not-json');
      expect(pairs(deadLetter?.headers ?? []).map(([name]) => name)).toContain('kafnus.value.omitted');
    });

    test.each(agents.slice(0, 3))('is processed by %s like any other', async (agent) => {
      const headers = [...fiware, ...named(99_998)];
      const { written } = await survive(agent, { value: notification(entity('many')), headers });
      expect(written).toHaveLength(1);
    });

    test('is logged by errors', async () => {
      const headers = [...failure, ...fiware, ...named(99_000)];
      const { written } = await survive('errors', { value: null, headers });
      expect(written).toHaveLength(1);
    });
  });

  test.each([
    ['a JSON value', 'json', '['.repeat(400_000) + ']'.repeat(400_000)],
    ['a geometry', 'geo:json', `{"type":"MultiPolygon","coordinates":${'['.repeat(400_000)}${']'.repeat(400_000)}}`],
  ])('with %s that is nested deeper than the stack is a row, and a report', async (_what, type, value) => {
    const a = `"a":{"type":"${type}","value":${value}}`;
    const poison = { value: `{"data":[{"id":"deep","type":"T","TimeInstant":${TimeInstant},${a}}]}` };
    const { rejected, deadLetter, written } = await survive('historic', poison);
    expect(rejected).toBeUndefined();
    expect(written).toHaveLength(1);
    expectUnchanged(deadLetter, poison);
  });

  test('leaves the memory of the process within the limit of the chart', () => {
    for (const { pid } of running.values()) expect(usageOf(pid).peakRssBytes / 2 ** 20).toBeLessThan(limitMiB);
  });

  test('no process was restarted or has logged an error', async () => {
    await sleep(100);
    for (const process of running.values()) {
      expect(process.end).toBeUndefined();
      expect(process.log).not.toMatch(/"level":"(error|fatal)"/);
    }
  });
});
