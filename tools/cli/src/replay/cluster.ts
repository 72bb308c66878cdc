/** What a replay asks of Kafka: letters in order, destinations, and one transaction for each batch. */
import { RdKafka } from '@confluentinc/kafka-javascript';
import { losslessProducer, ownHeaders } from '@kafnus/agent-runtime';
import { awaitBrokers, call, enqueue, type ClientSettings, type KafkaAddress } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../error-text.js';
import { groupOffsets } from '../kafka/group-offsets.js';
import { peek } from '../kafka/peek.js';
import { ruleOf, type Destination } from './destination.js';
import type { Header, LetterRecord } from './letter.js';

const ANSWER_MS = 10_000;
/** How long a transaction of a replay that was killed, or of the coordinator, is waited for. */
const STILL_MS = 60_000;
/** Of each partition of a destination: enough to tell how its publishers choose partitions. */
const TAIL = 200;
const BATCH = 500;
const codes = RdKafka.CODES.ERRORS;
/** The others of an aborted transaction: a consequence, not the cause. */
const purges: readonly unknown[] = [codes.ERR__PURGE_QUEUE, codes.ERR__PURGE_INFLIGHT];
/** Of a producer that has begun to write, each says that another one has its transactional id now. */
const takeovers: readonly unknown[] = [
  codes.ERR__FENCED,
  codes.ERR__FATAL,
  codes.ERR_PRODUCER_FENCED,
  codes.ERR_INVALID_PRODUCER_EPOCH,
];
/** Agents wait behind an open transaction of a replay that was killed, for so long at most. */
const TRANSACTION_MS = 15_000;
/** A client that was fenced may not come back from its end. */
const END_MS = 5000;

/** A stretch of a partition: `offset <= letter < end`. */
export interface Range {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly end: number;
}

/** A record to be sent. */
export interface Outgoing {
  readonly topic: string;
  /** undefined: any. */
  readonly partition: number | undefined;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly Header[];
  readonly timestamp: number;
}

/** A client that reads the dead-letter topic for a group; it is no member of the group, and keeps its offsets there. */
export class Letters {
  readonly #settings: ClientSettings;

  private constructor(
    readonly address: KafkaAddress,
    readonly topic: string,
    readonly group: string,
    private readonly consumer: RdKafka.KafkaConsumer,
    settings: ClientSettings,
  ) {
    this.#settings = settings;
  }

  /** @throws Error naming the brokers when none answers, or the topic when it does not exist */
  static async open(address: KafkaAddress, topic: string, group: string): Promise<Letters> {
    // Of all clients this one says why it cannot connect.
    await awaitBrokers(address, 1);
    const given = typeof address === 'string' ? { 'bootstrap.servers': address } : address;
    const settings = { log_level: 2, ...given };
    const consumer = createReader(settings, group);
    await call((done) => consumer.connect({ timeout: ANSWER_MS, allTopics: false }, done));
    return new Letters(address, topic, group, consumer, settings);
  }

  async close(): Promise<void> {
    await call<unknown>((done) => this.consumer.disconnect(done));
  }

  /**
   * What of each partition is still to be read: from the group's position to the last stable offset. A transaction that is
   * about to move the position is waited for (KIP-447).
   */
  async ranges(): Promise<Range[]> {
    const count = await this.#partitions(this.topic, RdKafka.AclOperationTypes.READ);
    if (count === 0) {
      throw new Error(
        `the dead-letter topic ${this.topic} does not exist, or this user may not see it: correct --topic, --brokers or KAFNUS_TOPIC_PREFIX`,
      );
    }
    const partitions = Array.from({ length: count }, (_, partition) => ({ topic: this.topic, partition }));
    const positions = await this.#positions(partitions);
    return (await this.#bounds(partitions)).map((range) => {
      const offset = Math.max(positions.get(`${range.topic}-${range.partition}`) ?? 0, range.offset);
      return { ...range, offset, end: Math.max(offset, range.end) };
    });
  }

  /**
   * Reads the committed records of the ranges, in the order of each partition.
   * @param onBatch gets some records, and how far each partition has been read with them; it may take its time. False ends it.
   */
  async read(
    ranges: readonly Range[],
    onBatch: (records: readonly LetterRecord[], reached: ReadonlyMap<number, number>) => Promise<boolean>,
  ): Promise<void> {
    const wanted = new Map(ranges.filter(({ offset, end }) => offset < end).map((range) => [range.partition, range]));
    const open = new Set(wanted.keys());
    if (open.size === 0) return;
    const reader = createReader(this.#settings, this.group);
    await call((done) => reader.connect({ timeout: ANSWER_MS, allTopics: false }, done));
    try {
      const ended = new Set<number>();
      // Markers take offsets too, and are no records: where a partition ends is told by an event.
      reader.on('partition.eof', ({ partition, offset }) => {
        if (offset >= (wanted.get(partition)?.end ?? Infinity)) ended.add(partition);
      });
      reader.setDefaultConsumeTimeout(100);
      reader.assign([...wanted.values()].map(({ topic, partition, offset }) => ({ topic, partition, offset })));
      let moved = Date.now();
      while (open.size > 0) {
        const batch = await call<RdKafka.Message[]>((done) => reader.consume(BATCH, done));
        const reached = new Map<number, number>();
        const records = batch.flatMap((message) => {
          const end = wanted.get(message.partition)?.end ?? 0;
          if (message.offset + 1 >= end) ended.add(message.partition);
          if (message.offset >= end) return [];
          reached.set(message.partition, message.offset + 1);
          return [recordOf(message)];
        });
        // The event comes by another way than the records, but never before those of the call that met the end.
        for (const partition of ended) {
          open.delete(partition);
          reached.set(partition, wanted.get(partition)?.end ?? 0);
        }
        ended.clear();
        if (reached.size > 0) moved = Date.now();
        else if (Date.now() - moved > STILL_MS) {
          const names = [...open].map((partition) => `${this.topic}-${partition}`).join(', ');
          throw new Error(`nothing comes any more of ${names}: are its brokers well, and may this user read it?`);
        }
        if (!(await onBatch(records, reached))) return;
      }
    } finally {
      await call<unknown>((done) => reader.disconnect(done));
    }
  }

  /** Looks a topic up that records are to be sent to. @throws Error when it does not exist */
  async destination(topic: string): Promise<Destination> {
    const partitions = await this.#partitions(topic, RdKafka.AclOperationTypes.WRITE);
    if (partitions === 0) {
      throw new Error(
        `the topic ${topic}, where records would go, does not exist, or this user may not see it: create it, or leave its letters out with --from`,
      );
    }
    if (partitions === 1) return { topic, partitions, rule: undefined };
    const places = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
    const looks = (await this.#bounds(places)).map(({ offset, end, ...place }) => {
      return { ...place, offset: Math.max(offset, end - TAIL), end, count: TAIL };
    });
    const { records } = await peek(this.address, looks);
    return { topic, partitions, rule: ruleOf(records, partitions) };
  }

  /** A producer for this group; it ends what a predecessor with the same name has left open, and shuts it out. */
  async sender(settings: ClientSettings): Promise<Sender> {
    return Sender.connect({ ...this.#settings, ...settings }, this.group, this.consumer);
  }

  /** How many partitions a topic has; 0: none. @throws Error when it is known that this user may not do there what it is to do */
  async #partitions(topic: string, operation: RdKafka.AclOperationTypes): Promise<number> {
    const admin = RdKafka.AdminClient.createFrom(this.consumer);
    try {
      const [found] = await call<RdKafka.TopicDescription[]>((done) =>
        admin.describeTopics([topic], { timeout: ANSWER_MS, includeAuthorizedOperations: true }, done),
      );
      const { partitions = [], error, authorizedOperations: allowed } = found ?? {};
      const isUnknown = error === undefined || error.code === codes.ERR_UNKNOWN_TOPIC_OR_PART;
      if (!isUnknown) throw new Error(`the topic ${topic} cannot be looked up: ${error.message}`);
      if (partitions.length > 0 && allowed !== undefined && !allowed.includes(operation)) {
        const right = operation === RdKafka.AclOperationTypes.READ ? 'Read' : 'Write';
        throw new Error(`this user has no authorization for ${topic}: give it ${right} on the topic. Nothing was sent`);
      }
      return partitions.length;
    } finally {
      admin.disconnect();
    }
  }

  /** First offset and last stable offset of partitions. */
  async #bounds(places: readonly { readonly topic: string; readonly partition: number }[]): Promise<Range[]> {
    const admin = RdKafka.AdminClient.createFrom(this.consumer);
    try {
      const list = async (offset: RdKafka.OffsetSpec): Promise<Map<number, number>> => {
        const found = await call<RdKafka.ListOffsetsResult[]>((done) =>
          admin.listOffsets(
            places.map((place) => ({ ...place, offset })),
            { timeout: ANSWER_MS, isolationLevel: RdKafka.IsolationLevel.READ_COMMITTED },
            done,
          ),
        );
        const failed = found.find(({ error }) => error);
        if (failed?.error)
          throw new Error(`no answer about ${failed.topic}-${failed.partition}: ${failed.error.message}`);
        return new Map(found.map(({ partition, offset: at }) => [partition, at]));
      };
      const first = await list(RdKafka.OffsetSpec.EARLIEST);
      const ends = await list(RdKafka.OffsetSpec.LATEST);
      return places.map((place) => {
        return { ...place, offset: first.get(place.partition) ?? 0, end: ends.get(place.partition) ?? 0 };
      });
    } finally {
      admin.disconnect();
    }
  }

  async #positions(
    partitions: readonly { readonly topic: string; readonly partition: number }[],
  ): Promise<Map<string, number>> {
    const admin = RdKafka.AdminClient.createFrom(this.consumer);
    try {
      for (const since = Date.now(); ; await sleep(500)) {
        try {
          return await groupOffsets(admin, this.group, partitions, true);
        } catch (error) {
          if (Date.now() - since > STILL_MS || !/unstable/i.test(messageOf(error))) throw error;
        }
      }
    } finally {
      admin.disconnect();
    }
  }
}

/** Sends records and moves the group's position, both or neither. */
export class Sender {
  #refused: Error | undefined;

  private constructor(
    private readonly producer: RdKafka.Producer,
    private readonly consumer: RdKafka.KafkaConsumer,
  ) {
    producer.on('delivery-report', (error, report) => {
      if (!error || purges.includes(error.code)) return;
      this.#refused ??= failure(`write to ${report.topic}`, error);
    });
    producer.setPollInterval(50);
  }

  static async connect(settings: ClientSettings, id: string, consumer: RdKafka.KafkaConsumer): Promise<Sender> {
    const producer = new RdKafka.Producer({
      ...settings,
      'linger.ms': 5,
      'allow.auto.create.topics': false,
      'topic.metadata.propagation.max.ms': 3000,
      ...losslessProducer,
      acks: -1,
      partitioner: 'murmur2_random',
      'transactional.id': id,
      'transaction.timeout.ms': TRANSACTION_MS,
    });
    await call((done) => producer.connect({ timeout: ANSWER_MS, allTopics: false }, done));
    const sender = new Sender(producer, consumer);
    try {
      await step('start transactions', (done) => producer.initTransactions(STILL_MS, done));
    } catch (error) {
      await sender.close();
      throw error;
    }
    return sender;
  }

  /**
   * One transaction. @param beforeCommit for tests that end the process where everything is written and nothing committed
   * @throws Error naming what was refused; nothing of the batch is visible then, unless the commit itself got no answer
   */
  async send(
    records: readonly Outgoing[],
    positions: readonly Omit<Range, 'end'>[],
    beforeCommit = (): void => undefined,
  ): Promise<void> {
    await step('begin a transaction', (done) => this.producer.beginTransaction(done));
    try {
      for (const { topic, partition, value, key, headers, timestamp } of records) {
        const copies = headers.map((header) => ({ ...header }));
        const time = timestamp >= 0 ? timestamp : undefined;
        await enqueue(this.producer, topic, partition, value, key, time, undefined, copies);
      }
      await step('write', (done) => this.producer.flush(TRANSACTION_MS, done));
      this.producer.poll();
      await sleep(0);
      if (this.#refused !== undefined) throw this.#refused;
      await step('move the position', (done) =>
        this.producer.sendOffsetsToTransaction([...positions], this.consumer, TRANSACTION_MS, done),
      );
      beforeCommit();
      await step('commit', (done) => this.producer.commitTransaction(TRANSACTION_MS, done));
    } catch (error) {
      this.producer.poll();
      await sleep(0);
      // Where this fails as well, the next run's initTransactions does it.
      await step('abort', (done) => this.producer.abortTransaction(TRANSACTION_MS, done)).catch(() => undefined);
      // The refusal of a record is the cause of what fails after it.
      throw this.#refused ?? (takeovers.includes(codeOf(error)) ? failure('write', error) : error);
    }
  }

  async close(): Promise<void> {
    await Promise.race([
      call<unknown>((done) => this.producer.disconnect(done)),
      sleep(END_MS, undefined, { ref: false }),
    ]);
  }
}

function createReader(settings: ClientSettings, group: string): RdKafka.KafkaConsumer {
  return new RdKafka.KafkaConsumer(
    {
      ...settings,
      'group.id': group,
      'enable.auto.commit': false,
      'isolation.level': 'read_committed',
      'enable.partition.eof': true,
      'allow.auto.create.topics': false,
      'fetch.wait.max.ms': 50,
      // A replay that is slow on purpose must not hold the whole topic in memory.
      'queued.max.messages.kbytes': 8192,
    },
    { 'auto.offset.reset': 'earliest' },
  );
}

function recordOf({
  topic,
  partition,
  offset,
  timestamp = -1,
  key,
  value,
  headers = [],
}: RdKafka.Message): LetterRecord {
  const bytes = typeof key === 'string' ? Buffer.from(key) : (key ?? null);
  return { topic, partition, offset, timestamp, key: bytes, value, headers: ownHeaders(headers) };
}

function step(what: string, start: (done: (error?: RdKafka.LibrdKafkaError | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error ? reject(failure(what, error)) : resolve()));
  });
}

function failure(what: string, error: unknown): Error {
  const why = takeovers.includes(codeOf(error))
    ? 'another run of the same replay has begun, and goes on in place of this one'
    : messageOf(error);
  return new Error(`cannot ${what}: ${why}`, { cause: error });
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
