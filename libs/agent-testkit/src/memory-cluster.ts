/**
 * A Kafka in memory, for tests of the delivery guarantee: topics with transactions and
 * read_committed, consumer groups with cooperative rebalances, transactional identities that fence
 * each other, and faults on demand. {@link MemorySession} is a member; the conformance suite
 * holds both to the behaviour of the session on a real Kafka.
 *
 * There is no clock and no chance in it: what happens follows from the order of the calls alone, so
 * that a test can put a fault at the n-th call and get the same run each time.
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
 * A call of the port, and `commit-done`: what was committed is final, but its sender has not heard
 * of it yet.
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
 * How a commit is to fail. `aborted`: and surely so. `unknown-committed` and `unknown-aborted`: the
 * answer is lost, and it was or was not committed; in the second case the transaction stays open
 * until a successor ends it.
 */
export type CommitFault = 'aborted' | 'unknown-committed' | 'unknown-aborted';

/** The faults of a {@link MemoryCluster}. Set them at any time. */
class MemoryFaults {
  /**
   * Called before each call of a session: the place to crash it, to rebalance, or to set another
   * fault, at exactly this point. A promise is waited for, except by `release` and `send`, which
   * wait for nothing.
   */
  onCall: (call: { readonly session: MemorySession; readonly operation: MemoryOperation }) => Promise<void> | void =
    () => undefined;
  /** How the next commits fail, one each. */
  readonly commits: CommitFault[] = [];
  /**
   * So many producers, from the next session that starts or is reset on, take no record: fatal
   * errors. For at-least-once.
   */
  brokenProducers = 0;
  /** Topics that cannot be written or created, and why. */
  readonly refusedTopics = new Map<string, Error>();
  /**
   * Topics of which a transaction is refused, without a word which one it was; lookups find them
   * writable.
   */
  readonly unnamedRefusals = new Map<string, Error>();
  /** Topics whose writes fail though lookups find them writable, with so many replicas in sync. */
  readonly failingTopics = new Map<string, { readonly inSync: number }>();
  /**
   * Records whose contents their topic refuses. The configuration of a topic may refuse them as
   * well: size, time, no key.
   */
  refusesRecord: (record: OutgoingRecord) => boolean = () => false;
  /** Topics about which so many questions get no answer. */
  readonly silentTopics = new Map<string, number>();
  /**
   * After so many records of a transaction the producer's queue is full once, until `sendable` was
   * waited for.
   */
  queueSize = Number.POSITIVE_INFINITY;
  /** The most bytes of a record: key, value and headers. */
  maxRecordBytes = 1_048_000;
  /** Turns of the event loop that a commit takes: meanwhile the next records are processed. */
  commitTurns = 1;
}

/** A transactional id: the producer that holds it now, by number, and its open transaction. */
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

  /** A session of this cluster, not started yet. */
  session(options: MemorySessionOptions): MemorySession {
    return new MemorySession(this, options);
  }

  /** @throws Error when the topic exists */
  createTopic(name: string, partitions: number, config: Readonly<Record<string, string>> = {}): void {
    this.addTopic(name, { partitions, replicationFactor: -1, config });
  }

  /** Like {@link createTopic}, with all that a session may say. */
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

  /** Lets a partition lose its records from an offset on. */
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

  /** How a topic was created; undefined when it does not exist. */
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

  /**
   * Appends one record. Keys choose the partition: the same key the same one, though not the one
   * that Kafka would choose.
   */
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
   * Cuts a member off from its group, as when it has not polled for too long: it loses its
   * partitions without being asked.
   */
  lose(session: MemorySession): void {
    this.group(session.groupId).lose(session.member);
    this.changed();
  }

  /**
   * Moves every partition of a group to its next member; a single member is revoked all and given
   * them again.
   */
  rotate(groupId: string): void {
    this.group(groupId).rotate();
    this.changed();
  }

  /**
   * Gives a transactional id to a new producer: the one before is fenced, and what it left open is
   * aborted. @returns its epoch
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

  /** The open transaction of an identity, begun if need be. */
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

  /** Calls `look` whenever something has changed, until the returned function is called. */
  watch(look: () => void): () => void {
    this.#watchers.add(look);
    return () => this.#watchers.delete(look);
  }

  changed(): void {
    for (const look of [...this.#watchers]) look();
  }

  /**
   * Resolves when the condition, of whatever, holds. @throws Error with `what` when it does not
   * within the time
   */
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
