/** Looks at the agents through Kafka's admin protocol; it joins no group and moves nothing. */
import { RdKafka } from '@confluentinc/kafka-javascript';
import type { GroupAnswer } from '@kafnus/agent-runtime';
import { awaitBrokers, call } from '@kafnus/local-stack';
import { messageOf } from '../error-text.js';
import { groupOffsets } from '../kafka/group-offsets.js';
import { peek, type Look } from '../kafka/peek.js';
import type { Connection } from '../kafka/settings.js';
import { healthOf } from './health.js';
import type { AgentSight, GroupState, KeySample, Member, Partition, Snapshot } from './snapshot.js';

const ANSWER_MS = 10_000;
/** Of so many partitions, those with the greatest lag, the oldest record is read. */
const MOST_LOOKS = 200;
/** Newest records of a partition whose keys are looked at. */
const SAMPLE = 100;

/** An agent to look at. */
export interface Target {
  readonly agent: string;
  readonly group: string;
  readonly topic: string;
}

/** How the cluster is reached, and asked about groups. */
type Kafka = Pick<Connection, 'address' | 'groups'>;

/** What was told of each group; or why nothing was. */
type Groups = ReadonlyMap<string, GroupAnswer> | string;

export class Observer {
  readonly #admin: RdKafka.IAdminClient;

  private constructor(
    private readonly kafka: Kafka,
    private readonly targets: readonly Target[],
    private readonly health: readonly string[],
  ) {
    const { address } = kafka;
    const settings = typeof address === 'string' ? { 'bootstrap.servers': address } : address;
    this.#admin = RdKafka.AdminClient.create({ log_level: 2, ...settings });
  }

  /** @param health URLs. @throws Error naming the brokers when none answers */
  static async connect(kafka: Kafka, targets: readonly Target[], health: readonly string[]): Promise<Observer> {
    await awaitBrokers(kafka.address, 1);
    return new Observer(kafka, targets, health);
  }

  close(): void {
    this.#admin.disconnect();
  }

  /** @param keys a sample of an earlier look: keys change slowly */
  async look(keys: readonly KeySample[] = []): Promise<Snapshot> {
    const asked = Promise.all(this.health.map((url) => healthOf(url)));
    const at = Date.now();
    const groups = await this.kafka.groups(this.targets.map(({ group }) => group)).catch(messageOf);
    const agents: AgentSight[] = [];
    for (const target of this.targets) agents.push(await this.#agent(target, groups));
    return { at, agents: await this.#aged(agents), health: await asked, keys };
  }

  /** The keys of the newest records of the agents' inputs. */
  async sampleKeys({ agents }: Snapshot): Promise<KeySample[]> {
    const looks = agents.flatMap(({ topic, partitions }) =>
      partitions.flatMap(({ partition, first, stable }): Look[] => {
        if (first === null || stable === null) return [];
        return [{ topic, partition, offset: Math.max(first, stable - SAMPLE), end: stable, count: SAMPLE }];
      }),
    );
    const { records } = await peek(this.kafka.address, looks).catch(() => ({ records: [] }));
    return looks.flatMap(({ topic, partition }): KeySample[] => {
      const own = records.filter((record) => record.topic === topic && record.partition === partition);
      if (own.length === 0) return [];
      const counts = new Map<string, number>();
      for (const { key } of own) if (key !== null) counts.set(key.toString(), (counts.get(key.toString()) ?? 0) + 1);
      const [commonest] = [...counts].sort(([, a], [, b]) => b - a);
      const unkeyed = own.filter(({ key }) => key === null).length;
      const top = commonest === undefined ? null : { key: commonest[0], records: commonest[1] };
      return [{ topic, partition, records: own.length, unkeyed, commonest: top }];
    });
  }

  async #agent(target: Target, groups: Groups): Promise<AgentSight> {
    const { topic, group } = target;
    const nothing = { ...target, topicExists: true, state: 'unknown', members: [], partitions: [] } as const;
    try {
      const [described] = await call<RdKafka.TopicDescription[]>((done) =>
        this.#admin.describeTopics([topic], { timeout: ANSWER_MS }, done),
      );
      const problem = described?.error;
      const isUnknown = problem?.code === RdKafka.CODES.ERRORS.ERR_UNKNOWN_TOPIC_OR_PART;
      if (problem && !isUnknown) return { ...nothing, refused: `the topic ${topic}: ${problem.message}` };
      const { state, members } = groupSight(target, groups);
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

  async #partitions({ topic, group }: Target, described: RdKafka.TopicDescription): Promise<Partition[]> {
    // librdkafka waits for a leader as long as it may: it is asked about those that have one.
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
          { timeout: ANSWER_MS, isolationLevel },
          done,
        ),
      );
      return new Map(found.filter(({ error }) => !error).map(({ partition, offset: at }) => [partition, at]));
    };
    // The committed ones first: an end that is asked for later is not before them.
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
      .map(({ partition, leader }): Partition => {
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

  /** Reads the oldest record that waits in each partition. Where nothing but markers waits, there is no lag. */
  async #aged(agents: readonly AgentSight[]): Promise<AgentSight[]> {
    const waiting = agents.flatMap(({ topic, partitions }) =>
      partitions.filter(({ lag }) => lag > 0).map((each) => ({ topic, ...each })),
    );
    const looks = waiting
      .sort((a, b) => b.lag - a.lag)
      .slice(0, MOST_LOOKS)
      .map(({ topic, partition, committed, first, end }): Look => {
        const offset = Math.max(committed ?? 0, first ?? 0);
        return { topic, partition, offset, end: end ?? offset, count: 1 };
      });
    // A look that fails in an outage must not hide what the others say of it.
    const sight = await peek(this.kafka.address, looks).catch(() => undefined);
    if (sight === undefined) return [...agents];
    const { records, complete } = sight;
    const asked = new Set(looks.map(({ topic, partition }) => `${topic}-${partition}`));
    return agents.map((agent) => ({
      ...agent,
      partitions: agent.partitions.map((each): Partition => {
        if (!asked.has(`${agent.topic}-${each.partition}`)) return each;
        const record = records.find(({ topic, partition }) => topic === agent.topic && partition === each.partition);
        if (record !== undefined) return { ...each, oldest: { offset: record.offset, timestamp: record.timestamp } };
        const nothing = complete({ topic: agent.topic, partition: each.partition }) && each.stable === each.end;
        return nothing ? { ...each, lag: 0 } : each;
      }),
    }));
  }
}

/** @throws Error when the cluster does not tell */
function groupSight(
  { group, topic }: Target,
  groups: Groups,
): { readonly state: GroupState; readonly members: readonly Member[] } {
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
