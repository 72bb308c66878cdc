/**
 * What a stop does about calls of the client that have not returned: they cannot be interrupted,
 * and the process cannot end under one. The clients are never connected; admin clients do what the
 * test says.
 */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { KafkaSession, loadConfig } from '@kafnus/agent-runtime';
import { kafka, type AdminClient } from '@kafnus/kafka-admin';
import { timedOut } from '../src/kafka/errors.js';
import { OutputTopics } from '../src/output-topics.js';
import type { TopicSpec, TopicState } from '../src/session.js';

const { AdminClient: original } = kafka;
const changelog = { topic: 'changelog', partition: 0 };
const ignore = (): void => undefined;

/** An admin client whose calls wait: what they are, their timeouts, and how they return. */
interface Waiting {
  readonly calls: {
    readonly name: string;
    readonly timeout: number | undefined;
    readonly topics?: readonly string[];
    readonly fail: () => void;
  }[];
  disconnects: number;
}

let admins: Waiting[] = [];

beforeEach(() => {
  admins = [];
  const create = (): AdminClient => {
    const waiting: Waiting = { calls: [], disconnects: 0 };
    admins.push(waiting);
    type Fail = (error: Error) => void;
    const add = (name: string, timeout: number | undefined, done: Fail, topics: readonly string[] = []): void => {
      waiting.calls.push({ name, timeout, topics, fail: () => done(new Error('no answer')) });
    };
    return {
      createTopic: (_topic, timeout, done) => add('createTopic', timeout, done as Fail),
      describeTopics: (topics, { timeout }, done) => add('describeTopics', timeout, done as Fail, topics),
      listOffsets: (_partitions, { timeout }, done) => add('listOffsets', timeout, done as Fail),
      disconnect: () => void (waiting.disconnects += 1),
    } satisfies AdminClient;
  };
  kafka.AdminClient = { ...original, create };
});
afterEach(() => {
  kafka.AdminClient = original;
});

function open(env: Readonly<Record<string, string>> = {}): KafkaSession {
  const outcome = loadConfig(
    { name: 'late', settings: {} },
    { argv: [], env: { KAFNUS_KAFKA_BROKERS: '127.0.0.1:1', KAFNUS_INSTANCE_ID: 'a', ...env } },
  );
  if (outcome.kind !== 'run') throw new Error('a configuration was asked for');
  const listener = {
    topicCreated: ignore,
    brokerProblem: ignore,
    clusterAway: ignore,
    commitRetry: ignore,
    clientLog: ignore,
  };
  return new KafkaSession({ agent: 'late', topics: ['in'], config: outcome.config, listener });
}

async function inTime<T>(promise: Promise<T>, ms = 500): Promise<T | 'late'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => (timer = setTimeout(resolve, ms, 'late')));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

describe('a restore in a call that has not returned', () => {
  test('ends at once when its signal is aborted; its calls are short', async () => {
    const session = open();
    const abort = new AbortController();
    const entries: unknown[] = [];
    const restored = session.restore(changelog, (key) => entries.push(key), ignore, abort.signal);
    const outcome = restored.catch((error: unknown) => error);
    expect(admins[0]?.calls).toMatchObject([{ name: 'listOffsets', timeout: 3000 }]);
    abort.abort(new Error('revoked'));
    expect(await inTime(outcome)).toMatchObject({ message: expect.stringContaining('revoked') });
    expect(session.unreturnedCalls).toBe(1);
    admins[0]?.calls[0]?.fail();
    await session.callsReturned();
    expect(session.unreturnedCalls).toBe(0);
    // It does not go on behind the caller's back.
    expect(admins[0]?.calls).toHaveLength(1);
    expect(entries).toEqual([]);
  });

  test('does not hold up the lookups of topics: they have another admin client', async () => {
    const session = open();
    const abort = new AbortController();
    const restored = session.restore(changelog, ignore, ignore, abort.signal).catch(ignore);
    const looked = session.ensureTopic('out', null);
    expect(admins.map(({ calls }) => calls.map(({ name }) => name))).toEqual([['listOffsets'], ['describeTopics']]);
    admins[1]?.calls[0]?.fail();
    expect((await looked).kind).toBe('unavailable');
    abort.abort();
    await restored;
  });
});

describe('lookups of topics', () => {
  test('during another one are one call behind it, with each topic once; a stop ends those that wait', async () => {
    const session = open();
    const lookUp = (name: string): Promise<TopicState> => session.ensureTopic(name, null);
    const asked = (): unknown => admins[0]?.calls.map(({ topics }) => topics);
    const [first, ...behind] = ['a', 'b', 'c', 'b'].map(lookUp);
    expect(asked()).toEqual([['a']]);
    admins[0]?.calls[0]?.fail();
    expect(await first).toMatchObject({ kind: 'unavailable', error: { message: 'topic a: no answer' } });
    expect(asked()).toEqual([['a'], ['b', 'c']]);
    const late = lookUp('d');
    session.cancel();
    admins[0]?.calls[1]?.fail();
    const noAnswer = { kind: 'unavailable', error: { message: expect.stringMatching(/topic [bc]: no answer/) } };
    expect(await Promise.all(behind)).toMatchObject([noAnswer, noAnswer, noAnswer]);
    expect(await late).toMatchObject({
      kind: 'unavailable',
      error: { message: 'topic d: the session is being closed' },
    });
    expect(asked()).toHaveLength(2);
  });
});

describe('close()', () => {
  test('disconnects admin clients, but none that is in a call: its disconnect() would block the event loop', async () => {
    const session = open();
    const abort = new AbortController();
    const restored = session.restore(changelog, ignore, ignore, abort.signal).catch(ignore);
    const looked = session.ensureTopic('out', null);
    admins[1]?.calls[0]?.fail();
    await looked;
    abort.abort();
    await restored;
    expect(await inTime(session.close())).toBeUndefined();
    expect(admins.map(({ disconnects }) => disconnects)).toEqual([0, 1]);
  });

  test.each([
    ['a lookup', (session: KafkaSession) => session.ensureTopic('out', null)],
    ['a count of partitions', (session: KafkaSession) => session.partitionCount('in')],
  ])(
    'leaves %s that has not returned to be counted; callsReturned() waits for it, but not for good',
    async (_, ask) => {
      const session = open();
      void Promise.resolve(ask(session)).catch(ignore);
      await session.close();
      expect(session.unreturnedCalls).toBe(1);
      const returned = session.callsReturned();
      expect(await inTime(returned, 200)).toBe('late');
      expect(await inTime(returned, 2500)).toBeUndefined();
      expect(session.unreturnedCalls).toBe(1);
      const again = session.callsReturned();
      admins[0]?.calls[0]?.fail();
      expect(await inTime(again)).toBeUndefined();
      expect(session.unreturnedCalls).toBe(0);
    },
  );
});

describe('a flush while the brokers are away', () => {
  test('goes on, until half of KAFNUS_SHUTDOWN_TIMEOUT_MS after stopping(): the commit is aborted then', async () => {
    const { Producer } = kafka;
    let flushes = 0;
    kafka.Producer = class extends Producer {
      constructor(...options: ConstructorParameters<typeof Producer>) {
        super(...options);
        Object.assign(this, {
          flush: (timeoutMs: number, done: (error: Error) => void) => {
            flushes += 1;
            setTimeout(done, timeoutMs, Object.assign(new Error('timed out'), { code: timedOut }));
          },
        });
      }
    };
    try {
      const session = open({ KAFNUS_DELIVERY: 'at-least-once', KAFNUS_SHUTDOWN_TIMEOUT_MS: '1000' });
      const committed = session.commit([{ topic: 'in', partition: 0, offset: 1 }]);
      expect(await inTime(committed, 1500)).toBe('late');
      session.stopping();
      const since = performance.now();
      expect(await inTime(committed, 5000)).toMatchObject({ kind: 'aborted' });
      // The step in which the time is over can be one of 500 ms.
      expect(performance.now() - since).toBeGreaterThan(450);
      expect(performance.now() - since).toBeLessThan(1200);
      // Nor does what undoes the commit wait.
      expect(await inTime(session.abort(), 300)).toMatchObject({ kind: 'aborted' });
      expect(await inTime(session.close())).toBeUndefined();
      expect(flushes).toBeGreaterThan(0);
    } finally {
      kafka.Producer = Producer;
    }
  });
});

describe('a restore that the client reads', () => {
  test('of a log that has lost its end is over where the log ends now', async () => {
    const { KafkaConsumer } = kafka;
    let tellEnd: (event: { readonly offset: number }) => void = ignore;
    let polls = 0;
    kafka.KafkaConsumer = class extends KafkaConsumer {
      constructor(...options: ConstructorParameters<typeof KafkaConsumer>) {
        super(...options);
        Object.assign(this, {
          connect: (_options: unknown, done: () => void) => setImmediate(done),
          isConnected: () => false,
          on: (event: string, listener: typeof tellEnd) => {
            if (event === 'partition.eof') tellEnd = listener;
          },
          assign: () => setImmediate(() => tellEnd({ offset: 5 })),
          setDefaultConsumeTimeout: ignore,
          setDefaultIsTimeoutOnlyForFirstMessage: ignore,
          consume: (_count: number, done: (error: null, messages: readonly never[]) => void) => {
            polls += 1;
            if (polls < 1000) setImmediate(done, null, []);
          },
        });
      }
    };
    const ends = [10, 5];
    const { EARLIEST } = kafka.OffsetSpec;
    kafka.AdminClient = {
      ...original,
      create: () => ({
        createTopic: ignore,
        disconnect: ignore,
        describeTopics: (_topics, _options, done) => done({ code: timedOut, message: 'away', name: 'Error' }, []),
        listOffsets: ([asked], _options, done) => {
          const offset = asked?.offset === EARLIEST ? 0 : (ends.shift() ?? 5);
          setImmediate(done, null, [{ ...changelog, offset }]);
        },
      }),
    };
    try {
      const session = open();
      const restored = session.restore(changelog, ignore, ignore, new AbortController().signal);
      expect(await inTime(restored, 3000)).toBe(0);
      expect(polls).toBeLessThan(100);
    } finally {
      kafka.KafkaConsumer = KafkaConsumer;
    }
  });
});

describe('lookups of output topics beside the loop', () => {
  test('are one at a time, and short', async () => {
    const now = jest.spyOn(performance, 'now').mockReturnValue(0);
    try {
      const asked: (number | undefined)[] = [];
      const answers: (() => void)[] = [];
      let state: TopicState = { kind: 'missing', error: new Error('no such topic') };
      const ensureTopic = (_name: string, _spec: TopicSpec | null, timeoutMs?: number): Promise<TopicState> => {
        asked.push(timeoutMs);
        if (performance.now() === 0) return Promise.resolve(state);
        return new Promise((resolve) => answers.push(() => resolve(state)));
      };
      const config = {
        kafkaProducer: {},
        topicsCreate: false,
        topicPartitions: 1,
        topicReplication: 1,
        topicConfig: {},
        topicTimeoutMs: 1000,
      };
      const topics = new OutputTopics({
        configured: { deadLetterTopic: 'dead', inputTopic: 'raw' },
        input: { refused: () => undefined },
        config,
        session: { ensureTopic, wake: ignore },
        telemetry: { topicUnwritable: ignore },
      });
      for (const name of ['a', 'b', 'c']) await topics.lookUp(name);
      state = { kind: 'writable', partitions: 1 };
      await topics.lookUp('dead');
      expect(asked.splice(0)).toEqual([undefined, undefined, undefined, undefined]);
      now.mockReturnValue(15_000);
      topics.tick();
      for (const topic of ['a', 'b', 'c']) {
        topics.check({
          kind: 'emit',
          tenant: 'x',
          outputs: [{ topic, key: 'k', value: 'v', headers: [], timestamp: 0 }],
        } as unknown as Parameters<OutputTopics['check']>[0]);
      }
      expect(asked).toEqual([1000]);
      answers[0]?.();
    } finally {
      now.mockRestore();
    }
  });
});
