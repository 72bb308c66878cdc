/** Shared functions of the checks: counting, waiting, and running programs. */
import { execFile } from 'node:child_process';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export const repository = join(import.meta.dirname, '../..');
export const chart = 'helm/kafnus-agent';
export const agents = ['historic', 'lastdata', 'mutable', 'errors'];

/** A program of tools.sh. */
export const tool = (name) => join(repository, '.cache/tools', name);

export const counts = { passed: 0, failed: 0 };

/**
 * Runs one check and prints its result. @param {() => unknown} action may tell how many things it
 * has checked
 */
export async function check(name, action) {
  const started = Date.now();
  try {
    const counted = (await action()) ?? 1;
    counts.passed += counted;
    console.log(
      `  ok    ${name}${counted > 1 ? ` (${counted})` : ''}, ${((Date.now() - started) / 1000).toFixed(1)} s`,
    );
  } catch (error) {
    counts.failed += 1;
    console.log(`  FAIL  ${name}\n${String(error.message).trim().replace(/^/gm, '        ')}`);
  }
}

/** Polls a condition of the cluster. */
export async function until(what, condition, seconds = 60) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const seen = await condition();
    if (seen === true) return;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s; last seen: ${JSON.stringify(seen)}`);
    await delay(250);
  }
}

export function expect(condition, message) {
  if (!condition) throw new Error(message);
}

/** Fails unless the action fails with a message that matches. */
export async function refused(pattern, action) {
  const message = await action().then(
    () => undefined,
    (error) => String(error.message),
  );
  expect(message !== undefined, `accepted, and should have been refused with ${pattern}`);
  expect(pattern.test(message), `refused with another reason than ${pattern}:\n${message}`);
}

/** What a program writes to standard output. @throws Error with all that it wrote, when it fails */
export function run(program, args, env) {
  return new Promise((resolve, reject) => {
    execFile(program, args, { env, maxBuffer: 64 * 2 ** 20, timeout: 180_000 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else {
        const what = error.killed ? 'timed out' : `ended with ${error.code}`;
        reject(new Error(`${basename(program)} ${args.join(' ')}: ${what}\n${stdout}${stderr}`));
      }
    });
  });
}
