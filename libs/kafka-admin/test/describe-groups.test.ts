/**
 * What brokers answer about consumer groups: bytes put together by hand from
 * kafka.apache.org/protocol, and brokers whose coordinators move. test/integration/lag.test.ts and
 * test/security ask real ones.
 */
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { connectionTo } from './plain-connection.js';
import { ByteReader } from '../src/wire/protocol-bytes.js';
import { readClassicGroup, readConsumerGroup, type GroupAnswer } from '../src/wire/group-answers.js';
import { describeGroups } from '../src/wire/describe-groups.js';

const int16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
const int32 = (value: number): Buffer => Buffer.concat([int16(value >>> 16), int16(value & 0xffff)]);
const string = (text: string): Buffer => Buffer.concat([int16(text.length), Buffer.from(text)]);
const bytes = (...parts: Buffer[]): Buffer => Buffer.concat([int32(Buffer.concat(parts).length), ...parts]);
const array = (...items: Buffer[]): Buffer => Buffer.concat([int32(items.length), ...items]);
/** Of fewer than 127 bytes or items: their varint is one byte. */
const compactString = (text: string): Buffer => Buffer.concat([Buffer.from([text.length + 1]), Buffer.from(text)]);
const compactArray = (...items: Buffer[]): Buffer => Buffer.concat([Buffer.from([items.length + 1]), ...items]);
const compactNull = Buffer.from([0]);
const noTags = Buffer.from([0]);
const notThrottled = int32(0);

const assignment = bytes(
  int16(3),
  array(
    Buffer.concat([string('raw_historic'), array(int32(0), int32(2))]),
    Buffer.concat([string('other'), array(int32(7))]),
  ),
  bytes(Buffer.from('user data')),
);

const classicMember = (id: string, assigned: Buffer): Buffer =>
  Buffer.concat([string(id), string('kafnus-historic-a'), string('/10.0.0.1'), bytes(Buffer.from('meta')), assigned]);

const classicAnswer = (code: number, state: string, type: string, ...members: Buffer[]): Buffer =>
  Buffer.concat([
    notThrottled,
    array(Buffer.concat([int16(code), string('g'), string(state), string(type), string('range'), array(...members)])),
  ]);

const classic = (...parts: Parameters<typeof classicAnswer>): GroupAnswer =>
  readClassicGroup(new ByteReader(classicAnswer(...parts)), 'g');

/** m1 with these partitions, m2 with none. */
const twoMembers = (partitions: Readonly<Record<string, readonly number[]>>): GroupAnswer => {
  const place = { client: 'kafnus-historic-a', host: '10.0.0.1' };
  return {
    kind: 'group',
    state: 'stable',
    members: [
      { id: 'm1', ...place, partitions: new Map(Object.entries(partitions)) },
      { id: 'm2', ...place, partitions: new Map() },
    ],
  };
};

describe('DescribeGroups', () => {
  test('members with their partitions by topic', () => {
    const answer = classic(0, 'Stable', 'consumer', classicMember('m1', assignment), classicMember('m2', bytes()));
    expect(answer).toEqual(twoMembers({ raw_historic: [0, 2], other: [7] }));
  });

  test('what workers of Connect share is no partitions', () => {
    const connect = classic(0, 'Stable', 'connect', classicMember('w', bytes(Buffer.from([0, 1, 0xff, 0xff, 0xff]))));
    expect(connect).toMatchObject({ kind: 'group', members: [{ id: 'w', partitions: new Map() }] });
  });

  test.each([
    ['Empty', { kind: 'group', state: 'empty', members: [] }],
    ['PreparingRebalance', { kind: 'group', state: 'rebalancing', members: [] }],
    ['CompletingRebalance', { kind: 'group', state: 'rebalancing', members: [] }],
    ['Dead', { kind: 'absent' }],
    ['Dreaming', { kind: 'group', state: 'unknown', members: [] }],
  ])('state %s', (state, answer) => {
    expect(classic(0, state, 'consumer')).toEqual(answer);
  });
});

const topicPartitions = (topic: string, ...numbers: number[]): Buffer =>
  Buffer.concat([Buffer.alloc(16, 0xab), compactString(topic), compactArray(...numbers.map(int32)), noTags]);
const assigned = (...topics: Buffer[]): Buffer => Buffer.concat([compactArray(...topics), noTags]);

const consumerMember = (id: string, current: Buffer, target: Buffer, tags = noTags): Buffer =>
  Buffer.concat([
    compactString(id),
    compactNull,
    compactString('rack-1'),
    int32(5),
    compactString('kafnus-historic-a'),
    compactString('/10.0.0.1'),
    compactArray(compactString('raw_historic')),
    compactNull,
    current,
    target,
    tags,
  ]);

const consumerAnswer = (code: number, told: Buffer, state: string, ...members: Buffer[]): Buffer =>
  Buffer.concat([
    // Of the head of the answer.
    noTags,
    notThrottled,
    compactArray(
      Buffer.concat([
        int16(code),
        told,
        compactString('g'),
        compactString(state),
        int32(5),
        int32(5),
        compactString('uniform'),
        compactArray(...members),
        int32(-2147483648),
        noTags,
      ]),
    ),
    noTags,
  ]);

const consumer = (...parts: Parameters<typeof consumerAnswer>): GroupAnswer =>
  readConsumerGroup(new ByteReader(consumerAnswer(...parts)), 'g');

describe('ConsumerGroupDescribe', () => {
  test('members with what they have, not with what they are to get; tagged fields are skipped', () => {
    const has = assigned(topicPartitions('raw_historic', 1, 3), topicPartitions('other', 0));
    // Two of them: number 0 with two bytes, number 300 (a varint of two bytes) with none.
    const tags = Buffer.from([2, 0, 2, 0xff, 0xff, 0xac, 0x02, 0]);
    const first = consumerMember('m1', has, assigned(topicPartitions('raw_historic', 9)), tags);
    const second = consumerMember('m2', assigned(), assigned());
    expect(consumer(0, compactNull, 'Stable', first, second)).toEqual(twoMembers({ raw_historic: [1, 3], other: [0] }));
  });

  test.each([
    ['Empty', { kind: 'group', state: 'empty', members: [] }],
    ['Assigning', { kind: 'group', state: 'rebalancing', members: [] }],
    ['Reconciling', { kind: 'group', state: 'rebalancing', members: [] }],
    ['Dead', { kind: 'absent' }],
  ])('state %s', (state, answer) => {
    expect(consumer(0, compactNull, state)).toEqual(answer);
  });

  test('a text of more than 126 bytes, and a number that no varint is', () => {
    const long = 'x'.repeat(300);
    const told = Buffer.concat([Buffer.from([0xad, 0x02]), Buffer.from(long)]);
    expect(consumer(42, told, '')).toMatchObject({ message: `group g: ${long} (error 42)` });
    const endless = Buffer.concat([notThrottled, Buffer.alloc(9, 0xff)]);
    expect(() => readConsumerGroup(new ByteReader(Buffer.concat([noTags, endless])), 'g')).toThrow(RangeError);
  });
});

describe('refusals', () => {
  test.each([
    [30, false, 'not authorised: grant the user Describe on group g'],
    [29, false, 'not authorised: grant the user Describe on each topic that group g reads'],
    [14, true, 'the coordinator of group g is loading'],
    [15, true, 'group g has no coordinator: are all brokers well?'],
    [16, true, 'the coordinator of group g is about to move'],
    [24, false, 'group g: the broker refuses (error 24)'],
  ])('error %d', (code, transient, message) => {
    const refused = { kind: 'refused', transient, message };
    expect(classic(code, '', '')).toEqual(refused);
    expect(consumer(code, compactNull, '')).toEqual(refused);
  });

  test('a classic group, and a broker without the protocol of KIP-848, know no such group', () => {
    expect(consumer(69, compactString('Group g is not a consumer group.'), '')).toEqual({ kind: 'absent' });
    expect(consumer(35, compactNull, '')).toEqual({ kind: 'absent' });
  });

  test('an answer that ends too early is an error wherever it ends', () => {
    const whole: [typeof readClassicGroup, Buffer][] = [
      [readClassicGroup, classicAnswer(0, 'Stable', 'consumer', classicMember('m1', assignment))],
      [
        readConsumerGroup,
        // Without the tagged fields at the very end, which nobody looks at.
        consumerAnswer(
          0,
          compactNull,
          'Stable',
          consumerMember('m', assigned(topicPartitions('t', 1)), assigned()),
        ).subarray(0, -1),
      ],
    ];
    for (const [read, answer] of whole) {
      expect(read(new ByteReader(answer), 'g')).toMatchObject({ kind: 'group', members: [{}] });
      for (let length = 0; length < answer.length; length += 1) {
        expect(() => read(new ByteReader(answer.subarray(0, length)), 'g')).toThrow('ends too early');
      }
    }
  });
});

const api = { findCoordinator: 10, describeGroups: 15, apiVersions: 18, consumerGroupDescribe: 69 } as const;
/** Answers to the nth request of a kind; without one the broker closes the connection. */
type Script = Readonly<Partial<Record<keyof typeof api, (nth: number, port: number) => Buffer>>>;

const servers: Server[] = [];
afterEach(() => {
  servers.splice(0).forEach((server) => server.close());
  jest.restoreAllMocks();
});

/** A broker that is its own coordinator. @returns its port, and the requests that came */
async function broker(script: Script): Promise<{ readonly port: number; readonly asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((socket) => {
    socket.on('data', (request: Buffer) => {
      const name = Object.entries(api).find(([, key]) => key === request.readInt16BE(4))?.[0] as keyof typeof api;
      asked.push(name);
      const answer = script[name]?.(asked.filter((one) => one === name).length, port());
      if (answer === undefined) socket.destroy();
      else socket.write(bytes(request.subarray(8, 12), answer));
    });
  });
  const port = (): number => (server.address() as AddressInfo).port;
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return { port: port(), asked };
}

const coordinator = (code: number, port: number): Buffer =>
  Buffer.concat([notThrottled, int16(code), int16(-1), int32(1), string('127.0.0.1'), int32(port)]);
const here = (_: number, port: number): Buffer => coordinator(0, port);
const versions = (...ranges: [key: number, least: number, most: number][]): Buffer =>
  Buffer.concat([int16(0), array(...ranges.map((range) => Buffer.concat(range.map(int16))))]);
const dead = (): Buffer => classicAnswer(0, 'Dead', '');

describe('asking', () => {
  test('a coordinator that is not there yet, loads and moves is asked again', async () => {
    const codes = [14, 16, 0];
    const { port, asked } = await broker({
      findCoordinator: (nth, at) => coordinator(nth === 1 ? 15 : 0, at),
      describeGroups: (nth) => classicAnswer(codes[nth - 1] ?? 0, 'Stable', 'consumer', classicMember('m', bytes())),
    });
    const answers = await describeGroups(connectionTo(`127.0.0.1:${port}`), 'test', ['g']);
    expect(answers?.get('g')).toMatchObject({ kind: 'group', state: 'stable', members: [{ id: 'm' }] });
    expect(asked.filter((name) => name === 'findCoordinator')).toHaveLength(4);
    expect(asked.filter((name) => name === 'describeGroups')).toHaveLength(3);
  });

  test('a coordinator that hangs up, and one that does not get ready: the refusal comes in the end', async () => {
    const now = jest.spyOn(Date, 'now');
    let time = 1_780_000_000_000;
    now.mockImplementation(() => (time += 6000));
    const { port } = await broker({ findCoordinator: here, describeGroups: () => classicAnswer(14, '', '') });
    expect((await describeGroups(connectionTo(`127.0.0.1:${port}`), 'test', ['g']))?.get('g')).toEqual({
      kind: 'refused',
      transient: true,
      message: 'the coordinator of group g is loading',
    });
    const { port: mute } = await broker({ findCoordinator: here });
    expect((await describeGroups(connectionTo(`127.0.0.1:${mute}`), 'test', ['g']))?.get('g')).toEqual({
      kind: 'refused',
      transient: true,
      message: `the coordinator of group g, 127.0.0.1:${mute}: the broker closed the connection`,
    });
  });

  test('groups of one coordinator are asked about by one connection; the right that one lacks is not the others', async () => {
    const { port } = await broker({
      findCoordinator: here,
      describeGroups: (nth) => (nth === 1 ? classicAnswer(30, '', '') : classicAnswer(0, 'Empty', 'consumer')),
    });
    const answers = await describeGroups(connectionTo(`127.0.0.1:${port}`), 'test', ['a', 'b', 'a']);
    expect([...(answers?.keys() ?? [])]).toEqual(['a', 'b']);
    expect(answers?.get('a')).toMatchObject({ message: 'not authorised: grant the user Describe on group a' });
    expect(answers?.get('b')).toEqual({ kind: 'group', state: 'empty', members: [] });
  });

  test.each([
    ['of before KIP-848', versions([15, 0, 5], [18, 0, 3])],
    ['that takes another version only', versions([69, 1, 2])],
  ])('a broker %s is not asked for groups of KIP-848', async (_, offered) => {
    const { port, asked } = await broker({ findCoordinator: here, describeGroups: dead, apiVersions: () => offered });
    expect((await describeGroups(connectionTo(`127.0.0.1:${port}`), 'test', ['g']))?.get('g')).toEqual({
      kind: 'absent',
    });
    expect(asked).toEqual(['findCoordinator', 'describeGroups', 'apiVersions']);
  });

  test('what is no classic group is looked for among those of KIP-848', async () => {
    const { port } = await broker({
      findCoordinator: here,
      describeGroups: dead,
      apiVersions: () => versions([69, 0, 1]),
      consumerGroupDescribe: () =>
        consumerAnswer(0, compactNull, 'Stable', consumerMember('m', assigned(), assigned())),
    });
    const answers = await describeGroups(connectionTo(`127.0.0.1:${port}`), 'test', ['g']);
    expect(answers?.get('g')).toMatchObject({ kind: 'group', state: 'stable', members: [{ id: 'm' }] });
  });

  test('no broker, and no login by Kerberos', async () => {
    await expect(describeGroups(connectionTo('127.0.0.1:1'), 'test', ['g'])).rejects.toThrow(
      'No Kafka answers at 127.0.0.1:1',
    );
    const kerberos = { kafkaSecurityProtocol: 'sasl_ssl', kafkaSaslMechanism: 'GSSAPI' } as const;
    expect(await describeGroups(connectionTo('127.0.0.1:1', kerberos), 'test', ['g'])).toBeUndefined();
  });
});
