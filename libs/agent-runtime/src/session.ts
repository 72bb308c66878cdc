/**
 * The ports between the loop (agent-loop.ts) and a log such as Kafka: what the delivery guarantee
 * needs, and nothing else. A session has two halves and two side services:
 *
 *     GroupConsumer      the group and reading: which partitions, which records, from where on
 *     Writer<Output>     what makes outputs and offsets one: transactions, or their substitute
 *     TopicAdmin         lookup and creation of topics
 *     ChangelogReader    the state that a partition had
 *
 * A writer stores the offsets, so it also answers which ones are committed: a writer into a
 * database keeps them in the transaction of its rows, and the group of Kafka knows nothing of them.
 *
 * One conformance suite holds every {@link Session} to the same behavior: that on Kafka for each
 * delivery, and the one in memory of the testkit.
 *
 * Everything that happens reaches the loop as an event of {@link GroupConsumer.next}, one at a
 * time: records, assignments and revocations never run into each other, and no lock is needed.
 */
import type { InputRecord, RecordHeader } from '@kafnus/agent-contract';

/** A partition of a topic. */
export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** A partition and its next offset; null: the start that `auto.offset.reset` says. */
export interface PartitionOffset extends TopicPartition {
  readonly offset: number | null;
}

/** `topic-partition`: the form of Kafka's own logs and a key for maps. */
export function partitionName({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`;
}

/** A partition whose log lacks the next offset, and the offset at which the log goes on. */
export interface LogJump extends TopicPartition {
  readonly position: number;
  readonly found: number;
}

/** What {@link GroupConsumer.next} reports to the loop. */
export type SessionEvent =
  /**
   * Records of accepted partitions only: in order for each partition, from the offset at which it
   * was accepted or to which it was rewound. `drained`: the poll found no more than these.
   */
  | { readonly kind: 'records'; readonly records: readonly InputRecord[]; readonly drained: boolean }
  /** The group assigns these partitions: restore their state, then {@link GroupConsumer.accept}. */
  | { readonly kind: 'assigned'; readonly partitions: readonly TopicPartition[] }
  /**
   * The group revokes these partitions: finish, then {@link GroupConsumer.release}. `lost`: they
   * may already belong to another process, and nothing of theirs may be committed.
   */
  | { readonly kind: 'revoked'; readonly partitions: readonly TopicPartition[]; readonly lost: boolean }
  /**
   * The log of a partition ends before its position: it was truncated, or the topic was created
   * again. The records before the position have all been delivered; no other record of it is, until
   * {@link GroupConsumer.rewind} says where to go on.
   */
  | { readonly kind: 'out-of-range'; readonly jump: LogJump }
  /**
   * Records were deleted before they were read (retention, DeleteRecords). Reading goes on behind
   * them by itself.
   */
  | { readonly kind: 'deleted'; readonly jump: LogJump }
  /** {@link GroupConsumer.wake} was called. */
  | { readonly kind: 'woken' }
  /** Nothing happened for the time waited. */
  | { readonly kind: 'idle' }
  /** The session is over; the process must end. */
  | { readonly kind: 'failed'; readonly error: Error };

/** One member of a consumer group, subscribed to any number of topics. */
export interface GroupConsumer {
  /** Connects and joins the group. */
  start(): Promise<void>;
  /**
   * Waits for the next event, at most `timeoutMs`. Assignments and revocations come before records
   * that arrived earlier. Records are held back while `wantRecords` is false; an assignment or
   * revocation behind them may then wait for them. The next assignment or revocation comes only
   * after the answer to the one before; only what is `lost` may come at any time.
   */
  next(timeoutMs: number, wantRecords: boolean): Promise<SessionEvent>;
  /** Makes a waiting {@link next} return. */
  wake(): void;
  /** Takes the partitions of an `assigned` event, from these offsets on. */
  accept(positions: readonly PartitionOffset[]): Promise<void>;
  /** Gives the partitions of a `revoked` event back: the last thing that is done with them. */
  release(partitions: readonly TopicPartition[]): void;
  /**
   * Goes back: the next records of these partitions start at these offsets, whatever was fetched
   * before; without an offset, where the partition started when it was accepted.
   */
  rewind(positions: readonly PartitionOffset[]): Promise<void>;
  /**
   * The first offset and the end of a partition, from memory. The end is the high watermark; or the
   * offset behind the last record, once it is known that only transaction markers follow it.
   */
  watermarks(partition: TopicPartition): { readonly low: number; readonly high: number } | null;
  /**
   * Leaves the group and disconnects; without an answer of the cluster, it does not notify the
   * group.
   */
  close(): Promise<void>;
}

/**
 * What a refusal is about. `destination`: the topic (or table) takes nothing, and waiting does not
 * help: a right, a policy. `contents`: it does not take this output, or not so many at once (its
 * size, its timestamp, its missing key); others it does. `passing`: the rest, such as a topic that
 * was deleted or has too few replicas in sync.
 */
export type RefusalKind = 'destination' | 'contents' | 'passing';

/** Why a destination did not take an output. */
export interface Refusal {
  readonly error: Error;
  readonly kind: RefusalKind;
  /** What of the contents it is, where the error says so. */
  readonly about?: 'size' | 'time';
}

/** How a transaction ended. */
export type CommitOutcome =
  | { readonly kind: 'committed' }
  /**
   * Surely not committed, and aborted already. `refused`: the refusals that caused it, by
   * destination. `unnamed`: a refusal caused it, and the error does not name the destination.
   */
  | {
      readonly kind: 'aborted';
      readonly cause: string;
      readonly error: Error;
      readonly refused?: ReadonlyMap<string, Refusal>;
      readonly unnamed?: Exclude<RefusalKind, 'passing'>;
    }
  /** Nobody knows, or this writer was fenced: only {@link Writer.reset} leads on. */
  | { readonly kind: 'unknown'; readonly cause: string; readonly fenced: boolean; readonly error: Error };

/** Writes outputs and the offsets of what they were made from. */
export interface Writer<Output> {
  /** Connects; resolves when the writer may write (its predecessor is fenced). */
  start(): Promise<void>;
  /** Opens a transaction; a no-op for at-least-once. */
  begin(): Promise<void>;
  /** Queues an output; after `full`, wait with {@link sendable} and send the same output again. */
  send(output: Output): 'queued' | 'full' | 'too-large';
  sendable(): Promise<void>;
  /**
   * Commits what was sent since {@link begin}, with the next offset to be read of each partition.
   * Never throws.
   */
  commit(offsets: readonly PartitionOffset[]): Promise<CommitOutcome>;
  /**
   * Aborts what was sent since {@link begin}; without transactions, waits until it is acknowledged
   * or refused, and a later {@link commit} does not report these refusals. Never throws.
   */
  abort(): Promise<CommitOutcome>;
  /**
   * A new writer under the same identity: fences the old one and ends its transaction. Retries
   * until the cluster answers.
   * @returns whether that transaction cannot end, and the writer has another identity
   * @throws at once when `signal` is aborted; the writer can only be closed then
   */
  reset(signal?: AbortSignal): Promise<boolean>;
  /**
   * The committed offsets, once they are stable: no transaction that could still change them is
   * open (KIP-447). Waits for the cluster, for as long as it takes.
   * @throws at once when `signal` is aborted
   */
  committed(partitions: readonly TopicPartition[], signal?: AbortSignal): Promise<readonly PartitionOffset[]>;
  /**
   * The agent stops. Without transactions, from half of KAFNUS_SHUTDOWN_TIMEOUT_MS on no
   * acknowledgement is waited for: {@link commit} is `aborted` then, and the next process may write
   * the same outputs again.
   */
  stopping(): void;
  close(): Promise<void>;
}

/** Whether records can be written to a topic. */
export type TopicState =
  /**
   * `inSync`: the least replicas in sync of a partition, where the cluster says so. `isBehind`: a
   * partition has more replicas than that.
   */
  | { readonly kind: 'writable'; readonly partitions: number; readonly inSync?: number; readonly isBehind?: boolean }
  /**
   * The cluster says no (not authorised, invalid name, against its policy): waiting does not help.
   */
  | { readonly kind: 'unwritable'; readonly error: Error }
  /** The cluster says that there is no such topic, and nobody here creates it. */
  | { readonly kind: 'missing'; readonly error: Error }
  /**
   * The cluster did not answer, or the topic is not ready (`inSync` 0: a partition has no leader):
   * ask again.
   */
  | { readonly kind: 'unavailable'; readonly error: Error; readonly inSync?: 0; readonly partitions?: number };

/** How a topic is to be created when it is missing; null where the topic must exist. */
export interface TopicSpec {
  /** -1: the broker's default. */
  readonly partitions: number;
  /** -1: the broker's default. */
  readonly replicationFactor: number;
  /** Topic configuration, such as `cleanup.policy`. */
  readonly config: Readonly<Record<string, string>>;
}

/** Lookup and creation of topics. */
export interface TopicAdmin {
  /**
   * Looks the topic up, and creates it when it is missing and `spec` says how. Never rejects.
   * @param timeoutMs of each request; a stop may have to wait for one
   */
  ensureTopic(name: string, spec: TopicSpec | null, timeoutMs?: number): Promise<TopicState>;
  /** @returns null when there is no such topic. @throws at once when `signal` is aborted */
  partitionCount(topic: string, signal?: AbortSignal): Promise<number | null>;
}

/** One entry of a changelog: a null value is a tombstone. */
export type ChangelogEntry = (key: Buffer, value: Buffer | null) => void;

/** Reads the state that a partition had. */
export interface ChangelogReader {
  /**
   * Reads a changelog partition from its beginning to the end that it has now, committed records
   * only, in order.
   * @returns the number of entries read
   */
  restore(
    changelog: TopicPartition,
    onEntry: ChangelogEntry,
    onProgress: (progress: { entries: number; offset: number; end: number }) => void,
    signal: AbortSignal,
  ): Promise<number>;
}

/** An output as a Kafka record: like an OutputRecord, with the partition decided. */
export interface OutgoingRecord {
  readonly topic: string;
  /** null: by the key, as a Java producer would choose. */
  readonly partition: number | null;
  readonly key: string | Buffer | null;
  readonly value: string | Buffer | null;
  readonly headers: readonly RecordHeader[];
  readonly timestamp: number;
}

/**
 * What the loop works with. `start` joins the group when the writer may write; `close` leaves the
 * group before the writer is closed.
 */
export interface Session<Output = OutgoingRecord> extends GroupConsumer, Writer<Output>, TopicAdmin, ChangelogReader {
  /** Ends the retries of requests that wait for the cluster: they reject. */
  cancel(): void;
}
