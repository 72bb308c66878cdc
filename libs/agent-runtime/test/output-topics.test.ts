/** Lookups of output topics, also those that fail as no session should: by a rejected promise. */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { EmitStep } from '@kafnus/agent-contract';
import { OutputTopics } from '../src/output-topics.js';
import type { TopicState } from '../src/session.js';
import { configOf } from './loop-rig.js';

const there: TopicState = { kind: 'writable', partitions: 1, inSync: 1 };
const step: EmitStep = {
  kind: 'emit',
  tenant: 'a',
  outputs: [{ topic: 'out-a', key: 'k', value: 'v', headers: [], timestamp: 1 }],
};

describe('a lookup', () => {
  let now = 0;
  let lookups: string[] = [];
  let answer: () => Promise<TopicState> = () => Promise.resolve(there);

  beforeEach(() => {
    now = 1000;
    lookups = [];
    answer = () => Promise.resolve(there);
    jest.spyOn(performance, 'now').mockImplementation(() => now);
  });

  afterEach(() => {
    jest.restoreAllMocks();
  });

  function outputTopics(): OutputTopics {
    const ensureTopic = (topic: string): Promise<TopicState> => {
      lookups.push(topic);
      return answer();
    };
    return new OutputTopics({
      configured: { deadLetterTopic: 'dead', inputTopic: 'raw' },
      input: { refused: () => undefined },
      config: configOf({}),
      session: { ensureTopic, wake: () => undefined },
      telemetry: { topicUnwritable: () => undefined },
    });
  }

  test('that is answered is not repeated', async () => {
    const topics = outputTopics();
    expect(await topics.lookUp('out-a')).toBeUndefined();
    expect(topics.check(step)).toBe(step);
    expect(lookups).toEqual(['out-a']);
  });

  test('that rejects in the loop is one without an answer: the topic is waited for, and looked up again', async () => {
    const topics = outputTopics();
    answer = () => (lookups.at(-1) === 'out-a' ? Promise.reject(new Error('broken')) : Promise.resolve(there));
    expect(await topics.lookUp('out-a')).toBe('waiting for out-a: broken');
    answer = () => Promise.resolve(there);
    expect(await topics.lookUp('out-a')).toBeUndefined();
    expect(topics.check(step)).toBe(step);
    expect(lookups).toEqual(['out-a', 'dead', 'out-a']);
  });

  test.each([0, 8000])('without an answer: an outage of the cluster, %d ms later, is not counted', async (before) => {
    const topics = outputTopics();
    const away: TopicState = { kind: 'unavailable', error: new Error('no leader') };
    let dead: TopicState = there;
    answer = () => Promise.resolve(lookups.at(-1) === 'dead' ? dead : away);
    const lookUpFor = async (ms: number): Promise<void> => {
      for (const end = now + ms; now < end; now += 1000)
        expect(await topics.lookUp('out-a')).toContain('waiting for out-a: no leader');
    };
    await lookUpFor(before);
    dead = away;
    await lookUpFor(600_000);
    dead = there;
    // The rest of KAFNUS_TOPIC_TIMEOUT_MS.
    await lookUpFor(15_000 - before);
    expect(await topics.lookUp('out-a')).toBeUndefined();
    expect(topics.check(step)).toMatchObject({ kind: 'reject', rejections: [{ code: 'topic-unwritable' }] });
  });

  test('that rejects beside the loop leaves what is known, and the topic is looked up again', async () => {
    const topics = outputTopics();
    await topics.lookUp('out-a');
    answer = () => Promise.reject(new Error('broken'));
    // Known for five minutes, then looked up every ten seconds while it is used.
    for (let n = 1; n <= 20; n += 1) {
      now = 301_000 + n * 10_000;
      topics.tick();
      expect(topics.check(step)).toBe(step);
      await new Promise((resolve) => setImmediate(resolve));
      expect(lookups).toHaveLength(1 + n);
    }
  });

  describe('after a transaction that cannot end', () => {
    const behind = (inSync: number): TopicState => ({ kind: 'writable', partitions: 1, inSync, isBehind: true });
    const refused = { kind: 'reject', rejections: [{ code: 'topic-unwritable' }] };

    async function decided(states: Readonly<Record<string, TopicState>>, before: boolean): Promise<unknown> {
      const topics = outputTopics();
      answer = () => Promise.resolve(states[lookups.at(-1) ?? ''] ?? there);
      for (const topic of ['out-a', 'dead']) await topics.lookUp(topic);
      expect(topics.check(step)).toBe(step);
      if (!before) topics.blocked();
      if (!before) expect(topics.check(step)).toBe('out-a');
      for (const topic of ['out-a', 'dead']) await topics.lookUp(topic);
      return topics.check(step);
    }

    test('a topic with fewer replicas in sync than the dead-letter topic is refused, and not before', async () => {
      const states = { 'out-a': behind(1), dead: behind(2) };
      expect(await decided(states, true)).toBe(step);
      expect(await decided(states, false)).toMatchObject(refused);
    });

    test.each([
      ['as many replicas in sync', { 'out-a': behind(2), dead: behind(2) }],
      ['all of its few replicas in sync', { 'out-a': there, dead: behind(2) }],
    ])('a topic with %s is looked up again, and written', async (_, states) => {
      expect(await decided(states, false)).toBe(step);
    });

    test('a topic is written again when it has more replicas in sync', async () => {
      const topics = outputTopics();
      let state = behind(1);
      answer = () => Promise.resolve(lookups.at(-1) === 'out-a' ? state : behind(2));
      topics.blocked();
      for (const topic of ['out-a', 'dead']) await topics.lookUp(topic);
      expect(topics.check(step)).toMatchObject(refused);
      for (const inSync of [1, 2]) {
        state = behind(inSync);
        now += 60_000;
        topics.tick();
        expect(topics.check(step)).toMatchObject(refused);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      expect(topics.check(step)).toBe(step);
    });
  });
});
