/** The port of the runtime on a {@link MemoryCluster}. */
import {
  partitionName,
  writableTime,
  type ChangelogEntry,
  type CommitOutcome,
  type InputRecord,
  type LogJump,
  type OutgoingRecord,
  type PartitionOffset,
  type Session,
  type SessionEvent,
  type TopicPartition,
  type Refusal,
  type TopicSpec,
  type TopicState,
} from '@kafnus/agent-runtime';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { failedCommit, type CommitFault, type MemoryCluster, type MemoryOperation } from './memory-cluster.js';
import type { MemoryGroup, MemoryMember } from './memory-group.js';

export interface MemorySessionOptions {
  readonly inputTopic: string;
  readonly groupId: string;
  /** With the group, the transactional identity: a second session of the same id fences the first. */
  readonly instanceId: string;
  /** Most records of one event. Default 1000. */
  readonly batchSize?: number;
  /** Where a partition starts that has no committed offset. Default earliest. */
  readonly startAt?: 'earliest' | 'latest';
  /** Default exactly-once. Without transactions, records are there as soon as they are sent. */
  readonly delivery?: 'exactly-once' | 'at-least-once';
}

type Rebalance = SessionEvent & { readonly kind: 'assigned' | 'revoked' };

/** What a call of a crashed process comes to. */
const never = new Promise<never>(() => undefined);

export class MemorySession implements Session {
  readonly groupId: string;
  readonly instanceId: string;
  /** What the group's coordinator knows of this session. */
  readonly member: MemoryMember;
  readonly #cluster: MemoryCluster;
  readonly #options: MemorySessionOptions;
  readonly #identity: string;
  readonly #exactlyOnce: boolean;
  readonly #group: MemoryGroup;
  /** The accepted partitions: where each started, and the offset that is delivered next. */
  readonly #positions = new Map<
    string,
    TopicPartition & { readonly start: number; next: number; outOfRange: boolean }
  >();
  /** Reported before the records that come next. */
  #jumps: (SessionEvent & { readonly jump: LogJump })[] = [];
  readonly #cancelled = new AbortController();
  /** As librdkafka does, the next rebalance waits for the answer to the one before. */
  #rebalances: Rebalance[] = [];
  /** The one that was delivered and has no answer yet. */
  #unanswered: Rebalance | undefined;
  isStopping = false;
  #woken = false;
  #failure: Error | undefined;
  #crashed = false;
  #epoch = 0;
  #turn = 0;
  /**
   * Topics that refused a record: of the open transaction, or since a commit reported the ones
   * before.
   */
  #refused = new Map<string, Refusal>();
  /** A record of the open transaction was refused, and nobody says by which topic. */
  #unnamed: Error | undefined;
  /** Bytes of the open transaction by partition of a topic: what a producer makes a batch of. */
  #batched = new Map<string, number>();
  /**
   * Partitions that have refused a batch: the next transaction that writes to one misses its
   * sequence numbers, and is aborted.
   */
  #skipped = new Set<string>();
  #outOfOrder = false;
  #queued = 0;
  /**
   * The outcome of a commit was unknown, or a fatal error has ended the producer: it is of no use
   * any more.
   */
  #spent = false;
  /** The first record is what ends the producer. */
  #broken = false;

  constructor(cluster: MemoryCluster, options: MemorySessionOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.groupId = options.groupId;
    this.instanceId = options.instanceId;
    this.#exactlyOnce = options.delivery !== 'at-least-once';
    this.#identity = `${options.groupId}-${options.instanceId}`;
    this.#group = cluster.group(options.groupId);
    this.member = {
      topic: options.inputTopic,
      assigned: (partitions) => this.#rebalances.push({ kind: 'assigned', partitions }),
      revoked: (partitions, lost) => this.#revoked(partitions, lost),
    };
  }

  /** The process is gone without a word: its calls never return, the group gives its partitions away, its transaction stays open. */
  crash(): void {
    this.#crashed = true;
    this.#group.leave(this.member);
    this.#cluster.changed();
  }

  get crashed(): boolean {
    return this.#crashed;
  }

  /** Ends the session with an error, as a fatal one of the client does. */
  fail(error: Error): void {
    this.#failure = error;
    this.#cluster.changed();
  }

  async start(): Promise<void> {
    await this.#enter('start');
    this.#startProducer();
    this.#group.join(this.member);
    this.#cluster.changed();
  }

  async next(timeoutMs: number, wantRecords: boolean): Promise<SessionEvent> {
    await this.#enter('next');
    const found = this.#take(wantRecords);
    if (found) return found;
    return new Promise((resolve) => {
      const finish = (event: SessionEvent): void => {
        clearTimeout(timer);
        unwatch();
        if (!this.#crashed) resolve(event);
      };
      const timer = setTimeout(finish, timeoutMs, { kind: 'idle' });
      const unwatch = this.#cluster.watch(() => {
        const event = this.#crashed ? ({ kind: 'idle' } as const) : this.#take(wantRecords);
        if (event) finish(event);
      });
    });
  }

  wake(): void {
    this.#woken = true;
    this.#cluster.changed();
  }

  #take(wantRecords: boolean): SessionEvent | undefined {
    if (this.#failure) return { kind: 'failed', error: this.#failure };
    if (!this.#unanswered) {
      this.#unanswered = this.#rebalances.shift();
      if (this.#unanswered) return this.#unanswered;
    }
    if (this.#woken) {
      this.#woken = false;
      return { kind: 'woken' };
    }
    const limit = this.#options.batchSize ?? 1000;
    const records = wantRecords && this.#jumps.length === 0 ? this.#fetch(limit) : [];
    // What was found in this fetch comes behind its records.
    if (records.length === 0) {
      const jump = this.#jumps.shift();
      if (jump) return jump;
    }
    return records.length > 0 ? { kind: 'records', records, drained: records.length < limit } : undefined;
  }

  /** Each time beginning with another partition, so that none starves. */
  #fetch(limit: number): InputRecord[] {
    const positions = [...this.#positions.values()];
    const records: InputRecord[] = [];
    this.#turn += 1;
    for (let index = 0; index < positions.length && records.length < limit; index += 1) {
      const position = positions[(index + this.#turn) % positions.length];
      const partition = position && this.#cluster.partitions(position.topic)[position.partition];
      if (!partition || !this.#isInRange(position, partition)) continue;
      const found = partition.read(position.next, limit - records.length, 'read_committed');
      position.next = found.next;
      records.push(...found.records);
    }
    return records;
  }

  /**
   * As the session on Kafka finds out: what ends before the position is not read, what was deleted
   * is passed over.
   */
  #isInRange(
    position: TopicPartition & { next: number; outOfRange: boolean },
    log: { readonly low: number; readonly high: number },
  ): boolean {
    if (position.outOfRange) return false;
    const { topic, partition, next } = position;
    const jump = { topic, partition, position: next, found: log.low };
    if (next > log.high) {
      position.outOfRange = true;
      this.#jumps.push({ kind: 'out-of-range', jump });
      return false;
    }
    if (next < log.low) {
      position.next = log.low;
      this.#jumps.push({ kind: 'deleted', jump });
    }
    return true;
  }

  #dropJumps(partitions: readonly TopicPartition[]): void {
    const names = new Set(partitions.map(partitionName));
    this.#jumps = this.#jumps.filter(({ jump }) => !names.has(partitionName(jump)));
  }

  async committed(partitions: readonly TopicPartition[], signal?: AbortSignal): Promise<readonly PartitionOffset[]> {
    await this.#enter('committed', signal);
    const stable = (): boolean =>
      !partitions.some((partition) => this.#cluster.offsetIsPending(this.groupId, partition));
    await this.#until(stable, signal);
    return partitions.map(({ topic, partition }) => ({
      topic,
      partition,
      offset: this.#group.committed({ topic, partition }),
    }));
  }

  async accept(positions: readonly PartitionOffset[]): Promise<void> {
    await this.#enter('accept');
    for (const { topic, partition, offset } of positions) {
      // Lost in the meantime: the revocation is on its way.
      if (!this.#group.owns(this.member, { topic, partition })) continue;
      const log = this.#cluster.partitions(topic)[partition];
      const start = offset ?? (this.#options.startAt === 'latest' ? log?.stable : log?.low) ?? 0;
      const position = { topic, partition, start, next: start, outOfRange: false };
      this.#positions.set(partitionName({ topic, partition }), position);
    }
    this.#unanswered = undefined;
  }

  release(partitions: readonly TopicPartition[]): void {
    void this.#call('release');
    if (this.#crashed) return;
    const answered = this.#unanswered;
    this.#unanswered = undefined;
    for (const partition of partitions) this.#positions.delete(partitionName(partition));
    this.#dropJumps(partitions);
    if (answered?.kind === 'revoked' && answered.lost) this.#group.join(this.member);
    else this.#group.release(this.member, partitions);
    this.#cluster.changed();
  }

  #revoked(partitions: readonly TopicPartition[], lost: boolean): void {
    if (lost) {
      // Whatever was going on is void; also an assignment that is being prepared, which librdkafka would wait for.
      this.#rebalances = [];
      this.#unanswered = undefined;
    }
    this.#rebalances.push({ kind: 'revoked', partitions, lost });
  }

  async rewind(positions: readonly PartitionOffset[]): Promise<void> {
    await this.#enter('rewind');
    this.#dropJumps(positions);
    for (const target of positions) {
      const position = this.#positions.get(partitionName(target));
      if (!position) continue;
      position.next = target.offset ?? position.start;
      position.outOfRange = false;
    }
  }

  watermarks({ topic, partition }: TopicPartition): { readonly low: number; readonly high: number } | null {
    const found =
      this.#positions.has(partitionName({ topic, partition })) && this.#cluster.partitions(topic)[partition];
    return found ? { low: found.low, high: found.high } : null;
  }

  async begin(): Promise<void> {
    await this.#enter('begin');
    if (this.#exactlyOnce) this.#refused = new Map();
    this.#unnamed = undefined;
    this.#batched = new Map();
    this.#outOfOrder = false;
    this.#queued = 0;
  }

  send(record: OutgoingRecord): 'queued' | 'full' | 'too-large' {
    void this.#call('send');
    const { faults } = this.#cluster;
    if (sizeOf(record) > faults.maxRecordBytes) return 'too-large';
    if (this.#queued >= faults.queueSize) return 'full';
    this.#queued += 1;
    if (this.#broken) this.#spent = true;
    // A producer that was fenced, or crashed, notices nothing here: its records just do not arrive.
    if (this.#crashed || this.#spent || this.#fenced()) return 'queued';
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
    const { faults } = this.#cluster;
    await this.#enter('commit');
    for (let turn = 0; turn < faults.commitTurns; turn += 1) await nextTurn();
    if (this.#crashed) return never;
    const outcome = this.#commit(offsets);
    await this.#enter('commit-done');
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
      // A new epoch, in which the numbers begin again.
      this.#skipped.clear();
      return this.#aborted('out_of_order_sequence_number', new Error('skipped sequence numbers'));
    }
    if (!this.#group.has(this.member)) {
      return this.#aborted('unknown_member_id', new Error('the group has cut this member off'));
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
    if (fault !== 'aborted') this.#cluster.transaction(this.#identity).offsets = { group: this.groupId, positions };
    if (fault !== 'unknown-aborted')
      this.#cluster.endTransaction(this.#identity, fault === 'aborted' ? 'aborted' : 'committed');
  }

  /** Ends the open transaction; the outcome reports what was refused so far. */
  #aborted(cause: string, error: Error): CommitOutcome & { readonly kind: 'aborted' } {
    const refused = this.#refused;
    this.#refused = new Map();
    this.#unnamed = undefined;
    this.#batched = new Map();
    this.#outOfOrder = false;
    if (this.#exactlyOnce) this.#cluster.endTransaction(this.#identity, 'aborted');
    return { kind: 'aborted', cause, error, ...(refused.size > 0 ? { refused } : {}) };
  }

  async abort(): Promise<CommitOutcome> {
    await this.#enter('abort');
    const stopped = this.#unusable();
    return stopped ?? this.#aborted('requested', new Error('aborted'));
  }

  async reset(signal?: AbortSignal): Promise<void> {
    await this.#enter('reset', signal);
    this.#startProducer();
  }

  #startProducer(): void {
    const { faults } = this.#cluster;
    this.#skipped.clear();
    this.#spent = false;
    this.#refused = new Map();
    this.#broken = !this.#exactlyOnce && faults.brokenProducers > 0;
    if (this.#broken) faults.brokenProducers -= 1;
    if (this.#exactlyOnce) this.#epoch = this.#cluster.initTransactions(this.#identity);
  }

  async ensureTopic(name: string, spec: TopicSpec | null): Promise<TopicState> {
    await this.#enter('ensureTopic');
    const { refusedTopics, silentTopics } = this.#cluster.faults;
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
    return { kind: 'writable', partitions, inSync: this.#cluster.faults.failingTopics.get(name)?.inSync ?? 3 };
  }

  async partitionCount(topic: string, signal?: AbortSignal): Promise<number | null> {
    await this.#enter('partitionCount', signal);
    const { length } = this.#cluster.partitions(topic);
    return length === 0 ? null : length;
  }

  async restore(
    changelog: TopicPartition,
    onEntry: ChangelogEntry,
    onProgress: (progress: { entries: number; offset: number; end: number }) => void,
    signal: AbortSignal,
  ): Promise<number> {
    await this.#enter('restore', signal);
    const partition = this.#cluster.partitions(changelog.topic)[changelog.partition];
    if (!partition) throw new Error(`there is no changelog partition ${partitionName(changelog)}`);
    const end = partition.high;
    await this.#until(() => partition.stable >= end, signal);
    const entries = partition.read(0, end, 'read_committed').records.filter(({ offset }) => offset < end);
    for (const { key, value } of entries) {
      if (key !== null) onEntry(key, value);
    }
    if (entries.length > 0) onProgress({ entries: entries.length, offset: end, end });
    return entries.length;
  }

  /** Here every record is acknowledged or refused at once. */
  stopping(): void {
    this.isStopping = true;
  }

  cancel(): void {
    this.#cancelled.abort(new Error('the session is being closed'));
    this.#cluster.changed();
  }

  async close(): Promise<void> {
    await this.#enter('close');
    this.#positions.clear();
    this.#group.leave(this.member);
    this.#cluster.changed();
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

  #fenced(): boolean {
    return this.#exactlyOnce && this.#cluster.epoch(this.#identity) !== this.#epoch;
  }

  #unusable(): CommitOutcome | undefined {
    if (this.#fenced()) {
      const error = new Error(`a newer producer has the transactional id ${this.#identity}`);
      return { kind: 'unknown', cause: '_fenced', fenced: true, error };
    }
    return this.#spent
      ? { kind: 'unknown', cause: '_state', fenced: false, error: new Error('the producer has ended') }
      : undefined;
  }

  #call(operation: MemoryOperation): Promise<void> | void {
    if (!this.#crashed) return this.#cluster.faults.onCall({ session: this, operation });
  }

  /** What each call begins with. */
  async #enter(operation: MemoryOperation, signal: AbortSignal = this.#cancelled.signal): Promise<void> {
    const either = AbortSignal.any([signal, this.#cancelled.signal]);
    const held = this.#call(operation);
    if (held && !either.aborted) {
      await Promise.race([held, new Promise((resolve) => either.addEventListener('abort', resolve, { once: true }))]);
    }
    if (this.#crashed) await never;
    // What closes goes on; a request that waits for the cluster does not.
    if (['start', 'committed', 'reset', 'partitionCount', 'restore'].includes(operation)) either.throwIfAborted();
  }

  #until(condition: () => boolean, signal: AbortSignal = this.#cancelled.signal): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const ended = [signal, this.#cancelled.signal].find(({ aborted }) => aborted);
        if (!ended && !condition()) return;
        unwatch();
        signal.removeEventListener('abort', look);
        if (this.#crashed) return;
        if (ended) reject(ended.reason as Error);
        else resolve();
      };
      const unwatch = this.#cluster.watch(look);
      signal.addEventListener('abort', look);
      look();
    });
  }
}

/** What is sent to one place goes into one batch. */
function placeOf({ topic, partition, key }: OutgoingRecord): string {
  return `${topic} ${partition ?? String(key)}`;
}

/** As the broker says it. */
function isLegalName(topic: string): boolean {
  return /^[a-zA-Z0-9._-]{1,249}$/.test(topic) && topic !== '.' && topic !== '..';
}

function sizeOf({ key, value, headers }: OutgoingRecord): number {
  const length = (text: string | Buffer | null): number => (text === null ? 0 : Buffer.byteLength(text));
  const inHeaders = headers
    .flatMap((header) => Object.entries(header))
    .reduce((sum, [name, content]) => sum + length(name) + length(content), 0);
  return length(key) + length(value) + inHeaders;
}
