/**
 * The command line of check.mjs, counting checks, waiting, and asking: what the parts of the check
 * share.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

export const AGENTS = ['historic', 'lastdata', 'mutable', 'errors'];
/** A unique name, so that concurrent checks on one machine do not conflict. */
export const runId = randomUUID().slice(0, 8);

export const words = (text) => text.split(' ').filter((word) => word !== '');
const [command = 'docker', flags = '', registry = '', tag = ''] = process.argv.slice(2);
export { command, registry, tag };
/** What every container needs on this machine. */
export const options = words(flags);

export const run = promisify(execFile);
export const engine = (...args) => run(command, args, { maxBuffer: 64 << 20 });

/** Cleanup functions, called in reverse order. */
export const endings = [];

export async function cleanUp() {
  for (let end = endings.pop(); end !== undefined; end = endings.pop()) {
    // One that fails must not keep the others from it.
    await Promise.resolve()
      .then(end)
      .catch((error) => console.error(error.stderr || error.message));
  }
}

export const tally = { passed: 0, failed: 0 };

/** Runs one check; it fails by throwing. */
export async function check(title, test) {
  try {
    const detail = await test();
    tally.passed += 1;
    console.log(`ok      ${title}${typeof detail === 'string' ? ` (${detail})` : ''}`);
  } catch (error) {
    tally.failed += 1;
    console.log(`failed  ${title}: ${error.stderr || error.stdout || error.message}`.trimEnd());
  }
}

export function expect(holds, otherwise) {
  if (!holds) throw new Error(otherwise);
}

export function expectEqual(got, wanted, what) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(wanted)];
  expect(a === b, `${what} is ${a}, and should be ${b}`);
}

export async function until(what, timeoutMs, holds) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const reason = await holds().catch((error) => error.message);
    if (reason === true) return;
    if (Date.now() > deadline) throw new Error(`${what} did not come true in ${timeoutMs / 1000} s: ${reason}`);
    await sleep(200);
  }
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function ask(port, path) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(5000) });
  return { status: response.status, text: await response.text() };
}
