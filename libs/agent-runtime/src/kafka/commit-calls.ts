/**
 * The calls of a commit. Its outcome is one of three: committed, surely aborted, unknown. Retriable
 * errors are retried with the very same call until a deadline; after it the outcome is unknown.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asKafkaError, type KafkaError } from '@kafnus/kafka-admin';
import type { SessionListener } from './client-context.js';
import type { Position } from './read-positions.js';
import { named } from './retry.js';
import type { PartitionOffset } from '../session.js';
import { timedOut } from './errors.js';

export const requestTimeoutMs = 5000;
/** How much longer than its timeout a call may take before it is given up. */
const graceMs = 2000;

/** A partition of which nothing was read has no offset to commit. */
export function positionsOf(offsets: readonly PartitionOffset[]): readonly Position[] {
  return offsets.flatMap(({ topic, partition, offset }) => (offset === null ? [] : [{ topic, partition, offset }]));
}

type Invoke = (timeoutMs: number, done: (error: KafkaError | null | undefined) => void) => void;

export class CommitCalls {
  readonly #listener: Pick<SessionListener, 'clusterAway' | 'commitRetry'>;
  #unreturned = 0;

  constructor(listener: Pick<SessionListener, 'clusterAway' | 'commitRetry'>) {
    this.#listener = listener;
  }

  /** Calls that hold a thread. */
  get unreturned(): number {
    return this.#unreturned;
  }

  /**
   * The same call again while its error is retriable, until the deadline.
   * @throws KafkaError the last one
   */
  async retried(operation: string, deadline: number, invoke: Invoke): Promise<void> {
    for (;;) {
      const left = deadline - performance.now();
      try {
        await this.#inTime(operation, Math.max(1, Math.min(left, requestTimeoutMs)), invoke);
        return;
      } catch (thrown) {
        const error = asKafkaError(thrown);
        if (!error.isRetriable || performance.now() >= deadline) throw error;
        this.reportRetry(named(operation, error));
        await sleep(50);
      }
    }
  }

  /**
   * A call that may not come back: sendOffsetsToTransaction can wait for good when a coordinator
   * goes away, whatever its timeout says (librdkafka issue 5456). It is left behind then, and fails
   * with an error that is not retriable: a call that still runs cannot be repeated, but another
   * producer under the same transactional id makes it harmless.
   */
  #inTime(operation: string, timeoutMs: number, invoke: Invoke): Promise<void> {
    const limitMs = timeoutMs + graceMs;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(Object.assign(new Error(`${operation} did not come back within ${limitMs} ms`), { code: timedOut }));
      }, limitMs);
      this.#unreturned += 1;
      invoke(timeoutMs, (error) => {
        this.#unreturned -= 1;
        clearTimeout(timer);
        if (error) reject(error);
        else resolve();
      });
    });
  }

  reportRetry(error: KafkaError): void {
    this.#listener.commitRetry(error);
    // A network that swallows everything shows in nothing else for a long time.
    if (error.code === timedOut) this.#listener.clusterAway(error);
  }
}
