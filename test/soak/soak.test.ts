/**
 * All four agents under load while everything breaks at random (main.mjs says how it is started). The checks at the end are those
 * of the fault tests.
 */
import { expect, jest, test } from '@jest/globals';
import { committedOffsets, startLocalKafka, type LocalKafka } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { expectLogged, readLetters } from '../faults/harness/error-log.js';
import { expectExactlyOnce, metric } from '../faults/harness/expectations.js';
import { Fleet, type Flow } from '../faults/harness/fleet.js';
import { Workload } from '../faults/harness/workload.js';
import { Chaos } from './chaos.js';
import { Crew } from './crew.js';
import { soakOptions } from './options.js';
import { memoryReport, progressLine, resultsOf, summary } from './report.js';

const options = soakOptions();
const { runMs, rate, seed } = options;
/** Longer than the timeouts of session, transaction and commit, and than a person takes to notice. */
const outageMs = Math.min(180_000, runMs / 5);
const progressMs = 5000;
/** A shorter run is still warming up. */
const leastForMemoryMs = 5 * 60_000;
/** What piled up during the last faults, and the check of all records. */
const endMs = 10 * 60_000;

/** What docs/operations.md advises: a call of the client that never comes back keeps a thread, and here are many faults. */
const env = { UV_THREADPOOL_SIZE: '16' };

jest.setTimeout(2 * runMs + endMs + 120_000);

function say(line: string): void {
  (options.json ? process.stderr : process.stdout).write(`${line}\n`);
}

test('nothing is lost, doubled or unaccounted for, and memory is flat', async () => {
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
  const crews = fleets.map((fleet) => new Crew(fleet, (problem) => problems.push(problem)));
  for (const crew of crews) crew.join();
  const flows = fleets.filter(({ workload }) => workload !== errors).map((fleet) => fleet.flow(rate, 500));
  await Promise.all(crews.map(({ anchor }) => anchor.until('at work', ({ ledger }) => ledger.read > 0)));

  const chaos = new Chaos(kafka, crews, seed);
  const strikes = chaos.run(runMs, outageMs);
  const started = Date.now();
  const progress = new GroupProgress(kafka, sources);
  while (Date.now() - started < runMs && problems.length + chaos.problems.length === 0) {
    progress.refresh();
    await Promise.all([sleep(progressMs), ...crews.map(async ({ anchor, memory }) => memory.add(await rss(anchor)))]);
    say(progressLine({ ms: Date.now() - started, sources, committed: progress.committed, chaos, crews }));
  }
  chaos.stop();
  await Promise.all([strikes, ...flows.map((flow: Flow) => flow.stop())]);
  expect([...problems, ...chaos.problems]).toEqual([]);

  say('the faults are over; the rest is processed and checked');
  for (const crew of crews) if (crew.agent !== 'errors') await crew.fleet.finished(endMs / 2);
  const letters = await readLetters(errors, kafka);
  for (const crew of crews) if (crew.agent === 'errors') await crew.fleet.finished(endMs / 2);
  for (const workload of sources) {
    const alive = crews.find(({ fleet }) => fleet.workload === workload)?.alive ?? [];
    await expectExactlyOnce(workload, kafka, { alive });
  }
  // Nobody else's letters.
  expect(letters).toHaveLength(sum(sources.map(({ letters: due }) => due.size)));
  await expectLogged(errors, letters, kafka, crews.find(({ agent }) => agent === 'errors')?.alive ?? []);
  for (const crew of crews) await crew.stop();
  expect(problems).toEqual([]);

  const judged = runMs >= leastForMemoryMs;
  say(summary({ workloads: [...sources, errors], chaos }));
  say(memoryReport(crews, judged));
  if (options.json)
    process.stdout.write(`${JSON.stringify(resultsOf({ options, workloads: [...sources, errors], chaos, crews }))}\n`);
  if (judged) expect(crews.filter(({ memory }) => !memory.flat).map(({ agent }) => agent)).toEqual([]);
}

/** How many records the groups have committed: asked for in the background, for nobody can tell while a broker is away. */
class GroupProgress {
  readonly #kafka: LocalKafka;
  readonly #sources: readonly Workload[];
  readonly #counts = new Map<Workload, number>();
  readonly #asking = new Set<Workload>();

  constructor(kafka: LocalKafka, sources: readonly Workload[]) {
    this.#kafka = kafka;
    this.#sources = sources;
  }

  /** As far as it is known. */
  get committed(): number {
    return sum(this.#counts.values());
  }

  refresh(): void {
    for (const workload of this.#sources.filter((source) => !this.#asking.has(source))) {
      const { group, inputTopic } = workload;
      this.#asking.add(workload);
      committedOffsets(this.#kafka.internalServers, group, inputTopic)
        .then((offsets) => this.#counts.set(workload, sum(offsets.values())))
        // Not stable while a transaction is open: asked again with the next line.
        .catch(() => undefined)
        .finally(() => this.#asking.delete(workload));
    }
  }
}

function sum(numbers: Iterable<number>): number {
  return [...numbers].reduce((all, number) => all + number, 0);
}

function rss(anchor: Crew['anchor']): Promise<number> {
  return metric(anchor, 'kafnus_process_resident_memory_bytes');
}
