/**
 * Kafka Connect's JsonConverter reads the agents' records from the topics of a real Kafka: every
 * attribute type, tombstones and error logs.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { AgentStatus } from '@kafnus/agent-runtime';
import { withKafka } from '@kafnus/agent-testkit';
import {
  AgentProcess,
  checkWithJsonConverter,
  createTopics,
  produceAll,
  readAll,
  startLocalKafka,
  type ConnectSchema,
  type LocalKafka,
} from '@kafnus/local-stack';

jest.setTimeout(180_000);

const timestamp = Date.UTC(2026, 0, 1);
const geometry = 'struct io.confluent.connect.jdbc.data.geometry.Geometry';

/** Attribute, its Connect type, and whether it is optional. */
const attributes: readonly (readonly [name: string, attribute: object, type: string])[] = [
  ['timeinstant', { type: 'DateTime', value: '2026-01-01T00:00:00.000Z' }, 'string'],
  [
    'observed',
    { type: 'DateTime', value: '2026-01-01T02:00:00.123456+02:00' },
    'int64 org.apache.kafka.connect.data.Timestamp',
  ],
  ['level', { type: 'Number', value: 1e21 }, 'float64'],
  ['on', { type: 'Boolean', value: false }, 'boolean'],
  ['name', { type: 'Text', value: 'Ñandú "quoted" \u0000 \ud83d\ude00' }, 'string'],
  ['position', { type: 'geo:point', value: '40.4,-3.7' }, geometry],
  ['route', { type: 'geo:line', value: ['40.4,-3.7', '40.5,-3.8'] }, geometry],
  ['zone', { type: 'geo:box', value: ['40.4,-3.8', '40.5,-3.7'] }, geometry],
  ['area', { type: 'geo:polygon', value: ['40,-3', '41,-3', '41,-4', '40,-3'] }, geometry],
  [
    'shape',
    {
      type: 'geo:json',
      value: {
        type: 'MultiPoint',
        coordinates: [
          [1, 2, 3],
          [4, 5, 6],
        ],
      },
    },
    geometry,
  ],
  ['tags', { type: 'json', value: ['a', 1, null] }, 'string'],
  ['address', { type: 'StructuredValue', value: { a: { b: 1 } } }, 'string'],
  ['nothing', { type: 'Number', value: null }, 'float64?'],
  ['nowhere', { type: 'geo:point', value: null }, `${geometry}?`],
  ['broken', { type: 'DateTime', value: 'yesterday' }, 'int64 org.apache.kafka.connect.data.Timestamp?'],
];

function shown({ type, name, optional }: ConnectSchema): string {
  return `${type}${name === undefined ? '' : ` ${name}`}${optional ? '?' : ''}`;
}

withKafka(describe)("Kafka Connect's JsonConverter", () => {
  let kafka: LocalKafka;
  const agents: AgentProcess[] = [];

  beforeAll(async () => {
    kafka = await startLocalKafka();
    const topics = ['raw_historic', 'raw_lastdata', 'raw_mutable', 'raw_errors'];
    await createTopics(
      kafka.bootstrapServers,
      topics.map((topic) => ({ topic, partitions: 4 })),
    );
    const entity = {
      id: 'E1',
      type: 'Everything',
      ...Object.fromEntries(attributes.map(([name, attribute]) => [name, attribute])),
    };
    const deletion = { id: 'E1', type: 'Everything', alterationType: { type: 'Text', value: 'entityDelete' } };
    const headers = [{ 'fiware-service': 'city' }, { 'fiware-servicepath': '/all' }];
    for (const topic of topics.slice(0, 3)) {
      await produceAll(
        kafka.bootstrapServers,
        [entity, deletion].map((data) => ({
          topic,
          key: 'E1',
          value: JSON.stringify({ data: [data] }),
          headers,
          timestamp,
        })),
      );
    }
    for (const agent of ['historic', 'lastdata', 'mutable', 'errors']) {
      agents.push(new AgentProcess({ agent, brokers: kafka.bootstrapServers, env: { KAFNUS_INSTANCE_ID: agent } }));
    }
    await Promise.all(agents.slice(0, 3).map((agent) => agent.until('done', ({ ledger }) => ledger.read === 2)));
    // Each of the three agents reports the bad date, and each report is logged.
    await agents[3]?.until('done', ({ ledger }) => ledger.read === 3);
    // The input ends with transaction markers, which are not lag: an idle agent must report lag 0.
    const idle = ({ assignment }: AgentStatus): boolean => assignment.every(({ lag }) => lag === 0);
    await agents[3]?.until('without lag', idle, 20_000);
  });

  afterAll(async () => {
    await Promise.all(agents.map((agent) => agent.stop()));
    await kafka.stop();
  });

  test.each([
    ['city', 'entityid,timeinstant'],
    ['city_lastdata', 'entityid'],
    ['city_mutable', 'entityid,timeinstant'],
  ])('accepts the rows of %s', async (topic, keyFields) => {
    const records = await readAll(kafka.bootstrapServers, topic);
    const [verdict] = await checkWithJsonConverter(records);
    if (!verdict?.ok) throw new Error(verdict?.error ?? 'no record');
    expect(verdict.key.schema?.fields?.map(({ field }) => field).join()).toBe(keyFields);
    const columns = Object.fromEntries(
      (verdict.value.schema?.fields ?? []).map(({ field, schema }) => [field, shown(schema)]),
    );
    expect(columns).toEqual({
      entityid: 'string',
      entitytype: 'string',
      fiwareservicepath: 'string',
      ...Object.fromEntries(attributes.map(([name, , type]) => [name, type])),
      recvtime: 'string',
    });
    expect(verdict.value.value).toMatchObject({
      entityid: 'E1',
      level: 1e21,
      on: false,
      observed: timestamp + 123,
      nothing: null,
    });
  });

  test('accepts the tombstone of a deletion', async () => {
    const [, tombstone, ...more] = await readAll(kafka.bootstrapServers, 'city_lastdata');
    expect(more).toEqual([]);
    expect(tombstone?.value).toBeNull();
    const [verdict] = await checkWithJsonConverter(tombstone ? [tombstone] : []);
    expect(verdict).toMatchObject({ ok: true, key: { value: { entityid: 'E1' } }, value: { value: null } });
  });

  test('accepts the error log', async () => {
    const records = await readAll(kafka.bootstrapServers, 'city_error_log');
    const verdicts = await checkWithJsonConverter(records);
    expect(verdicts).toHaveLength(3);
    for (const verdict of verdicts) {
      if (!verdict.ok) throw new Error(verdict.error);
      expect(verdict.value.value).toMatchObject({
        timestamp: '2026-01-01T00:00:00.000Z',
        error: expect.stringContaining('yesterday'),
      });
    }
  });
});
