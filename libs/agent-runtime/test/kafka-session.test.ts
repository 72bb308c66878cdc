/**
 * The session when records come late: the client has them in hand while their partition is given
 * back, taken again or rewound. When a consume call returns is up to the client's threads; here it
 * returns when it is told to.
 *
 * librdkafka's mock cluster is enough for this: nothing here is about transactions.
 */
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { KafkaSession, loadConfig, type InputRecord, type TopicPartition } from '@kafnus/agent-runtime';
import { kafka, type KafkaConsumer } from '@kafnus/kafka-admin';
import { EMBEDDED_PARTITIONS, produceAll, startEmbeddedBroker, type EmbeddedBroker } from '@kafnus/local-stack';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { assignPartitions } from '../src/kafka/errors.js';

jest.setTimeout(30_000);

const topic = 'late';
const batch = 10;

let broker: EmbeddedBroker;
let session: KafkaSession;
/** Consume calls that have records and do not return yet. */
let inHand: (() => void)[] = [];

beforeAll(async () => {
  broker = await startEmbeddedBroker({ topics: [topic, 'many-a', 'many-b'] });
  session = open();
  await session.start();
  let assigned: readonly TopicPartition[] = [];
  while (assigned.length === 0) {
    const event = await session.next(1000, true);
    if (event.kind === 'assigned') assigned = event.partitions;
  }
  expect(assigned).toHaveLength(EMBEDDED_PARTITIONS);
  await session.accept(assigned.map((partition) => ({ ...partition, offset: 0 })));
}, 60_000);

/** The next test begins with nothing on its way. */
afterEach(async () => {
  deliver();
  while ((await session.next(200, true)).kind !== 'idle');
});

afterAll(async () => {
  await session.close();
  await broker.stop();
});

describe('records', () => {
  test('come in order, batch by batch', async () => {
    await write(0, 2 * batch);
    expect(offsets(await take(batch))).toEqual(range(0, batch));
    expect(offsets(await take(batch))).toEqual(range(batch, 2 * batch));
  });

  test('come with the word whether there are more', async () => {
    await write(0, 2 * batch + 3);
    const told: { readonly count: number; readonly drained: boolean }[] = [];
    for (let count = 0; count < 2 * batch + 3;) {
      const event = await session.next(5000, true);
      if (event.kind !== 'records') continue;
      told.push({ count: event.records.length, drained: event.drained });
      count += event.records.length;
    }
    expect(told).toEqual([
      { count: batch, drained: false },
      { count: batch, drained: false },
      { count: 3, drained: true },
    ]);
  });

  test('a poll asks for fewer of large ones: so many as are some megabytes', async () => {
    const client = kafka.KafkaConsumer.prototype as Pick<KafkaConsumer, 'consume'>;
    const { consume } = client;
    const asked: number[] = [];
    client.consume = function (this: KafkaConsumer, count, done) {
      asked.push(count);
      consume.call(this, count, done);
    };
    try {
      await write(0, 12, 'x'.repeat(900_000));
      expect(await take(12)).toHaveLength(12);
      expect(asked.at(-1)).toBe(4);
      await write(0, batch);
      expect(await take(batch)).toHaveLength(batch);
      expect(asked.at(-1)).toBe(batch);
    } finally {
      client.consume = consume;
    }
  });

  test('that arrive after the release of their partition are dropped', async () => {
    const place = await late(1);
    session.release([place]);
    deliver();
    expect((await session.next(500, true)).kind).toBe('idle');
  });

  test('that were fetched before their partition came back are dropped', async () => {
    const place = await late(2);
    session.release([place]);
    const accepted = session.accept([{ ...place, offset: 5 }]);
    deliver();
    await accepted;
    expect(offsets(await take(batch))).toEqual(range(5, 5 + batch));
  });

  test('that were fetched before a rewind are dropped, and come again in their order', async () => {
    const place = await late(3);
    const rewound = session.rewind([{ ...place, offset: 5 }]);
    deliver();
    await rewound;
    expect(offsets(await take(batch))).toEqual(range(5, 5 + batch));
  });
});

test('a session reads all topics whose names match a pattern', async () => {
  const many = open(broker.bootstrapServers, () => undefined, { topics: ['^many-'], group: 'many' });
  const written = ['many-a', 'many-b'].map((name) => ({ topic: name, partition: 1, key: 'k', value: name }));
  await produceAll(broker.bootstrapServers, written);
  await many.start();
  try {
    const seen: string[] = [];
    while (seen.length < 2) {
      const event = await many.next(5000, true);
      expect(event.kind).not.toBe('idle');
      if (event.kind === 'assigned') await many.accept(event.partitions.map((each) => ({ ...each, offset: null })));
      if (event.kind === 'revoked') many.release(event.partitions);
      if (event.kind === 'records')
        seen.push(...event.records.map((record) => `${record.topic} ${String(record.value)}`));
    }
    expect(seen.toSorted()).toEqual(['many-a many-a', 'many-b many-b']);
  } finally {
    await many.close();
  }
});

describe('a rebalance', () => {
  test('that comes while another one is being answered has an answer of its own: also from close()', async () => {
    const { session: lonely, rebalance, deliverNothing, answers } = withoutClient();
    // A consume call is in flight from now on.
    await lonely.accept([]);
    rebalance('assigned', [place]);
    expect(await lonely.next(100, false)).toEqual({ kind: 'assigned', partitions: [place] });
    const accepted = lonely.accept([{ ...place, offset: 7 }]);
    rebalance('lost', [place]);
    deliverNothing();
    await accepted;
    const closed = lonely.close();
    deliverNothing();
    await closed;
    expect(answers).toEqual([
      ['assign', []],
      ['assign', [{ ...place, offset: 7 }]],
      ['unassign', [place]],
    ]);
  });

  test('that nobody has answered is answered by close(), each once and in their order', async () => {
    const { session: lonely, rebalance, answers } = withoutClient();
    rebalance('assigned', [place]);
    rebalance('lost', [place]);
    await lonely.close();
    // librdkafka's logical offset for the first record: nothing of it is read any more.
    const assigned = { ...place, offset: -2 };
    expect(answers).toEqual([
      ['assign', [assigned]],
      ['unassign', [place]],
    ]);
    rebalance('assigned', [place]);
    expect(answers.slice(2)).toEqual([['assign', [assigned]]]);
  });
});

describe('a cluster that takes connections and says nothing', () => {
  test('is reported; and cancel() ends the start well before the five seconds in which SIGTERM is to be answered', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    let tell: (error: Error) => void = () => undefined;
    const told = new Promise<Error>((resolve) => (tell = resolve));
    const lost = open(`127.0.0.1:${port}`, tell);
    try {
      const started = lost.start();
      started.catch(() => undefined);
      expect((await told).message).toMatch(/^connection of the consumer: /);
      const before = performance.now();
      lost.cancel();
      await expect(started).rejects.toThrow('connection of the consumer');
      expect(performance.now() - before).toBeLessThan(4000);
    } finally {
      await lost.close();
      silent.close();
    }
  });
});

function open(
  brokers = broker.bootstrapServers,
  clusterAway: (error: Error) => void = () => undefined,
  { topics = [topic], group = 'late' } = {},
): KafkaSession {
  const env = {
    KAFNUS_KAFKA_BROKERS: brokers,
    KAFNUS_GROUP_ID: group,
    KAFNUS_INSTANCE_ID: 'a',
    KAFNUS_BATCH_SIZE: String(batch),
  };
  const outcome = loadConfig({ name: 'late', settings: {} }, { argv: [], env });
  if (outcome.kind !== 'run') throw new Error('a configuration was asked for');
  const ignore = (): void => undefined;
  const listener = {
    topicCreated: ignore,
    brokerProblem: ignore,
    clusterAway,
    commitRetry: ignore,
    clientLog: ignore,
  };
  return new KafkaSession({ agent: 'late', topics, config: outcome.config, listener });
}

const place: TopicPartition = { topic, partition: 0 };

/**
 * A session whose consumer does what the test says: rebalances come, and consume calls return, when
 * it is told to.
 */
function withoutClient(): {
  readonly session: KafkaSession;
  readonly rebalance: (kind: 'assigned' | 'lost', partitions: readonly TopicPartition[]) => void;
  readonly deliverNothing: () => void;
  readonly answers: unknown[];
} {
  const { KafkaConsumer: Original } = kafka;
  const answers: unknown[] = [];
  let announce: (error: { readonly code: number }, partitions: readonly TopicPartition[]) => void = () => undefined;
  let deliverNothing: () => void = () => undefined;
  kafka.KafkaConsumer = class extends Original {
    constructor(...[config, topicConfig]: ConstructorParameters<typeof Original>) {
      super(config, topicConfig);
      announce = config['rebalance_cb'] as typeof announce;
      Object.assign(this, {
        consume: (_count: number, done: (error: null, messages: readonly never[]) => void) => {
          deliverNothing = () => done(null, []);
        },
        rebalanceProtocol: () => 'COOPERATIVE',
        assignmentLost: () => true,
        incrementalAssign: (partitions: unknown) => answers.push(['assign', partitions]),
        incrementalUnassign: (partitions: unknown) => answers.push(['unassign', partitions]),
      });
    }
  };
  try {
    return {
      session: open(),
      rebalance: (kind, partitions) =>
        announce({ code: kind === 'assigned' ? assignPartitions : assignPartitions + 1 }, partitions),
      deliverNothing: () => deliverNothing(),
      answers,
    };
  } finally {
    kafka.KafkaConsumer = Original;
  }
}

/**
 * A partition with three batches: the first is delivered, the second is in hand, the third is
 * behind it.
 */
async function late(partition: number): Promise<TopicPartition> {
  const client = kafka.KafkaConsumer.prototype as Pick<KafkaConsumer, 'consume'>;
  const { consume } = client;
  client.consume = function (this: KafkaConsumer, count, done) {
    consume.call(this, count, (error, messages) => {
      const first = messages?.[0];
      if (first === undefined || first.offset < batch) done(error, messages);
      else inHand.push(() => done(error, messages));
    });
  };
  try {
    await write(partition, 3 * batch);
    expect(offsets(await take(batch))).toEqual(range(0, batch));
    while (inHand.length === 0) await sleep(5);
  } finally {
    client.consume = consume;
  }
  return { topic, partition };
}

/** What is in hand arrives. */
function deliver(): void {
  for (const bring of inHand) bring();
  inHand = [];
}

function write(partition: number, count: number, value?: string): Promise<number> {
  const records = range(0, count).map((number) => ({ topic, partition, key: 'k', value: value ?? String(number) }));
  // In one batch, that one fetch brings all of them.
  return produceAll(broker.bootstrapServers, records, { settings: { 'linger.ms': 100 } });
}

/** The next records, so many. */
async function take(count: number): Promise<InputRecord[]> {
  const records: InputRecord[] = [];
  while (records.length < count) {
    const event = await session.next(5000, true);
    if (event.kind === 'idle') break;
    if (event.kind === 'records') records.push(...event.records);
  }
  return records;
}

function offsets(records: readonly InputRecord[]): number[] {
  return records.map(({ offset }) => offset);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
