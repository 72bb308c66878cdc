/**
 * At-least-once: outputs are visible as soon as they are sent, and offsets are committed when all
 * outputs before them are acknowledged.
 *
 * commitCb() calls back when the request is queued, and reports nothing of what becomes of it:
 *
 *     this member   commitCb(p0: 45) -- queued, no error        committed(p0)? -- commitCb again
 *     coordinator        in a rebalance: ILLEGAL_GENERATION ---------> p0: 40
 *
 * So the coordinator is asked, on the connection that took the request and therefore behind it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asKafkaError, call } from '@kafnus/kafka-admin';
import type { CommitOutcome, OutgoingRecord, PartitionOffset, Writer } from '../session.js';
import { partitionName } from '../session.js';
import type { ClientContext } from './client-context.js';
import { positionsOf, requestTimeoutMs } from './commit-calls.js';
import { abortedBy, unknownAfter } from './commit-outcomes.js';
import { rebalancing, timedOut } from './errors.js';
import type { KafkaGroupConsumer } from './group-consumer.js';
import type { Position } from './read-positions.js';
import { RecordProducer } from './record-producer.js';
import { named } from './retry.js';
import { commitDeadline } from './transaction-age.js';

/** A flush cannot be interrupted: so soon it sees that the agent stops. */
const flushStepMs = 500;
/** How long to wait for a rebalance, between one commit of offsets and the next. */
const commitAgainMs = [20, 50, 100, 200, 400, 800];

export class IdempotentWriter implements Writer<OutgoingRecord> {
  readonly producer: RecordProducer;
  readonly #context: ClientContext;
  readonly #consumer: KafkaGroupConsumer;

  constructor(context: ClientContext, consumer: KafkaGroupConsumer) {
    this.#context = context;
    this.#consumer = consumer;
    // Nothing else reports these records: see send-failures.ts.
    this.producer = new RecordProducer(context, (topic, error) => this.producer.failures.failed(topic, error));
  }

  start(): Promise<void> {
    return this.producer.start();
  }

  /**
   * Records are sent while others are being committed: a refusal stays until a commit has told it.
   */
  async begin(): Promise<void> {}

  readonly send: Writer<OutgoingRecord>['send'] = (record) => this.producer.send(record);
  readonly sendable: Writer<OutgoingRecord>['sendable'] = () => this.producer.sendable();
  readonly committed: Writer<OutgoingRecord>['committed'] = (partitions, signal) =>
    this.#consumer.committed(partitions, signal);
  readonly stopping: Writer<OutgoingRecord>['stopping'] = () => this.producer.stopping();
  readonly close: Writer<OutgoingRecord>['close'] = () => this.producer.close();

  async commit(offsets: readonly PartitionOffset[]): Promise<CommitOutcome> {
    const { failures } = this.producer;
    try {
      await this.#flush();
      await this.producer.reportsArrived();
      if (failures.ended) return unknownAfter(failures.ended, false);
      const refused = failures.refused.values().next().value;
      if (refused) return this.#aborted(refused);
      // The time of the flush does not count: it lasts as long as the brokers are away, and the
      // offsets are asked for after it.
      const deadline = commitDeadline(performance.now(), this.#context.config.transactionTimeoutMs);
      await this.#commitOffsets(positionsOf(offsets), deadline);
      return { kind: 'committed' };
    } catch (thrown) {
      return this.#aborted(asKafkaError(thrown));
    }
  }

  /**
   * Commits the offsets again until the coordinator has them: until the rebalance is over.
   * @throws Error when it is refused for longer: the partitions are another member's, or soon will
   *   be
   */
  async #commitOffsets(positions: readonly Position[], deadline: number): Promise<void> {
    if (positions.length === 0) return;
    for (const pauseMs of commitAgainMs) {
      await this.producer.commitCalls.retried('commit', deadline, (_timeoutMs, done) => {
        this.#consumer.client.commitCb(positions, done);
      });
      if (await this.#areCommitted(positions, deadline)) return;
      await sleep(pauseMs);
    }
    throw Object.assign(new Error('the group has not taken the offsets: it is in a rebalance'), { code: rebalancing });
  }

  async #areCommitted(positions: readonly Position[], deadline: number): Promise<boolean> {
    const found = new Map<string, number>();
    await this.producer.commitCalls.retried('committed', deadline, (timeoutMs, done) => {
      this.#consumer.client.committed(positions, timeoutMs, (error, offsets) => {
        for (const entry of offsets ?? []) found.set(partitionName(entry), entry.offset ?? -1);
        done(error);
      });
    });
    // More than that: another member has gone on, and there is nothing left to commit.
    return positions.every((position) => (found.get(partitionName(position)) ?? -1) >= position.offset);
  }

  /**
   * Waits until everything is acknowledged or refused: what is queued cannot be taken back, and
   * must not be sent again beside it. Once the agent stops, nothing is sent again by this process,
   * and the wait is bounded.
   * @throws KafkaError when it is given up
   */
  async #flush(): Promise<void> {
    const producer = this.producer;
    await producer.drain();
    for (let waitedMs = 0; ;) {
      const left = producer.flushUntil - performance.now();
      const timeoutMs = Math.ceil(Math.max(1, Math.min(left, flushStepMs)));
      try {
        await call((done) => producer.client.flush(timeoutMs, done));
        return;
      } catch (thrown) {
        const error = asKafkaError(thrown);
        if (this.#context.cancelled.aborted || performance.now() >= producer.flushUntil) throw error;
        waitedMs += timeoutMs;
        if (error.code === timedOut && waitedMs < requestTimeoutMs) continue;
        waitedMs = 0;
        this.producer.commitCalls.reportRetry(named('flush', error));
      }
    }
  }

  async abort(): Promise<CommitOutcome> {
    const { failures } = this.producer;
    if (!failures.ended) await this.#flush().catch(() => undefined);
    await this.producer.reportsArrived();
    return failures.ended ? unknownAfter(failures.ended, false) : this.#aborted(new Error('aborted'));
  }

  /** The outcome reports the refusals so far; those of what is sent from now on are new ones. */
  #aborted(error: Error): CommitOutcome {
    const outcome = abortedBy(error, this.producer.failures.refused);
    this.producer.failures.reported();
    return outcome;
  }

  async reset(signal?: AbortSignal): Promise<boolean> {
    await this.producer.replace(signal);
    return false;
  }
}
