/** Checks that compared contenders write the same records. */
import { readAll, type LocalKafka } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { outputTopic, type Contender } from '../contender.js';
import { tenantName } from '../notification.js';
import { observe } from '../observer.js';
import type { Backlog } from '../pipeline/backlog.js';
import { writeNotifications } from '../pipeline/write-backlog.js';
import { progress } from '../progress.js';
import { nextRun } from '../rounds.js';

const records = 1000;
const patienceMs = 60_000;

/** @throws Error that shows the first record that is not the same */
export async function requireSameOutput(kafka: LocalKafka, contenders: readonly Contender[]): Promise<void> {
  const backlog = await writeNotifications(kafka, 'raw_same', records);
  let expected: { readonly name: string; readonly written: readonly string[] } | undefined;
  for (const contender of contenders) {
    const written = await outputOf(contender, backlog);
    if (written.length !== records) {
      throw new Error(`${contender.name} has written ${written.length} records for ${records}`);
    }
    expected ??= { name: contender.name, written };
    for (const [place, record] of written.entries()) {
      if (record === expected.written[place]) continue;
      throw new Error(`${contender.name} writes\n${record}\nwhere ${expected.name} writes\n${expected.written[place]}`);
    }
  }
  progress(`${contenders.map(({ name }) => name).join(' and ')} write the same records`);
}

/** Topic, partition, timestamp, key, value and headers of each record, sorted. */
async function outputOf(contender: Contender, { brokers, topic, partitions }: Backlog): Promise<string[]> {
  const run = nextRun();
  const job = { brokers, inputTopic: topic, run };
  await contender.prepare?.({ ...job, partitions });
  const observer = await observe(brokers, run);
  const running = contender.start(job);
  const deadline = performance.now() + patienceMs;
  while ((await observer.committed(topic, partitions)) < records) {
    if (performance.now() > deadline)
      throw new Error(`${contender.name} has not committed ${records} records in a minute`);
    await sleep(50);
  }
  await running.stop();
  await observer.close();
  const found = await readAll(brokers, outputTopic(run, tenantName(0)));
  return found
    .map(({ partition, timestamp, key, value, headers }) => {
      const named = headers.map((header) => Object.entries(header).map(([name, text]) => `${name}=${String(text)}`));
      return [partition, timestamp, canonical(key), canonical(value), named.join(' ')].join('\n');
    })
    .sort();
}

/** JSON with numbers written one way: 5.0 and 5 are the same. */
function canonical(bytes: Buffer | null): string {
  return JSON.stringify(JSON.parse(bytes?.toString() ?? 'null'));
}
