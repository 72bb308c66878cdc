/**
 * The coordinator of a consumer group with the cooperative protocol, as its members see it: a
 * partition is assigned to a member only after the previous one has released it, all other
 * partitions stay, and a member that was expelled may not commit until it has partitions again.
 *
 * Partition i goes to member (i + rotation) modulo their number, in the order in which they joined.
 */
import { partitionName, type PartitionOffset, type TopicPartition } from '@kafnus/agent-runtime';

/** The notifications of the coordinator to a member. */
export interface MemoryMember {
  readonly topic: string;
  assigned(partitions: readonly TopicPartition[]): void;
  revoked(partitions: readonly TopicPartition[], lost: boolean): void;
}

interface Seat extends TopicPartition {
  owner: MemoryMember | undefined;
  revoking: boolean;
}

export class MemoryGroup {
  readonly #partitionsOf: (topic: string) => number;
  readonly #members: MemoryMember[] = [];
  readonly #seats = new Map<string, Seat>();
  readonly #committed = new Map<string, number>();
  #rotation = 0;

  constructor(partitionsOf: (topic: string) => number) {
    this.#partitionsOf = partitionsOf;
  }

  join(member: MemoryMember): void {
    this.#members.push(member);
    this.rebalance();
  }

  /** A close, or the end of a member that has crashed: its partitions are free at once. */
  leave(member: MemoryMember): void {
    this.#expel(member);
    this.rebalance();
  }

  /**
   * Expels a member: its partitions go to others at once, and it is notified afterwards. It joins
   * again when it has answered.
   */
  lose(member: MemoryMember): void {
    // A member that was expelled before has no partitions, and still waits for its first
    // notification.
    if (!this.has(member)) return;
    const lost = this.#expel(member);
    member.revoked(lost, true);
    this.rebalance();
  }

  /** Whether a commit of this member is accepted: it was not expelled. */
  has(member: MemoryMember): boolean {
    return this.#members.includes(member);
  }

  owns(member: MemoryMember, partition: TopicPartition): boolean {
    return this.#seats.get(partitionName(partition))?.owner === member;
  }

  release(member: MemoryMember, partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      const seat = this.#seats.get(partitionName(partition));
      if (seat?.owner !== member) continue;
      seat.owner = undefined;
      seat.revoking = false;
    }
    this.rebalance();
  }

  /** Moves every partition to the next member. A single member loses all, and gets them again. */
  rotate(): void {
    this.#rotation += 1;
    this.rebalance(true);
  }

  rebalance(revokeAll = false): void {
    const assigned = new Map<MemoryMember, TopicPartition[]>();
    const revoked = new Map<MemoryMember, TopicPartition[]>();
    for (const seat of this.#allSeats()) {
      const { topic, partition, owner } = seat;
      const members = this.#members.filter((member) => member.topic === topic);
      const target = members[(partition + this.#rotation) % members.length];
      if (owner === undefined) {
        seat.owner = target;
        if (target) add(assigned, target, { topic, partition });
      } else if ((owner !== target || revokeAll) && !seat.revoking) {
        seat.revoking = true;
        add(revoked, owner, { topic, partition });
      }
    }
    for (const [member, partitions] of revoked) member.revoked(partitions, false);
    for (const [member, partitions] of assigned) member.assigned(partitions);
  }

  commit(positions: readonly PartitionOffset[]): void {
    for (const position of positions) {
      if (position.offset !== null) this.#committed.set(partitionName(position), position.offset);
    }
  }

  committed(partition: TopicPartition): number | null {
    return this.#committed.get(partitionName(partition)) ?? null;
  }

  #expel(member: MemoryMember): TopicPartition[] {
    const index = this.#members.indexOf(member);
    if (index >= 0) this.#members.splice(index, 1);
    const owned = [...this.#seats.values()].filter(({ owner }) => owner === member);
    for (const seat of owned) {
      seat.owner = undefined;
      seat.revoking = false;
    }
    return owned.map(({ topic, partition }) => ({ topic, partition }));
  }

  #allSeats(): Seat[] {
    for (const topic of new Set(this.#members.map((member) => member.topic))) {
      for (let partition = 0; partition < this.#partitionsOf(topic); partition += 1) {
        const name = partitionName({ topic, partition });
        if (!this.#seats.has(name)) this.#seats.set(name, { topic, partition, owner: undefined, revoking: false });
      }
    }
    return [...this.#seats.values()];
  }
}

function add(map: Map<MemoryMember, TopicPartition[]>, member: MemoryMember, partition: TopicPartition): void {
  const partitions = map.get(member);
  if (partitions) partitions.push(partition);
  else map.set(member, [partition]);
}
