/**
 * `make test` and `make check`:
 *
 *     node scripts/test.mjs quick    what guards every change, within minutes: make test
 *     node scripts/test.mjs rest     everything else: make check runs it after make test
 *
 * All steps run, also after a failure. The last line says `N passed, N failed`: tests, and one more
 * failure for each step that failed otherwise (lint, types). What was skipped is named; in CI
 * (CI=true) a skip is a failure.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const part = process.argv[2];
if (part !== 'quick' && part !== 'rest') {
  console.error('usage: node scripts/test.mjs quick|rest');
  process.exit(2);
}
const results = `.cache/test/${part}`;
const inCi = process.env.CI === 'true';
const problems = [];
const skips = [];
let passed = 0;
let failed = 0;

/**
 * Runs a make target; a hanging one is ended, with all that it started. Resolves to its exit code.
 * @param onOutput gets what it prints, beside the terminal
 */
function make(target, minutes, args = [], onOutput = undefined) {
  console.log(`\n== make ${target}`);
  const { MAKEFLAGS: _flags, MAKEOVERRIDES: _overrides, ...env } = process.env;
  return new Promise((resolve) => {
    const stdio = ['inherit', onOutput ? 'pipe' : 'inherit', 'inherit'];
    const child = spawn('make', ['--no-print-directory', target, ...args], { stdio, detached: true, env });
    child.stdout?.on('data', (chunk) => {
      process.stdout.write(chunk);
      onOutput(String(chunk));
    });
    const end = (signal) => {
      try {
        process.kill(-child.pid, signal);
      } catch {
        // Gone already.
      }
    };
    const interrupt = () => {
      end('SIGINT');
      process.exit(130);
    };
    process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
    const timer = setTimeout(() => {
      problems.push(`make ${target} took more than ${minutes} minutes`);
      end('SIGTERM');
      setTimeout(() => end('SIGKILL'), 10_000).unref();
    }, minutes * 60_000);
    child.once('close', (code) => {
      clearTimeout(timer);
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
      resolve(code ?? 1);
    });
  });
}

async function check(target, minutes) {
  if ((await make(target, minutes)) === 0) return;
  failed += 1;
  problems.push(`make ${target}`);
}

async function tests(target, minutes) {
  const file = `${results}/${target}.json`;
  const code = await make(target, minutes, [`ARGS=--json --outputFile=${file}${inCi ? ' --ci' : ''}`]);
  let report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    failed += 1;
    problems.push(`make ${target} ended without results`);
    return;
  }
  passed += report.numPassedTests;
  let bad = 0;
  for (const suite of report.testResults) {
    const suiteName = suite.name.replace(`${process.cwd()}/`, '');
    // A file that could not be loaded has no tests to count.
    if (suite.status === 'failed' && !suite.assertionResults.some(({ status }) => status === 'failed')) {
      bad += 1;
      problems.push(suiteName);
    }
    for (const { status, fullName } of suite.assertionResults) {
      if (status === 'failed') {
        bad += 1;
        problems.push(`${suiteName}: ${fullName}`);
      } else if (status !== 'passed') {
        skips.push(`${suiteName}: ${fullName}`);
      }
    }
  }
  if (code !== 0 && bad === 0) {
    bad = 1;
    problems.push(`make ${target}: exit code ${code}`);
  }
  failed += bad;
}

/** Runs a script whose last line has the same format. */
async function checks(target, minutes) {
  let text = '';
  const code = await make(target, minutes, [], (chunk) => (text = (text + chunk).slice(-4096)));
  const [, good, bad] = /^(\d+) passed, (\d+) failed$/m.exec(text.trimEnd().split('\n').at(-1) ?? '') ?? [];
  passed += Number(good ?? 0);
  failed += Math.max(Number(bad ?? 0), code === 0 ? 0 : 1);
  if (code !== 0) problems.push(`make ${target}`);
  else if (good === undefined) {
    failed += 1;
    problems.push(`make ${target} ended without saying what it checked`);
  }
}

rmSync(results, { recursive: true, force: true });
mkdirSync(results, { recursive: true });

const noKafka = 'no JDK >= 17 and Maven, see above';
const kafka = (await make('setup-kafka', 8)) === 0;
// Without it, the tests that need it are skipped.
await make('setup-postgis', 8);
if (part === 'quick') {
  await check('lint', 3);
  await check('build', 3);
  await make('setup-shells', 5);
  await tests('test-unit', 10);
  if (kafka) {
    await tests('test-quick', 15);
    await check('bench-guard', 10);
  } else skips.push(`the tests on a real Kafka and the budgets of the benchmark: ${noKafka}`);
} else {
  await make('setup-chromium', 8);
  if (kafka) {
    await tests('test-integration', 30);
    await tests('test-e2e', 20);
    await tests('test-security', 15);
    await tests('test-monitoring', 10);
  } else skips.push(`the tests on a real Kafka: ${noKafka}`);
  await checks('audit', 5);
  await checks('helm-check', 25);
  await checks('image-check', 30);
}
if (inCi) failed += skips.length;
for (const skip of skips) console.log(`skipped: ${skip}`);
for (const problem of problems) console.log(`failed: ${problem}`);
const summary = `${passed} passed, ${failed} failed`;
writeFileSync(`${results}/summary`, `${summary}\n`);
console.log(summary);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
