import { RdKafka } from '@confluentinc/kafka-javascript';
import { setTimeout as sleep } from 'node:timers/promises';
import { call, createTopic, messageOf } from '@kafnus/kafka-admin';
import { ANSWER_TIMEOUT, allPartitions, withConsumer, type AnyClient, type KafkaAddress } from './kafka-client.js';

/** A topic to be created. */
export interface TopicPlan {
  readonly topic: string;
  readonly partitions: number;
  /** Default: the broker's own. */
  readonly replicationFactor?: number;
  readonly config?: Readonly<Record<string, string>>;
}

export type Isolation = 'read_committed' | 'read_uncommitted';

/**
 * Creates topics and waits until their partitions have leaders. librdkafka's mock cluster cannot do
 * it: see {@link startEmbeddedBroker}.
 * @throws Error naming the topic when it exists already or the broker refuses it
 */
export async function createTopics(address: KafkaAddress, topics: readonly TopicPlan[]): Promise<void> {
  await withConsumer(address, {}, async (client) => {
    const admin = RdKafka.AdminClient.createFrom(client);
    try {
      await Promise.all(
        topics.map(({ topic, partitions, replicationFactor = -1, config = {} }) =>
          createTopic(admin, topic, { partitions, replicationFactor, config }, ANSWER_TIMEOUT).catch(
            (error: unknown) => {
              throw new Error(`Topic ${topic} cannot be created: ${messageOf(error)}`, { cause: error });
            },
          ),
        ),
      );
    } finally {
      admin.disconnect();
    }
    for (const { topic, partitions } of topics) await awaitLeaders(client, topic, partitions);
  });
}

/** Deletes a topic and creates it again; the brokers need a moment between the two. */
export async function recreateTopic(address: KafkaAddress, plan: TopicPlan): Promise<void> {
  await withAdmin(address, (admin) =>
    call<void>((done) => admin.deleteTopic(plan.topic, ANSWER_TIMEOUT, (error) => done(error, undefined))),
  );
  for (const deadline = Date.now() + ANSWER_TIMEOUT; ; await sleep(100)) {
    try {
      await createTopics(address, [plan]);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}

/** Deletes the records of a partition before an offset, as retention does. */
export async function deleteRecords(
  address: KafkaAddress,
  { topic, partition }: { readonly topic: string; readonly partition: number },
  before: number,
): Promise<void> {
  const options = { timeout: ANSWER_TIMEOUT };
  await withAdmin(address, (admin) =>
    call<unknown>((done) => admin.deleteRecords([{ topic, partition, offset: before }], options, done)),
  );
}

async function withAdmin<T>(address: KafkaAddress, work: (admin: RdKafka.IAdminClient) => Promise<T>): Promise<T> {
  return withConsumer(address, {}, async (client) => {
    const admin = RdKafka.AdminClient.createFrom(client);
    try {
      return await work(admin);
    } finally {
      admin.disconnect();
    }
  });
}

/** The committed offsets of a consumer group, by partition; a partition without one is left out. */
export async function committedOffsets(
  address: KafkaAddress,
  group: string,
  topic: string,
): Promise<Map<number, number>> {
  return withConsumer(address, { 'group.id': group }, async (consumer) => {
    return committedOf(consumer, await allPartitions(consumer, [topic]));
  });
}

/** Commits an offset for a group that has no members, whatever the log holds. */
export async function commitOffset(
  address: KafkaAddress,
  group: string,
  position: { readonly topic: string; readonly partition: number; readonly offset: number },
): Promise<void> {
  await withConsumer(address, { 'group.id': group }, (consumer) => {
    consumer.commitSync(position);
    return Promise.resolve();
  });
}

/**
 * What the group of a consumer has committed, by partition of one topic; a partition without an
 * offset is left out.
 */
export async function committedOf(
  consumer: RdKafka.KafkaConsumer,
  partitions: { topic: string; partition: number }[],
): Promise<Map<number, number>> {
  const committed = await call<RdKafka.TopicPartitionOffsetAndMetadata[]>((done) =>
    consumer.committed(partitions, ANSWER_TIMEOUT, done),
  );
  // The declared type hides that the client leaves the offset out when there is none.
  const found = committed.filter((entry: Partial<RdKafka.TopicPartitionOffset>) => entry.offset !== undefined);
  return new Map(found.map(({ partition, offset }) => [partition, offset]));
}

/**
 * The end of each partition: the offset that the next record will get, or with read_committed the
 * first offset that is not stable yet. Transaction markers take offsets too.
 */
export async function endOffsets(
  address: KafkaAddress,
  topic: string,
  isolation: Isolation = 'read_uncommitted',
): Promise<number[]> {
  return withConsumer(address, {}, async (consumer) => {
    const partitions = await allPartitions(consumer, [topic]);
    const admin = RdKafka.AdminClient.createFrom(consumer);
    const isolationLevel =
      RdKafka.IsolationLevel[isolation === 'read_committed' ? 'READ_COMMITTED' : 'READ_UNCOMMITTED'];
    try {
      const ends = await call<RdKafka.ListOffsetsResult[]>((done) =>
        admin.listOffsets(
          partitions.map((partition) => ({ ...partition, offset: RdKafka.OffsetSpec.LATEST })),
          { timeout: ANSWER_TIMEOUT, isolationLevel },
          done,
        ),
      );
      return ends.sort((a, b) => a.partition - b.partition).map(({ offset }) => offset);
    } finally {
      admin.disconnect();
    }
  });
}

/**
 * Waits until read_committed readers of a topic see all that is in it: until no transaction is open
 * any more. That of a member that died without a successor of its name lives until its timeout, and
 * a commit may be answered before its markers are written.
 * @throws Error naming the topic when it takes longer
 */
export async function awaitStable(address: KafkaAddress, topic: string, timeoutMs = 30_000): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; ; await sleep(100)) {
    const end = String(await endOffsets(address, topic));
    const stable = String(await endOffsets(address, topic, 'read_committed'));
    if (stable === end) return;
    if (Date.now() > deadline)
      throw new Error(`${topic}: a transaction hangs; its partitions end at ${end}, stable is ${stable}`);
  }
}

/**
 * Waits until a client knows leaders for so many partitions of a topic. @throws Error naming the
 * topic when it takes longer
 */
export async function awaitLeaders(
  client: AnyClient,
  topic: string,
  partitions: number,
  timeoutMs: number = ANSWER_TIMEOUT,
): Promise<void> {
  for (const since = Date.now(); ; await sleep(50)) {
    const metadata = await call<RdKafka.Metadata>((done) => {
      client.getMetadata({ topic, allTopics: false, timeout: ANSWER_TIMEOUT }, done);
    });
    const known = metadata.topics.find(({ name }) => name === topic)?.partitions ?? [];
    if (known.filter(({ leader }) => leader >= 0).length >= partitions) return;
    if (Date.now() - since > timeoutMs) {
      throw new Error(`Topic ${topic} has no leaders for all of its ${partitions} partitions after ${timeoutMs} ms`);
    }
  }
}
