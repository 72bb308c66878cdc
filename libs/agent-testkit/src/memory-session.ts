/** The port of the runtime on a {@link MemoryCluster}. */
import {
  partitionName,
  type ChangelogEntry,
  type CommitOutcome,
  type OutgoingRecord,
  type PartitionOffset,
  type Session,
  type SessionEvent,
  type TopicPartition,
  type TopicSpec,
  type TopicState,
} from '@kafnus/agent-runtime';
import { MemoryCalls } from './memory-calls.js';
import type { MemoryCluster } from './memory-cluster.js';
import { MemoryConsumer } from './memory-consumer.js';
import type { MemoryMember } from './memory-group.js';
import { MemoryWriter } from './memory-writer.js';

export interface MemorySessionOptions {
  readonly inputTopic: string;
  readonly groupId: string;
  /** With the group, the transactional identity: a second session with it fences the first. */
  readonly instanceId: string;
  /** The largest number of records of one event. Default 1000. */
  readonly batchSize?: number;
  /** Where a partition without a committed offset starts. Default earliest. */
  readonly startAt?: 'earliest' | 'latest';
  /** Default exactly-once. Without transactions, records are readable as soon as they are sent. */
  readonly delivery?: 'exactly-once' | 'at-least-once';
}

export class MemorySession implements Session {
  readonly groupId: string;
  readonly instanceId: string;
  readonly #cluster: MemoryCluster;
  readonly #calls: MemoryCalls;
  readonly #consumer: MemoryConsumer;
  readonly #writer: MemoryWriter;

  constructor(cluster: MemoryCluster, options: MemorySessionOptions) {
    this.groupId = options.groupId;
    this.instanceId = options.instanceId;
    this.#cluster = cluster;
    this.#calls = new MemoryCalls(cluster, this);
    this.#consumer = new MemoryConsumer(cluster, this.#calls, options);
    this.#writer = new MemoryWriter(cluster, this.#calls, this.member, options);
  }

  /** The session as the group's coordinator knows it. */
  get member(): MemoryMember {
    return this.#consumer.member;
  }

  get crashed(): boolean {
    return this.#calls.crashed;
  }

  get isStopping(): boolean {
    return this.#writer.isStopping;
  }

  /**
   * Ends the process without a close: its calls never return, the group reassigns its partitions,
   * and its transaction stays open.
   */
  crash(): void {
    this.#calls.crash();
    this.#consumer.leave();
  }

  /** Ends the session with an error, as a fatal one of the client does. */
  fail(error: Error): void {
    this.#consumer.fail(error);
  }

  async start(): Promise<void> {
    await this.#calls.enter('start');
    this.#writer.takeOver();
    this.#consumer.join();
  }

  cancel(): void {
    this.#calls.cancel();
  }

  async close(): Promise<void> {
    await this.#calls.enter('close');
    this.#consumer.leave();
  }

  // ---- The group

  next(timeoutMs: number, wantRecords: boolean): Promise<SessionEvent> {
    return this.#consumer.next(timeoutMs, wantRecords);
  }

  wake(): void {
    this.#consumer.wake();
  }

  accept(positions: readonly PartitionOffset[]): Promise<void> {
    return this.#consumer.accept(positions);
  }

  release(partitions: readonly TopicPartition[]): void {
    this.#consumer.release(partitions);
  }

  rewind(positions: readonly PartitionOffset[]): Promise<void> {
    return this.#consumer.rewind(positions);
  }

  watermarks(partition: TopicPartition): { readonly low: number; readonly high: number } | null {
    return this.#consumer.watermarks(partition);
  }

  // ---- The writer

  begin(): Promise<void> {
    return this.#writer.begin();
  }

  send(record: OutgoingRecord): 'queued' | 'full' | 'too-large' {
    return this.#writer.send(record);
  }

  sendable(): Promise<void> {
    return this.#writer.sendable();
  }

  commit(offsets: readonly PartitionOffset[]): Promise<CommitOutcome> {
    return this.#writer.commit(offsets);
  }

  abort(): Promise<CommitOutcome> {
    return this.#writer.abort();
  }

  reset(signal?: AbortSignal): Promise<boolean> {
    return this.#writer.reset(signal);
  }

  committed(partitions: readonly TopicPartition[], signal?: AbortSignal): Promise<readonly PartitionOffset[]> {
    return this.#writer.committed(partitions, signal);
  }

  stopping(): void {
    this.#writer.stopping();
  }

  // ---- Topics and changelogs

  async ensureTopic(name: string, spec: TopicSpec | null): Promise<TopicState> {
    await this.#calls.enter('ensureTopic');
    const { refusedTopics, silentTopics, failingTopics } = this.#cluster.faults;
    const silent = silentTopics.get(name) ?? 0;
    if (silent > 0) {
      silentTopics.set(name, silent - 1);
      return { kind: 'unavailable', error: new Error(`injected: no answer about topic ${name}`) };
    }
    const refusal = isLegalName(name) ? refusedTopics.get(name) : new Error(`topic ${name}: the name is not allowed`);
    if (refusal) return { kind: 'unwritable', error: refusal };
    if (!this.#cluster.topicSpec(name)) {
      if (!spec) return { kind: 'missing', error: new Error(`topic ${name} does not exist`) };
      this.#cluster.addTopic(name, spec);
    }
    const partitions = this.#cluster.partitions(name).length;
    return { kind: 'writable', partitions, inSync: failingTopics.get(name)?.inSync ?? 3 };
  }

  async partitionCount(topic: string, signal?: AbortSignal): Promise<number | null> {
    await this.#calls.enter('partitionCount', signal);
    const { length } = this.#cluster.partitions(topic);
    return length === 0 ? null : length;
  }

  async restore(
    changelog: TopicPartition,
    onEntry: ChangelogEntry,
    onProgress: (progress: { entries: number; offset: number; end: number }) => void,
    signal: AbortSignal,
  ): Promise<number> {
    await this.#calls.enter('restore', signal);
    const partition = this.#cluster.partitions(changelog.topic)[changelog.partition];
    if (!partition) throw new Error(`there is no changelog partition ${partitionName(changelog)}`);
    const end = partition.high;
    await this.#calls.until(() => partition.stable >= end, signal);
    const entries = partition.read(0, end, 'read_committed').records.filter(({ offset }) => offset < end);
    for (const { key, value } of entries) {
      if (key !== null) onEntry(key, value);
    }
    if (entries.length > 0) onProgress({ entries: entries.length, offset: end, end });
    return entries.length;
  }
}

/** The rule of the broker. */
function isLegalName(topic: string): boolean {
  return /^[a-zA-Z0-9._-]{1,249}$/.test(topic) && topic !== '.' && topic !== '..';
}
