import type { RdKafka } from '@confluentinc/kafka-javascript';
import { setTimeout as sleep } from 'node:timers/promises';
import { ANSWER_TIMEOUT, call, withConsumer, type KafkaAddress } from './kafka-client.js';

const DEADLINE = 30_000;

/**
 * Resolves when the cluster, as the broker at `address` sees it, has `count` brokers.
 * @throws Error when it has not after 30 s
 */
export async function awaitBrokers(address: KafkaAddress, count: number): Promise<void> {
  await withConsumer(address, {}, async (consumer) => {
    const since = Date.now();
    for (;;) {
      const metadata = await call<RdKafka.Metadata>((done) => {
        consumer.getMetadata({ allTopics: true, timeout: ANSWER_TIMEOUT }, done);
      });
      if (metadata.brokers.length >= count) return;
      if (Date.now() - since > DEADLINE) {
        throw new Error(`The cluster has ${metadata.brokers.length} of ${count} brokers after ${DEADLINE / 1000} s`);
      }
      await sleep(50);
    }
  });
}
