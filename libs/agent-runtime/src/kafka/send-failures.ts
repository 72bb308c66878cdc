/**
 * The records that the cluster did not take, until a commit has reported them.
 *
 * A producer reports a record that failed once, in a callback, and its flush() succeeds all the
 * same: whoever commits offsets then loses the record. So an error is kept here, and every commit
 * looks for it first (as RecordCollectorImpl of Kafka Streams does, which throws a kept error at
 * every later call).
 *
 * Two kinds differ in what must happen next:
 *
 * - A topic refused a record. The producer goes on; the error is kept until a commit has reported
 *   it.
 * - The producer has ended: a fatal error, or records that were purged from its queue. It takes
 *   nothing any more, and the error is kept until another producer takes its place.
 *
 *       produce()    -> ERR__FATAL                     the record was never queued
 *       (background)    queue purged by librdkafka     the records before it are gone as well
 *       flush()      -> no error: nothing is queued
 *       commit()     -> the kept error, not the offsets
 */
import type { KafkaError } from '@kafnus/kafka-admin';
import { differentRecord, isProducerUnusable, isPurged } from './errors.js';

export class SendFailures {
  readonly #refused = new Map<string, KafkaError>();
  #ended: KafkaError | undefined;
  #cause: string | undefined;

  /**
   * The last error of each topic that refused a record, in the order in which the topics were
   * refused first.
   */
  get refused(): ReadonlyMap<string, KafkaError> {
    return this.#refused;
  }

  /**
   * Why the producer takes nothing any more; undefined while it works. The message names
   * librdkafka's cause where it is known.
   */
  get ended(): KafkaError | undefined {
    const error = this.#ended;
    if (error === undefined || this.#cause === undefined) return error;
    return Object.assign(new Error(this.#cause), { code: error.code });
  }

  /**
   * A record was not taken: the error of produce() or of its delivery report. A record is purged
   * only when its producer ends: by a fatal error, or because its transaction is aborted. The
   * latter is asked for by the session itself, which does not report it here.
   */
  failed(topic: string, error: KafkaError): void {
    if (isProducerUnusable(error) || isPurged(error)) this.#ended ??= error;
    // Of a refused batch the good records are reported as well, and do not say why.
    else if (!this.#refused.has(topic) || error.code !== differentRecord) this.#refused.set(topic, error);
  }

  /** librdkafka's words about a fatal error. Its error codes say only that there was one. */
  explained(cause: string): void {
    this.#cause ??= cause;
  }

  /**
   * A commit has reported the refusals, or a new transaction begins: those from now on are new
   * ones.
   */
  reported(): void {
    this.#refused.clear();
  }

  /** Another producer takes the place of the one before. */
  replaced(): void {
    this.#refused.clear();
    this.#ended = undefined;
    this.#cause = undefined;
  }
}
