/** The topics and the members of one consumer group, for a command that moves its state. */
import { RdKafka } from '@confluentinc/kafka-javascript';
import { call } from '@kafnus/kafka-admin';
import { awaitBrokers, awaitLeaders, committedOf, type ClientSettings } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '../kafka/connection.js';
import {
  answerTimeoutMs,
  clientSettings,
  committedConsumer,
  idleTimeoutMs,
  offsetRanges,
  readCommitted,
  type OffsetRange,
} from '../kafka/offset-ranges.js';
import { quoted } from '../terminal/text.js';
import { leadersTimeoutMs, StateProducer } from './state-producer.js';

const batchSize = 5000;

/** Is no member of the group. */
export class GroupTopics {
  readonly #admin: RdKafka.IAdminClient;
  readonly #settings: ClientSettings;
  readonly #group: string;
  readonly #groups: Connection['groups'];
  /** Stands for the group where offsets are fetched and committed. */
  readonly consumer: RdKafka.KafkaConsumer;

  private constructor({ address, groups }: Pick<Connection, 'address' | 'groups'>, group: string) {
    this.#settings = clientSettings(address);
    this.#group = group;
    this.#groups = groups;
    this.#admin = RdKafka.AdminClient.create(clientSettings(address));
    this.consumer = committedConsumer(this.#settings, group);
  }

  /** @throws Error naming the brokers when none answers */
  static async connect(kafka: Pick<Connection, 'address' | 'groups'>, group: string): Promise<GroupTopics> {
    await awaitBrokers(kafka.address, 1);
    const topics = new GroupTopics(kafka, group);
    await call((done) => topics.consumer.connect({ timeout: answerTimeoutMs, allTopics: false }, done));
    return topics;
  }

  async close(): Promise<void> {
    this.#admin.disconnect();
    await call<unknown>((done) => this.consumer.disconnect(done));
  }

  /** The number of partitions. @throws Error naming the topic when it does not exist */
  async partitions(topic: string): Promise<number> {
    const [described] = await call<RdKafka.TopicDescription[]>((done) =>
      this.#admin.describeTopics([topic], { timeout: answerTimeoutMs }, done),
    );
    if (described !== undefined && described.partitions.length > 0) return described.partitions.length;
    throw new Error(`the topic ${quoted(topic)} does not exist: correct --group or --input-topic`);
  }

  /**
   * Client id and host of each member of the group.
   * @throws Error when the cluster does not answer
   */
  async members(): Promise<string[]> {
    const answer = (await this.#groups([this.#group])).get(this.#group);
    if (answer?.kind === 'group') return answer.members.map(({ client, host }) => `${client} ${host}`);
    if (answer?.kind === 'absent') return [];
    throw new Error(`the members of the group are unknown: ${answer?.message ?? 'no answer'}`);
  }

  /** The ends are high watermarks, behind the records of open transactions. */
  async ranges(topic: string, partitions: number): Promise<OffsetRange[]> {
    const all = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
    return offsetRanges(this.#admin, all, RdKafka.IsolationLevel.READ_UNCOMMITTED);
  }

  /**
   * The committed offsets of the group by partition, without the partitions that have none. Waits
   * for transactions that are about to commit some (KIP-447).
   */
  async committed(topic: string, partitions: number): Promise<Map<number, number>> {
    const all = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
    for (const since = Date.now(); ; await sleep(500)) {
      try {
        return await committedOf(this.consumer, all);
      } catch (error) {
        if (Date.now() - since > idleTimeoutMs) throw error;
      }
    }
  }

  /** Adds partitions to a topic that has fewer, and waits until all have leaders. */
  async createPartitions(topic: string, partitions: number): Promise<void> {
    if ((await this.partitions(topic)) < partitions) {
      await call<void>((done) => {
        this.#admin.createPartitions(topic, partitions, answerTimeoutMs, (error?: RdKafka.LibrdKafkaError) =>
          done(
            error && { message: `cannot add partitions to ${topic}, up to ${partitions}: ${error.message}` },
            undefined,
          ),
        );
      });
    }
    await awaitLeaders(this.consumer, topic, partitions, leadersTimeoutMs);
  }

  /**
   * Reads the committed records of the ranges. Waits for transactions that are open within them,
   * because their records count once they are committed.
   * @param onRecord returns false to end the reading
   * @throws Error when a transaction stays open
   */
  async read(
    ranges: readonly OffsetRange[],
    onRecord: (message: RdKafka.Message) => boolean,
    onProgress: () => void,
  ): Promise<void> {
    await readCommitted({
      settings: this.#settings,
      group: this.#group,
      ranges,
      batchSize,
      onBatch: (messages) => {
        const goesOn = messages.every(onRecord);
        if (goesOn) onProgress();
        return goesOn;
      },
      idleMessage: (partitions) =>
        `a transaction stays open at the end of ${partitions}: stop the producers that write there and try again`,
    });
  }

  /**
   * A transactional producer. It aborts the open transaction of an earlier one with the same id.
   */
  async createProducer(transactionalId: string, settings: ClientSettings): Promise<StateProducer> {
    return StateProducer.connect(transactionalId, { ...this.#settings, ...settings });
  }
}
