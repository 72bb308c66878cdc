/**
 * A short run of `make fuzz`: each agent as a process gets every trap and a burst of generated
 * records; in the other delivery mode one burst. What must hold behind each burst,
 * test/fuzz/checks.ts says.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { withKafka } from '@kafnus/agent-testkit';
import { agentNames } from '@kafnus/ngsi-core';
import type { LocalKafka } from '@kafnus/local-stack';
import { runLeg, startFuzzKafka } from '../fuzz/campaign.js';

jest.setTimeout(180_000);

/** Always the same records: what is new is looked for by `make fuzz`. */
const seed = 1;
const size = 1000;
/** Other tests may have the processor. */
const withinMs = 30_000;
const narrowMs = 60_000;

withKafka(describe)('records of any content', () => {
  let kafka: LocalKafka;

  beforeAll(async () => {
    kafka = await startFuzzKafka();
  });

  afterAll(async () => {
    await kafka.stop();
  });

  test.each(agentNames)('%s: no record stops it or disappears', async (agent) => {
    for (const [delivery, bursts] of [['exactly-once', 2] as const, ['at-least-once', 1] as const]) {
      const goOn = (done: number): boolean => done < bursts;
      const leg = { kafka, agent, delivery, seed, size, withinMs, narrowMs, goOn, say: () => undefined };
      const { findings } = await runLeg(leg);
      expect(findings).toEqual([]);
    }
  });
});
