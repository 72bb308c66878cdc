import {
  partitionName,
  type GroupConsumer,
  type InputRecord,
  type LogJump,
  type PartitionOffset,
  type SessionEvent,
  type TopicPartition,
} from '@kafnus/agent-runtime';
import type { MemoryCalls } from './memory-calls.js';
import type { MemoryCluster } from './memory-cluster.js';
import type { MemoryGroup, MemoryMember } from './memory-group.js';
import type { MemorySessionOptions } from './memory-session.js';

type Rebalance = SessionEvent & { readonly kind: 'assigned' | 'revoked' };

/** An accepted partition: its first offset, and the offset that is delivered next. */
interface Position extends TopicPartition {
  readonly start: number;
  next: number;
  outOfRange: boolean;
}

/** A member of a {@link MemoryGroup}, and the positions of its partitions. */
export class MemoryConsumer implements Omit<GroupConsumer, 'start' | 'close'> {
  /** The member as the group's coordinator knows it. */
  readonly member: MemoryMember;
  readonly #cluster: MemoryCluster;
  readonly #calls: MemoryCalls;
  readonly #options: MemorySessionOptions;
  readonly #group: MemoryGroup;
  readonly #positions = new Map<string, Position>();
  /** Reported before the records that come next. */
  #jumps: (SessionEvent & { readonly jump: LogJump })[] = [];
  /** As in librdkafka, the next rebalance waits for the answer to the one before. */
  #rebalances: Rebalance[] = [];
  /** The rebalance that was delivered and has no answer yet. */
  #unanswered: Rebalance | undefined;
  #woken = false;
  #failure: Error | undefined;
  #turn = 0;

  constructor(cluster: MemoryCluster, calls: MemoryCalls, options: MemorySessionOptions) {
    this.#cluster = cluster;
    this.#calls = calls;
    this.#options = options;
    this.#group = cluster.group(options.groupId);
    this.member = {
      topic: options.inputTopic,
      assigned: (partitions) => this.#rebalances.push({ kind: 'assigned', partitions }),
      revoked: (partitions, lost) => this.#revoked(partitions, lost),
    };
  }

  /** Ends the session with an error, as a fatal one of the client does. */
  fail(error: Error): void {
    this.#failure = error;
    this.#cluster.changed();
  }

  join(): void {
    this.#group.join(this.member);
    this.#cluster.changed();
  }

  async next(timeoutMs: number, wantRecords: boolean): Promise<SessionEvent> {
    await this.#calls.enter('next');
    const found = this.#take(wantRecords);
    if (found) return found;
    return new Promise((resolve) => {
      const finish = (event: SessionEvent): void => {
        clearTimeout(timer);
        unwatch();
        if (!this.#calls.crashed) resolve(event);
      };
      const timer = setTimeout(finish, timeoutMs, { kind: 'idle' });
      const unwatch = this.#cluster.watch(() => {
        const event = this.#calls.crashed ? ({ kind: 'idle' } as const) : this.#take(wantRecords);
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
    // A jump that this fetch has found is reported after its records.
    if (records.length === 0) {
      const jump = this.#jumps.shift();
      if (jump) return jump;
    }
    return records.length > 0 ? { kind: 'records', records, drained: records.length < limit } : undefined;
  }

  /** Each fetch begins with another partition, so that none starves. */
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

  /** A log that ends before the position is not read; records that were deleted are skipped. */
  #isInRange(position: Position, log: { readonly low: number; readonly high: number }): boolean {
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

  async accept(positions: readonly PartitionOffset[]): Promise<void> {
    await this.#calls.enter('accept');
    for (const { topic, partition, offset } of positions) {
      // Lost in the meantime: the revocation follows.
      if (!this.#group.owns(this.member, { topic, partition })) continue;
      const log = this.#cluster.partitions(topic)[partition];
      const start = offset ?? (this.#options.startAt === 'latest' ? log?.stable : log?.low) ?? 0;
      const position = { topic, partition, start, next: start, outOfRange: false };
      this.#positions.set(partitionName({ topic, partition }), position);
    }
    this.#unanswered = undefined;
  }

  release(partitions: readonly TopicPartition[]): void {
    void this.#calls.before('release');
    if (this.#calls.crashed) return;
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
      // Earlier rebalances are void, also an assignment whose state is being restored.
      this.#rebalances = [];
      this.#unanswered = undefined;
    }
    this.#rebalances.push({ kind: 'revoked', partitions, lost });
  }

  async rewind(positions: readonly PartitionOffset[]): Promise<void> {
    await this.#calls.enter('rewind');
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

  /** Leaves the group, as its coordinator also decides of a member that has crashed. */
  leave(): void {
    this.#positions.clear();
    this.#group.leave(this.member);
    this.#cluster.changed();
  }
}
