/**
 * The delivery guarantee on a real Kafka with real processes: a backlog is processed exactly once
 * although a process is killed, and the partitions are reassigned to running members.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import {
  checkExactlyOnce,
  expectNoViolations,
  withKafka,
  type ExpectedRecord,
  type SeenRecord,
} from '@kafnus/agent-testkit';
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
import { setTimeout as sleep } from 'node:timers/promises';
import { readStable } from '../faults/harness/expectations.js';
import { notification, reading } from './notifications.js';

jest.setTimeout(300_000);

const partitions = 4;

/**
 * `count` notifications of 1,000 entities, in order for each entity; every twentieth is malformed.
 */
function* backlog(topic: string, count: number): Generator<RecordToWrite & { readonly bad: boolean }> {
  for (let index = 0; index < count; index += 1) {
    const bad = index % 20 === 19;
    const { key, value, headers } = notification(`Sensor:${index % 1000}`, index);
    yield { topic, key, value: bad ? value.slice(0, -1) : value, headers, timestamp: Date.now(), bad };
  }
}

withKafka(describe)('a real Kafka', () => {
  let kafka: LocalKafka;
  const processes: AgentProcess[] = [];

  function start(agent: string, env: Readonly<Record<string, string>>): AgentProcess {
    const process = new AgentProcess({ agent, brokers: kafka.bootstrapServers, env });
    processes.push(process);
    return process;
  }

  beforeAll(async () => {
    kafka = await startLocalKafka();
  });

  afterAll(async () => {
    await Promise.all(processes.map((process) => process.kill()));
    await kafka.stop();
  });

  test('a backlog of 200,000 notifications is processed exactly once, with a kill -9 in the middle', async () => {
    const count = 200_000;
    await createTopics(kafka.bootstrapServers, [{ topic: 'raw_historic', partitions }]);
    const expected: ExpectedRecord[] = [];
    const malformed = new Map<string, number>();
    function* input(): Generator<RecordToWrite> {
      let sequence = 0;
      for (const record of backlog('raw_historic', count)) {
        sequence += 1;
        const id = String(sequence - 1);
        if (record.bad) malformed.set(String(record.value), sequence);
        else expected.push({ id, entity: String(record.key), sequence });
        yield record;
      }
    }
    await produceAll(kafka.bootstrapServers, input());

    const env = { KAFNUS_INSTANCE_ID: 'pod-0' };
    const first = start('historic', env);
    const atDeath = await first.until('in the middle', ({ ledger }) => ledger.read > count / 5);
    await first.kill('SIGKILL');
    const second = start('historic', env);
    await second.ready();
    await second.until('done', ({ assignment }) => assignment.every(({ lag }) => lag === 0), 120_000);
    const { ledger } = await second.health();
    await second.stop();
    // The kill came in the middle of the backlog.
    expect(atDeath.ledger.read).toBeGreaterThan(0);
    expect(ledger.read).toBeGreaterThan(0);
    expect(ledger.read).toBeLessThan(count);

    const seen = (await readAll(kafka.bootstrapServers, 'city', { timeoutMs: 120_000 })).map(
      ({ topic, partition, offset, value }): SeenRecord => ({ id: String(reading(value)), topic, partition, offset }),
    );
    expectNoViolations(checkExactlyOnce(expected, seen), 'kill -9 in the middle of a backlog');

    const deadLetters = await readAll(kafka.bootstrapServers, 'raw_errors');
    expect(deadLetters).toHaveLength(malformed.size);
    expect(new Set(deadLetters.map(({ value }) => String(value)))).toEqual(new Set(malformed.keys()));

    const committed = await committedOffsets(kafka.bootstrapServers, 'ngsi-agent-historic', 'raw_historic');
    expect([...committed.values()]).toEqual(await endOffsets(kafka.bootstrapServers, 'raw_historic'));
    expect(ledger.read).toBe(ledger.emitted + total(ledger.skipped) + total(ledger.rejected));
  });

  test('two instances share the partitions, and a third takes over when one dies', async () => {
    const group = { KAFNUS_GROUP_ID: 'shared', KAFNUS_INPUT_TOPIC: 'raw_shared', KAFNUS_LOG_LEVEL: 'info' };
    await createTopics(kafka.bootstrapServers, [{ topic: 'raw_shared', partitions }]);
    const one = start('mutable', { ...group, KAFNUS_INSTANCE_ID: 'one' });
    await one.ready();
    const two = start('mutable', { ...group, KAFNUS_INSTANCE_ID: 'two' });
    const has = (count: number) => (status: { readonly assignment: readonly unknown[] }) =>
      status.assignment.length === count;
    await two.until('given two partitions', has(2));
    await one.until('left with two partitions', has(2));

    // Continuous input, so that every rebalance could lose or duplicate records.
    const count = 20_000;
    const expected: ExpectedRecord[] = [];
    const flow = (async () => {
      const records = [...backlog('raw_shared', count)].filter(({ bad }) => !bad);
      for (let from = 0; from < records.length; from += 500) {
        const part = records.slice(from, from + 500);
        for (const { key, value } of part) {
          const id = /"value":(\d+)\}\}\]\}$/.exec(String(value))?.[1] ?? '';
          expected.push({ id, entity: String(key), sequence: Number(id) });
        }
        await produceAll(kafka.bootstrapServers, part);
        await sleep(100);
      }
    })();

    await sleep(1000);
    const three = start('mutable', { ...group, KAFNUS_INSTANCE_ID: 'three' });
    await three.until('given a partition', ({ assignment }) => assignment.length > 0);
    await one.kill('SIGKILL');
    await three.until('given its share of the dead one', has(2), 60_000);
    await two.until('given its share of the dead one', has(2), 60_000);
    await flow;
    const done = ({ assignment }: { readonly assignment: readonly { readonly lag: number | null }[] }): boolean =>
      assignment.every(({ lag }) => lag === 0);
    await two.until('done', done);
    await three.until('done', done);
    await two.stop();
    await three.stop();

    const seen = (await readStable(kafka, 'city_mutable')).map(({ topic, partition, offset, value }): SeenRecord => ({
      id: String(reading(value)),
      topic,
      partition,
      offset,
    }));
    expectNoViolations(checkExactlyOnce(expected, seen), 'one of three dies');
  });
});

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((all, count) => all + count, 0);
}
