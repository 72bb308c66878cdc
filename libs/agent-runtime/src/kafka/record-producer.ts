/**
 * The producer behind both writers: sends records, keeps what was refused of them, and is replaced
 * when it has ended.
 *
 * A replaced producer goes on calling back for a while, with failures of records that its successor
 * has never seen:
 *
 *     producer 1   produce() ---- fatal error            delivery report: purged
 *     session                     replace: producer 2 ---------^ not a failure of producer 2
 *
 * Only what comes from the client of the moment counts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asKafkaError, call, kafka, unknownTopic, type KafkaError, type KafkaProducer } from '@kafnus/kafka-admin';
import type { OutgoingRecord } from '../session.js';
import { writableTime } from '../writable-time.js';
import { producerProperties } from './client-config.js';
import { reportEvent, type ClientContext, type ClientLog } from './client-context.js';
import { CommitCalls, requestTimeoutMs } from './commit-calls.js';
import { Encoder } from './encoder.js';
import { eventError, isProducerUnusable, isPurged, missingRightOf, queueFull, tooLarge } from './errors.js';
import { connect, pause } from './retry.js';
import { SendFailures } from './send-failures.js';

/** How long to wait before a producer that has ended without transactions is replaced. */
const restartPauseMs = 500;
/** The steps of {@link RecordProducer.drain}. */
const drainStepsMs = [1, 1, 1, 1, 2, 2, 2, 4, 4, 8];

export class RecordProducer {
  readonly failures = new SendFailures();
  readonly commitCalls: CommitCalls;
  readonly #context: ClientContext;
  readonly #onLoss: (topic: string, error: KafkaError) => void;
  readonly #spare: () => number;
  readonly #encoder = new Encoder();
  #client: KafkaProducer;
  /** Reports of failed deliveries so far. */
  #reports = 0;
  #flushUntil = Number.POSITIVE_INFINITY;

  /**
   * @param onLoss called for a record that is gone because the producer, or its transaction, had
   *   ended: the consequence of an error, never its cause
   * @param spare see `transactionalId`
   */
  constructor(context: ClientContext, onLoss: (topic: string, error: KafkaError) => void, spare = () => 0) {
    this.#context = context;
    this.#spare = spare;
    this.commitCalls = new CommitCalls(context.listener);
    this.#onLoss = onLoss;
    this.#client = this.#createClient();
  }

  get client(): KafkaProducer {
    return this.#client;
  }

  /** When a flush is given up, ms of `performance`. */
  get flushUntil(): number {
    return this.#flushUntil;
  }

  /** @throws at once when `signal` is aborted */
  async start(signal?: AbortSignal): Promise<void> {
    await connect(this.#context, 'producer', this.#client, () => (this.#client = this.#createClient()), signal);
    this.#client.setPollInBackground(true);
  }

  /**
   * Puts another producer in the place of this one.
   * @throws Error when a right is missing, without which no producer can write; at once when
   *   `signal` is aborted
   */
  async replace(signal?: AbortSignal): Promise<void> {
    const { ended } = this.failures;
    const missing = ended === undefined ? undefined : missingRightOf(ended.message);
    if (missing !== undefined) throw new Error(`the producer cannot write: ${ended?.message}; ${missing}`);
    // Whatever has ended one producer may end the next as well, and at once.
    if (ended) await pause(this.#context, restartPauseMs, signal);
    signal?.throwIfAborted();
    const old = this.#client;
    this.failures.replaced();
    this.#client = this.#createClient();
    // Nothing depends on it any more. Blocked in a call that never ends, it would hold one thread
    // more for its end.
    if (this.commitCalls.unreturned === 0) {
      void this.#context.calls.settled(old).then(() => old.disconnect(1, () => undefined));
    }
    await this.start(signal);
  }

  send({ topic, partition, key, value, timestamp, headers }: OutgoingRecord): 'queued' | 'full' | 'too-large' {
    const encoder = this.#encoder;
    encoder.clear();
    try {
      const time = writableTime(timestamp);
      this.#client.produce(topic, partition, encoder.bytes(value), encoder.bytes(key), time, undefined, headers);
      return 'queued';
    } catch (thrown) {
      const error = asKafkaError(thrown);
      if (error.code === queueFull) return 'full';
      if (error.code === tooLarge) return 'too-large';
      // The commit reports it: an outcome is handled in one place.
      if (unknownTopic.has(error.code)) this.failures.failed(topic, error);
      else if (isProducerUnusable(error)) this.#onLoss(topic, error);
      else throw error;
      return 'queued';
    }
  }

  async sendable(): Promise<void> {
    await sleep(5);
  }

  /**
   * Waits for acknowledgements in small steps: a single flush, and commitTransaction with it, looks
   * only every 10 ms whether all have come, as no report of a success wakes it. What takes longer
   * is left to them.
   */
  async drain(): Promise<void> {
    const client = this.#client;
    for (const timeoutMs of drainStepsMs) {
      const flushed = new Promise((resolve) => client.flush(timeoutMs, resolve));
      if (!(await this.#context.calls.track(client, flushed))) return;
    }
  }

  /**
   * Waits for the reports of failures that are on their way: the client hands over a hundred in a
   * turn of the event loop. They do not name their transaction, so that one which arrives later is
   * held against the next, and a good record would be taken for the one that is refused.
   */
  async reportsArrived(): Promise<void> {
    for (let quiet = 0; quiet < 2; quiet += 1) {
      const before = this.#reports;
      await new Promise(setImmediate);
      if (this.#reports !== before) quiet = -1;
    }
  }

  /** From half of KAFNUS_SHUTDOWN_TIMEOUT_MS on no acknowledgement is waited for. */
  stopping(): void {
    const { shutdownTimeoutMs } = this.#context.config;
    this.#flushUntil = Math.min(this.#flushUntil, performance.now() + shutdownTimeoutMs / 2);
  }

  async close(): Promise<void> {
    await this.#context.calls.settled(this.#client);
    // What a flush was given up for is not waited for again.
    const flushMs = performance.now() >= this.#flushUntil ? 1 : requestTimeoutMs;
    if (this.#client.isConnected()) await call((done) => this.#client.disconnect(flushMs, done));
  }

  #createClient(): KafkaProducer {
    const { config, agent, listener } = this.#context;
    // The second argument, also {}, replaces every topic property of the first: there librdkafka
    // ignores message.timeout.ms, and the transaction's timeout counts.
    const client = new kafka.Producer(producerProperties(config, agent, this.#spare()), {});
    client.on('event.error', (event: Error) => reportEvent(listener, eventError(event)));
    client.on('event.log', (entry: ClientLog) => {
      if (entry.fac === 'FATAL' && client === this.#client) this.failures.explained(entry.message);
      listener.clientLog(entry);
    });
    client.on('delivery-report', (error: KafkaError | null, report: { topic: string }) => {
      if (client !== this.#client || !error) return;
      this.#reports += 1;
      if (isPurged(error)) this.#onLoss(report.topic, error);
      else this.failures.failed(report.topic, error);
    });
    return client;
  }
}
