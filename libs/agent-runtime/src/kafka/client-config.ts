/**
 * From the configuration to librdkafka's properties: ours by default, the operator's where given,
 * and those that the delivery guarantee rests on always ours.
 */
import { connectionProperties } from '@kafnus/kafka-admin';
import { ConfigurationError, type RuntimeConfig } from '../config.js';
import { defaultMaxBytes } from '../record-size.js';

export type Properties = Readonly<Record<string, unknown>>;

/** What the guarantee rests on: a setting of these is refused, not ignored. */
const guarded = {
  consumer: [
    'group.id',
    'enable.auto.commit',
    'enable.auto.offset.store',
    'isolation.level',
    'enable.partition.eof',
    'rebalance_cb',
    'bootstrap.servers',
    'metadata.broker.list',
  ],
  producer: [
    'transactional.id',
    'transaction.timeout.ms',
    'enable.idempotence',
    'acks',
    'request.required.acks',
    'max.in.flight.requests.per.connection',
    'max.in.flight',
    'partitioner',
    'dr_cb',
    'dr_msg_cb',
    'bootstrap.servers',
    'metadata.broker.list',
  ],
} as const;

const offsetReset = 'auto.offset.reset';

function checked(kind: 'consumer' | 'producer', given: Properties): Properties {
  for (const property of guarded[kind]) {
    if (property in given) {
      const environment = kind === 'consumer' ? 'KAFNUS_KAFKA_CONSUMER' : 'KAFNUS_KAFKA_PRODUCER';
      throw new ConfigurationError([
        `${environment}: "${property}" cannot be set: delivery rests on it, or it has a setting of its own`,
      ]);
    }
  }
  return given;
}

function common(config: RuntimeConfig, agent: string): Properties {
  return connectionProperties(config, `kafnus-${agent}-${config.instanceId}`);
}

/** For looking topics up and creating them. */
export function adminProperties(config: RuntimeConfig, agent: string): Properties {
  return { ...common(config, agent), 'client.id': `kafnus-${agent}-${config.instanceId}-admin` };
}

/** librdkafka's logical offsets: the first one of a log, and its end. */
const beginning = -2;
const end = -1;
const starts: ReadonlyMap<unknown, number> = new Map([
  ...['earliest', 'smallest', 'beginning'].map((name) => [name, beginning] as const),
  ...['latest', 'largest', 'end'].map((name) => [name, end] as const),
]);

/**
 * Where a partition starts for which the group has no offset: as auto.offset.reset of
 * KAFNUS_KAFKA_CONSUMER says.
 * @returns one of librdkafka's logical offsets
 * @throws ConfigurationError for another value than earliest and latest, or their synonyms
 */
export function startOffset({ kafkaConsumer }: Pick<RuntimeConfig, 'kafkaConsumer'>): number {
  const given = kafkaConsumer[offsetReset] ?? 'earliest';
  const start = starts.get(given);
  if (start === undefined) {
    throw new ConfigurationError([
      `KAFNUS_KAFKA_CONSUMER: "${offsetReset}" is ${JSON.stringify(given)}: give earliest or latest, where to start without a committed offset`,
    ]);
  }
  return start;
}

/** The group member. The caller adds `rebalance_cb`. */
export function consumerProperties(config: RuntimeConfig, agent: string): Properties {
  const { [offsetReset]: _start, ...given } = checked('consumer', config.kafkaConsumer);
  // KIP-848: the broker assigns; these three settings are the broker's then, and the client refuses
  // them.
  const membership =
    given['group.protocol'] === 'consumer'
      ? {}
      : {
          'partition.assignment.strategy': 'cooperative-sticky',
          'session.timeout.ms': 10_000,
          'heartbeat.interval.ms': 2000,
        };
  return {
    ...common(config, agent),
    ...membership,
    'allow.auto.create.topics': false,
    // With it librdkafka 2.15 goes on at the wrong place behind a damaged batch (a FIXME in
    // rd_kafka_msgset_reader_v2): batches of gzip, zstd and snappy ended the process (rdbuf.c,
    // rd_slice_narrow_copy), and so would each instance that reads the partition. See
    // docs/delivery.md, "A damaged batch". Its cost is no reason: 4.63 us of CPU instead of 4.59
    // for a record of 900 bytes.
    'check.crcs': false,
    // Small fetches, often: a fetched block stays in memory until its last record is freed. 120 MB
    // less than the defaults.
    'queued.min.messages': 5000,
    'queued.max.messages.kbytes': 8192,
    'fetch.message.max.bytes': 262_144,
    'fetch.max.bytes': 1_048_576,
    'fetch.wait.max.ms': 100,
    // A full queue is looked at again after this; the default of a second starves a fast reader.
    'fetch.queue.backoff.ms': 10,
    ...given,
    'group.id': config.groupId,
    'enable.auto.commit': false,
    'enable.auto.offset.store': false,
    'isolation.level': 'read_committed',
    // Where a partition ends cannot be told from offsets: the last ones may be transaction markers.
    'enable.partition.eof': true,
  };
}

/**
 * Properties of the topics that the consumer reads. Each partition is assigned with an offset, see
 * {@link startOffset}. So this is for an offset that the broker has not got alone: from the first
 * record on the session sees where the client has gone (log-position.ts).
 */
export const consumerTopicProperties: Properties = { [offsetReset]: 'earliest' };

/** Of the connections that read a changelog. */
export function restoreClientId(config: RuntimeConfig, agent: string): string {
  return `kafnus-${agent}-${config.instanceId}-restore`;
}

/** A consumer that reads the changelog: a member of no group. */
export function restoreProperties(config: RuntimeConfig, agent: string): Properties {
  return {
    ...common(config, agent),
    'client.id': restoreClientId(config, agent),
    'group.id': config.groupId,
    'enable.auto.commit': false,
    'isolation.level': 'read_committed',
    'enable.partition.eof': true,
    'check.crcs': false,
    // Little is fetched ahead, in small blocks: the memory that a queue takes at its fullest is not
    // given back when the restore is over. 5000 records last longer than a fetch takes.
    'queued.min.messages': 5000,
    'queued.max.messages.kbytes': 1024,
    'fetch.message.max.bytes': 131_072,
    'fetch.max.bytes': 1_048_576,
    'fetch.wait.max.ms': 50,
    'fetch.queue.backoff.ms': 5,
  };
}

/**
 * `<group>-<instance>`: stable, so that a successor ends its predecessor's transaction at once
 * (KIP-98).
 * @param spare from 1 on: another id, which no instance has; see transactional-writer.ts
 */
export function transactionalId(config: RuntimeConfig, spare = 0): string {
  const id = `${config.groupId}-${config.instanceId}`;
  return spare === 0 ? id : `${id}~${spare}`;
}

/**
 * The settings of every producer of the suite and its tools, so that no record is lost or written
 * twice silently.
 */
export const losslessProducer = {
  'enable.idempotence': true,
  // With two requests in flight the first may be refused (a partition without its leader yet) and
  // the second be taken: a broker that knows nothing of a producer takes any sequence number.
  // librdkafka then counts the first as delivered, and the transaction is committed without it
  // (confluent-kafka-go issue 921).
  'max.in.flight.requests.per.connection': 1,
  // Reports for failures only: they name the topic that refused, and cost nothing while all is
  // well.
  'delivery.report.only.error': true,
  dr_cb: true,
} as const;

/** The producer. @param spare see {@link transactionalId} */
export function producerProperties(config: RuntimeConfig, agent: string, spare = 0): Properties {
  return {
    ...common(config, agent),
    'allow.auto.create.topics': false,
    // The end of a transaction sends at once whatever lingers, and nobody sees its records before:
    // to gather for 10 ms costs no latency, and saves the wake-up of a thread for every few records
    // of a backlog (6 us a record). Without transactions each millisecond would be one of the
    // record's latency.
    'linger.ms': config.delivery === 'exactly-once' ? 10 : 0,
    // A coordinator that still writes the markers of the last transaction sends us away for this
    // long: 100 ms by default.
    'retry.backoff.ms': 5,
    'queue.buffering.max.kbytes': 65_536,
    'queue.buffering.max.messages': 100_000,
    // A topic was there when it was looked up: a producer that does not find it has waited long
    // enough after this time, and must not block the commit (the default is 30 s).
    'topic.metadata.propagation.max.ms': 3000,
    // Records are written back to partitions that were added to the input: the client refuses those
    // that it does not know. The default is five minutes.
    'topic.metadata.refresh.interval.ms': 30_000,
    // A topic without a leader, or with too few replicas in sync, must be named by its refused
    // records before the commit is given up without a name: after that the outcome would be
    // unknown, and state be restored each time. The default is the transaction's timeout.
    'message.timeout.ms': Math.floor(config.transactionTimeoutMs / 2),
    // What fits into a raw topic of default size fits into its dead letter, context headers
    // included.
    'message.max.bytes': defaultMaxBytes,
    ...checked('producer', config.kafkaProducer),
    ...losslessProducer,
    acks: 'all',
    partitioner: 'murmur2_random',
    ...(config.delivery === 'exactly-once'
      ? { 'transactional.id': transactionalId(config, spare), 'transaction.timeout.ms': config.transactionTimeoutMs }
      : {}),
  };
}
