import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { RdKafka } from '@confluentinc/kafka-javascript';
import { withKafka } from '@kafnus/agent-testkit';
import { call } from '@kafnus/kafka-admin';
import {
  committedOffsets,
  createTopics,
  endOffsets,
  produceAll,
  readAll,
  startLocalKafka,
  type LocalKafka,
  type RecordToWrite,
} from '@kafnus/local-stack';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { withConsumer, withProducer } from '../../src/kafka-client.js';

jest.setTimeout(120_000);
const describeWithKafka = withKafka(describe);

const done = (start: (callback: (error: { message: string } | null) => void) => void): Promise<void> =>
  call<void>((finish) => start((error) => finish(error, undefined)));

function* numbered(topic: string, count: number): Iterable<RecordToWrite> {
  for (let index = 0; index < count; index += 1) yield { topic, key: `entity-${index % 500}`, value: `${index}` };
}

describeWithKafka('a local Kafka with one broker', () => {
  let kafka: LocalKafka;
  beforeAll(async () => {
    kafka = await startLocalKafka({ partitions: 3 });
  });
  afterAll(() => kafka?.stop());

  test('does not create topics by itself, and creates them as told', async () => {
    const servers = kafka.bootstrapServers;
    await expect(readAll(servers, 'nobody')).rejects.toThrow('There is no topic nobody');
    await createTopics(servers, [{ topic: 'compacted', partitions: 2, config: { 'cleanup.policy': 'compact' } }]);
    const described = await kafka.tool('org.apache.kafka.tools.TopicCommand', '--describe', '--topic', 'compacted');
    expect(described).toMatch(/PartitionCount: 2.*cleanup.policy=compact/);
    await expect(createTopics(servers, [{ topic: 'compacted', partitions: 2 }])).rejects.toThrow(
      'Topic compacted cannot be created',
    );
  });

  test('takes 200,000 records in their order and gives them back', async () => {
    const servers = kafka.bootstrapServers;
    await createTopics(servers, [{ topic: 'many', partitions: 3 }]);
    expect(await produceAll(servers, numbered('many', 200_000))).toBe(200_000);
    const ends = await endOffsets(servers, 'many');
    expect(ends.reduce((sum, end) => sum + end)).toBe(200_000);

    const records = await readAll(servers, 'many', { timeoutMs: 60_000 });
    const lastOf = new Map<string, number>();
    for (const { key, value, partition } of records) {
      const stream = `${partition} ${key?.toString()}`;
      const number = Number(value?.toString());
      if (number <= (lastOf.get(stream) ?? -1)) throw new Error(`${number} is out of order in ${stream}`);
      lastOf.set(stream, number);
    }
    expect(records).toHaveLength(200_000);
    expect(lastOf.size).toBe(500);
  });

  test('places keys as Orion does: by CRC32', async () => {
    const keys = ['21', 'foobar', 'urn:ngsi-ld:Park:1', 'ñandú', 'x'.repeat(3000)];
    await createTopics(kafka.bootstrapServers, [{ topic: 'placed', partitions: 12 }]);
    await produceAll(
      kafka.bootstrapServers,
      keys.map((key) => ({ topic: 'placed', key, value: key })),
    );
    const found = await readAll(kafka.bootstrapServers, 'placed');
    expect(Object.fromEntries(found.map(({ key, partition }) => [`${key?.toString()}`, partition]))).toEqual(
      Object.fromEntries(keys.map((key) => [key, crc32(key) % 12])),
    );
  });

  test('partitionHash and partition choose the partition', async () => {
    await createTopics(kafka.bootstrapServers, [{ topic: 'hashed', partitions: 5 }]);
    await produceAll(kafka.bootstrapServers, [
      { topic: 'hashed', key: 'k', value: '7 of 5', partitionHash: 7 },
      { topic: 'hashed', key: 'k', value: 'four', partitionHash: 7, partition: 4 },
    ]);
    const found = await readAll(kafka.bootstrapServers, 'hashed');
    expect(new Map(found.map((record) => [record.value?.toString(), record.partition]))).toEqual(
      new Map([
        ['7 of 5', 2],
        ['four', 4],
      ]),
    );
  });

  test('transactions: readers see what is committed, up to the first open one, and offsets move with it', async () => {
    const servers = kafka.bootstrapServers;
    await createTopics(servers, [{ topic: 'tx', partitions: 1 }]);
    await withProducer(servers, { 'transactional.id': 'writer' }, async (producer) => {
      await done((finish) => producer.initTransactions(20_000, finish));
      const write = async (value: string): Promise<void> => {
        await done((finish) => producer.beginTransaction(finish));
        producer.produce('tx', 0, Buffer.from(value));
        await done((finish) => producer.flush(10_000, finish));
      };
      const values = async (isolation: 'read_committed' | 'read_uncommitted'): Promise<string[]> =>
        (await readAll(servers, 'tx', { isolation })).map((record) => `${record.value?.toString()}`);

      await write('kept');
      await withConsumer(servers, { 'group.id': 'readers' }, (consumer) =>
        done((finish) =>
          producer.sendOffsetsToTransaction([{ topic: 'tx', partition: 0, offset: 1 }], consumer, 10_000, finish),
        ),
      );
      expect(await values('read_committed')).toEqual([]);
      await done((finish) => producer.commitTransaction(10_000, finish));
      expect(await committedOffsets(servers, 'readers', 'tx')).toEqual(new Map([[0, 1]]));

      await write('dropped');
      await done((finish) => producer.abortTransaction(10_000, finish));
      await write('open');
      expect(await values('read_committed')).toEqual(['kept']);
      expect(await values('read_uncommitted')).toEqual(['kept', 'dropped', 'open']);
      // kept, marker, dropped, marker, open
      expect(await endOffsets(servers, 'tx')).toEqual([5]);
      expect(await endOffsets(servers, 'tx', 'read_committed')).toEqual([4]);
      await done((finish) => producer.abortTransaction(10_000, finish));
    });
  });

  test('a reader that waits for more than there is says so', async () => {
    await createTopics(kafka.bootstrapServers, [{ topic: 'few', partitions: 1 }]);
    await produceAll(kafka.bootstrapServers, numbered('few', 2));
    await expect(readAll(kafka.bootstrapServers, 'few', { until: 3, timeoutMs: 1000 })).rejects.toThrow(
      'Read 2 records of few in 1000 ms: 3 were asked for',
    );
  });

  test('records that cannot be written are reported', async () => {
    await createTopics(kafka.bootstrapServers, [
      { topic: 'narrow', partitions: 1, config: { 'max.message.bytes': '1000' } },
    ]);
    const records = [
      { topic: 'narrow', value: 'fits' },
      { topic: 'narrow', value: Buffer.alloc(5000, 'no'), partition: 0 },
    ];
    const settings = { 'compression.type': 'none', 'linger.ms': 0 };
    await expect(produceAll(kafka.bootstrapServers, records, { settings })).rejects.toThrow(
      /of 2 records were not acknowledged, the first: narrow-0: .*too large/i,
    );
  });

  test('a killed broker comes back on the same port with its data', async () => {
    const [broker] = kafka.brokers;
    if (broker === undefined) throw new Error('no broker');
    await createTopics(kafka.bootstrapServers, [{ topic: 'durable', partitions: 1 }]);
    await produceAll(kafka.bootstrapServers, numbered('durable', 100));
    const before = broker.pid;
    await broker.kill('SIGKILL');
    expect(broker.pid).toBeUndefined();
    await broker.start();
    expect(broker.pid).not.toBe(before);
    expect(await readAll(kafka.bootstrapServers, 'durable')).toHaveLength(100);
    await expect(broker.start()).rejects.toThrow('Broker 1 is running already');
  });

  test('a frozen broker answers nothing until it goes on', async () => {
    const [broker] = kafka.brokers;
    await createTopics(kafka.bootstrapServers, [{ topic: 'frozen', partitions: 1 }]);
    broker?.pause();
    const written = produceAll(kafka.bootstrapServers, numbered('frozen', 1));
    expect(await Promise.race([written, sleep(1500, 'silence')])).toBe('silence');
    broker?.resume();
    expect(await written).toBe(1);
  });

  test('writes what a Java consumer reads', async () => {
    await createTopics(kafka.bootstrapServers, [{ topic: 'foreign', partitions: 1 }]);
    await produceAll(kafka.bootstrapServers, [
      { topic: 'foreign', key: 'k', value: 'v', headers: [{ h: '1' }, { h: '2' }], timestamp: 1_700_000_000_123 },
    ]);
    const printed = ['headers', 'key', 'timestamp'].flatMap((part) => ['--property', `print.${part}=true`]);
    const read = ['--topic', 'foreign', '--from-beginning', '--max-messages', '1', '--timeout-ms', '20000', ...printed];
    expect(await kafka.tool('org.apache.kafka.tools.consumer.ConsoleConsumer', ...read)).toBe(
      'CreateTime:1700000000123\th:1,h:2\tk\tv\n',
    );
  });
});

describeWithKafka('a local Kafka with three brokers behind proxies', () => {
  let kafka: LocalKafka;
  beforeAll(async () => {
    kafka = await startLocalKafka({ brokers: 3, proxied: true });
    await createTopics(kafka.internalServers, [{ topic: 'safe', partitions: 3 }]);
  });
  afterAll(() => kafka?.stop());

  test('clients know the proxies only, also after the bootstrap', async () => {
    const metadata = await withConsumer(kafka.bootstrapServers, {}, async (consumer) => {
      const ask = (): Promise<RdKafka.Metadata> =>
        call((finish) => consumer.getMetadata({ allTopics: true, timeout: 10_000 }, finish));
      let told = await ask();
      // Each broker learns of a new topic in its own time, and any of them may have been asked.
      while (!told.topics.some(({ name }) => name === 'safe')) told = await ask();
      return told;
    });
    expect(metadata.brokers.map(({ port }) => port).sort()).toEqual(
      kafka.brokers.map(({ proxy }) => proxy?.port).sort(),
    );
    expect(
      metadata.topics.find(({ name }) => name === 'safe')?.partitions.map(({ replicas }) => replicas.length),
    ).toEqual([3, 3, 3]);
  });

  test('goes on without one broker, and takes it back', async () => {
    const [first] = kafka.brokers;
    await first?.kill('SIGKILL');
    expect(await produceAll(kafka.bootstrapServers, numbered('safe', 1000))).toBe(1000);
    await first?.start();
    expect(await readAll(kafka.bootstrapServers, 'safe')).toHaveLength(1000);
  });

  test('a cut of all connections loses and repeats nothing', async () => {
    await createTopics(kafka.internalServers, [{ topic: 'cut', partitions: 3 }]);
    const writing = produceAll(kafka.bootstrapServers, numbered('cut', 100_000));
    let cut = 0;
    for (let time = 0; time < 3; time += 1) {
      await sleep(300);
      for (const { proxy } of kafka.brokers) cut += proxy?.cut() ?? 0;
    }
    expect(await writing).toBe(100_000);
    expect(cut).toBeGreaterThan(0);
    const values = (await readAll(kafka.internalServers, 'cut')).map(({ value }) => value?.toString());
    expect(values).toHaveLength(100_000);
    expect(new Set(values).size).toBe(100_000);
  });

  test('the internal listener works while the clients are shut out', async () => {
    for (const { proxy } of kafka.brokers) await proxy?.refuse();
    await expect(endOffsets(kafka.bootstrapServers, 'safe')).rejects.toThrow(
      `No Kafka answers at ${kafka.bootstrapServers}`,
    );
    expect(await endOffsets(kafka.internalServers, 'safe')).toHaveLength(3);
    for (const { proxy } of kafka.brokers) await proxy?.resume();
    expect(await endOffsets(kafka.bootstrapServers, 'safe')).toHaveLength(3);
  });
});

describeWithKafka('a local Kafka with accounts and an authorizer', () => {
  test('lets a user do what an ACL allows, and nothing else', async () => {
    const kafka = await startLocalKafka({ users: { agent: 'secret' }, authorizer: true });
    try {
      await createTopics(kafka.internalServers, [
        { topic: 'mine', partitions: 1 },
        { topic: 'theirs', partitions: 1 },
      ]);
      const acl = ['--add', '--allow-principal', 'User:agent', '--operation', 'All', '--topic', 'mine'];
      await kafka.tool('org.apache.kafka.tools.AclCommand', ...acl);
      const agent = {
        'bootstrap.servers': kafka.bootstrapServers,
        'security.protocol': 'sasl_plaintext',
        'sasl.mechanism': 'PLAIN',
        'sasl.username': 'agent',
        'sasl.password': 'secret',
      };
      expect(await produceAll(agent, numbered('mine', 1))).toBe(1);
      await expect(produceAll(agent, numbered('theirs', 1), { timeoutMs: 5000 })).rejects.toThrow(/authoriz/i);
      await expect(endOffsets({ ...agent, 'sasl.password': 'wrong' }, 'mine')).rejects.toThrow(/authentication/i);
    } finally {
      await kafka.stop();
    }
    expect(existsSync(kafka.logs)).toBe(false);
    // A refused login and a refused record take the client five seconds each.
  }, 60_000);
});

describeWithKafka('a local Kafka that cannot start', () => {
  test('says why', async () => {
    const start = startLocalKafka({ properties: { 'num.io.threads': 'none' } });
    await expect(start).rejects.toThrow(/Broker 1 did not start[^]*num\.io\.threads/);
  });
});
