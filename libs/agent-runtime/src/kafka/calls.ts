/**
 * The calls of a Kafka client that have not returned. A client may not be disconnected under one of
 * them: its memory is freed while another thread uses it. A call that nobody waits for any more is
 * therefore kept here until it comes back.
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

  /** Resolves when no call of this client is in flight; never, when one never returns. */
  async settled(client: object): Promise<void> {
    for (let calls = this.#calls.get(client); calls !== undefined; calls = this.#calls.get(client)) {
      await Promise.allSettled(calls);
    }
  }
}
