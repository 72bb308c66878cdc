/** What a move of state asks of Kafka: topics and their ends, the members of a group, what a partition holds. */
import { RdKafka } from '@confluentinc/kafka-javascript';
import { losslessProducer } from '@kafnus/agent-runtime';
import { awaitBrokers, awaitLeaders, call, committedOf, enqueue, type ClientSettings } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '../kafka/settings.js';
import { quoted } from '../terminal/text.js';

const ANSWER_MS = 10_000;
/** New partitions have leaders after this long, or never. */
const LEADERS_MS = 30_000;
/** How long a reader waits for an open transaction to end; longer than those of the agents can last by default. */
const STILL_MS = 60_000;
const BATCH = 5000;

/** A place in a partition. */
export interface Position {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** Offsets of the first record and of the end; `end` counts open transactions and markers as well. */
export interface Range extends Position {
  readonly end: number;
}

/** How the cluster is reached, and asked about groups. */
export type Kafka = Pick<Connection, 'address' | 'groups'>;

/** One connection that administers and reads, for the group whose state is moved; it is no member of the group. */
export class Cluster {
  readonly #admin: RdKafka.IAdminClient;
  readonly #settings: ClientSettings & { readonly 'bootstrap.servers': string };
  readonly #group: string;
  readonly #groups: Kafka['groups'];
  /** Stands for the group where offsets are looked up and written. */
  readonly consumer: RdKafka.KafkaConsumer;

  private constructor({ address, groups }: Kafka, group: string) {
    const given = typeof address === 'string' ? { 'bootstrap.servers': address } : address;
    this.#settings = { log_level: 2, ...given };
    this.#group = group;
    this.#groups = groups;
    this.#admin = RdKafka.AdminClient.create(this.#settings);
    this.consumer = this.#createConsumer();
  }

  /** @throws Error naming the brokers when none answers */
  static async connect(kafka: Kafka, group: string): Promise<Cluster> {
    await awaitBrokers(kafka.address, 1);
    const cluster = new Cluster(kafka, group);
    await call((done) => cluster.consumer.connect({ timeout: ANSWER_MS, allTopics: false }, done));
    return cluster;
  }

  async close(): Promise<void> {
    this.#admin.disconnect();
    await call<unknown>((done) => this.consumer.disconnect(done));
  }

  /** The partitions of a topic. @throws Error naming the topic when it does not exist */
  async partitions(topic: string): Promise<number> {
    const [found] = await call<RdKafka.TopicDescription[]>((done) =>
      this.#admin.describeTopics([topic], { timeout: ANSWER_MS }, done),
    );
    if (found !== undefined && found.partitions.length > 0) return found.partitions.length;
    throw new Error(`the topic ${quoted(topic)} does not exist: is --group or --input-topic another one?`);
  }

  /** The living members of the group, as client id and host. @throws Error when the cluster does not tell */
  async members(): Promise<string[]> {
    const found = (await this.#groups([this.#group])).get(this.#group);
    if (found?.kind === 'group') return found.members.map(({ client, host }) => `${client} ${host}`);
    if (found?.kind === 'absent') return [];
    throw new Error(`whether an agent runs is not known: ${found?.message ?? 'no answer'}`);
  }

  /** First offset and end of each partition. */
  async ranges(topic: string, partitions: number): Promise<Range[]> {
    const list = (offset: RdKafka.OffsetSpec): Promise<RdKafka.ListOffsetsResult[]> =>
      call((done) => {
        this.#admin.listOffsets(
          Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset })),
          { timeout: ANSWER_MS, isolationLevel: RdKafka.IsolationLevel.READ_UNCOMMITTED },
          done,
        );
      });
    const first = new Map((await list(RdKafka.OffsetSpec.EARLIEST)).map((found) => [found.partition, found]));
    return (await list(RdKafka.OffsetSpec.LATEST))
      .map(({ partition, offset: end, error }) => {
        const start = first.get(partition);
        const problem = error ?? start?.error;
        if (problem || start === undefined) {
          throw new Error(`no answer about ${topic}-${partition}: ${problem?.message ?? 'it was left out'}`);
        }
        return { topic, partition, offset: start.offset, end };
      })
      .sort((a, b) => a.partition - b.partition);
  }

  /**
   * The group's committed offsets, by partition; a partition without one is left out. Waits for transactions that are about
   * to move them (KIP-447).
   */
  async committed(topic: string, partitions: number): Promise<Map<number, number>> {
    const asked = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
    for (const since = Date.now(); ; await sleep(500)) {
      try {
        return await committedOf(this.consumer, asked);
      } catch (error) {
        if (Date.now() - since > STILL_MS) throw error;
      }
    }
  }

  /** Gives a topic more partitions, and waits until all have leaders. Nothing, when it has as many. */
  async grow(topic: string, partitions: number): Promise<void> {
    if ((await this.partitions(topic)) < partitions) {
      await call<void>((done) => {
        this.#admin.createPartitions(topic, partitions, ANSWER_MS, (error?: RdKafka.LibrdKafkaError) =>
          done(error && { message: `${topic} cannot be given ${partitions} partitions: ${error.message}` }, undefined),
        );
      });
    }
    await awaitLeaders(this.consumer, topic, partitions, LEADERS_MS);
  }

  /**
   * Reads committed records from the positions to the ends as they were when asked for. Waits for open transactions before
   * these ends, since what they hold may come to count.
   * @param onRecord answers false when it has seen enough
   * @throws Error when a transaction stays open
   */
  async read(
    ranges: readonly Range[],
    onRecord: (message: RdKafka.Message) => boolean,
    onProgress: () => void = () => undefined,
  ): Promise<void> {
    const open = new Map(ranges.filter(({ offset, end }) => offset < end).map((range) => [range.partition, range]));
    if (open.size === 0) return;
    const consumer = this.#createConsumer();
    const reached = (partition: number, offset: number): void => {
      if (offset >= (open.get(partition)?.end ?? Infinity)) open.delete(partition);
    };
    let moved = Date.now();
    await call((done) => consumer.connect({ timeout: ANSWER_MS, allTopics: false }, done));
    try {
      // Markers take offsets too, and are no records: where a partition ends is told by an event.
      consumer.on('partition.eof', ({ partition, offset }) => reached(partition, offset));
      consumer.setDefaultConsumeTimeout(100);
      consumer.assign([...open.values()].map(({ topic, partition, offset }) => ({ topic, partition, offset })));
      while (open.size > 0) {
        const batch = await call<RdKafka.Message[]>((done) => consumer.consume(BATCH, done));
        for (const message of batch) {
          if (!onRecord(message)) return;
          reached(message.partition, message.offset + 1);
        }
        if (batch.length > 0) moved = Date.now();
        else if (Date.now() - moved > STILL_MS) throw new Error(stillOpen([...open.values()]));
        onProgress();
      }
    } finally {
      await call<unknown>((done) => consumer.disconnect(done));
    }
  }

  /** A producer of one transaction at a time, which ends what a predecessor with the same id has left open. */
  async writer(transactionalId: string, settings: ClientSettings): Promise<Writer> {
    return Writer.connect(transactionalId, { ...this.#settings, ...settings });
  }

  #createConsumer(): RdKafka.KafkaConsumer {
    return new RdKafka.KafkaConsumer(
      {
        ...this.#settings,
        'group.id': this.#group,
        'enable.auto.commit': false,
        'isolation.level': 'read_committed',
        'enable.partition.eof': true,
        'fetch.wait.max.ms': 50,
      },
      { 'auto.offset.reset': 'earliest' },
    );
  }
}

/** Writes changes of the state in one transaction. */
export class Writer {
  /** Longer than the write of a large state takes, and within what brokers allow by default (15 minutes). */
  static readonly transactionMs = 600_000;
  readonly #producer: RdKafka.Producer;
  #refused: string | undefined;

  private constructor(producer: RdKafka.Producer) {
    this.#producer = producer;
    producer.on('delivery-report', (error, report) => {
      if (error) this.#refused ??= `${report.topic}-${report.partition}: ${error.message}`;
    });
    producer.setPollInterval(50);
  }

  static async connect(transactionalId: string, settings: ClientSettings): Promise<Writer> {
    const producer = new RdKafka.Producer({
      ...settings,
      'linger.ms': 5,
      'allow.auto.create.topics': false,
      ...losslessProducer,
      acks: -1,
      'transactional.id': transactionalId,
      'transaction.timeout.ms': Writer.transactionMs,
    });
    await call((done) => producer.connect({ timeout: ANSWER_MS, allTopics: false }, done));
    const writer = new Writer(producer);
    await done('start transactions', (answer) => producer.initTransactions(STILL_MS, answer)).catch(
      async (error: unknown) => {
        await writer.close();
        throw error;
      },
    );
    return writer;
  }

  /**
   * Opens the transaction, and takes hold of the group's offsets in it: an agent that is started reads them before anything
   * else, and gets no answer until the transaction has ended.
   */
  async begin(offsets: readonly Position[], consumer: RdKafka.KafkaConsumer): Promise<void> {
    await done('begin the transaction', (answer) => this.#producer.beginTransaction(answer));
    await done('hold the group', (answer) =>
      this.#producer.sendOffsetsToTransaction([...offsets], consumer, STILL_MS, answer),
    );
  }

  /** Waits until this client knows all of the topic's partitions: it refuses to write to others. */
  async knows(topic: string, partitions: number): Promise<void> {
    await awaitLeaders(this.#producer, topic, partitions, LEADERS_MS);
  }

  /** Queues one record; waits while the queue is full. */
  async write(topic: string, partition: number, key: string, value: string | null): Promise<void> {
    const bytes = value === null ? null : Buffer.from(value);
    await enqueue(this.#producer, topic, partition, bytes, key, Date.now());
  }

  /** Waits until the brokers have taken everything. @throws Error naming what was refused */
  async flush(): Promise<void> {
    await done('write the state', (answer) => this.#producer.flush(Writer.transactionMs, answer));
    this.#producer.poll();
    await sleep(0);
    if (this.#refused !== undefined) throw new Error(`a record was refused by ${this.#refused}`);
  }

  async commit(): Promise<void> {
    await done('commit', (answer) => this.#producer.commitTransaction(STILL_MS, answer));
  }

  async abort(): Promise<void> {
    await done('abort', (answer) => this.#producer.abortTransaction(STILL_MS, answer));
  }

  async close(): Promise<void> {
    await call<unknown>((answer) => this.#producer.disconnect(answer));
  }
}

function done(what: string, start: (answer: (error?: RdKafka.LibrdKafkaError | null) => void) => void): Promise<void> {
  return call((answer) =>
    start((error) => answer(error && { message: `cannot ${what}: ${error.message}` }, undefined)),
  );
}

function stillOpen(ranges: readonly Range[]): string {
  const names = ranges.map(({ topic, partition }) => `${topic}-${partition}`).join(', ');
  return `a transaction stays open at the end of ${names}: is somebody still writing there? Stop it and try again`;
}
