/**
 * The callback API of @confluentinc/kafka-javascript, typed as it is. Its own declarations leave
 * out incremental assignment, and its promise API hides the error classes that transactions are
 * decided on; so this file is the one place where the client is cast to what its sources say.
 */
import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';

/** An error of librdkafka. The three classes are set by transactional calls only. */
export interface KafkaError extends Error {
  readonly code: number;
  readonly isFatal?: boolean;
  readonly isRetriable?: boolean;
  readonly isTxnRequiresAbort?: boolean;
}

interface ClientTopicPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offset?: number;
}

export interface ClientMessage {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  /** Bytes of the value. */
  readonly size: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: readonly Readonly<Record<string, Buffer>>[];
}

export interface ClientMetadata {
  readonly brokers: readonly { readonly id: number; readonly host: string; readonly port: number }[];
  readonly topics: readonly {
    readonly name: string;
    readonly partitions: readonly { readonly id: number; readonly leader: number; readonly isrs: readonly number[] }[];
  }[];
}

type Callback<T = void> = (error: KafkaError | null | undefined, result: T) => void;

interface Client extends EventEmitter {
  connect(options: { readonly timeout?: number; readonly topic?: string }, callback: Callback<ClientMetadata>): void;
  disconnect(callback: Callback<unknown>): void;
  isConnected(): boolean;
  /** Without `allTopics: false` all topics are asked for, whatever `topic` says. */
  getMetadata(
    options: { readonly timeout?: number; readonly topic?: string; readonly allTopics?: boolean },
    callback: Callback<ClientMetadata>,
  ): void;
}

/** The consumer. `rebalance_cb` of its configuration receives assignments: group-consumer.ts. */
export interface KafkaConsumer extends Client {
  setDefaultConsumeTimeout(milliseconds: number): void;
  setDefaultIsTimeoutOnlyForFirstMessage(value: boolean): void;
  subscribe(topics: readonly string[]): void;
  unsubscribe(): void;
  consume(count: number, callback: Callback<ClientMessage[]>): void;
  assign(partitions: readonly ClientTopicPartition[]): void;
  unassign(): void;
  incrementalAssign(partitions: readonly ClientTopicPartition[]): void;
  incrementalUnassign(partitions: readonly ClientTopicPartition[]): void;
  /** Only inside the rebalance callback. */
  assignmentLost(): boolean;
  rebalanceProtocol(): 'NONE' | 'COOPERATIVE' | 'EAGER';
  committed(
    partitions: readonly ClientTopicPartition[],
    timeoutMs: number,
    callback: Callback<(ClientTopicPartition & { readonly offset?: number | null })[]>,
  ): void;
  /** Tells that the request is queued, and not what becomes of it. */
  commitCb(partitions: readonly ClientTopicPartition[], callback: Callback): void;
  seek(partition: ClientTopicPartition, timeoutMs: number, callback: Callback): void;
  getWatermarkOffsets(topic: string, partition: number): { readonly lowOffset: number; readonly highOffset: number };
}

export interface KafkaProducer extends Client {
  /** Flushes first, for so long at most (5 s when it is not given). */
  disconnect(flushMs: number, callback: Callback<unknown>): void;
  disconnect(callback: Callback<unknown>): void;
  /**
   * `opaque` must be undefined, never null (null leaks).
   * @throws KafkaError, such as ERR__QUEUE_FULL
   */
  produce(
    topic: string,
    partition: number | null,
    value: Buffer | null,
    key: string | Buffer | null,
    timestamp: number,
    opaque: undefined,
    headers: readonly Readonly<Record<string, string | Buffer>>[],
  ): void;
  poll(): void;
  setPollInBackground(value: boolean): void;
  flush(timeoutMs: number, callback: Callback): void;
  initTransactions(timeoutMs: number, callback: Callback): void;
  beginTransaction(callback: Callback): void;
  sendOffsetsToTransaction(
    offsets: readonly ClientTopicPartition[],
    consumer: KafkaConsumer,
    timeoutMs: number,
    callback: Callback,
  ): void;
  commitTransaction(timeoutMs: number, callback: Callback): void;
  abortTransaction(timeoutMs: number, callback: Callback): void;
}

interface PartitionDescription {
  readonly partition: number;
  /** null or without a place in the cluster when the partition is offline. */
  readonly leader?: { readonly id: number; readonly host?: string; readonly port?: number } | null;
  readonly replicas?: readonly unknown[];
  readonly isr?: readonly unknown[];
}

export interface TopicDescription {
  readonly name: string;
  readonly error?: KafkaError;
  readonly partitions: readonly PartitionDescription[];
  /** Present when the cluster tells them: codes of AclOperation. */
  readonly authorizedOperations?: readonly number[];
}

export interface AdminClient {
  createTopic(
    topic: {
      readonly topic: string;
      readonly num_partitions: number;
      readonly replication_factor: number;
      readonly config?: Readonly<Record<string, string>>;
    },
    timeoutMs: number,
    callback: Callback,
  ): void;
  describeTopics(
    topics: readonly string[],
    options: { readonly includeAuthorizedOperations?: boolean; readonly timeout?: number },
    callback: Callback<TopicDescription[]>,
  ): void;
  listOffsets(
    partitions: readonly { readonly topic: string; readonly partition: number; readonly offset: unknown }[],
    options: { readonly timeout?: number; readonly isolationLevel?: number },
    callback: Callback<
      { readonly topic: string; readonly partition: number; readonly offset: number; readonly error?: KafkaError }[]
    >,
  ): void;
  disconnect(): void;
}

interface Library {
  KafkaConsumer: new (
    config: Readonly<Record<string, unknown>>,
    topicConfig: Readonly<Record<string, unknown>>,
  ) => KafkaConsumer;
  Producer: new (
    config: Readonly<Record<string, unknown>>,
    topicConfig: Readonly<Record<string, unknown>>,
  ) => KafkaProducer;
  AdminClient: {
    create(config: Readonly<Record<string, unknown>>): AdminClient;
    createFrom(client: KafkaConsumer | KafkaProducer): AdminClient;
  };
  CODES: { readonly ERRORS: Readonly<Record<string, number>> };
  OffsetSpec: { readonly LATEST: unknown; readonly EARLIEST: unknown };
  IsolationLevel: { readonly READ_UNCOMMITTED: number; readonly READ_COMMITTED: number };
  AclOperationTypes: Readonly<Record<string, number>>;
  features: readonly string[];
  librdkafkaVersion: string;
}

// The package is CommonJS and assigns its members at run time, which an ES import does not see.
const library = createRequire(import.meta.url)('@confluentinc/kafka-javascript') as Library & { RdKafka?: Library };

/** The library. */
export const kafka: Library = library.RdKafka ?? library;

/**
 * Calls a method that ends in a callback, as a promise. For calls that are made once or per
 * transaction, never per record.
 */
export function call<T>(
  invoke: (callback: (error: { readonly message: string } | null | undefined, result: T) => void) => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    invoke((error, result) => {
      // Some errors of the client are plain objects.
      if (error) reject(error instanceof Error ? error : Object.assign(new Error(error.message), error));
      else resolve(result);
    });
  });
}
