/** Runs docs/tutorial.md: each block must print what the page shows. */
import { afterAll, describe, expect, jest, test } from '@jest/globals';
import { withPostgis } from '@kafnus/agent-testkit';
import { missingLines, ownPort, Page, RunningBlock, Terminal, type Step } from '../harness/page.js';

jest.setTimeout(300_000);

withPostgis(describe)('docs/tutorial.md', () => {
  const page = new Page('tutorial.md');
  const terminal = new Terminal();
  const running: RunningBlock[] = [];

  afterAll(() => {
    terminal.close();
    for (const block of running) block.kill();
  });

  const start = (step: Step): RunningBlock => {
    const block = new RunningBlock(step);
    running.push(block);
    return block;
  };
  const shown = (step: Step, said: string): void =>
    expect({ missing: missingLines(step, said), said }).toEqual({ missing: [], said });

  test('leads from a clone to rows and a first look', async () => {
    const demo = page.next('make demo');
    const { said, code } = await start(demo).end();
    shown(demo, said);
    expect(code).toBe(0);

    const stack = start(page.next('make stack'));
    await stack.says('In another terminal');
    expect(await terminal.type(page.next('export KAFNUS_KAFKA_BROKERS'))).toEqual({ said: '', code: 0 });
    const send = page.next('--topic raw_mutable');
    shown(send, (await terminal.type(send)).said);
    await terminal.typeUntilShown(page.next('harbour.environment_air_airqualityobserved'));

    expect(await terminal.type(page.next('crane-1'))).toMatchObject({ code: 0 });
    const cranes = await terminal.typeUntilShown(page.next('harbour.quay_crane_lastdata'));
    expect(cranes.match(/\| +\d+$/gm)?.map((load) => Number(load.slice(1)))).toEqual([40, 12, 3, 3]);

    const lastdata = await (await fetch(`http://127.0.0.1:${ownPort(9082)}/health`)).json();
    expect(lastdata).toMatchObject({ ledger: { skipped: { stale: 1 } } });
    const lag = page.next('kafnus lag');
    shown(lag, (await terminal.type(lag)).said);
    expect(page.rest).toEqual([]);
    expect(await stack.interrupt()).toBe(0);
  });
});
