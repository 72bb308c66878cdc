/**
 * The contract between a service and the runtime.
 *
 * An agent is a pure function from one Kafka record (and the state it may read) to a {@link Step}.
 * It never awaits, logs, reads a clock or throws for bad input: time comes from the record, so the
 * same bytes in give the same bytes out. The runtime makes a step's outputs, state changes,
 * dead-letter records and the consumed offset one Kafka transaction.
 */

/**
 * One header, in the shape in which the Kafka client delivers and takes it: an object whose only
 * member is named for the header. A header may repeat, hence a list of these and not one object.
 */
export type RecordHeader = Readonly<Record<string, string | Buffer>>;

/** A record as it was read from Kafka. */
export interface InputRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since the epoch: the record's own timestamp, never the clock. */
  readonly timestamp: number;
  readonly key: Buffer | null;
  /** null is a tombstone. */
  readonly value: Buffer | null;
  readonly headers: readonly RecordHeader[];
}

/** A record to be written. */
export interface OutputRecord {
  readonly topic: string;
  /**
   * What decides the partition: a non-negative 31-bit hash, taken modulo the partitions of the
   * topic. Without it the partition is chosen by the key as a Java producer would (murmur2), and
   * at random when there is no key.
   */
  readonly partitionHash?: number;
  /** The partition itself: of records that are written back to the input. */
  readonly partition?: number;
  readonly key: string | Buffer | null;
  /** null is a tombstone. */
  readonly value: string | Buffer | null;
  readonly headers: readonly RecordHeader[];
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
}

/**
 * Where in Kafka Connect's vocabulary a record failed
 * (`org.apache.kafka.connect.runtime.errors.Stage`): the dead letters of the agents read like
 * those of a sink.
 */
type FailureStage = 'VALUE_CONVERTER' | 'TRANSFORMATION' | 'KAFKA_PRODUCE';

/** Why a record, or a part of it, was refused. */
export interface Rejection {
  /** A code of the service's closed vocabulary, in kebab-case: the `reason` of the metrics. */
  readonly code: string;
  /** What is wrong with which value, and what to do: read by a person. */
  readonly message: string;
  readonly stage: FailureStage;
}

/** A change of the keyed state: committed with the outputs of its step, or not at all. */
export interface StatePut {
  readonly key: string;
  readonly value: number;
}

/**
 * What an agent decided about one record. Each input record has exactly one, and the ledger counts
 * it by its kind.
 */
export type Step = EmitStep | SkipStep | RejectStep;

/**
 * The record has outputs. Parts of it may have been left out: each for a reason that is counted or
 * dead-lettered.
 */
export interface EmitStep {
  readonly kind: 'emit';
  readonly tenant: string;
  readonly outputs: readonly OutputRecord[];
  readonly puts?: readonly StatePut[];
  /**
   * Parts that were refused (an entity, an attribute). The record is dead-lettered once, with all
   * of them named.
   */
  readonly reports?: readonly Rejection[];
  /** Reasons for which parts (entities) were left out on purpose. */
  readonly skipped?: readonly string[];
  /**
   * How many of the outputs are parts (entities) that are written back to the input. A record with
   * no other outputs counts as re-keyed.
   */
  readonly rekeyed?: number;
  readonly hopsExceeded?: true;
}

/** Nothing is emitted, on purpose. */
interface SkipStep {
  readonly kind: 'skip';
  readonly tenant: string;
  readonly reason: string;
  readonly puts?: readonly StatePut[];
  readonly hopsExceeded?: true;
}

/**
 * The record is refused: dead-lettered with its bytes unchanged; its offset advances in the same
 * transaction.
 */
export interface RejectStep {
  readonly kind: 'reject';
  readonly tenant: string;
  /** The first names the outcome in the ledger; the dead letter names all. */
  readonly rejections: readonly [Rejection, ...Rejection[]];
}

/**
 * What a step may read: the state as of the records before it, those of the open transaction
 * included.
 */
export interface StateReader {
  get(key: string): number | undefined;
}

/**
 * The decision of an agent with its configuration applied.
 * @param inputPartitions the number of partitions of the input topic, when the agent may write to
 *   it; undefined: nothing is re-keyed
 */
export type Decide = (record: InputRecord, state: StateReader, inputPartitions?: number) => Step;

/** A service with its configuration applied. */
export interface ConfiguredAgent {
  /** The raw topic that is read. */
  readonly inputTopic: string;
  /** Where rejects and reports go, unchanged. Never the input topic. */
  readonly deadLetterTopic: string;
  readonly decide: Decide;
  /** Whether it writes records back to its input, to the partition of their entity. */
  readonly rekeys?: boolean;
}

/**
 * A service: what it is called, what it keeps, what can be set, and how it decides.
 * @typeParam C the values of {@link Agent.settings}
 */
export interface Agent<C> {
  /**
   * `historic`, `lastdata`, ...: the label of logs and metrics, and a part of the default consumer
   * group.
   */
  readonly name: string;
  /** Set when the agent keeps state: names its changelog topic, `<group>-<store>-changelog`. */
  readonly store?: string;
  /**
   * Set when the input holds the dead letters of others, which are kept longer than raw records.
   */
  readonly readsDeadLetters?: boolean;
  /**
   * The keys that only this service has, as a convict schema (plain data); the runtime adds its
   * own.
   */
  readonly settings: SettingsSchema;
  /**
   * @throws Error when the values do not fit together; the message names the key. It is called
   * once, at the start.
   */
  configure(config: C): ConfiguredAgent;
}

/** One setting, in convict's terms. */
export interface Setting {
  readonly doc: string;
  /** A convict format: 'String', 'nat', a list of allowed values, ... */
  readonly format: string | readonly string[];
  readonly default: unknown;
  readonly env: string;
  readonly arg?: string;
  readonly sensitive?: boolean;
}

/** Settings by name; plain data, so that a library without dependencies can declare them. */
export interface SettingsSchema {
  readonly [key: string]: Setting;
}
