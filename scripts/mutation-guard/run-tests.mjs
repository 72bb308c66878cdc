/** Compiles a scratch copy and runs named tests in it. */
import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

/** Longer than the timeout of a single test. */
const runLimitMs = 180_000;

/**
 * Type-checks the runtime and what it imports, where all mutations are: what does not compile would
 * never reach a test.
 * @returns {Promise<string>} what is wrong; empty when all is well
 */
export async function compile({ root }) {
  const { code, output } = await run(root, ['node_modules/typescript/bin/tsc', '-b', 'libs/agent-runtime']);
  return code === 0 ? '' : output;
}

/**
 * Runs the named tests of one file.
 * @param {string} cache of the repository: a local Kafka is not downloaded again for a copy
 * @returns {Promise<{ results: Map<string, { status: string, message: string }>, output: string }>}
 * by the test's full name; a test that is not in it did not run, and `output` may say why
 */
export async function runTests({ root }, cache, { project, file, names }) {
  const report = join(root, '..', 'report.json');
  rmSync(report, { force: true });
  const { output } = await run(
    root,
    [
      '--experimental-vm-modules',
      '--no-warnings',
      'node_modules/jest/bin/jest.js',
      ...['--selectProjects', project, '--runTestsByPath', file],
      ...['--testNamePattern', `^(${names.map(escaped).join('|')})$`],
      ...['--json', '--outputFile', report, '--cacheDirectory', join(root, '..', 'jest'), '--runInBand', '--forceExit'],
    ],
    // Each blocking call of a Kafka client holds a thread.
    { UV_THREADPOOL_SIZE: '32', KAFNUS_CACHE: cache },
  );
  const results = new Map();
  for (const { assertionResults } of readReport(report)) {
    for (const { fullName, status, failureMessages } of assertionResults) {
      if (names.includes(fullName)) results.set(fullName, { status, message: firstLines(failureMessages[0] ?? '') });
    }
  }
  return { results, output };
}

function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).testResults;
  } catch {
    // It ended before it could write one: its output says why.
    return [];
  }
}

function run(cwd, args, env = {}) {
  return new Promise((resolve) => {
    // A group of its own: a run that is given up takes with it what it started.
    const child = spawn(process.execPath, args, {
      cwd,
      env: { ...process.env, ...env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const collect = (text) => (output = (output + text).slice(-20_000));
    child.stdout.setEncoding('utf8').on('data', collect);
    child.stderr.setEncoding('utf8').on('data', collect);
    const end = () => {
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // Gone already.
      }
    };
    const timer = setTimeout(() => {
      collect(`\ngiven up after ${runLimitMs / 1000} s`);
      end();
    }, runLimitMs);
    process.on('exit', end);
    child.once('close', (code) => {
      clearTimeout(timer);
      process.off('exit', end);
      resolve({ code, output });
    });
  });
}

function escaped(text) {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/** The head of a failure, without colours and stack. */
function firstLines(message) {
  return stripVTControlCharacters(message)
    .split(/\n[ \t]+at /)[0]
    .trim()
    .slice(0, 1000);
}
