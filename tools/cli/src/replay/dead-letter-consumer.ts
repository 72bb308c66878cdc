/** Reads the dead-letter topic for a replay, and looks up the topics that records are sent to. */
import { RdKafka } from '@confluentinc/kafka-javascript';
import { ownHeaders } from '@kafnus/agent-runtime';
import { call, messageOf } from '@kafnus/kafka-admin';
import { awaitBrokers, type ClientSettings, type KafkaAddress } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { groupOffsets } from '../kafka/group-offsets.js';
import {
  answerTimeoutMs,
  clientSettings,
  committedConsumer,
  idleTimeoutMs,
  offsetRanges,
  partitionName,
  readCommitted,
  type OffsetRange,
  type PartitionOffset,
  type TopicPartition,
} from '../kafka/offset-ranges.js';
import { peek } from '../kafka/peek-records.js';
import type { ConsumedRecord } from './dead-letter-record.js';
import { partitionerOf, type Destination } from './destination-partition.js';
import { ReplayProducer } from './replay-producer.js';

/** Records at the end of each partition of a destination from which its partitioner is derived. */
const tailRecords = 200;
const batchSize = 500;
const { ERR_UNKNOWN_TOPIC_OR_PART: unknownTopic } = RdKafka.CODES.ERRORS;

/** Stores its offsets in a consumer group, of which it is no member. */
export class DeadLetterConsumer {
  readonly #address: KafkaAddress;
  readonly #topic: string;
  readonly #group: string;
  readonly #settings: ClientSettings;
  /** Stands for the group in requests to the brokers; it reads nothing. */
  readonly #consumer: RdKafka.KafkaConsumer;

  private constructor(address: KafkaAddress, topic: string, group: string) {
    this.#address = address;
    this.#topic = topic;
    this.#group = group;
    // A replay with a low rate must not hold the whole topic in memory.
    this.#settings = { 'queued.max.messages.kbytes': 8192, ...clientSettings(address) };
    this.#consumer = committedConsumer(this.#settings, group);
  }

  /** @throws Error naming the brokers when none answers */
  static async open(address: KafkaAddress, topic: string, group: string): Promise<DeadLetterConsumer> {
    // Its error names the cause when there is no connection; that of the consumer does not.
    await awaitBrokers(address, 1);
    const opened = new DeadLetterConsumer(address, topic, group);
    await call((done) => opened.#consumer.connect({ timeout: answerTimeoutMs, allTopics: false }, done));
    return opened;
  }

  async close(): Promise<void> {
    await call<unknown>((done) => this.#consumer.disconnect(done));
  }

  /**
   * The records that this group has not read: from its committed offsets to the last stable
   * offsets.
   * @throws Error when the dead-letter topic does not exist
   */
  async unreadRanges(): Promise<OffsetRange[]> {
    const count = await this.#partitionCount(this.#topic, RdKafka.AclOperationTypes.READ);
    if (count === 0) {
      throw new Error(
        `the dead-letter topic ${this.#topic} does not exist, or this user may not describe it: ` +
          'correct --topic, --brokers or KAFNUS_TOPIC_PREFIX',
      );
    }
    const committed = await this.#committedOffsets(partitionsOf(this.#topic, count));
    return (await this.#offsetRanges(this.#topic, count)).map((range) => {
      const offset = Math.max(committed.get(partitionName(range)) ?? 0, range.offset);
      return { ...range, offset, end: Math.max(offset, range.end) };
    });
  }

  /** Reads the committed records of the ranges. @param onBatch see `readCommitted` */
  async read(
    ranges: readonly OffsetRange[],
    onBatch: (records: readonly ConsumedRecord[], positions: readonly PartitionOffset[]) => Promise<boolean>,
  ): Promise<void> {
    await readCommitted({
      settings: this.#settings,
      group: this.#group,
      ranges,
      batchSize,
      onBatch: (messages, positions) => onBatch(messages.map(consumedRecord), positions),
      idleMessage: (partitions) =>
        `no records of ${partitions} arrive: check that their brokers are up and that this user may read them`,
    });
  }

  /** Describes a topic that records are sent to. @throws Error when it does not exist */
  async destination(topic: string): Promise<Destination> {
    const partitions = await this.#partitionCount(topic, RdKafka.AclOperationTypes.WRITE);
    if (partitions === 0) {
      throw new Error(
        `the topic ${topic}, to which records would be sent, does not exist, or this user may not describe it: ` +
          'create it, or leave its records out with --from',
      );
    }
    if (partitions === 1) return { topic, partitions, partitioner: undefined };
    const tails = (await this.#offsetRanges(topic, partitions)).map((range) => {
      return { ...range, offset: Math.max(range.offset, range.end - tailRecords), count: tailRecords };
    });
    const { records } = await peek(this.#address, tails);
    return { topic, partitions, partitioner: partitionerOf(records, partitions) };
  }

  /**
   * A transactional producer for this group. It aborts the open transaction of an earlier run and
   * fences it.
   */
  async createProducer(settings: ClientSettings): Promise<ReplayProducer> {
    return ReplayProducer.connect({ ...clientSettings(this.#address), ...settings }, this.#group, this.#consumer);
  }

  /**
   * The number of partitions of a topic; 0 when it does not exist.
   * @throws Error when the brokers report that this user may not do `operation`
   */
  async #partitionCount(topic: string, operation: RdKafka.AclOperationTypes): Promise<number> {
    return this.#withAdmin(async (admin) => {
      const [described] = await call<RdKafka.TopicDescription[]>((done) =>
        admin.describeTopics([topic], { timeout: answerTimeoutMs, includeAuthorizedOperations: true }, done),
      );
      const { partitions = [], error, authorizedOperations: allowed } = described ?? {};
      if (error !== undefined && error.code !== unknownTopic)
        throw new Error(`the topic ${topic} cannot be described: ${error.message}`);
      if (partitions.length > 0 && allowed !== undefined && !allowed.includes(operation)) {
        const right = operation === RdKafka.AclOperationTypes.READ ? 'Read' : 'Write';
        throw new Error(`this user has no authorization for ${topic}: grant ${right} on the topic. Nothing was sent`);
      }
      return partitions.length;
    });
  }

  async #offsetRanges(topic: string, partitions: number): Promise<OffsetRange[]> {
    return this.#withAdmin((admin) =>
      offsetRanges(admin, partitionsOf(topic, partitions), RdKafka.IsolationLevel.READ_COMMITTED),
    );
  }

  /** Waits for a transaction that is about to commit offsets of the group (KIP-447). */
  async #committedOffsets(partitions: readonly TopicPartition[]): Promise<Map<string, number>> {
    return this.#withAdmin(async (admin) => {
      for (const since = Date.now(); ; await sleep(500)) {
        try {
          return await groupOffsets(admin, this.#group, partitions, true);
        } catch (error) {
          if (Date.now() - since > idleTimeoutMs || !/unstable/i.test(messageOf(error))) throw error;
        }
      }
    });
  }

  async #withAdmin<T>(work: (admin: RdKafka.IAdminClient) => Promise<T>): Promise<T> {
    const admin = RdKafka.AdminClient.createFrom(this.#consumer);
    try {
      return await work(admin);
    } finally {
      admin.disconnect();
    }
  }
}

function partitionsOf(topic: string, count: number): TopicPartition[] {
  return Array.from({ length: count }, (_, partition) => ({ topic, partition }));
}

function consumedRecord({
  topic,
  partition,
  offset,
  timestamp = -1,
  key,
  value,
  headers = [],
}: RdKafka.Message): ConsumedRecord {
  const bytes = typeof key === 'string' ? Buffer.from(key) : (key ?? null);
  return { topic, partition, offset, timestamp, key: bytes, value, headers: ownHeaders(headers) };
}
