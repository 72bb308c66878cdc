import { expect, test } from '@jest/globals';
import { InputTopic } from '../src/input-topic.js';
import type { TopicState } from '../src/session.js';

const error = new Error('what the cluster says');

/** An input about which the cluster gives these answers, one for each lookup. */
function inputWith(...answers: TopicState[]): { input: InputTopic; reported: (string | undefined)[] } {
  const reported: (string | undefined)[] = [];
  const input = new InputTopic({
    topic: 'raw',
    session: {
      ensureTopic: (_topic, spec) => {
        expect(spec).toBeNull();
        const answer = answers.shift();
        return answer === undefined ? Promise.reject(error) : Promise.resolve(answer);
      },
    },
    telemetry: { rekeyRefused: (refusal) => void reported.push(refusal?.message) },
  });
  return { input, reported };
}

test('is unknown until the cluster has answered', async () => {
  const { input, reported } = inputWith({ kind: 'unavailable', error }, { kind: 'writable', partitions: 4 });
  expect(input.partitions).toBe('unknown');
  expect(await input.lookUp()).toBe('waiting for the input topic raw: what the cluster says');
  expect(input.partitions).toBe('unknown');
  expect(await input.lookUp()).toBeUndefined();
  expect(input.partitions).toBe(4);
  expect(reported).toEqual([undefined]);
});

test.each<TopicState>([
  { kind: 'unavailable', error },
  { kind: 'unavailable', error, inSync: 0, partitions: 4 },
  { kind: 'missing', error },
])('once known, $kind changes nothing', async (answer) => {
  const { input, reported } = inputWith({ kind: 'writable', partitions: 4 }, answer);
  await input.lookUp();
  await input.lookUp();
  expect(input.partitions).toBe(4);
  expect(reported).toEqual([undefined]);
});

test('a partition without a leader does not stop the others', async () => {
  const { input } = inputWith({ kind: 'unavailable', error, inSync: 0, partitions: 4 });
  expect(await input.lookUp()).toBeUndefined();
  expect(input.partitions).toBe(4);
});

test('only a missing right turns re-keying off, and its end turns it on again', async () => {
  const { input, reported } = inputWith({ kind: 'unwritable', error }, { kind: 'writable', partitions: 6 });
  expect(await input.lookUp()).toBeUndefined();
  expect(input.partitions).toBeUndefined();
  await input.lookUp();
  expect(input.partitions).toBe(6);
  input.refused(error);
  expect(input.partitions).toBeUndefined();
  expect(reported).toEqual([error.message, undefined, error.message]);
});

test('a session that rejects has given no answer', async () => {
  const { input } = inputWith();
  expect(await input.lookUp()).toBe('waiting for the input topic raw: what the cluster says');
});
