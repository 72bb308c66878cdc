import { afterAll, beforeAll, describe, jest } from '@jest/globals';
import { withKafka } from '@kafnus/agent-testkit';
import { startLocalKafka, type LocalKafka, type LocalKafkaOptions } from '@kafnus/local-stack';

/**
 * Three nodes, three replicas of everything, two of them in sync: what a production cluster is, small enough for two cores.
 * FAULTS_BROKERS=1 makes it one node, for working on a test that breaks no broker.
 */
export const production: LocalKafkaOptions = { brokers: process.env['FAULTS_BROKERS'] === '1' ? 1 : 3, heap: '256m' };

/** Tests on one cluster, which they share; each has topics and a group of its own. */
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
