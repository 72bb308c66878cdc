/** Waits for the state of a cluster of several brokers. */
import { underReplicated, type LocalKafka } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits until every replica is in sync, as an operator does between two restarts. @throws Error
 * after a minute
 */
export async function inSync(kafka: LocalKafka): Promise<void> {
  for (const deadline = Date.now() + 60_000; ; await sleep(100)) {
    const behind = await underReplicated(kafka.internalServers);
    if (behind.length === 0) return;
    if (Date.now() > deadline) throw new Error(`not in sync: ${behind.join(', ')}`);
  }
}
