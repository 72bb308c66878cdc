import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { RdKafka } from '@confluentinc/kafka-javascript';
import { call } from '@kafnus/kafka-admin';
import {
  committedOffsets,
  EMBEDDED_PARTITIONS,
  endOffsets,
  produceAll,
  readAll,
  startEmbeddedBroker,
  type EmbeddedBroker,
} from '@kafnus/local-stack';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { withConsumer, withProducer } from '../src/kafka-client.js';

jest.setTimeout(120_000);
const ERR_ASSIGN = -175;

let broker: EmbeddedBroker;
beforeAll(async () => {
  broker = await startEmbeddedBroker({ brokers: 2, topics: ['named'] });
});
afterAll(() => broker.stop());

describe('startEmbeddedBroker', () => {
  test('has the brokers and topics that were asked for', async () => {
    expect(broker.bootstrapServers.split(',')).toHaveLength(2);
    expect(await endOffsets(broker.bootstrapServers, 'named')).toEqual(Array(EMBEDDED_PARTITIONS).fill(0));
  });

  test('creates a topic when it is written to, not when a reader asks for it', async () => {
    await expect(readAll(broker.bootstrapServers, 'unheard')).rejects.toThrow('There is no topic unheard');
    await produceAll(broker.bootstrapServers, [{ topic: 'heard', key: 'k', value: 'v' }]);
    expect(await readAll(broker.bootstrapServers, 'heard')).toHaveLength(1);
  });

  test('keeps keys, values, tombstones, headers and timestamps', async () => {
    await produceAll(broker.bootstrapServers, [
      {
        topic: 'whole',
        partition: 1,
        key: 'k',
        value: 'v',
        headers: [{ a: '1' }, { a: '2' }],
        timestamp: 1_700_000_000_123,
      },
      { topic: 'whole', partition: 1, key: null, value: null, timestamp: 5 },
    ]);
    const header = (value: string): object => ({ a: Buffer.from(value) });
    const base = { topic: 'whole', partition: 1 };
    expect(await readAll(broker.bootstrapServers, 'whole')).toEqual([
      {
        ...base,
        offset: 0,
        timestamp: 1_700_000_000_123,
        key: Buffer.from('k'),
        value: Buffer.from('v'),
        headers: [header('1'), header('2')],
      },
      { ...base, offset: 1, timestamp: 5, key: null, value: null, headers: [] },
    ]);
  });

  test('is used by another program through its address', async () => {
    const program = `
      const { RdKafka } = require('@confluentinc/kafka-javascript');
      const producer = new RdKafka.Producer({ 'bootstrap.servers': process.argv[1] });
      producer.connect({ allTopics: false }, () => {
        producer.produce('foreign', 0, Buffer.from('hello'), null);
        producer.flush(10000, (error) => producer.disconnect(() => process.exit(error ? 1 : 0)));
      });`;
    await promisify(execFile)(process.execPath, ['-e', program, broker.bootstrapServers], { cwd: import.meta.dirname });
    const [record] = await readAll(broker.bootstrapServers, 'foreign');
    expect(record?.value?.toString()).toBe('hello');
  });

  test('has cooperative consumer groups with committed offsets', async () => {
    await produceAll(broker.bootstrapServers, [{ topic: 'grouped', partition: 2, value: 'v' }]);
    const settings = {
      'group.id': 'g',
      'auto.offset.reset': 'earliest',
      'partition.assignment.strategy': 'cooperative-sticky',
    };
    await withConsumer(broker.bootstrapServers, { ...settings, rebalance_cb: true }, async (consumer) => {
      const assigned = new Promise<number>((resolve) => {
        consumer.on('rebalance', (event, partitions) => event.code === ERR_ASSIGN && resolve(partitions.length));
      });
      consumer.setDefaultConsumeTimeout(100);
      consumer.subscribe(['grouped']);
      let read: RdKafka.Message[] = [];
      while (read.length === 0) read = await call<RdKafka.Message[]>((done) => consumer.consume(10, done));
      expect(await assigned).toBe(EMBEDDED_PARTITIONS);
      consumer.commitSync({ topic: 'grouped', partition: 2, offset: 1 });
    });
    expect(await committedOffsets(broker.bootstrapServers, 'g', 'grouped')).toEqual(new Map([[2, 1]]));
  });

  test('proves nothing about transactions: their records are visible at once and their offsets forgotten', async () => {
    const servers = broker.bootstrapServers;
    await withProducer(servers, { 'transactional.id': 't' }, async (producer) => {
      await call((done) => producer.initTransactions(10_000, (error) => done(error, undefined)));
      await call((done) => producer.beginTransaction((error) => done(error, undefined)));
      producer.produce('open', 0, Buffer.from('uncommitted'));
      await call((done) => producer.flush(10_000, (error) => done(error, undefined)));
      expect(await readAll(servers, 'open', { isolation: 'read_committed' })).toHaveLength(1);
      await withConsumer(servers, { 'group.id': 'tx-group' }, (consumer) =>
        call((done) =>
          producer.sendOffsetsToTransaction([{ topic: 'open', partition: 0, offset: 1 }], consumer, 10_000, (error) =>
            done(error, undefined),
          ),
        ),
      );
      await call((done) => producer.commitTransaction(10_000, (error) => done(error, undefined)));
    });
    expect(await committedOffsets(servers, 'tx-group', 'open')).toEqual(new Map());
  });
});
