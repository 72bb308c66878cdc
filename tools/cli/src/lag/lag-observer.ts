/**
 * Takes snapshots of the agents through Kafka's admin API. It joins no group and commits nothing.
 */
import { RdKafka } from '@confluentinc/kafka-javascript';
import { call, messageOf, type GroupAnswer } from '@kafnus/kafka-admin';
import { awaitBrokers } from '@kafnus/local-stack';
import { groupOffsets } from '../kafka/group-offsets.js';
import { answerTimeoutMs, clientSettings } from '../kafka/offset-ranges.js';
import { peek, type PeekRange } from '../kafka/peek-records.js';
import type { Connection } from '../kafka/connection.js';
import { healthOf } from './agent-health.js';
import type { AgentSnapshot, GroupState, KeySample, GroupMember, PartitionSnapshot, Snapshot } from './lag-snapshot.js';

/** The oldest record is read in at most so many partitions, those with the greatest lag. */
const maxPeekedPartitions = 200;
/** Number of newest records per partition whose keys are sampled. */
const sampledRecords = 100;

/** An agent to observe. */
export interface WatchedAgent {
  readonly agent: string;
  readonly group: string;
  readonly topic: string;
}

type Kafka = Pick<Connection, 'address' | 'groups'>;

/** The answer for each group, or the error message when there is no answer at all. */
type Groups = ReadonlyMap<string, GroupAnswer> | string;

export class LagObserver {
  readonly #admin: RdKafka.IAdminClient;
  readonly #kafka: Kafka;
  readonly #targets: readonly WatchedAgent[];
  readonly #health: readonly string[];

  private constructor(kafka: Kafka, targets: readonly WatchedAgent[], health: readonly string[]) {
    this.#kafka = kafka;
    this.#targets = targets;
    this.#health = health;
    this.#admin = RdKafka.AdminClient.create(clientSettings(kafka.address));
  }

  /** @param health URLs. @throws Error naming the brokers when none answers */
  static async connect(
    kafka: Kafka,
    targets: readonly WatchedAgent[],
    health: readonly string[],
  ): Promise<LagObserver> {
    await awaitBrokers(kafka.address, 1);
    return new LagObserver(kafka, targets, health);
  }

  close(): void {
    this.#admin.disconnect();
  }

  /** @param keys an earlier result of `sampleKeys`, which becomes part of the snapshot */
  async snapshot(keys: readonly KeySample[] = []): Promise<Snapshot> {
    const health = Promise.all(this.#health.map((url) => healthOf(url)));
    const at = Date.now();
    const groups = await this.#kafka.groups(this.#targets.map(({ group }) => group)).catch(messageOf);
    const agents: AgentSnapshot[] = [];
    for (const target of this.#targets) agents.push(await this.#agentSnapshot(target, groups));
    return { at, agents: await this.#withOldestRecords(agents), health: await health, keys };
  }

  /** Reads the keys of the newest records of the input topics. */
  async sampleKeys({ agents }: Snapshot): Promise<KeySample[]> {
    const peekRanges = agents.flatMap(({ topic, partitions }) =>
      partitions.flatMap(({ partition, first, stable }): PeekRange[] => {
        if (first === null || stable === null) return [];
        return [
          { topic, partition, offset: Math.max(first, stable - sampledRecords), end: stable, count: sampledRecords },
        ];
      }),
    );
    const { records } = await peek(this.#kafka.address, peekRanges).catch(() => ({ records: [] }));
    return peekRanges.flatMap(({ topic, partition }): KeySample[] => {
      const own = records.filter((record) => record.topic === topic && record.partition === partition);
      if (own.length === 0) return [];
      const counts = new Map<string, number>();
      for (const { key } of own) if (key !== null) counts.set(key.toString(), (counts.get(key.toString()) ?? 0) + 1);
      const [mostFrequent] = [...counts].sort(([, a], [, b]) => b - a);
      const unkeyed = own.filter(({ key }) => key === null).length;
      const top = mostFrequent === undefined ? null : { key: mostFrequent[0], records: mostFrequent[1] };
      return [{ topic, partition, records: own.length, unkeyed, commonest: top }];
    });
  }

  async #agentSnapshot(target: WatchedAgent, groups: Groups): Promise<AgentSnapshot> {
    const { topic, group } = target;
    const nothing = { ...target, topicExists: true, state: 'unknown', members: [], partitions: [] } as const;
    try {
      const [described] = await call<RdKafka.TopicDescription[]>((done) =>
        this.#admin.describeTopics([topic], { timeout: answerTimeoutMs }, done),
      );
      const problem = described?.error;
      const isUnknown = problem?.code === RdKafka.CODES.ERRORS.ERR_UNKNOWN_TOPIC_OR_PART;
      if (problem && !isUnknown) return { ...nothing, refused: `the topic ${topic}: ${problem.message}` };
      const { state, members } = groupStateOf(target, groups);
      if (described === undefined || isUnknown)
        return { ...nothing, topicExists: false, state, members, refused: null };
      const partitions = await this.#partitions(target, described);
      return { ...target, topicExists: true, state, members, partitions, refused: null };
    } catch (error) {
      const message = messageOf(error);
      return {
        ...nothing,
        refused: message.includes(group) || message.includes(topic) ? message : `${topic}, ${group}: ${message}`,
      };
    }
  }

  async #partitions({ topic, group }: WatchedAgent, described: RdKafka.TopicDescription): Promise<PartitionSnapshot[]> {
    // For a partition without leader, librdkafka waits until the timeout. Only the others are
    // requested.
    const led = described.partitions
      .filter(({ leader }) => leader !== null)
      .map(({ partition }) => ({ topic, partition }));
    const { READ_COMMITTED, READ_UNCOMMITTED } = RdKafka.IsolationLevel;
    const list = async (
      offset: RdKafka.OffsetSpec,
      isolationLevel: RdKafka.IsolationLevel,
    ): Promise<Map<number, number>> => {
      if (led.length === 0) return new Map();
      const found = await call<RdKafka.ListOffsetsResult[]>((done) =>
        this.#admin.listOffsets(
          led.map((place) => ({ ...place, offset })),
          { timeout: answerTimeoutMs, isolationLevel },
          done,
        ),
      );
      return new Map(found.filter(({ error }) => !error).map(({ partition, offset: at }) => [partition, at]));
    };
    // Committed offsets first: an end offset that is fetched later is not below them.
    const committed = await groupOffsets(
      this.#admin,
      group,
      described.partitions.map(({ partition }) => ({ topic, partition })),
      false,
    );
    const [first, stable, end] = await Promise.all([
      list(RdKafka.OffsetSpec.EARLIEST, READ_UNCOMMITTED),
      list(RdKafka.OffsetSpec.LATEST, READ_COMMITTED),
      list(RdKafka.OffsetSpec.LATEST, READ_UNCOMMITTED),
    ]);
    return described.partitions
      .map(({ partition, leader }): PartitionSnapshot => {
        const position = committed.get(`${topic}-${partition}`) ?? null;
        const logStart = first.get(partition) ?? 0;
        // Of a log that ends before the offset nothing was read: all of it waits.
        const isOutOfRange = position !== null && position > (end.get(partition) ?? position);
        const from = isOutOfRange ? logStart : Math.max(position ?? 0, logStart);
        return {
          partition,
          hasLeader: leader !== null,
          first: first.get(partition) ?? null,
          stable: stable.get(partition) ?? null,
          end: end.get(partition) ?? null,
          committed: position,
          lag: Math.max(0, (end.get(partition) ?? from) - from),
          oldest: null,
        };
      })
      .sort((a, b) => a.partition - b.partition);
  }

  /**
   * Reads the oldest unprocessed record of each partition. When only transaction markers are left,
   * the lag is 0.
   */
  async #withOldestRecords(agents: readonly AgentSnapshot[]): Promise<AgentSnapshot[]> {
    const waiting = agents.flatMap(({ topic, partitions }) =>
      partitions.filter(({ lag }) => lag > 0).map((each) => ({ topic, ...each })),
    );
    const peekRanges = waiting
      .sort((a, b) => b.lag - a.lag)
      .slice(0, maxPeekedPartitions)
      .map(({ topic, partition, committed, first, end }): PeekRange => {
        const offset = Math.max(committed ?? 0, first ?? 0);
        return { topic, partition, offset, end: end ?? offset, count: 1 };
      });
    // When the brokers fail meanwhile, the rest of the snapshot still says what is wrong.
    const peeked = await peek(this.#kafka.address, peekRanges).catch(() => undefined);
    if (peeked === undefined) return [...agents];
    const { records, complete } = peeked;
    const requested = new Set(peekRanges.map(({ topic, partition }) => `${topic}-${partition}`));
    return agents.map((agent) => ({
      ...agent,
      partitions: agent.partitions.map((each): PartitionSnapshot => {
        if (!requested.has(`${agent.topic}-${each.partition}`)) return each;
        const record = records.find(({ topic, partition }) => topic === agent.topic && partition === each.partition);
        if (record !== undefined) return { ...each, oldest: { offset: record.offset, timestamp: record.timestamp } };
        const nothing = complete({ topic: agent.topic, partition: each.partition }) && each.stable === each.end;
        return nothing ? { ...each, lag: 0 } : each;
      }),
    }));
  }
}

/** @throws Error when the cluster refuses or does not answer */
function groupStateOf(
  { group, topic }: WatchedAgent,
  groups: Groups,
): { readonly state: GroupState; readonly members: readonly GroupMember[] } {
  if (typeof groups === 'string') throw new Error(groups);
  const found = groups.get(group);
  switch (found?.kind) {
    case 'refused':
      throw new Error(found.message);
    case 'group':
      return {
        state: found.state,
        members: found.members.map(({ id, client, host, partitions }) => ({
          id,
          client,
          host,
          partitions: (partitions.get(topic) ?? []).toSorted((a, b) => a - b),
        })),
      };
    case 'absent':
      return { state: 'none', members: [] };
    default:
      return { state: 'unknown', members: [] };
  }
}
