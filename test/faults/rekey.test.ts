/**
 * Producers that do not key by the entity id, agents that are killed: an old version never
 * overwrites a newer one, and no version is written twice.
 */
import { describe, expect, test } from '@jest/globals';
import {
  AgentProcess,
  committedOffsets,
  createTopics,
  produceAll,
  readAll,
  type LocalKafka,
  type RecordToWrite,
} from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { shortSession } from './harness/fleet.js';
import { seeded } from './harness/random.js';
import { describeFaults } from './harness/suite.js';

const partitions = 4;
const entities = 300;
const versions = 100;
const kills = 10;
const start = Date.UTC(2026, 0, 1);

type Keys = (entity: string, random: () => number) => Pick<RecordToWrite, 'key' | 'partition'>;

function anywhere(random: () => number): number {
  return Math.floor(random() * partitions);
}

/** How a producer keys. Those without a key, and with an empty one, are spread at random. */
const producers: Readonly<Record<string, Keys>> = {
  null: (_, random) => ({ key: null, partition: anywhere(random) }),
  empty: (_, random) => ({ key: '', partition: anywhere(random) }),
  id: (entity) => ({ key: entity, partition: crc32(entity) % partitions }),
  // Another hash, as that of Java producers.
  java: (entity) => ({ key: entity, partition: (crc32(entity) >>> 8) % partitions }),
  subscription: () => ({ key: '57458eb60962ef754e7c0998', partition: 2 }),
};
const mixes = [['null'], ['empty', 'id'], ['java'], ['subscription'], ['null', 'empty', 'id', 'java', 'subscription']];

/** All versions, interleaved, each entity's in order. */
function input(topic: string, mix: readonly string[]): RecordToWrite[] {
  const random = seeded(mix.length);
  return Array.from({ length: entities * versions }, (_, index) => {
    const version = Math.floor(index / entities);
    const entity = `urn:sensor:${index % entities}`;
    const keys = producers[mix[Math.floor(random() * mix.length)] ?? ''] ?? producers['null'];
    const data = {
      id: entity,
      type: 'Sensor',
      TimeInstant: { type: 'DateTime', value: new Date(start + version * 1000).toISOString() },
      version: { type: 'Number', value: version },
    };
    const headers = [{ 'fiware-service': 'city' }, { 'fiware-servicepath': '/lab' }];
    const value = JSON.stringify({ subscriptionId: 's', data: [data] });
    return { topic, ...(keys?.(entity, random) ?? { key: null }), value, headers, timestamp: Date.now() };
  });
}

/** Until everything is read, what is written back to the input included. */
async function drained(kafka: LocalKafka, group: string, topic: string): Promise<void> {
  for (const deadline = Date.now() + 120_000; ; await sleep(300)) {
    // Offsets first: what is written back becomes visible with the offset of its original.
    const committed = await committedOffsets(kafka.internalServers, group, topic).catch(
      () => new Map<number, number>(),
    );
    const ends = new Map<number, number>();
    for (const { partition, offset } of await readAll(kafka.internalServers, [topic])) ends.set(partition, offset + 1);
    if ([...ends].every(([partition, end]) => (committed.get(partition) ?? 0) >= end)) return;
    if (Date.now() > deadline)
      throw new Error(`${group} does not finish: ${[...committed].join(' ')} of ${[...ends].join(' ')}`);
  }
}

describeFaults('records without their entity as key', {}, (kafka) => {
  describe.each(mixes.map((mix) => [mix.join(' and '), mix] as const))('keys: %s', (name, mix) => {
    test('two agents under ten kill -9 leave the newest version of each entity, none twice', async () => {
      const prefix = `rekey${mixes.indexOf(mix)}_`;
      const topic = `${prefix}raw_lastdata`;
      const group = `${prefix}lastdata`;
      await createTopics(kafka().internalServers, [{ topic, partitions }]);
      const agent = (instance: string): AgentProcess =>
        new AgentProcess({
          agent: 'lastdata',
          brokers: kafka().bootstrapServers,
          env: { ...shortSession, KAFNUS_TOPIC_PREFIX: prefix, KAFNUS_GROUP_ID: group, KAFNUS_INSTANCE_ID: instance },
        });
      const members = [agent('pod-0'), agent('pod-1')];
      try {
        const records = input(topic, mix);
        const random = seeded(7);
        const batch = Math.ceil(records.length / (kills + 1));
        for (let kill = 0; kill <= kills; kill += 1) {
          await produceAll(kafka().internalServers, records.slice(kill * batch, (kill + 1) * batch));
          if (kill === kills) break;
          await sleep(random() * 1500);
          const victim = kill % 2;
          expect(await members[victim]?.kill()).toEqual({ code: null, signal: 'SIGKILL' });
          members[victim] = agent(`pod-${victim}`);
        }
        await drained(kafka(), group, topic);

        const output = await readAll(kafka().internalServers, [`${prefix}city_lastdata`]);
        const last = new Map<string, number>();
        const seen = new Set<string>();
        const wrong: string[] = [];
        for (const { value } of output) {
          const { payload } = JSON.parse(String(value)) as { payload: { entityid: string; version: number } };
          const { entityid, version } = payload;
          if (seen.has(`${entityid} ${version}`)) wrong.push(`${entityid}: version ${version} twice`);
          if (version < (last.get(entityid) ?? 0)) wrong.push(`${entityid}: ${version} after ${last.get(entityid)}`);
          seen.add(`${entityid} ${version}`);
          last.set(entityid, version);
        }
        for (let entity = 0; entity < entities; entity += 1) {
          const newest = last.get(`urn:sensor:${entity}`);
          if (newest !== versions - 1) wrong.push(`urn:sensor:${entity} ends with version ${newest}`);
        }
        expect({ name, wrong: wrong.length, first: wrong[0] }).toEqual({ name, wrong: 0, first: undefined });
      } finally {
        await Promise.all(members.map((member) => member.kill()));
      }
    });
  });
});
