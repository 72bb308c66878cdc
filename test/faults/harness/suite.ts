import { afterAll, beforeAll, describe, jest } from '@jest/globals';
import { withKafka } from '@kafnus/agent-testkit';
import { startLocalKafka, type LocalKafka, type LocalKafkaOptions } from '@kafnus/local-stack';

/**
 * A production-like cluster that fits on two cores: three brokers, replication factor 3,
 * min.insync.replicas 2. FAULTS_BROKERS=1 starts one broker, for work on tests without broker
 * faults.
 */
export const production: LocalKafkaOptions = { brokers: process.env['FAULTS_BROKERS'] === '1' ? 1 : 3, heap: '256m' };

/** Tests that share one cluster. Each test has separate topics and a separate group. */
export function describeFaults(
  name: string,
  options: LocalKafkaOptions,
  suite: (kafka: () => LocalKafka) => void,
): void {
  jest.setTimeout(300_000);
  withKafka(describe)(name, () => {
    let kafka: LocalKafka | undefined;

    beforeAll(async () => {
      kafka = await startLocalKafka({ ...production, ...options });
    });

    afterAll(async () => {
      await kafka?.stop();
    });

    suite(() => {
      if (kafka === undefined) throw new Error('no Kafka was started');
      return kafka;
    });
  });
}
