import { afterAll, beforeAll, describe, jest } from '@jest/globals';
import { withPostgis } from '@kafnus/agent-testkit';
import { Pipeline } from './pipeline.js';

/** Tests that share one pipeline. Each test uses different tenants. */
export function describePipeline(name: string, suite: (pipeline: () => Pipeline) => void): void {
  jest.setTimeout(240_000);
  withPostgis(describe)(name, () => {
    let pipeline: Pipeline | undefined;

    beforeAll(async () => {
      pipeline = await Pipeline.start();
    });

    afterAll(async () => {
      await pipeline?.stop();
    });

    suite(() => {
      if (pipeline === undefined) throw new Error('it was not started');
      return pipeline;
    });
  });
}
