/** A separate program: reads committed records and measures their age. See latency-producer.ts. */
import { call, kafka } from '@kafnus/kafka-admin';
import { quantile } from '../statistics.js';
import type { LatencyPlan, ReaderReport } from './latency.js';

// Runs until the parent releases it, so that its report arrives, and exits with the parent.
process.once('disconnect', () => process.exit());

const plan = JSON.parse(process.argv[2] ?? '') as LatencyPlan;
const { brokers, topic, partitions, phases } = plan;
const patienceMs = 30_000;

const consumer = new kafka.KafkaConsumer(
  {
    'bootstrap.servers': brokers,
    'group.id': 'bench-reader',
    'enable.auto.commit': false,
    'isolation.level': 'read_committed',
    'fetch.wait.max.ms': 100,
  },
  {},
);
await call((done) => consumer.connect({ timeout: 10_000 }, done));
consumer.setDefaultConsumeTimeout(100);
consumer.setDefaultIsTimeoutOnlyForFirstMessage(true);
consumer.assign(Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: 0 })));
process.send?.('ready');

interface Message {
  readonly headers?: readonly Readonly<Record<string, Buffer>>[];
}

const expected = phases.reduce((sum, { notifications }) => sum + notifications, 0);
const seen = new Set<number>();
const latencies: number[][] = phases.map(() => []);

/** The phase in which the latency of the notification with this number is counted. */
function latenciesOf(place: number): number[] | undefined {
  let first = 0;
  for (const [phase, { notifications, warmUp }] of phases.entries()) {
    if (place < first + notifications) return place < first + warmUp ? undefined : latencies[phase];
    first += notifications;
  }
  throw new Error(`there is no notification ${place}`);
}

let last = performance.now();
while (seen.size < expected) {
  const messages = await call<readonly Message[]>((done) => consumer.consume(1000, done));
  const now = Number(process.hrtime.bigint()) / 1e6;
  for (const { headers } of messages) {
    const correlator = headers?.find((header) => header['fiware-correlator'])?.['fiware-correlator']?.toString() ?? '';
    const [place, due] = correlator.split(' ').map(Number);
    if (place === undefined || due === undefined) throw new Error(`a record without its due time: '${correlator}'`);
    // At-least-once may repeat: the first arrival counts.
    if (!seen.has(place)) latenciesOf(place)?.push(now - due);
    seen.add(place);
    last = performance.now();
  }
  if (performance.now() - last > patienceMs) {
    throw new Error(`nothing arrived for ${patienceMs / 1000} s, after ${seen.size} of ${expected} records`);
  }
}
await call((done) => consumer.disconnect(done));
const reports: ReaderReport[] = latencies.map((values) => ({
  p50: quantile(values, 0.5),
  p99: quantile(values, 0.99),
  max: quantile(values, 1),
}));
process.send?.(reports);
