import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { runConcurrently } from '../src/concurrency.js';
import type { ConcurrencyOptions } from '../src/concurrency.js';
import { loadConfig } from '../src/config.js';

const script = fileURLToPath(new URL('./fixtures/child.mjs', import.meta.url));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kafnus-concurrency-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Started {
  readonly argv: string[];
  readonly pid: number;
}

function run(env: Record<string, string>, more: Partial<ConcurrencyOptions> = {}): Promise<number> {
  return runConcurrently({
    count: 2,
    script,
    argv: [],
    env: { ...process.env, CHILD_FOLDER: folder, CHILD_COUNT: String(more.count ?? 2), ...env },
    instanceId: 'host',
    httpPort: 8080,
    killAfterMs: 5000,
    logger: { info: () => undefined, error: () => undefined },
    ...more,
  });
}

function noted(index: number, name = 'started'): boolean {
  return existsSync(join(folder, `host-${index}.${name}`));
}

function started(index: number): Started {
  return JSON.parse(readFileSync(join(folder, `host-${index}.started`), 'utf8')) as Started;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** As the signal handlers of this process see it; the test runner itself must not get one. */
function signal(name: 'SIGTERM' | 'SIGINT'): void {
  process.emit(name, name);
}

describe('runConcurrently', () => {
  test('each child has an identity and a port of its own, whatever the parent was given', async () => {
    const argv = ['--concurrency', '2', '--http-port=9', '--log-level', 'warn'];
    const done = run({ KAFNUS_CONCURRENCY: '2', KAFNUS_HTTP_PORT: '7' }, { argv });
    await until(() => noted(0) && noted(1));
    signal('SIGTERM');
    expect(await done).toBe(0);
    for (const index of [0, 1]) {
      const child = started(index);
      expect(child).toMatchObject({
        id: `host-${index}`,
        KAFNUS_CONCURRENCY: '1',
        KAFNUS_HTTP_PORT: String(8080 + index),
      });
      // What the configuration makes of it: arguments win over the environment.
      const outcome = loadConfig(
        { name: 'x', settings: {} },
        { argv: child.argv, env: { KAFNUS_KAFKA_BROKERS: 'k:1' } },
      );
      expect(outcome).toMatchObject({
        config: { concurrency: 1, instanceId: `host-${index}`, httpPort: 8080 + index, logLevel: 'warn' },
      });
      expect(noted(index, 'stopped')).toBe(true);
    }
  });

  test('port 0 stays 0', async () => {
    const done = run({}, { httpPort: 0 });
    await until(() => noted(0) && noted(1));
    signal('SIGINT');
    await done;
    expect([started(0), started(1)]).toMatchObject([{ KAFNUS_HTTP_PORT: '0' }, { KAFNUS_HTTP_PORT: '0' }]);
  });

  test.each([
    ['exit3', 3],
    ['exit0', 0],
    ['killed', 137],
  ])('a child that ends (%s) ends the whole with its code, and nothing is restarted', async (behaviour, code) => {
    expect(await run({ CHILD_1: behaviour }, { count: 3 })).toBe(code);
    expect([noted(0, 'stopped'), noted(1, 'stopped'), noted(2, 'stopped')]).toEqual([true, false, true]);
  });

  test('children that do not stop are killed after the limit', async () => {
    const done = run({ CHILD_0: 'deaf' }, { killAfterMs: 300 });
    await until(() => noted(0) && noted(1));
    signal('SIGTERM');
    expect(await done).toBe(1);
    expect(noted(0, 'stopped')).toBe(true);
    expect(() => process.kill(started(0).pid, 0)).toThrow('ESRCH');
  });

  test('a signal that comes before the children can listen is an orderly end', async () => {
    const done = run({});
    signal('SIGTERM');
    expect(await done).toBe(0);
  });

  test('no handler stays behind', async () => {
    const before = process.listenerCount('SIGTERM');
    await run({ CHILD_0: 'exit0', CHILD_1: 'exit0' });
    expect(process.listenerCount('SIGTERM')).toBe(before);
  });
});
