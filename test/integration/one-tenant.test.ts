/**
 * One tenant's topic, or one record, must never stop the others: agents as processes, on a real
 * broker whose topics refuse. The longest time without a record of the good tenant is measured, as
 * an operator would see it.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { InputRecord } from '@kafnus/agent-runtime';
import { withKafka } from '@kafnus/agent-testkit';
import {
  AgentProcess,
  createTopics,
  produceAll,
  readAll,
  startLocalKafka,
  type LocalKafka,
  type RecordToWrite,
} from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { notification, reading } from './notifications.js';

jest.setTimeout(300_000);

const partitions = 2;

/** Topics and an agent of one test. */
class Scene {
  readonly input: string;
  readonly dead: string;
  readonly agent: AgentProcess;
  readonly #kafka: LocalKafka;
  readonly #name: string;
  /** Records written for each service. */
  readonly #written = new Map<string, number>();

  private constructor(kafka: LocalKafka, name: string, agent: string, env: Readonly<Record<string, string>>) {
    this.#kafka = kafka;
    this.#name = name;
    this.input = `${name}_raw`;
    this.dead = `${name}_dead`;
    this.agent = new AgentProcess({
      agent,
      brokers: kafka.bootstrapServers,
      env: {
        KAFNUS_GROUP_ID: name,
        KAFNUS_INPUT_TOPIC: this.input,
        KAFNUS_OUTPUT_TOPIC: `${name}_{service}`,
        KAFNUS_DEAD_LETTER_TOPIC: this.dead,
        KAFNUS_TOPIC_PARTITIONS: String(partitions),
        ...env,
      },
    });
  }

  /**
   * @param topics configuration of the output topics that are there before, by service, and of the
   * dead-letter topic
   */
  static async open(
    kafka: LocalKafka,
    name: string,
    options: {
      readonly agent?: string;
      readonly env?: Readonly<Record<string, string>>;
      readonly topics?: Readonly<Record<string, Readonly<Record<string, string>>>>;
    },
  ): Promise<Scene> {
    const topics = Object.entries({ dead: {}, ...options.topics });
    await createTopics(kafka.bootstrapServers, [
      // Whatever time a record has, the input takes it.
      { topic: `${name}_raw`, partitions, config: { 'message.timestamp.after.max.ms': '9223372036854775807' } },
      ...topics.map(([service, config]) => ({ topic: `${name}_${service}`, partitions, config })),
    ]);
    const scene = new Scene(kafka, name, options.agent ?? 'historic', options.env ?? {});
    await scene.agent.ready();
    return scene;
  }

  output(service: string): string {
    return `${this.#name}_${service}`;
  }

  /** The next record of a service; `text` makes it large. */
  record(service: string, text = '', timestamp?: number): RecordToWrite {
    const sequence = this.#written.get(service) ?? 0;
    this.#written.set(service, sequence + 1);
    const id = `${service}-${sequence % 5}`;
    const { key, value, headers } = notification(id, sequence, { service });
    const large = text === '' ? value : value.replace('Ayuntamiento', text);
    return { topic: this.input, key, value: large, headers, ...(timestamp === undefined ? {} : { timestamp }) };
  }

  produce(records: readonly RecordToWrite[]): Promise<number> {
    return produceAll(this.#kafka.bootstrapServers, records);
  }

  /** All input is committed. */
  async drained(): Promise<void> {
    let written = 0;
    for (const count of this.#written.values()) written += count;
    await this.agent.until('all committed', ({ ledger, lag }) => lag === 0 && ledger.read >= written, 120_000);
  }

  async metric(name: string): Promise<number> {
    const { body } = await this.agent.get('/metrics');
    const lines = body.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  /**
   * Milliseconds of the longest time without a new record of the service, until the promise is
   * settled.
   */
  async longestGap(service: string, during: Promise<unknown>): Promise<number> {
    let over = false;
    const end = during.finally(() => (over = true));
    let longest = 0;
    let seen = -1;
    let since = performance.now();
    while (!over) {
      const { ledger } = await this.agent.health();
      const emitted = ledger.tenants[service]?.emitted ?? 0;
      const now = performance.now();
      if (emitted !== seen) {
        seen = emitted;
        since = now;
      }
      longest = Math.max(longest, now - since);
      await sleep(50);
    }
    await end;
    return longest;
  }

  /**
   * Every record of the service is in its topic once, but for those that are left out, and in order
   * for each entity.
   */
  async expectOnce(service: string, leftOut: readonly number[] = []): Promise<void> {
    const records = await readAll(this.#kafka.bootstrapServers, this.output(service));
    const expected = Array.from({ length: this.#written.get(service) ?? 0 }, (_, sequence) => sequence);
    const found = records.map(({ value }) => reading(value));
    expect([...found].sort((a, b) => a - b)).toEqual(expected.filter((sequence) => !leftOut.includes(sequence)));
    for (let entity = 0; entity < 5; entity += 1) {
      const ofEntity = found.filter((sequence) => sequence % 5 === entity);
      expect(ofEntity).toEqual([...ofEntity].sort((a, b) => a - b));
    }
  }

  deadLetters(): Promise<InputRecord[]> {
    return readAll(this.#kafka.bootstrapServers, this.dead);
  }
}

function header(record: InputRecord, name: string): string {
  return String(record.headers.find((entry) => name in entry)?.[name]);
}

function reasons(deadRecords: readonly InputRecord[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const deadRecord of deadRecords) {
    const reason = header(deadRecord, '__connect.errors.exception.class.name').replace('kafnus.rejected.', '');
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}

withKafka(describe)('one tenant on a real broker', () => {
  let kafka: LocalKafka;
  let scene: Scene | undefined;

  beforeAll(async () => {
    kafka = await startLocalKafka({ partitions });
  });

  afterAll(async () => {
    await scene?.agent.kill();
    await kafka.stop();
  });

  test('unknown services, ten a second, where creation is off: the good one has no pause', async () => {
    scene = await Scene.open(kafka, 'unknown', { env: { KAFNUS_TOPICS_CREATE: 'false' }, topics: { good: {} } });
    const flow = async (): Promise<void> => {
      for (let round = 0; round < 100; round += 1) {
        const records = Array.from({ length: 2 }, (_, n) => scene?.record(`made_up_${round}_${n}`));
        await scene?.produce([...records, scene.record('good')].filter((record) => record !== undefined));
        await sleep(100);
      }
    };
    const gap = await scene.longestGap('good', flow());
    await scene.drained();
    await scene.expectOnce('good');
    expect(reasons(await scene.deadLetters())).toEqual({ 'topic-unwritable': 200 });
    expect(await scene.metric('kafnus_transactions_aborted_total')).toBe(0);
    process.stderr.write(`unknown services: longest gap ${Math.round(gap)} ms\n`);
    // KAFNUS_TOPIC_TIMEOUT_MS is 15 s, and once was spent for each of them.
    expect(gap).toBeLessThan(5000);
    await scene.agent.stop();
  });

  test.each(['exactly-once', 'at-least-once'])(
    '%s: records that are too large for their topic are dead-lettered, and they alone',
    async (delivery) => {
      const name = `size_${delivery.slice(0, 2)}`;
      scene = await Scene.open(kafka, name, {
        agent: 'lastdata',
        env: { KAFNUS_DELIVERY: delivery, KAFNUS_OUTPUT_TOPIC: `${name}_{service}` },
        topics: { small: { 'max.message.bytes': '20000' } },
      });
      const large = [150, 300, 301, 420];
      const records = Array.from({ length: 500 }, (_, n) => [
        scene?.record('good'),
        scene?.record('small', large.includes(n) ? 'x'.repeat(30_000 + n) : ''),
      ]).flat();
      const gap = await scene.longestGap('good', scene.produce(records.filter((record) => record !== undefined)));
      await scene.drained();
      process.stderr.write(
        `${delivery}, too large: ${await scene.metric('kafnus_transactions_aborted_total')} aborted, gap ${gap}\n`,
      );
      const deadRecords = await scene.deadLetters();
      const bad = deadRecords.map(({ value }) => /"metadata":\{\},"value":(\d+)/.exec(String(value))?.[1]);
      expect([...new Set(bad.map(Number))].sort((a, b) => a - b)).toEqual(large);
      for (const reason of Object.keys(reasons(deadRecords)))
        expect(['record-refused', 'record-too-large']).toContain(reason);
      expect(await scene.metric('kafnus_records_rejected_total')).toBe(large.length);
      if (delivery === 'exactly-once') {
        expect(deadRecords).toHaveLength(large.length);
        await scene.expectOnce('good');
        await scene.expectOnce('small', large);
      }
      await scene.agent.stop();
    },
  );

  test('a record from the future is dead-lettered with a time that the broker takes, and the others go on', async () => {
    // Less than the hour after which records are written with the time of now (writable-time.ts).
    const strict = { 'message.timestamp.after.max.ms': '60000' };
    scene = await Scene.open(kafka, 'future', { topics: { good: strict, dead: strict } });
    const later = Date.now() + 1_800_000;
    const records = Array.from({ length: 200 }, (_, n) => scene?.record('good', '', n === 77 ? later : Date.now()));
    await scene.produce(records.filter((record) => record !== undefined));
    await scene.drained();
    await scene.expectOnce('good', [77]);
    const deadRecords = await scene.deadLetters();
    expect(reasons(deadRecords)).toEqual({ 'record-refused': 1 });
    const [deadRecord] = deadRecords;
    if (deadRecord === undefined) throw new Error('there is no dead-letter record');
    expect(deadRecord.timestamp).toBeLessThan(later);
    expect(header(deadRecord, 'kafnus.timestamp')).toBe(String(later));
    expect(header(deadRecord, '__connect.errors.exception.message')).toMatch(
      /topic future_good refuses the record.*timestamp/i,
    );
    expect(String(deadRecord.value)).toContain('"metadata":{},"value":77');
    await scene.agent.stop();
  });

  test('a dead-letter topic that refuses every form stops the agent, not ready, until it takes it', async () => {
    scene = await Scene.open(kafka, 'stands', { topics: { dead: { 'cleanup.policy': 'compact' } } });
    const keyless = { ...scene.record('good'), key: null, value: 'not json' };
    await scene.produce([scene.record('good'), keyless, scene.record('good')]);
    await scene.agent.until(
      'not ready',
      ({ problem }) => problem?.includes('is refused, also without its value') === true,
    );
    expect((await scene.agent.get('/ready')).status).toBe(503);
    const aborted = await scene.metric('kafnus_transactions_aborted_total');
    await sleep(3000);
    // It tries again, and not as often as it can.
    expect((await scene.metric('kafnus_transactions_aborted_total')) - aborted).toBeLessThan(15);
    await kafka
      .tool(
        'org.apache.kafka.tools.ConfigCommand',
        ...['--alter', '--entity-type', 'topics', '--entity-name', scene.dead, '--add-config', 'cleanup.policy=delete'],
      )
      .catch(() =>
        kafka.tool(
          'kafka.admin.ConfigCommand',
          ...[
            '--alter',
            '--entity-type',
            'topics',
            '--entity-name',
            scene?.dead ?? '',
            '--add-config',
            'cleanup.policy=delete',
          ],
        ),
      );
    await scene.drained();
    expect(reasons(await scene.deadLetters())).toEqual({ 'not-json': 1 });
    await scene.agent.until('ready', ({ problem }) => problem === null);
    await scene.agent.stop();
  });
});
