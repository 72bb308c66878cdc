/**
 * A Kafka in memory for tests of the delivery guarantee: topics with transactions and
 * read_committed, consumer groups with cooperative rebalances, transactional identities that fence
 * each other, and injected faults. The conformance suite holds its {@link MemorySession} to the
 * behavior of the session on a real Kafka.
 *
 * It uses no clock and no random numbers: the order of the calls decides everything, so a test can
 * inject a fault at the n-th call and get the same run each time.
 */
import {
  partitionName,
  type InputRecord,
  type OutgoingRecord,
  type TopicPartition,
  type TopicSpec,
} from '@kafnus/agent-runtime';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RecordToWrite } from '@kafnus/local-stack';
import { MemoryGroup } from './memory-group.js';
import { MemoryPartition, MemoryTransaction, type Isolation } from './memory-log.js';
import { MemorySession, type MemorySessionOptions } from './memory-session.js';

/**
 * A call of the port. `commit-done`: the outcome is final, and its sender has not received it yet.
 */
export type MemoryOperation =
  | 'start'
  | 'next'
  | 'committed'
  | 'accept'
  | 'release'
  | 'rewind'
  | 'begin'
  | 'send'
  | 'commit'
  | 'commit-done'
  | 'abort'
  | 'reset'
  | 'ensureTopic'
  | 'partitionCount'
  | 'restore'
  | 'close';

/**
 * How a commit fails. `aborted`: it was certainly aborted. `unknown-committed` and
 * `unknown-aborted`: its response is lost, and it was or was not committed; in the second case the
 * transaction stays open until a successor ends it.
 */
export type CommitFault = 'aborted' | 'unknown-committed' | 'unknown-aborted';

/** The faults of a {@link MemoryCluster}. Set them at any time. */
class MemoryFaults {
  /**
   * Called before each call of a session: a test can crash the session here, rebalance, or set
   * another fault. The call waits for a promise, except `release` and `send`.
   */
  onCall: (call: { readonly session: MemorySession; readonly operation: MemoryOperation }) => Promise<void> | void =
    () => undefined;
  /** The faults of the next commits, one each. */
  readonly commits: CommitFault[] = [];
  /**
   * The number of producers, from the next session that starts or is reset on, that a fatal error
   * ends at their first record. For at-least-once.
   */
  brokenProducers = 0;
  /** Topics that cannot be written or created, with the error. */
  readonly refusedTopics = new Map<string, Error>();
  /**
   * Topics whose transactions are refused with an error that does not name them; lookups find them
   * writable.
   */
  readonly unnamedRefusals = new Map<string, Error>();
  /**
   * Topics whose writes fail although lookups find them writable, with this number of replicas in
   * sync.
   */
  readonly failingTopics = new Map<string, { readonly inSync: number }>();
  /**
   * Records whose contents their topic refuses. The configuration of a topic may refuse others:
   * size, time, no key.
   */
  refusesRecord: (record: OutgoingRecord) => boolean = () => false;
  /** Topics with the number of lookups that get no answer. */
  readonly silentTopics = new Map<string, number>();
  /**
   * The number of records of a transaction after which the queue is full once, until `sendable`.
   */
  queueSize = Number.POSITIVE_INFINITY;
  /** The largest record in bytes: key, value and headers. */
  maxRecordBytes = 1_048_000;
  /** Turns of the event loop that a commit takes, while the next records are processed. */
  commitTurns = 1;
}

/** A transactional id: the epoch of its current producer, and its open transaction. */
interface Identity {
  epoch: number;
  transaction: MemoryTransaction | undefined;
}

export class MemoryCluster {
  readonly faults = new MemoryFaults();
  readonly #topics = new Map<string, { readonly partitions: MemoryPartition[]; readonly spec: TopicSpec }>();
  readonly #groups = new Map<string, MemoryGroup>();
  readonly #identities = new Map<string, Identity>();
  readonly #watchers = new Set<() => void>();
  #unkeyed = 0;

  /** Makes a session, which is not started yet. */
  session(options: MemorySessionOptions): MemorySession {
    return new MemorySession(this, options);
  }

  /** @throws Error when the topic exists */
  createTopic(name: string, partitions: number, config: Readonly<Record<string, string>> = {}): void {
    this.addTopic(name, { partitions, replicationFactor: -1, config });
  }

  /** Like {@link createTopic}, with all parameters of a session. */
  addTopic(name: string, spec: TopicSpec): void {
    if (this.#topics.has(name)) throw new Error(`The topic ${name} exists already`);
    const count = spec.partitions === -1 ? 1 : spec.partitions;
    this.#topics.set(name, {
      spec,
      partitions: Array.from({ length: count }, (_, partition) => new MemoryPartition(name, partition)),
    });
    for (const group of this.#groups.values()) group.rebalance();
    this.changed();
  }

  /** Deletes the records of a partition before an offset. */
  deleteRecords(topic: string, partition: number, before: number): void {
    this.partitions(topic)[partition]?.deleteBefore(before);
    this.changed();
  }

  /** Truncates a partition at an offset. */
  truncate(topic: string, partition: number, end: number): void {
    this.partitions(topic)[partition]?.truncate(end);
    this.changed();
  }

  /** Deletes a topic and creates it again; the offsets of the groups stay. */
  recreateTopic(name: string, partitions: number): void {
    const spec = this.topicSpec(name);
    this.#topics.delete(name);
    this.createTopic(name, partitions, spec?.config);
  }

  /** The specification of a topic; undefined when it does not exist. */
  topicSpec(name: string): TopicSpec | undefined {
    return this.#topics.get(name)?.spec;
  }

  partitions(topic: string): readonly MemoryPartition[] {
    return this.#topics.get(topic)?.partitions ?? [];
  }

  /** Writes records outside of any transaction. @throws Error when the topic does not exist */
  produce(records: Iterable<RecordToWrite>): void {
    for (const record of records) {
      const count = this.partitions(record.topic).length;
      const hashed = record.partitionHash === undefined ? null : record.partitionHash % count;
      const { topic, value, key = null, headers = [], timestamp = 0, partition = hashed } = record;
      this.write({ topic, partition, key, value, headers, timestamp }, null);
    }
    this.changed();
  }

  /** Appends one record. The same key always gets the same partition, though not that of Kafka. */
  write(record: OutgoingRecord, transaction: MemoryTransaction | null): void {
    const partitions = this.partitions(record.topic);
    const wanted =
      record.partition ?? (record.key === null ? (this.#unkeyed += 1) : hash(record.key)) % partitions.length;
    const partition = partitions[wanted];
    if (!partition) throw new Error(`There is no partition ${wanted} of topic ${record.topic}`);
    partition.append(record, transaction);
  }

  /** The records of a topic, partition by partition. */
  read(topic: string, isolation: Isolation = 'read_committed'): InputRecord[] {
    return this.partitions(topic).flatMap(
      (partition) => partition.read(0, Number.POSITIVE_INFINITY, isolation).records,
    );
  }

  group(groupId: string): MemoryGroup {
    let group = this.#groups.get(groupId);
    if (!group) this.#groups.set(groupId, (group = new MemoryGroup((topic) => this.partitions(topic).length)));
    return group;
  }

  /** Records of a topic that the group has not committed. */
  lag(groupId: string, topic: string): number {
    const group = this.group(groupId);
    return this.partitions(topic).reduce((sum, partition) => {
      const from = group.committed(partition) ?? 0;
      return sum + partition.read(from, Number.POSITIVE_INFINITY, 'read_committed').records.length;
    }, 0);
  }

  /**
   * Expels a member from its group, as when it has not polled for too long: it loses its partitions
   * without a revocation.
   */
  lose(session: MemorySession): void {
    this.group(session.groupId).lose(session.member);
    this.changed();
  }

  /**
   * Moves every partition of a group to its next member. A single member loses all, and gets them
   * again.
   */
  rotate(groupId: string): void {
    this.group(groupId).rotate();
    this.changed();
  }

  /**
   * Gives a transactional id to a new producer: the previous one is fenced, and its open
   * transaction aborted. @returns the epoch
   */
  initTransactions(id: string): number {
    const identity = this.#identity(id);
    this.endTransaction(id, 'aborted');
    identity.epoch += 1;
    return identity.epoch;
  }

  epoch(id: string): number {
    return this.#identity(id).epoch;
  }

  /** The open transaction of an identity; begins one if there is none. */
  transaction(id: string): MemoryTransaction {
    const identity = this.#identity(id);
    return (identity.transaction ??= new MemoryTransaction());
  }

  endTransaction(id: string, state: 'committed' | 'aborted'): void {
    const identity = this.#identity(id);
    const { transaction } = identity;
    if (!transaction) return;
    identity.transaction = undefined;
    transaction.end(state);
    if (state === 'committed' && transaction.offsets)
      this.group(transaction.offsets.group).commit(transaction.offsets.positions);
    this.changed();
  }

  /**
   * Whether an open transaction may still change the committed offset of this partition (KIP-447).
   */
  offsetIsPending(groupId: string, partition: TopicPartition): boolean {
    const name = partitionName(partition);
    return [...this.#identities.values()].some(({ transaction }) => {
      const pending = transaction?.offsets;
      return pending?.group === groupId && pending.positions.some((position) => partitionName(position) === name);
    });
  }

  /** Calls `look` after each change, until the returned function is called. */
  watch(look: () => void): () => void {
    this.#watchers.add(look);
    return () => this.#watchers.delete(look);
  }

  changed(): void {
    for (const look of [...this.#watchers]) look();
  }

  /** Resolves when the condition holds. @throws Error with `what` when it does not in time */
  async until(condition: () => boolean, what: string, timeoutMs = 10_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!condition()) {
      if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
      await sleep(1);
    }
  }

  #identity(id: string): Identity {
    let identity = this.#identities.get(id);
    if (!identity) this.#identities.set(id, (identity = { epoch: 0, transaction: undefined }));
    return identity;
  }
}

function hash(key: string | Buffer): number {
  let result = 0;
  for (const byte of Buffer.from(key)) result = (result * 31 + byte) % 1_000_003;
  return result;
}
