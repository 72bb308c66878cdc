/**
 * `make guard`: mutation tests of the delivery guarantee. Removes one safeguard at a time in a copy
 * of the working tree, and expects its named tests to fail. Before that, it expects them to pass.
 *
 * A surviving mutation means that a test is missing. A mutation that cannot be applied means that
 * the code has changed: update mutation-guard/mutations.mjs.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { controls, mutations } from './mutation-guard/mutations.mjs';
import { compile, runTests } from './mutation-guard/run-tests.mjs';
import { GuardError, mutated, ScratchCopy } from './mutation-guard/scratch-copy.mjs';

const repository = dirname(dirname(fileURLToPath(import.meta.url)));
const cache = process.env.KAFNUS_CACHE ?? join(repository, '.cache');

const help = `Usage: node scripts/mutation-guard.mjs [options]

Breaks the delivery guarantee in ${mutations.length} ways, in a copy, and expects a test to notice each.

  --only <name>   this mutation only; may be repeated
  --jobs <n>      so many at a time (default: the processors, at most 2)
  --json          the result as JSON on standard output
  --help          this text

Exit code: 0 all are caught; 1 one survives: a test is missing; 2 the guard cannot tell: it is out of date,
or a test fails without any mutation.

Mutations:
${mutations.map(({ name, breaks }) => `  ${name}\n      ${breaks}`).join('\n')}
`;

function options() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      jobs: { type: 'string', default: String(Math.min(2, availableParallelism())) },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  for (const name of values.only ?? []) {
    if (!mutations.some((mutation) => mutation.name === name))
      throw new GuardError(`--only ${name}: there is no such mutation; --help lists them`);
  }
  const jobs = Number(values.jobs);
  if (!Number.isInteger(jobs) || jobs < 1) throw new GuardError(`--jobs ${values.jobs}: give a number from 1 on`);
  return { ...values, jobs, chosen: mutations.filter(({ name }) => values.only?.includes(name) ?? true) };
}

/** Tests by file, what one run of Jest can do; with the control of the file. */
function byFile(tests) {
  const runs = new Map();
  for (const { project, file, name } of tests) {
    const control = controls.get(file);
    const run = runs.get(file) ?? { project, file, control, names: [control] };
    if (!run.names.includes(name)) run.names.push(name);
    runs.set(file, run);
  }
  return [...runs.values()];
}

/** Each copy takes the next task when it is done with one. */
async function share(copies, tasks, work) {
  const waiting = [...tasks];
  const worker = async (copy) => {
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) await work(copy, task);
  };
  await Promise.all(copies.map(worker));
}

/**
 * @throws {GuardError} when a test does not pass as things are: it could fail for any reason then
 */
async function expectPassing(copy, run) {
  const { results, output } = await runTests(copy, cache, run);
  for (const name of run.names) {
    const result = results.get(name);
    if (result?.status === 'passed') continue;
    const why =
      result === undefined
        ? `it did not run; is it called something else now?\n${output}`
        : `${result.status}\n${result.message}`;
    throw new GuardError(`without any mutation, in ${run.file}:\n${name}\n${why}`);
  }
}

/** @returns {Promise<{ verdict: 'caught' | 'survived' | 'broken', detail: string }>} */
async function check(copy, mutation) {
  const mend = copy.apply(mutation);
  try {
    const problem = await compile(copy);
    if (problem !== '') return { verdict: 'broken', detail: `it does not compile; mend the mutation:\n${problem}` };
    const details = [];
    for (const run of byFile(mutation.tests)) {
      const { results, output } = await runTests(copy, cache, run);
      for (const name of run.names) {
        const result = results.get(name);
        const expected = name === run.control ? 'passed' : 'failed';
        if (result === undefined || (name === run.control && result.status !== expected))
          return {
            verdict: 'broken',
            detail: `the run itself has failed, at "${name}":\n${result?.message ?? output}`,
          };
        if (result.status !== expected) return { verdict: 'survived', detail: `${result.status}: ${name}` };
        if (name === run.control) continue;
        details.push(result.message);
      }
    }
    return { verdict: 'caught', detail: details.join('\n') };
  } finally {
    mend();
  }
}

async function guard({ chosen, jobs, json }) {
  const say = (text) => (json ? process.stderr : process.stdout).write(`${text}\n`);
  for (const { name, file, edits } of chosen) {
    try {
      mutated(readFileSync(join(repository, file), 'utf8'), file, edits);
    } catch (error) {
      throw new GuardError(`${name}: ${error.message}`);
    }
  }
  const started = performance.now();
  const seconds = (since) => Math.round((performance.now() - since) / 100) / 10;
  const copies = [];
  const clean = () => copies.forEach((copy) => copy.remove());
  process.once('exit', clean);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
  for (let job = 0; job < Math.min(jobs, chosen.length); job += 1) copies.push(new ScratchCopy(repository));

  const runs = byFile(chosen.flatMap(({ tests }) => tests));
  say(`${runs.reduce((sum, { names }) => sum + names.length, 0)} tests without any mutation: they must pass`);
  // The longest tasks run first: they start a Kafka.
  const slow = ({ project }) => Number(project === 'quick' || project === 'integration');
  for (const problem of await Promise.all(copies.map(compile)))
    if (problem !== '') throw new GuardError(`it does not compile without any mutation:\n${problem}`);
  await share(
    copies,
    runs.toSorted((a, b) => slow(b) - slow(a)),
    expectPassing,
  );
  say(`they do (${seconds(started)} s)\n`);

  const results = [];
  const width = Math.max(...chosen.map(({ name }) => name.length));
  const row = (verdict, name, time, tests) =>
    say(`${verdict.padEnd(9)} ${name.padEnd(width)} ${String(time).padStart(6)} s  ${tests}`);
  await share(
    copies,
    chosen.toSorted((a, b) => slow(b.tests[0]) - slow(a.tests[0])),
    async (copy, mutation) => {
      const since = performance.now();
      const { verdict, detail } = await check(copy, mutation);
      const { name, breaks, file, tests } = mutation;
      results.push({ name, verdict, seconds: seconds(since), breaks, file, tests, detail });
      row(
        verdict === 'caught' ? verdict : verdict.toUpperCase(),
        name,
        seconds(since).toFixed(1),
        tests.map((test) => test.name).join('; '),
      );
      if (verdict === 'broken') say(detail);
    },
  );

  const count = (wanted) => results.filter(({ verdict }) => verdict === wanted).length;
  for (const { name, breaks, detail } of results.filter(({ verdict }) => verdict === 'survived'))
    say(`\n${name} survives (${detail})\n  ${breaks}: a test is missing`);
  say(`\n${count('caught')} of ${chosen.length} mutations are caught (${seconds(started)} s)`);
  if (json) {
    const order = new Map(chosen.map(({ name }, index) => [name, index]));
    results.sort((a, b) => order.get(a.name) - order.get(b.name));
    process.stdout.write(`${JSON.stringify({ seconds: seconds(started), mutations: results }, null, 2)}\n`);
  }
  return count('broken') > 0 ? 2 : count('survived') > 0 ? 1 : 0;
}

try {
  const chosen = options();
  if (chosen.help) process.stdout.write(help);
  else process.exitCode = await guard(chosen);
} catch (error) {
  console.error(`mutation guard: ${error.message}`);
  // At once: what runs beside it has nothing to tell any more.
  process.exit(2);
}
