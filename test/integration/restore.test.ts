/**
 * The changelog reader on a real Kafka: what it reads over its own connection, and when it falls
 * back to the librdkafka consumer.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { withKafka } from '@kafnus/agent-testkit';
import { kafka as library, type AdminClient } from '@kafnus/kafka-admin';
import { createTopics, damageFetched, produceAll, startLocalKafka, type LocalKafka } from '@kafnus/local-stack';
import { loadConfig } from '../../libs/agent-runtime/src/config.js';
import { CallsInFlight } from '../../libs/agent-runtime/src/kafka/calls.js';
import { adminProperties } from '../../libs/agent-runtime/src/kafka/client-config.js';
import { restorePartition } from '../../libs/agent-runtime/src/kafka/restore.js';

const agent = 'lastdata';
const entities = 30_000;

let kafka: LocalKafka;

interface Restored {
  readonly entries: readonly string[];
  readonly count: number;
  /** The reason for the fallback. */
  readonly remarks: readonly string[];
}

/** @param onEntry called with the number of entries read so far */
async function restored(topic: string, onEntry: (count: number) => void = () => undefined): Promise<Restored> {
  const env = { KAFNUS_KAFKA_BROKERS: kafka.bootstrapServers };
  const outcome = loadConfig<object>({ name: agent, settings: {} }, { argv: [], env });
  if (outcome.kind !== 'run') throw new Error(outcome.kind);
  const { config } = outcome;
  const entries: string[] = [];
  const remarks: string[] = [];
  let admin: AdminClient | undefined;
  try {
    const count = await restorePartition({
      config,
      agent,
      changelog: { topic, partition: 0 },
      onEntry: (key, value) => onEntry(entries.push(`${String(key)}=${String(value)}`)),
      onProgress: () => undefined,
      onRemark: (remark) => remarks.push(remark),
      signal: new AbortController().signal,
      calls: new CallsInFlight(),
      admin: () => (admin ??= library.AdminClient.create(adminProperties(config, agent))),
    });
    return { entries, count, remarks };
  } finally {
    admin?.disconnect();
  }
}

/** @returns the expected entries */
async function changelog(topic: string, compression: string): Promise<string[]> {
  await createTopics(kafka.internalServers, [{ topic, partitions: 1, config: { 'cleanup.policy': 'compact' } }]);
  const records = Array.from({ length: entities }, (_, place) => ({
    topic,
    key: `["city","/stations","Station","urn:station-${place}"]`,
    value: `${1_767_225_600_000_000 + place}`,
    partition: 0,
  }));
  await produceAll(kafka.internalServers, records, { settings: { 'compression.type': compression } });
  return records.map(({ key, value }) => `${key}=${value}`);
}

withKafka(describe)('a changelog', () => {
  beforeAll(async () => {
    kafka = await startLocalKafka({ brokers: 1, proxied: true });
  }, 60_000);
  afterAll(() => kafka?.stop(), 60_000);

  test.each(['none', 'lz4', 'gzip'])('with compression %s is read without the client', async (compression) => {
    const expected = await changelog(`direct-${compression}`, compression);
    const { entries, count, remarks } = await restored(`direct-${compression}`);
    expect(remarks).toEqual([]);
    expect(count).toBe(entities);
    expect(entries).toEqual(expected);
  });

  test.each(['snappy', 'zstd'])('with compression %s is read by the client', async (compression) => {
    const expected = await changelog(`client-${compression}`, compression);
    const { entries, count, remarks } = await restored(`client-${compression}`);
    expect(remarks).toEqual([
      `falls back to the librdkafka consumer, which is slower: records that are compressed with ${compression}`,
    ]);
    expect(count).toBe(entities);
    expect(entries).toEqual(expected);
  });

  test.each([1, 2])('of which a batch arrives damaged %i times is read without it being believed', async (times) => {
    const name = `damaged-${times}`;
    const expected = await changelog(name, 'none');
    let damaged = 0;
    kafka.brokers[0]?.proxy?.filter(damageFetched(`station-${entities / 2}"`, () => (damaged += 1) <= times));
    try {
      const { entries, count, remarks } = await restored(name);
      expect(damaged).toBeGreaterThan(times);
      expect(remarks).toEqual([]);
      expect(count).toBe(entities);
      expect(entries).toEqual(expected);
    } finally {
      kafka.brokers[0]?.proxy?.filter(undefined);
    }
  });

  test('of which a batch is damaged for good is not restored, and the error says which', async () => {
    await changelog('damaged', 'none');
    kafka.brokers[0]?.proxy?.filter(damageFetched(`station-${entities / 2}"`, () => true));
    try {
      await expect(restored('damaged')).rejects.toThrow(
        /^the batch at offset \d+ of damaged-0 is damaged \(its CRC-32C is wrong\)/,
      );
    } finally {
      kafka.brokers[0]?.proxy?.filter(undefined);
    }
  });

  test('after a broken connection it falls back to the librdkafka consumer: each entry once, in order', async () => {
    const expected = await changelog('broken', 'none');
    const { entries, count, remarks } = await restored('broken', (soFar) => {
      if (soFar === entities / 2) expect(kafka.brokers[0]?.proxy?.cut()).toBeGreaterThan(0);
    });
    expect(remarks).toHaveLength(1);
    expect(count).toBe(entities);
    expect(entries).toEqual(expected);
  });
});
