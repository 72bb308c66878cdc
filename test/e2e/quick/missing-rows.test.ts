/** Runs docs/missing-rows.md as a new operator does: each block must print what the page shows. */
import { afterAll, describe, expect, jest, test } from '@jest/globals';
import { withPostgis } from '@kafnus/agent-testkit';
import { missingLines, ownPort, Page, RunningBlock, Terminal, type Step } from '../harness/page.js';

jest.setTimeout(300_000);

withPostgis(describe)('docs/missing-rows.md', () => {
  const page = new Page('missing-rows.md');
  const terminal = new Terminal();
  const running: RunningBlock[] = [];

  afterAll(() => {
    terminal.close();
    for (const block of running) block.kill();
  });

  const start = (step: Step, before?: Step): RunningBlock => {
    const block = new RunningBlock(step, before);
    running.push(block);
    return block;
  };
  /** Runs the next block, which must succeed and print what the page shows. */
  const type = async (mark: string): Promise<string> => {
    const step = page.next(mark);
    const { said, code } = await terminal.type(step);
    expect({ missing: missingLines(step, said), code, said }).toEqual({ missing: [], code: 0, said });
    return said;
  };
  const typeUntilShown = (mark: string): Promise<string> => terminal.typeUntilShown(page.next(mark));

  test('leads from missing rows to the cause, the repair, and the rows', async () => {
    const stack = start(page.next('make stack'));
    await stack.says('In another terminal');
    const sick = page.next('node services/historic/dist/main.js');
    const first = start(sick);
    await first.ready(ownPort(9081));

    await type('export KAFNUS_KAFKA_BROKERS');
    expect(await type('kafnus send')).toContain('4 notifications to 2 topics');
    await typeUntilShown('quay_berth_lastdata');
    await typeUntilShown('from harbour.quay_berth order');

    await type('kafnus lag');
    const status = (await (await fetch(`http://127.0.0.1:${ownPort(9081)}/status.json`)).json()) as object;
    expect(JSON.stringify(status)).toMatch(/timeinstant-missing/);
    const plan = await type('kafnus replay plan --tenant harbour');
    expect(plan).toContain('KAFNUS_MISSING_TIME_INSTANT');
    expect(plan).toContain('5 of 5 dead letters');
    const errors = await typeUntilShown('harbour_error_log');
    expect(errors).toMatch(/KAFNUS_MISSING_TIME_INSTANT/);

    expect(await first.interrupt()).toBe(0);
    const cured = start(page.next('KAFNUS_MISSING_TIME_INSTANT'), sick);
    await cured.ready(ownPort(9081));

    const [, narrower = 'no command'] = (await type('kafnus replay plan')).split('This command sends them: ');
    const apply = page.next('kafnus replay apply');
    expect(apply.commands).toBe(`./${narrower}`);
    const applied = await terminal.type(apply);
    expect(applied).toMatchObject({ code: 0, said: expect.stringContaining('3 of 3 records were sent back') });
    const rows = await typeUntilShown('from harbour.quay_berth order');
    expect(rows.match(/berth-\d .*\| [tf]$/gm)?.map((row) => row.replace(/ *\|.*\| /, ' '))).toEqual([
      'berth-1 t',
      'berth-2 f',
      'berth-3 t',
    ]);

    expect(await type('kafnus lag --check')).toContain('nothing is wrong');
    expect(await type('kafnus replay apply')).toContain('0 of 0 records');
    expect(page.rest).toEqual([]);

    expect(await cured.interrupt()).toBe(0);
    expect(await stack.interrupt()).toBe(0);
  });
});
