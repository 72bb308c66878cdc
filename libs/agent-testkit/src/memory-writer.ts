import {
  writableTime,
  type CommitOutcome,
  type OutgoingRecord,
  type PartitionOffset,
  type Refusal,
  type TopicPartition,
  type Writer,
} from '@kafnus/agent-runtime';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { never, type MemoryCalls } from './memory-calls.js';
import type { CommitFault, MemoryCluster } from './memory-cluster.js';
import type { MemoryGroup, MemoryMember } from './memory-group.js';
import type { MemorySessionOptions } from './memory-session.js';

/** The producer of a session, transactional or at-least-once. */
export class MemoryWriter implements Omit<Writer<OutgoingRecord>, 'start' | 'close'> {
  isStopping = false;
  readonly #cluster: MemoryCluster;
  readonly #calls: MemoryCalls;
  readonly #member: MemoryMember;
  readonly #groupId: string;
  readonly #group: MemoryGroup;
  readonly #identity: string;
  readonly #exactlyOnce: boolean;
  #epoch = 0;
  /** Topics that refused a record of the open transaction, or since the last report of a commit. */
  #refused = new Map<string, Refusal>();
  /** A record of the open transaction was refused with an error that does not name the topic. */
  #unnamed: Error | undefined;
  /** Bytes of the open transaction by {@link placeOf}, which a producer sends as one batch. */
  #batched = new Map<string, number>();
  /**
   * Places that have refused a batch. The next transaction that writes to one of them misses its
   * sequence numbers, and is aborted.
   */
  readonly #skipped = new Set<string>();
  #outOfOrder = false;
  #queued = 0;
  /** The outcome of a commit was unknown, or a fatal error has ended the producer. */
  #spent = false;
  /** The next record ends the producer. */
  #broken = false;

  constructor(cluster: MemoryCluster, calls: MemoryCalls, member: MemoryMember, options: MemorySessionOptions) {
    this.#cluster = cluster;
    this.#calls = calls;
    this.#member = member;
    this.#groupId = options.groupId;
    this.#group = cluster.group(options.groupId);
    this.#identity = `${options.groupId}-${options.instanceId}`;
    this.#exactlyOnce = options.delivery !== 'at-least-once';
  }

  /** Takes over the transactional identity. */
  takeOver(): void {
    const { faults } = this.#cluster;
    this.#skipped.clear();
    this.#spent = false;
    this.#refused = new Map();
    this.#broken = !this.#exactlyOnce && faults.brokenProducers > 0;
    if (this.#broken) faults.brokenProducers -= 1;
    if (this.#exactlyOnce) this.#epoch = this.#cluster.initTransactions(this.#identity);
  }

  async begin(): Promise<void> {
    await this.#calls.enter('begin');
    if (this.#exactlyOnce) this.#refused = new Map();
    this.#clearTransaction();
    this.#queued = 0;
  }

  send(record: OutgoingRecord): 'queued' | 'full' | 'too-large' {
    void this.#calls.before('send');
    const { faults } = this.#cluster;
    if (sizeOf(record) > faults.maxRecordBytes) return 'too-large';
    if (this.#queued >= faults.queueSize) return 'full';
    this.#queued += 1;
    if (this.#broken) this.#spent = true;
    // A fenced or crashed producer gets no error here, but its records do not arrive.
    if (this.#calls.crashed || this.#spent || this.#isFenced()) return 'queued';
    this.#unnamed ??= faults.unnamedRefusals.get(record.topic);
    const written = { ...record, timestamp: writableTime(record.timestamp) };
    const refusal = this.#refusal(written);
    const place = placeOf(record);
    if (this.#exactlyOnce && !refusal && this.#skipped.has(place)) this.#outOfOrder = true;
    if (refusal?.kind === 'contents') this.#skipped.add(place);
    if (refusal) this.#refused.set(record.topic, refusal);
    else if (this.#exactlyOnce) this.#cluster.write(written, this.#cluster.transaction(this.#identity));
    else {
      this.#cluster.write(written, null);
      this.#cluster.changed();
    }
    return 'queued';
  }

  async sendable(): Promise<void> {
    await nextTurn();
    this.#queued = 0;
  }

  async commit(offsets: readonly PartitionOffset[]): Promise<CommitOutcome> {
    await this.#calls.enter('commit');
    for (let turn = 0; turn < this.#cluster.faults.commitTurns; turn += 1) await nextTurn();
    if (this.#calls.crashed) return never;
    const outcome = this.#commit(offsets);
    await this.#calls.enter('commit-done');
    this.#cluster.changed();
    return outcome;
  }

  #commit(positions: readonly PartitionOffset[]): CommitOutcome {
    const stopped = this.#unusable();
    if (stopped) return stopped;
    if (this.#unnamed) {
      const error = this.#unnamed;
      return { ...this.#aborted('topic_authorization_failed', error), unnamed: 'destination' };
    }
    if (this.#refused.size > 0) return this.#aborted('refused', new Error('a topic refused records'));
    if (this.#outOfOrder) {
      // The producer gets a new epoch, in which the numbers begin again.
      this.#skipped.clear();
      return this.#aborted('out_of_order_sequence_number', new Error('skipped sequence numbers'));
    }
    if (!this.#group.has(this.#member)) {
      return this.#aborted('unknown_member_id', new Error('the group has expelled this member'));
    }
    const fault = this.#cluster.faults.commits.shift();
    if (!this.#exactlyOnce) {
      if (fault === undefined || fault === 'unknown-committed') this.#group.commit(positions);
    } else this.#endTransaction(positions, fault);
    if (fault === undefined) return { kind: 'committed' };
    const failed = failedCommit(fault);
    this.#spent = failed.kind === 'unknown';
    return failed;
  }

  #endTransaction(positions: readonly PartitionOffset[], fault: CommitFault | undefined): void {
    if (fault !== 'aborted') this.#cluster.transaction(this.#identity).offsets = { group: this.#groupId, positions };
    if (fault !== 'unknown-aborted')
      this.#cluster.endTransaction(this.#identity, fault === 'aborted' ? 'aborted' : 'committed');
  }

  /** Ends the open transaction; the outcome reports the refusals so far. */
  #aborted(cause: string, error: Error): CommitOutcome & { readonly kind: 'aborted' } {
    const refused = this.#refused;
    this.#refused = new Map();
    this.#clearTransaction();
    if (this.#exactlyOnce) this.#cluster.endTransaction(this.#identity, 'aborted');
    return { kind: 'aborted', cause, error, ...(refused.size > 0 ? { refused } : {}) };
  }

  #clearTransaction(): void {
    this.#unnamed = undefined;
    this.#batched = new Map();
    this.#outOfOrder = false;
  }

  async abort(): Promise<CommitOutcome> {
    await this.#calls.enter('abort');
    return this.#unusable() ?? this.#aborted('requested', new Error('aborted'));
  }

  async reset(signal?: AbortSignal): Promise<boolean> {
    await this.#calls.enter('reset', signal);
    this.takeOver();
    return false;
  }

  async committed(partitions: readonly TopicPartition[], signal?: AbortSignal): Promise<readonly PartitionOffset[]> {
    await this.#calls.enter('committed', signal);
    const stable = (): boolean =>
      !partitions.some((partition) => this.#cluster.offsetIsPending(this.#groupId, partition));
    await this.#calls.until(stable, signal);
    return partitions.map(({ topic, partition }) => ({
      topic,
      partition,
      offset: this.#group.committed({ topic, partition }),
    }));
  }

  /** Every record is acknowledged or refused at once, so no deadline is needed. */
  stopping(): void {
    this.isStopping = true;
  }

  #refusal(record: OutgoingRecord): Refusal | undefined {
    const { topic, partition, key } = record;
    const { faults } = this.#cluster;
    const place = placeOf(record);
    const forbidden = faults.refusedTopics.get(topic);
    if (forbidden) return { error: forbidden, kind: 'destination' };
    if (this.#cluster.partitions(topic).length <= (partition ?? 0))
      return { error: new Error(`topic ${topic} has no partition ${partition ?? 0}`), kind: 'passing' };
    if (faults.failingTopics.has(topic)) return { error: new Error('injected: message timed out'), kind: 'passing' };
    const { config = {} } = this.#cluster.topicSpec(topic) ?? {};
    const bytes = (this.#batched.get(place) ?? 0) + sizeOf(record);
    this.#batched.set(place, bytes);
    const contents = (text: string, about?: 'size' | 'time'): Refusal => {
      const error = new Error(`Broker: ${text}`);
      return about === undefined ? { error, kind: 'contents' } : { error, kind: 'contents', about };
    };
    if (bytes > Number(config['max.message.bytes'] ?? Infinity)) return contents('Message size too large', 'size');
    if (record.timestamp > Date.now() + Number(config['message.timestamp.after.max.ms'] ?? Infinity))
      return contents('Invalid timestamp', 'time');
    if (config['cleanup.policy']?.includes('compact') === true && key === null)
      return contents('Broker failed to validate record');
    return faults.refusesRecord(record) ? contents('Invalid record') : undefined;
  }

  #isFenced(): boolean {
    return this.#exactlyOnce && this.#cluster.epoch(this.#identity) !== this.#epoch;
  }

  #unusable(): CommitOutcome | undefined {
    if (this.#isFenced()) {
      const error = new Error(`a newer producer has the transactional id ${this.#identity}`);
      return { kind: 'unknown', cause: '_fenced', fenced: true, error };
    }
    return this.#spent
      ? { kind: 'unknown', cause: '_state', fenced: false, error: new Error('the producer has ended') }
      : undefined;
  }
}

/** Records with the same place are sent in one batch. */
function placeOf({ topic, partition, key }: OutgoingRecord): string {
  return `${topic} ${partition ?? String(key)}`;
}

function sizeOf({ key, value, headers }: OutgoingRecord): number {
  const length = (text: string | Buffer | null): number => (text === null ? 0 : Buffer.byteLength(text));
  const inHeaders = headers
    .flatMap((header) => Object.entries(header))
    .reduce((sum, [name, content]) => sum + length(name) + length(content), 0);
  return length(key) + length(value) + inHeaders;
}

/** The outcome that the sender of a failed commit gets. */
function failedCommit(fault: CommitFault): CommitOutcome {
  const error = new Error(`injected: ${fault}`);
  return fault === 'aborted'
    ? { kind: 'aborted', cause: 'injected', error }
    : { kind: 'unknown', cause: 'injected', fenced: false, error };
}
