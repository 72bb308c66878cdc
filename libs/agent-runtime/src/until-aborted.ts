import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits for `promise`, but no longer than until `signal` is aborted. What runs behind the promise
 * runs on, and its end, a failure included, is nobody's concern then: for requests that cannot be
 * interrupted and that change nothing.
 * @throws the reason of `signal`, or what `promise` rejects with
 */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  let stopWaiting: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stopWaiting = () => reject(signal.reason as Error);
  });
  // Without a handler of its own, the one that loses the race would end the process when it
  // rejects.
  promise.catch(() => undefined);
  if (signal.aborted) stopWaiting();
  signal.addEventListener('abort', stopWaiting);
  try {
    return await Promise.race([aborted, promise]);
  } finally {
    signal.removeEventListener('abort', stopWaiting);
  }
}

/** What `promise` resolves to; undefined when it has not after `ms`. */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  const over = new AbortController();
  const late = sleep(ms, undefined, { signal: over.signal }).catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    over.abort();
  }
}

/** Resolves after `ms`, or as soon as `signal` is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
