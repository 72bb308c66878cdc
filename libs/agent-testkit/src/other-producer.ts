/**
 * A transactional producer that is not the agent's: it fences one, or holds a transaction open
 * under its eyes.
 */
import type { TopicPartition } from '@kafnus/agent-runtime';
import { call, kafka } from '@kafnus/kafka-admin';

export interface OtherProducer {
  /**
   * Ends the producer; a transaction that it has open stays open until its timeout, or until its id
   * is taken by another.
   */
  close(): Promise<void>;
}

export interface OtherProducerOptions {
  /** Whoever had this id before is fenced. */
  readonly transactionalId: string;
  /**
   * Begins a transaction and sends these offsets of a group with it. Until it ends they are
   * unstable (KIP-447): the coordinator tells the group's offsets of these partitions to nobody who
   * asks for stable ones.
   */
  readonly openOffsets?: {
    readonly group: string;
    readonly positions: readonly (TopicPartition & { readonly offset: number })[];
  };
}

const timeoutMs = 10_000;

/** @throws Error when no Kafka answers at `servers` */
export async function startOtherProducer(
  servers: string,
  { transactionalId, openOffsets }: OtherProducerOptions,
): Promise<OtherProducer> {
  const common = { 'bootstrap.servers': servers, log_level: 2 };
  const producer = new kafka.Producer(
    { ...common, 'transactional.id': transactionalId, 'transaction.timeout.ms': 60_000 },
    {},
  );
  await call((done) => producer.connect({ timeout: timeoutMs }, done));
  await call<void>((done) => producer.initTransactions(timeoutMs, done));
  if (openOffsets !== undefined) {
    const { group, positions } = openOffsets;
    const consumer = new kafka.KafkaConsumer({ ...common, 'group.id': group, 'enable.auto.commit': false }, {});
    await call((done) => consumer.connect({ timeout: timeoutMs }, done));
    await call<void>((done) => producer.beginTransaction(done));
    await call<void>((done) => producer.sendOffsetsToTransaction(positions, consumer, timeoutMs, done));
    await call((done) => consumer.disconnect(done));
  }
  return {
    async close() {
      await call((done) => producer.disconnect(done));
    },
  };
}
