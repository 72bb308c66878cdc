/**
 * The port between the loop (run.ts) and a log such as Kafka: what the delivery guarantee needs, and nothing else. It has
 * two implementations, held to the same behaviour by one conformance suite: the Kafka session and the in-memory one of the
 * testkit.
 *
 * Everything that happens reaches the loop as an event of {@link Session.next}, one at a time: records, assignments and
 * revocations can never run into each other, and no lock is needed.
 */
import type { InputRecord, RecordHeader } from '@kafnus/agent-contract';

/** A partition of a topic. */
export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** A partition and the offset to go on from; null when there is none: the start that `auto.offset.reset` says. */
export interface PartitionOffset extends TopicPartition {
  readonly offset: number | null;
}

/** `topic-partition`: the form of Kafka's own logs and a key for maps. */
export function partitionName({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`;
}

/**
 * A partition whose reader does not find its next offset: where it was to go on, and the offset at
 * which the log goes on.
 */
export interface LogJump extends TopicPartition {
  readonly position: number;
  readonly found: number;
}

/** What {@link Session.next} tells the loop. */
export type SessionEvent =
  /**
   * Records of accepted partitions only: in order for each partition, from the offset that it was accepted at or rewound to.
   * `drained`: there were no more when these were asked for.
   */
  | { readonly kind: 'records'; readonly records: readonly InputRecord[]; readonly drained: boolean }
  /** The group gives these partitions to this process: prepare them, then answer with {@link Session.accept}. */
  | { readonly kind: 'assigned'; readonly partitions: readonly TopicPartition[] }
  /**
   * The group takes these partitions away: finish, then answer with {@link Session.release}. `lost` means that they may
   * already belong to another process: nothing of theirs may be committed.
   */
  | { readonly kind: 'revoked'; readonly partitions: readonly TopicPartition[]; readonly lost: boolean }
  /**
   * The log of a partition ends before its position: it was truncated, or the topic was created
   * again. The records before the position have all been delivered; no other record of it is, until
   * {@link Session.rewind} says where to go on.
   */
  | { readonly kind: 'out-of-range'; readonly jump: LogJump }
  /**
   * Records were deleted before they were read (retention, DeleteRecords). Reading goes on behind
   * them by itself.
   */
  | { readonly kind: 'deleted'; readonly jump: LogJump }
  /** {@link Session.wake} was called. */
  | { readonly kind: 'woken' }
  /** Nothing happened for the time waited. */
  | { readonly kind: 'idle' }
  /** The session is over; the process must end. */
  | { readonly kind: 'failed'; readonly error: Error };

/**
 * What an error of a write is about. `topic`: the topic takes nothing, and waiting does not help (a
 * right, a policy). `contents`: the topic does not take this record, or not so many at once (its
 * size, its timestamp, its missing key); others it does. `passing`: the rest, such as a topic that
 * was deleted or has too few replicas in sync.
 */
export type RefusalKind = 'topic' | 'contents' | 'passing';

/** Why a topic did not take a record. */
export interface TopicRefusal {
  readonly error: Error;
  readonly kind: RefusalKind;
  /** What of the contents it is, where the cluster says so. */
  readonly about?: 'size' | 'time';
}

/** How a transaction ended. */
export type CommitOutcome =
  | { readonly kind: 'committed' }
  /**
   * Surely not committed, and aborted already. `topics`: the topics that refused records, where
   * that was the cause. `unnamed`: it was the cause, and the cluster does not say which topic it
   * was.
   */
  | {
      readonly kind: 'aborted';
      readonly cause: string;
      readonly error: Error;
      readonly topics?: ReadonlyMap<string, TopicRefusal>;
      readonly unnamed?: Exclude<RefusalKind, 'passing'>;
    }
  /** Nobody knows, or this producer was fenced: only {@link Session.reset} leads on. */
  | { readonly kind: 'unknown'; readonly cause: string; readonly fenced: boolean; readonly error: Error };

/** Whether records can be written to a topic. */
export type TopicState =
  /** `inSync`: the least replicas in sync of a partition, where the cluster says so. */
  | { readonly kind: 'writable'; readonly partitions: number; readonly inSync?: number }
  /** The cluster says no (not authorised, invalid name, against its policy): waiting does not help. */
  | { readonly kind: 'unwritable'; readonly error: Error }
  /** The cluster says that there is no such topic, and nobody here creates it. */
  | { readonly kind: 'missing'; readonly error: Error }
  /**
   * The cluster did not answer, or the topic is not ready (`inSync` 0: a partition has no leader):
   * ask again.
   */
  | { readonly kind: 'unavailable'; readonly error: Error; readonly inSync?: 0 };

/** How a topic is to be created when it is missing; null where the topic must exist. */
export interface TopicSpec {
  /** -1: the broker's default. */
  readonly partitions: number;
  /** -1: the broker's default. */
  readonly replicationFactor: number;
  /** Topic configuration, such as `cleanup.policy`. */
  readonly config: Readonly<Record<string, string>>;
}

/** What {@link Session.send} writes: like an OutputRecord, with the partition decided. */
export interface OutgoingRecord {
  readonly topic: string;
  /** null: by the key, as a Java producer would choose. */
  readonly partition: number | null;
  readonly key: string | Buffer | null;
  readonly value: string | Buffer | null;
  readonly headers: readonly RecordHeader[];
  readonly timestamp: number;
}

/** One entry of a changelog: a null value is a tombstone. */
export type ChangelogEntry = (key: Buffer, value: Buffer | null) => void;

/** A session: one member of the consumer group with one (transactional) producer. */
export interface Session {
  /** Connects and joins the group; resolves when the producer may write (its predecessor is fenced). */
  start(): Promise<void>;

  /**
   * Waits for the next event, at most `timeoutMs`. Assignments and revocations come before records that arrived earlier.
   * Records are held back while `wantRecords` is false; an assignment or revocation behind them may then wait for them. The
   * next assignment or revocation comes only after the answer to the one before; only what is `lost` may come at any time.
   */
  next(timeoutMs: number, wantRecords: boolean): Promise<SessionEvent>;
  /** Makes a waiting {@link next} return. */
  wake(): void;

  /**
   * The committed offsets, once they are stable: no transaction that could still change them is
   * open (KIP-447). Waits for the cluster, for as long as it takes.
   * @throws at once when `signal` is aborted
   */
  committed(partitions: readonly TopicPartition[], signal?: AbortSignal): Promise<readonly PartitionOffset[]>;
  /** Takes the partitions of an `assigned` event, from these offsets on. */
  accept(positions: readonly PartitionOffset[]): Promise<void>;
  /** Gives the partitions of a `revoked` event back: the last thing that is done with them. */
  release(partitions: readonly TopicPartition[]): void;
  /**
   * Goes back: the next records of these partitions start at these offsets, whatever was fetched before; without an offset,
   * where the partition started when it was accepted.
   */
  rewind(positions: readonly PartitionOffset[]): Promise<void>;
  /**
   * The first offset and the end of a partition as far as they are known, without asking anyone. The end is the high watermark;
   * or the offset behind the last record, once it is known that only transaction markers follow it.
   */
  watermarks(partition: TopicPartition): { readonly low: number; readonly high: number } | null;

  /** Opens a transaction; a no-op for at-least-once. */
  begin(): Promise<void>;
  /** Queues a record; false when the queue is full: wait with {@link sendable}, then send the same record again. */
  send(record: OutgoingRecord): 'queued' | 'full' | 'too-large';
  sendable(): Promise<void>;
  /** Commits what was sent since {@link begin} and the offsets (the next ones to be read) with it. Never throws. */
  commit(offsets: readonly PartitionOffset[]): Promise<CommitOutcome>;
  /**
   * Aborts what was sent since {@link begin}; without transactions, waits until it is acknowledged
   * or refused. What of it is refused is not told by a later {@link commit}. Never throws.
   */
  abort(): Promise<CommitOutcome>;
  /**
   * A new producer under the same identity: fences the old one and ends its transaction. Retries
   * until the cluster answers.
   * @throws at once when `signal` is aborted; the session can only be closed then
   */
  reset(signal?: AbortSignal): Promise<void>;

  /**
   * Asks the cluster for the topic, and creates it when it is missing and `spec` says how. Never
   * rejects. @param timeoutMs of each request; a stop may have to wait for one
   */
  ensureTopic(name: string, spec: TopicSpec | null, timeoutMs?: number): Promise<TopicState>;
  /**
   * Partitions of a topic; null when it does not exist. @throws at once when `signal` is aborted
   */
  partitionCount(topic: string, signal?: AbortSignal): Promise<number | null>;

  /**
   * Reads a changelog partition from its beginning to the end that it has now, committed records only, in order.
   * @returns the number of entries read
   */
  restore(
    changelog: TopicPartition,
    onEntry: ChangelogEntry,
    onProgress: (progress: { entries: number; offset: number; end: number }) => void,
    signal: AbortSignal,
  ): Promise<number>;

  /**
   * The agent stops. Without transactions, from half of KAFNUS_SHUTDOWN_TIMEOUT_MS on no
   * acknowledgement is waited for: {@link commit} is `aborted` then, and what was sent may be
   * written again by the next process.
   */
  stopping(): void;
  /** Ends the retries of requests that wait for the cluster: they reject. */
  cancel(): void;
  /**
   * Leaves the group and disconnects; where the cluster does not answer, without a word to the
   * group.
   */
  close(): Promise<void>;
}
