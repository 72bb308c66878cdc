/** Runs the section "Into PostGIS" of the README. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { withPostgis } from '@kafnus/agent-testkit';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

jest.setTimeout(180_000);
const root = fileURLToPath(new URL('../../', import.meta.url));
// Differs from the default ports, so that the test can run beside a developer's own stack.
const first = 15_000 + (process.pid % 1000) * 10;
const ports = { '9092': first, '5433': first + 1, '8083': first + 2, '9081': first + 3 };

/** The command lines of the section, with the ports of this test. */
function commands(): string[] {
  const [, section = ''] = readFileSync(`${root}README.md`, 'utf8').split('## Into PostGIS\n');
  const [text = ''] = section.split('\n## ');
  const lines = text.split('\n').filter((line) => line.startsWith('    '));
  return lines.map((line) =>
    Object.entries(ports).reduce((command, [port, own]) => command.replaceAll(`:${port}`, `:${own}`), line.trim()),
  );
}

withPostgis(describe)('the section "Into PostGIS" of the README', () => {
  let stack: ChildProcess;
  let said = '';

  beforeAll(async () => {
    const args = Object.entries(ports).map(
      ([port, own]) =>
        `--${{ '9092': 'kafka', '5433': 'postgis', '8083': 'connect', '9081': 'agents' }[port] ?? ''}-port=${own}`,
    );
    stack = spawn(process.execPath, ['tools/cli/dist/main.js', 'stack', ...args], {
      cwd: root,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    stack.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    for (const since = Date.now(); !said.includes('In another terminal'); await sleep(200)) {
      if (Date.now() - since > 120_000 || stack.exitCode !== null) throw new Error(`the stack did not start:\n${said}`);
    }
  });

  afterAll(() => {
    stack.kill('SIGKILL');
  });

  test('leads to rows with a geometry, and Ctrl-C ends everything', async () => {
    const [make, send = '', psql = ''] = commands();
    expect([make, send, psql]).toEqual([
      'make stack',
      expect.stringMatching(/^.\/kafnus send /),
      expect.stringMatching(/^psql /),
    ]);
    const run = async (command: string): Promise<string> =>
      (await promisify(execFile)('sh', ['-c', command], { cwd: root })).stdout;
    await run(send);
    let rows = '';
    for (const since = Date.now(); !rows.includes('POINT('); await sleep(500)) {
      if (Date.now() - since > 60_000) throw new Error(`no rows: ${rows}\n${said}`);
      rows = await run(psql).catch((error: unknown) => String(error));
    }
    expect(rows).toMatch(/urn:ngsi-ld:AirQualityObserved:\S+ +\| +[\d.]+ \| POINT\(-8\.\d+ 41\.\d+\)/);
    stack.kill('SIGINT');
    expect(await once(stack, 'exit')).toEqual([0, null]);
  });
});
