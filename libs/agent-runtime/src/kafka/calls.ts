import { setTimeout as sleep } from 'node:timers/promises';

/**
 * The calls of a Kafka client that have not returned. A client may not be disconnected under one of
 * them: its memory is freed while another thread uses it. A call that nobody waits for any more is
 * therefore kept here until it comes back.
 *
 * An admin client holds its lock as long as a call of it polls for the answer: its calls run one
 * after the other, and its disconnect(), which is synchronous, blocks the event loop behind them.
 */
export class CallsInFlight {
  readonly #calls = new Map<object, Set<Promise<unknown>>>();

  /** Remembers a call of this client until it settles. @returns `promise` itself */
  track<T>(client: object, promise: Promise<T>): Promise<T> {
    const calls = this.#calls.get(client) ?? new Set();
    this.#calls.set(client, calls.add(promise));
    const forget = (): void => {
      calls.delete(promise);
      if (calls.size === 0) this.#calls.delete(client);
    };
    promise.then(forget, forget);
    return promise;
  }

  /** Calls that have not returned, of all clients or of this one. */
  count(client?: object): number {
    if (client !== undefined) return this.#calls.get(client)?.size ?? 0;
    let count = 0;
    for (const calls of this.#calls.values()) count += calls.size;
    return count;
  }

  /** Resolves when no call of any client is in flight, or after `ms`. */
  async returned(ms: number): Promise<void> {
    const over = new AbortController();
    const late = sleep(ms, undefined, { signal: over.signal }).catch(() => undefined);
    const all = async (): Promise<void> => {
      while (this.#calls.size > 0 && !over.signal.aborted) {
        await Promise.allSettled([...this.#calls.values()].flatMap((calls) => [...calls]));
      }
    };
    await Promise.race([all(), late]);
    over.abort();
  }

  /** Resolves when no call of this client is in flight; never, when one never returns. */
  async settled(client: object): Promise<void> {
    for (let calls = this.#calls.get(client); calls !== undefined; calls = this.#calls.get(client)) {
      await Promise.allSettled(calls);
    }
  }
}
