/** A cluster of several brokers as its operator sees it. */
import type { LocalKafka } from '@kafnus/agent-testkit';
import { setTimeout as sleep } from 'node:timers/promises';

/** Waits as an operator waits between two restarts: until every replica is in sync again. @throws Error after a minute */
export async function inSync(kafka: LocalKafka): Promise<void> {
  const behind = (): Promise<string> =>
    kafka.tool('org.apache.kafka.tools.TopicCommand', '--describe', '--under-replicated-partitions');
  for (const deadline = Date.now() + 60_000; (await behind()).trim() !== ''; await sleep(200)) {
    if (Date.now() > deadline) throw new Error(`not in sync: ${await behind()}`);
  }
}
