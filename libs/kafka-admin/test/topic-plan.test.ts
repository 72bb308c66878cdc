import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { brief, changelog, check, cluster, errors, applied, historic, lastdata, there } from './topics-scene.js';
import { planTopics, type AgentTopics, type PlannedTopic } from '../src/topics/topic-plan.js';

const all = [historic, lastdata, errors];
const settingsOf = (topic: PlannedTopic | undefined): Record<string, string> =>
  Object.fromEntries((topic?.settings ?? []).map(({ name, value }) => [name, value]));
const named = (topics: readonly PlannedTopic[], name: string): PlannedTopic => {
  const found = topics.find((topic) => topic.name === name);
  if (found === undefined) throw new Error(`${name} is not planned`);
  return found;
};

describe('the plan', () => {
  test('has every topic once, inputs first and the changelog last', () => {
    expect(planTopics(all, cluster({})).map(({ name, kind }) => `${name}: ${kind}`)).toEqual([
      'raw_historic: raw',
      'raw_lastdata: raw',
      'raw_errors: dead-letter',
      'raw_errors_dead: dead-letter',
      `${changelog}: changelog`,
    ]);
  });

  test('a topic that agents share is the same whichever of them plans it', () => {
    const [byHistoric, byErrors] = [historic, errors].map((agent) =>
      named(planTopics([agent], cluster({})), 'raw_errors'),
    );
    const together = named(planTopics(all, cluster({})), 'raw_errors');
    for (const plan of [byHistoric, byErrors]) {
      expect(plan).toMatchObject({ kind: 'dead-letter', partitions: 4, settings: together.settings });
    }
    expect(together.uses).toEqual([
      { agent: 'errors', use: 'input' },
      { agent: 'historic', use: 'dead letters' },
      { agent: 'lastdata', use: 'dead letters' },
    ]);
  });

  test('settings, each with a reason', () => {
    const plan = planTopics(all, cluster({}));
    expect(settingsOf(named(plan, 'raw_historic'))).toEqual({
      'cleanup.policy': 'delete',
      'retention.ms': '604800000',
      'message.timestamp.type': 'CreateTime',
    });
    expect(settingsOf(named(plan, 'raw_errors'))).toEqual({ 'cleanup.policy': 'delete', 'retention.ms': '2419200000' });
    expect(settingsOf(named(plan, changelog))).toEqual({ 'cleanup.policy': 'compact', 'segment.bytes': '104857600' });
    for (const { settings } of plan) for (const { reason } of settings) expect(reason).toMatch(/\w{3}/);
  });

  test.each([
    [-1, 1, undefined],
    [-1, 2, undefined],
    [-1, 3, '2'],
    [-1, undefined, undefined],
    [1, 3, undefined],
    [2, 3, undefined],
    [3, 1, '2'],
    [5, 3, '4'],
  ])('%d replicas with a default of %p: min.insync.replicas %p', (replication, defaultReplication, expected) => {
    const plan = planTopics([{ ...lastdata, replication }], cluster({}, { defaultReplication }));
    for (const topic of plan) {
      expect(topic.replication).toBe(replication);
      expect(settingsOf(topic)['min.insync.replicas']).toBe(expected);
    }
  });

  test('dead letters of an agent that writes larger records than Kafka takes by default', () => {
    const plan = planTopics([{ ...historic, maxRecordBytes: 5_000_000 }], cluster({}));
    expect(settingsOf(named(plan, 'raw_errors'))['max.message.bytes']).toBe('5000000');
    expect(settingsOf(named(plan, 'raw_historic'))).not.toHaveProperty('max.message.bytes');
  });

  test('the changelog has as many partitions as its input has, whatever is set', () => {
    const missing = planTopics([lastdata], cluster({}));
    expect(named(missing, changelog)).toMatchObject({ partitions: 4, input: 'raw_lastdata' });
    const grown = planTopics([lastdata], cluster({ raw_lastdata: there({}, {}, 12) }));
    expect(named(grown, changelog).partitions).toBe(12);
    // What is set is still what other topics get.
    expect(named(grown, 'raw_lastdata').partitions).toBe(4);
  });

  test('who creates what without being told', () => {
    const created = (agents: readonly AgentTopics[]): string[] =>
      planTopics(agents, cluster({})).flatMap(({ name, selfCreated }) => (selfCreated ? [name] : []));
    expect(created([lastdata])).toEqual(['raw_errors', changelog]);
    // The changelog is created whatever KAFNUS_TOPICS_CREATE says.
    expect(created([{ ...lastdata, createsTopics: false }])).toEqual([changelog]);
  });
});

/** Clusters and settings as they come. */
const anyAgents = fc
  .record({
    partitions: fc.integer({ min: 1, max: 64 }),
    replication: fc.constantFrom(-1, 1, 2, 3, 5),
    maxRecordBytes: fc.integer({ min: 1000, max: 10_000_000 }),
    createsTopics: fc.boolean(),
  })
  .chain((settings) =>
    fc.subarray(all, { minLength: 1 }).map((agents) => agents.map((one) => ({ ...one, ...settings }))),
  );

describe('always', () => {
  test('what is created as planned has no finding', () => {
    fc.assert(
      fc.property(anyAgents, fc.constantFrom(1, 3, 5), (agents, brokers) => {
        const defaultReplication = Math.min(3, brokers);
        const view = applied(agents, { brokers, defaultReplication });
        // A single replica is told even where it was chosen.
        const found = check(agents, view).filter(({ level, code }) => level !== 'note' || code !== 'replication-low');
        expect(brief(found)).toEqual([]);
      }),
    );
  });

  test('planning again what was created changes nothing, and the order of agents does not matter', () => {
    fc.assert(
      fc.property(anyAgents, (agents) => {
        const plan = planTopics(agents, cluster({}));
        expect(planTopics(agents, applied(agents))).toEqual(plan);
        const other = planTopics([...agents].reverse(), cluster({}));
        const plain = (topics: readonly PlannedTopic[]): unknown[] =>
          topics
            .map(({ uses, ...topic }) => ({ ...topic, uses: uses.length }))
            .sort((a, b) => (a.name < b.name ? -1 : 1));
        expect(plain(other)).toEqual(plain(plan));
      }),
    );
  });
});
