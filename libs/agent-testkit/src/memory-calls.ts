import type { MemoryCluster, MemoryOperation } from './memory-cluster.js';
import type { MemorySession } from './memory-session.js';

/** The result of a call that a crashed process has made. */
export const never = new Promise<never>(() => undefined);

/** Calls that wait for the cluster: they reject when the session is closed. */
const cancellable: readonly MemoryOperation[] = ['start', 'committed', 'reset', 'partitionCount', 'restore'];

/** The calls of one in-memory session: each may be delayed, cancelled, or cut off by a crash. */
export class MemoryCalls {
  readonly #cluster: MemoryCluster;
  readonly #session: MemorySession;
  readonly #cancelled = new AbortController();
  #crashed = false;

  constructor(cluster: MemoryCluster, session: MemorySession) {
    this.#cluster = cluster;
    this.#session = session;
  }

  get crashed(): boolean {
    return this.#crashed;
  }

  /** From now on no call returns. */
  crash(): void {
    this.#crashed = true;
  }

  cancel(): void {
    this.#cancelled.abort(new Error('the session is being closed'));
    this.#cluster.changed();
  }

  /** Gives the test a chance to inject a fault before a call. */
  before(operation: MemoryOperation): Promise<void> | void {
    if (!this.#crashed) return this.#cluster.faults.onCall({ session: this.#session, operation });
  }

  /** Starts an asynchronous call. */
  async enter(operation: MemoryOperation, signal: AbortSignal = this.#cancelled.signal): Promise<void> {
    const either = AbortSignal.any([signal, this.#cancelled.signal]);
    const held = this.before(operation);
    if (held && !either.aborted) {
      await Promise.race([held, new Promise((resolve) => either.addEventListener('abort', resolve, { once: true }))]);
    }
    if (this.#crashed) await never;
    if (cancellable.includes(operation)) either.throwIfAborted();
  }

  /** Waits within a call. @throws when `signal` is aborted, or the session is closed */
  until(condition: () => boolean, signal: AbortSignal = this.#cancelled.signal): Promise<void> {
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
