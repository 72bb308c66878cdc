import { afterAll, beforeAll, describe, jest } from '@jest/globals';
import { withPostgis } from '@kafnus/agent-testkit';
import { Way } from './way.js';

/** Tests on one way, which they share; each has tenants of its own. */
export function describeWay(name: string, suite: (way: () => Way) => void): void {
  jest.setTimeout(240_000);
  withPostgis(describe)(name, () => {
    let way: Way | undefined;

    beforeAll(async () => {
      way = await Way.start();
    });

    afterAll(async () => {
      await way?.stop();
    });

    suite(() => {
      if (way === undefined) throw new Error('it was not started');
      return way;
    });
  });
}
