/** A transactional producer beside the agent's: it fences that one, or keeps a transaction open. */
import type { TopicPartition } from '@kafnus/agent-runtime';
import { call, kafka } from '@kafnus/kafka-admin';

export interface OtherProducer {
  /**
   * Closes the producer. Its open transaction stays open until its timeout, or until another
   * producer takes its id.
   */
  close(): Promise<void>;
}

export interface OtherProducerOptions {
  /** The previous producer with this id is fenced. */
  readonly transactionalId: string;
  /**
   * Begins a transaction and sends these offsets of a group with it. Until it ends they are
   * unstable (KIP-447): the coordinator does not return them to clients that require stable
   * offsets.
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
