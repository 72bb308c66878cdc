/**
 * A separate program: the client's bare transactional loop. It consumes records, produces them
 * unchanged with the eight headers of an agent's output, and commits them with their offsets. It
 * measures the cost of the client alone. It waits for each commit, and handles no rebalance, error
 * or shutdown.
 *
 *     node pass-through.js <brokers> <input topic> <output topic> <group>
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { InputRecord } from '@kafnus/agent-runtime';
import { asKafkaError, call, kafka } from '@kafnus/kafka-admin';

const commitEveryMs = 100;
const commitEveryRecords = 10_000;
const batchSize = 1000;
const timeoutMs = 30_000;

const [brokers = '', inputTopic = '', output = '', group = ''] = process.argv.slice(2);

const headers = [
  { 'fiware-service': 'city0000' },
  { 'fiware-servicepath': 'stations' },
  { 'fiware-datamodel': '' },
  { entityType: 'airqualityobserved' },
  { entityId: 'urn_ngsi_ld_airqualityobserved_0000000' },
  { suffix: '' },
  { target_table: 'city0000.stations_airqualityobserved' },
  { 'fiware-correlator': '0' },
];

// The settings of the agents that affect speed. With the client's default socket and retry settings
// a commit takes 20 ms and more.
const consumer = new kafka.KafkaConsumer(
  {
    'bootstrap.servers': brokers,
    'group.id': group,
    'enable.auto.commit': false,
    'isolation.level': 'read_committed',
    'check.crcs': false,
    'queued.min.messages': 10_000,
    'queued.max.messages.kbytes': 16_384,
    'fetch.wait.max.ms': 100,
    'socket.nagle.disable': true,
  },
  { 'auto.offset.reset': 'earliest' },
);
const producer = new kafka.Producer(
  {
    'bootstrap.servers': brokers,
    'transactional.id': group,
    'linger.ms': 5,
    'queue.buffering.max.kbytes': 65_536,
    partitioner: 'murmur2_random',
    'socket.nagle.disable': true,
    'retry.backoff.ms': 5,
  },
  {},
);

await call((done) => consumer.connect({ timeout: timeoutMs }, done));
await call((done) => producer.connect({ timeout: timeoutMs }, done));
producer.setPollInBackground(true);
await call((done) => producer.initTransactions(timeoutMs, done));
consumer.setDefaultConsumeTimeout(commitEveryMs);
consumer.setDefaultIsTimeoutOnlyForFirstMessage(true);
consumer.subscribe([inputTopic]);
// The parent ends this process by a signal. It also exits when the IPC channel closes.
process.once('disconnect', () => process.exit(0));

const next = (): Promise<Omit<InputRecord, 'headers'>[]> => call((done) => consumer.consume(batchSize, done));

/** Fetches the next records while the last ones are produced and committed. */
let fetching = next();
for (;;) {
  await call((done) => producer.beginTransaction(done));
  const since = performance.now();
  const offsets = new Map<number, number>();
  let count = 0;
  do {
    const messages = await fetching;
    fetching = next();
    for (const { partition, offset, timestamp, key, value } of messages) {
      for (;;) {
        try {
          producer.produce(output, null, value, key, timestamp, undefined, headers);
          break;
        } catch (error) {
          if (asKafkaError(error).code !== kafka.CODES.ERRORS['ERR__QUEUE_FULL']) throw error;
          await sleep(1);
        }
      }
      offsets.set(partition, offset + 1);
    }
    count += messages.length;
  } while (count < commitEveryRecords && performance.now() - since < commitEveryMs);
  if (count > 0) {
    const positions = [...offsets].map(([partition, offset]) => ({ topic: inputTopic, partition, offset }));
    await call((done) => producer.sendOffsetsToTransaction(positions, consumer, timeoutMs, done));
  }
  await call((done) => producer.commitTransaction(timeoutMs, done));
}
