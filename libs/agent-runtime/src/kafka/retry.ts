/**
 * Requests outside of a commit. Nothing goes on without their answer, so they are repeated until
 * the cluster answers, or until the agent stops.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asKafkaError, call, type KafkaConsumer, type KafkaError, type KafkaProducer } from '@kafnus/kafka-admin';
import { untilAborted } from '../until-aborted.js';
import type { ClientContext } from './client-context.js';
import { isRefusal, needsOperator } from './errors.js';

/**
 * Their timeout. They cannot be interrupted, the process cannot end under one, and SIGTERM is to be
 * answered within five seconds.
 */
export const uninterruptibleMs = 3000;

/** The error with the operation that it came from. */
export function named(operation: string, error: KafkaError): KafkaError {
  return Object.assign(new Error(`${operation}: ${error.message}`), { code: error.code });
}

/** Ends early when the session closes, or when `signal` is aborted. */
export async function pause({ cancelled }: ClientContext, ms: number, signal?: AbortSignal): Promise<void> {
  const ends = [cancelled, ...(signal === undefined ? [] : [signal])];
  await sleep(ms, undefined, { signal: AbortSignal.any(ends) }).catch(() => undefined);
}

/**
 * Repeats a request that changes nothing until the cluster answers it.
 * @throws KafkaError when waiting cannot help (credentials, rights), when the session closes, or
 *   when `signal` is aborted
 */
export async function untilAnswered<T>(
  context: ClientContext,
  operation: string,
  request: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const { cancelled, listener } = context;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await request();
    } catch (thrown) {
      const error = asKafkaError(thrown);
      const isOver = cancelled.aborted || signal?.aborted === true;
      if (isOver || needsOperator(error) || isRefusal(error)) throw named(operation, error);
      listener.clusterAway(named(operation, error));
      await pause(context, Math.min(2000, 100 * 2 ** Math.min(attempt, 5)), signal);
      if (cancelled.aborted) throw named(operation, error);
      signal?.throwIfAborted();
    }
  }
}

/**
 * Connects a client, or the one that takes its place. A client that could not connect is discarded:
 * each further connect() of it would register its callbacks once more, every rebalance would be
 * reported twice, and with the second assignment of a partition what was fetched since the first is
 * dropped and lost.
 * @param replace makes another client
 */
export function connect<C extends KafkaConsumer | KafkaProducer>(
  context: ClientContext,
  name: string,
  first: C,
  replace: () => C,
  signal?: AbortSignal,
): Promise<void> {
  let client = first;
  const connected = async (): Promise<void> => {
    try {
      const request = call<unknown>((done) => client.connect({ timeout: uninterruptibleMs }, done));
      await untilAborted(context.calls.track(client, request), signal);
    } catch (error) {
      if (signal?.aborted !== true) client = replace();
      throw error;
    }
  };
  return untilAnswered(context, `connection of the ${name}`, connected, signal);
}
