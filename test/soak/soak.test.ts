/**
 * Runs all four agents under load and random faults; see run-soak.mjs for its options. The checks
 * at the end are those of the fault tests.
 */
import { expect, jest, test } from '@jest/globals';
import { committedOffsets, startLocalKafka, type LocalKafka } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { expectLogged, readDeadLetters } from '../faults/harness/error-log.js';
import { expectExactlyOnce, metric } from '../faults/harness/expectations.js';
import { Fleet, type Flow } from '../faults/harness/fleet.js';
import { Workload } from '../faults/harness/workload.js';
import { Chaos } from './chaos.js';
import { AgentGroup } from './agents.js';
import { soakOptions } from './options.js';
import { memoryReport, progressLine, resultsOf, summary } from './report.js';

const options = soakOptions();
const { runMs, rate, seed } = options;
/** Longer than the session, transaction and commit timeouts. */
const outageMs = Math.min(180_000, runMs / 5);
const progressMs = 5000;
/** Memory is not compared in a shorter run, which is still warming up. */
const leastForMemoryMs = 5 * 60_000;
/** Time for the remaining backlog and the check of all records, in ms. */
const endMs = 10 * 60_000;

/**
 * As docs/operations.md recommends: a client call that never returns occupies a thread, and this
 * test injects many faults.
 */
const env = { UV_THREADPOOL_SIZE: '16' };

jest.setTimeout(2 * runMs + endMs + 120_000);

function say(line: string): void {
  (options.json ? process.stderr : process.stdout).write(`${line}\n`);
}

test('no record is lost, duplicated or unaccounted for, and memory is flat', async () => {
  say(`soak: ${runMs / 60_000} minutes, ${rate} notifications/s for each agent, seed ${seed}`);
  const kafka = await startLocalKafka({ brokers: 3, proxied: true, heap: '256m' });
  const fleets: Fleet[] = [];
  try {
    const sources = (['historic', 'lastdata', 'mutable'] as const).map(
      (agent, index) => new Workload({ agent, name: 'soak', seed: seed + index }),
    );
    const errors = new Workload({ agent: 'errors', name: 'soak' });
    for (const workload of [...sources, errors]) fleets.push(await Fleet.of(kafka, workload, env));
    await soak(kafka, fleets, sources, errors);
  } finally {
    await Promise.all(fleets.map((fleet) => fleet.end()));
    await kafka.stop();
  }
});

async function soak(
  kafka: LocalKafka,
  fleets: readonly Fleet[],
  sources: readonly Workload[],
  errors: Workload,
): Promise<void> {
  const problems: string[] = [];
  const groups = fleets.map((fleet) => new AgentGroup(fleet, (problem) => problems.push(problem)));
  for (const group of groups) group.join();
  const flows = fleets.filter(({ workload }) => workload !== errors).map((fleet) => fleet.flow(rate, 500));
  await Promise.all(groups.map(({ anchor }) => anchor.until('processing', ({ ledger }) => ledger.read > 0)));

  const chaos = new Chaos(kafka, groups, seed);
  const strikes = chaos.run(runMs, outageMs);
  const started = Date.now();
  const progress = new GroupProgress(kafka, sources);
  while (Date.now() - started < runMs && problems.length + chaos.problems.length === 0) {
    progress.refresh();
    await Promise.all([sleep(progressMs), ...groups.map(async ({ anchor, memory }) => memory.add(await rss(anchor)))]);
    say(progressLine({ ms: Date.now() - started, sources, committed: progress.committed, chaos, groups }));
  }
  chaos.stop();
  await Promise.all([strikes, ...flows.map((flow: Flow) => flow.stop())]);
  expect([...problems, ...chaos.problems]).toEqual([]);

  say('no more faults; waiting for the backlog and checking all records');
  for (const group of groups) if (group.agent !== 'errors') await group.fleet.finished(endMs / 2);
  const deadLetters = await readDeadLetters(errors, kafka);
  for (const group of groups) if (group.agent === 'errors') await group.fleet.finished(endMs / 2);
  for (const workload of sources) {
    const alive = groups.find(({ fleet }) => fleet.workload === workload)?.alive ?? [];
    await expectExactlyOnce(workload, kafka, { alive });
  }
  // The topic holds no records of other workloads.
  expect(deadLetters).toHaveLength(sum(sources.map(({ deadLetters: due }) => due.size)));
  await expectLogged(errors, deadLetters, kafka, groups.find(({ agent }) => agent === 'errors')?.alive ?? []);
  for (const group of groups) await group.stop();
  expect(problems).toEqual([]);

  const conclusive = runMs >= leastForMemoryMs;
  say(summary({ workloads: [...sources, errors], chaos }));
  say(memoryReport(groups, conclusive));
  if (options.json)
    process.stdout.write(`${JSON.stringify(resultsOf({ options, workloads: [...sources, errors], chaos, groups }))}\n`);
  if (conclusive) expect(groups.filter(({ memory }) => !memory.flat).map(({ agent }) => agent)).toEqual([]);
}

/**
 * The number of records that the groups have committed. It is read in the background, because it is
 * unavailable while a broker is down.
 */
class GroupProgress {
  readonly #kafka: LocalKafka;
  readonly #sources: readonly Workload[];
  readonly #counts = new Map<Workload, number>();
  readonly #pending = new Set<Workload>();

  constructor(kafka: LocalKafka, sources: readonly Workload[]) {
    this.#kafka = kafka;
    this.#sources = sources;
  }

  /** The last known number. */
  get committed(): number {
    return sum(this.#counts.values());
  }

  refresh(): void {
    for (const workload of this.#sources.filter((source) => !this.#pending.has(source))) {
      const { group, inputTopic } = workload;
      this.#pending.add(workload);
      committedOffsets(this.#kafka.internalServers, group, inputTopic)
        .then((offsets) => this.#counts.set(workload, sum(offsets.values())))
        // Unstable while a transaction is open: read again for the next progress line.
        .catch(() => undefined)
        .finally(() => this.#pending.delete(workload));
    }
  }
}

function sum(numbers: Iterable<number>): number {
  return [...numbers].reduce((all, number) => all + number, 0);
}

function rss(anchor: AgentGroup['anchor']): Promise<number> {
  return metric(anchor, 'kafnus_process_resident_memory_bytes');
}
