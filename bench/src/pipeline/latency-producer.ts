/**
 * A separate program: publishes notifications at a sequence of constant rates. The correlator of a
 * notification contains its number and the time at which it was due; agents copy the correlator to
 * the output. The clock is monotonic and shared by the processes of the machine.
 */
import { call, kafka } from '@kafnus/kafka-admin';
import { crc32 } from 'node:zlib';
import { setTimeout as sleep } from 'node:timers/promises';
import { notification, rawHeaders, tenantName, typicalLoad } from '../notification.js';
import { quantile } from '../statistics.js';
import type { LatencyPlan, ProducerReport } from './latency.js';

// Runs until the parent releases it, so that its report arrives, and exits with the parent.
process.once('disconnect', () => process.exit());

const plan = JSON.parse(process.argv[2] ?? '') as LatencyPlan;
const { brokers, topic, partitions, phases } = plan;

async function connect(lingerMs: number): Promise<InstanceType<typeof kafka.Producer>> {
  const producer = new kafka.Producer({ 'bootstrap.servers': brokers, 'linger.ms': lingerMs, acks: 'all' }, {});
  await call((done) => producer.connect({ timeout: 10_000 }, done));
  producer.setPollInBackground(true);
  return producer;
}

const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;
const reports: ProducerReport[] = [];
let place = 0;
const flows = await Promise.all(phases.map(async (phase) => ({ ...phase, producer: await connect(phase.lingerMs) })));
let start = nowMs() + 100;
for (const { rate, notifications, warmUp, producer } of flows) {
  const late: number[] = [];
  const dueOf = (sent: number): number => start + (sent * 1000) / rate;
  for (let sent = 0; sent < notifications; await sleep(1)) {
    for (let due = dueOf(sent); due <= nowMs() && sent < notifications; due = dueOf(sent)) {
      const value = Buffer.from(notification(place, typicalLoad));
      const key = `${place % typicalLoad.entities}`;
      const headers = rawHeaders(tenantName(0), `${place} ${due}`);
      producer.produce(topic, crc32(key) % partitions, value, key, Date.now(), undefined, headers);
      if (sent >= warmUp) late.push(nowMs() - due);
      sent += 1;
      place += 1;
    }
  }
  start = dueOf(notifications);
  reports.push({ lateP99: quantile(late, 0.99) });
}
for (const { producer } of flows) {
  await call((done) => producer.flush(30_000, done));
  await call((done) => producer.disconnect(done));
}
process.send?.(reports);
