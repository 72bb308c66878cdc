/**
 * One process with the state of a million entities: the restore survives a crash in its middle, is
 * complete, and stays within its memory limit.
 */
import { expect, test } from '@jest/globals';
import {
  AgentProcess,
  createTopics,
  endOffsets,
  produceAll,
  readAll,
  residentBytes,
  usageOf,
  type LocalKafka,
  type RecordToWrite,
} from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { shortSession } from './harness/fleet.js';
import { describeFaults } from './harness/suite.js';

const entities = 1_000_000;
const partitions = 4;
const bytesPerEntity = 150;
/**
 * Three times the CPU time on an idle machine. CPU time does not depend on the load of the machine.
 */
const cpuMicrosPerEntity = 8;
const sample = 5000;

const inputTopic = 'large_raw_lastdata';
const outputTopic = 'large_city_lastdata';
const type = 'AirQualityObserved';
const newest = Date.UTC(2026, 0, 1);

function idOf(entity: number): string {
  return `urn:ngsi-ld:${type}:${String(entity).padStart(7, '0')}`;
}

/** The partition of its id, as Orion's producer chooses it. */
function homeOf(entity: number): number {
  return crc32(idOf(entity)) % partitions;
}

function* changelog(topic: string): Generator<RecordToWrite> {
  const value = String(newest * 1000);
  for (let entity = 0; entity < entities; entity += 1) {
    const key = JSON.stringify(['city', '/stations', type, idOf(entity)]);
    yield { topic, key, value, partition: homeOf(entity) };
  }
}

/**
 * Two versions of each entity of an evenly spread sample: one older than the state by a
 * millisecond, and one newer.
 */
function* notifications(): Generator<RecordToWrite> {
  for (let place = 0; place < sample; place += 1) {
    const entity = place * (entities / sample);
    for (const instant of [newest - 1, newest + 1]) {
      const TimeInstant = { type: 'DateTime', value: new Date(instant).toISOString() };
      yield {
        topic: inputTopic,
        partition: homeOf(entity),
        key: idOf(entity),
        value: JSON.stringify({ subscriptionId: 's', data: [{ id: idOf(entity), type, TimeInstant }] }),
        headers: [{ 'fiware-service': 'city' }, { 'fiware-servicepath': '/stations' }],
      };
    }
  }
}

function lastdata(kafka: LocalKafka, group: string): AgentProcess {
  return new AgentProcess({
    agent: 'lastdata',
    brokers: kafka.bootstrapServers,
    env: { ...shortSession, KAFNUS_TOPIC_PREFIX: 'large_', KAFNUS_GROUP_ID: group, KAFNUS_INSTANCE_ID: group },
  });
}

describeFaults('a state of 1,000,000 entities', { brokers: 1, heap: '512m' }, (kafka) => {
  test('is restored after a kill in the middle of a restore, in at most 150 bytes an entity, and complete', async () => {
    const brokers = kafka().internalServers;
    const group = 'large';
    const topic = `${group}-newest-changelog`;
    await createTopics(brokers, [
      { topic: inputTopic, partitions },
      { topic, partitions, config: { 'cleanup.policy': 'compact' } },
    ]);
    await produceAll(brokers, changelog(topic));

    const empty = lastdata(kafka(), 'empty');
    await empty.ready();
    await sleep(1000);
    const base = residentBytes(empty.pid);
    await empty.stop();

    const victim = lastdata(kafka(), group);
    await victim.until('restoring', ({ assignment }) =>
      assignment.some(({ state, restore }) => state === 'restoring' && (restore?.entries ?? 0) > 0),
    );
    expect(await victim.kill()).toEqual({ code: null, signal: 'SIGKILL' });

    const agent = lastdata(kafka(), group);
    const { stateEntries } = await agent.ready(120_000);
    expect(stateEntries).toBe(entities);
    expect((usageOf(agent.pid).cpuMs * 1000) / entities).toBeLessThan(cpuMicrosPerEntity);
    await sleep(1000);
    expect((residentBytes(agent.pid) - base) / entities).toBeLessThan(bytesPerEntity);

    await produceAll(brokers, notifications());
    const { ledger } = await agent.until('done', ({ ledger: { read } }) => read === 2 * sample);
    expect(ledger).toMatchObject({ emitted: sample, skipped: { stale: sample }, rejected: {} });
    expect((await agent.health()).stateEntries).toBe(entities);
    await agent.stop();
    const outputs = await readAll(brokers, [outputTopic]);
    const ids = outputs.map(
      ({ key }) => (JSON.parse(String(key)) as { payload: { entityid: string } }).payload.entityid,
    );
    expect(ids.sort()).toEqual(Array.from({ length: sample }, (_, place) => idOf(place * (entities / sample))));
    expect((await endOffsets(brokers, topic)).reduce((sum, end) => sum + end, 0)).toBeGreaterThan(entities + sample);
  });
});
