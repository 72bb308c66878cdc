/**
 * The requirements of the loop on a session, as one suite for every implementation. The loop is
 * tested with thousands of faults on the in-memory session; these tests are valid only if that
 * session behaves as the one on a real Kafka does.
 *
 * Jest's functions are parameters, because a library cannot import `@jest/globals` outside of a
 * test run.
 */
import { atLeastOnceCases } from './at-least-once.js';
import { changelogCases } from './changelogs.js';
import { consumingCases } from './consuming.js';
import { groupCases } from './groups.js';
import { identityCases } from './identities.js';
import { logRangeCases } from './log-range.js';
import { caseMs, Scene, type Delivery, type SessionHarness, type Suite, type TestFunctions } from './scene.js';
import { topicCases } from './topics.js';
import { transactionCases } from './transactions.js';

export type { Delivery, HarnessSession, SessionHarness, TestFunctions } from './scene.js';

/** The number of cases so far, for the names of topics: suites may share a cluster. */
let scenes = 0;

/**
 * Defines the suite. Most cases wait more than they work, so they run side by side.
 * @param makeHarness is called once, before the first case
 * @param delivery at-least-once omits the cases of transactions, and adds cases of its own
 */
export function describeSessionConformance(
  jest: TestFunctions,
  name: string,
  makeHarness: () => Promise<SessionHarness>,
  delivery: Delivery = 'exactly-once',
): void {
  const { afterAll, beforeAll, describe, expect, test } = jest;

  describe(`session conformance: ${name}, ${delivery}`, () => {
    let harness: SessionHarness;
    beforeAll(async () => {
      harness = await makeHarness();
    }, caseMs);
    afterAll(() => harness?.close(), caseMs);

    const play = (act: (scene: Scene) => Promise<void>) => async (): Promise<void> => {
      const stage = new Scene(harness, `case${(scenes += 1)}`, delivery);
      try {
        await act(stage);
      } finally {
        await stage.end();
      }
    };
    const suite: Suite = {
      scene: (title, act) => test.concurrent(title, play(act), caseMs),
      transactional: (title, act) => {
        if (delivery === 'exactly-once') suite.scene(title, act);
      },
      alone: (title, act) => test(title, play(act), caseMs),
      expect,
      delivery,
      harness: () => harness,
    };
    describe('records', () => consumingCases(suite));
    describe('a transaction', () => transactionCases(suite));
    describe('a log', () => logRangeCases(suite));
    if (delivery === 'at-least-once') describe('records sent', () => atLeastOnceCases(suite));
    describe('an identity', () => identityCases(suite));
    describe('a group', () => groupCases(suite));
    describe('a changelog', () => changelogCases(suite));
    describe('a topic', () => topicCases(suite));
  });
}
