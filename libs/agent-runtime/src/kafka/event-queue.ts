import { partitionName, type SessionEvent, type TopicPartition } from '../session.js';

/** The events that the loop has not taken yet, in their order. */
export class EventQueue {
  readonly #events: SessionEvent[] = [];
  #waiter: (() => void) | undefined;

  add(event: SessionEvent): void {
    this.#events.push(event);
    this.endWait();
  }

  take(): SessionEvent | undefined {
    return this.#events.shift();
  }

  /** @returns whether it was ended: false after `timeoutMs` */
  async wait(timeoutMs: number): Promise<boolean> {
    const ended = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs, false);
      this.#waiter = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
    this.#waiter = undefined;
    return ended;
  }

  endWait(): void {
    this.#waiter?.();
  }

  /** Jumps are about a place at which these partitions are not read any more. */
  dropJumps(partitions: readonly TopicPartition[]): void {
    const names = new Set(partitions.map(partitionName));
    for (const event of this.#events.splice(0)) {
      if (!('jump' in event && names.has(partitionName(event.jump)))) this.#events.push(event);
    }
  }

  /** Whether a revocation of this partition waits for the loop. */
  isRevoked(partition: TopicPartition): boolean {
    const name = partitionName(partition);
    return this.#events.some(
      (event) => event.kind === 'revoked' && event.partitions.some((revoked) => partitionName(revoked) === name),
    );
  }
}
