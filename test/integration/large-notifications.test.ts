/**
 * Notifications of the maximum size: some with one entity, some with thousands, each of which
 * becomes a record. A process handles a backlog of them in 512 MiB, less than the chart's memory
 * limit, with a heap of a quarter of that.
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
  createTopics,
  produceAll,
  readAll,
  startLocalKafka,
  usageOf,
  type LocalKafka,
  type RecordToWrite,
} from '@kafnus/local-stack';

jest.setTimeout(300_000);

const inputTopic = 'raw_large';
const heapMiB = 128;
const limitMiB = 512;
const headers = [{ 'fiware-service': 'city' }, { 'fiware-servicepath': '/air' }];
const TimeInstant = { type: 'DateTime', value: '2026-01-01T00:00:00.000Z' };

const kinds = {
  'of many entities': { notifications: 32, entities: 10_000, text: '' },
  'of one large entity': { notifications: 250, entities: 1, text: 'x'.repeat(900_000) },
} as const;

withKafka(describe)('large notifications', () => {
  let kafka: LocalKafka;
  let running: AgentProcess | undefined;

  beforeAll(async () => {
    kafka = await startLocalKafka();
  });

  afterAll(async () => {
    await running?.kill();
    await kafka.stop();
  });

  test.each(Object.keys(kinds) as (keyof typeof kinds)[])('%s are processed once, in bounded memory', async (name) => {
    const { notifications, entities, text } = kinds[name];
    const run = `${entities}`;
    const topic = `${inputTopic}_${run}`;
    await createTopics(kafka.bootstrapServers, [{ topic, partitions: 4 }]);
    const expected: ExpectedRecord[] = [];
    function* input(): Generator<RecordToWrite> {
      for (let index = 0; index < notifications; index += 1) {
        const data = Array.from({ length: entities }, (_, entity) => {
          const id = `${index}-${entity}`;
          expected.push({ id, entity: id, sequence: 0 });
          return { id, type: 'T', TimeInstant, ...(text === '' ? {} : { text: { type: 'Text', value: text } }) };
        });
        yield { topic, partition: index % 4, value: JSON.stringify({ subscriptionId: 's', data }), headers };
      }
    }
    await produceAll(kafka.bootstrapServers, input());

    running = new AgentProcess({
      agent: 'historic',
      brokers: kafka.bootstrapServers,
      execArgv: [`--max-old-space-size=${heapMiB}`],
      env: { KAFNUS_GROUP_ID: `large-${run}`, KAFNUS_INPUT_TOPIC: topic, KAFNUS_OUTPUT_TOPIC: `out_${run}_{service}` },
    });
    await running.ready();
    await running.until('done', ({ assignment }) => assignment.every(({ lag }) => lag === 0), 120_000);
    const { peakRssBytes } = usageOf(running.pid);
    await running.stop();
    expect(peakRssBytes / 2 ** 20).toBeLessThan(limitMiB);

    const written = await readAll(kafka.bootstrapServers, `out_${run}_city`, { timeoutMs: 120_000 });
    const seen = written.map(({ topic: found, partition, offset, value }): SeenRecord => ({
      id: (JSON.parse(String(value)) as { payload: { entityid: string } }).payload.entityid,
      topic: found,
      partition,
      offset,
    }));
    expectNoViolations(checkExactlyOnce(expected, seen), name);
  });
});
