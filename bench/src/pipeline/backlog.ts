/**
 * A backlog: all records are in the raw topic before the contender starts. Startup is excluded:
 * time is measured from the first observed committed offset to the last.
 */
import { usageOf, type Usage } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Contender, Running } from '../contender.js';
import { outputTopic } from '../contender.js';
import { countCommitted, observe } from '../observer.js';

/** A backlog that lies in a topic. */
export interface Backlog {
  readonly brokers: string;
  readonly topic: string;
  readonly partitions: number;
  readonly records: number;
  readonly tenants: readonly string[];
  /** Records that a contender must have written in the end. */
  readonly outputs: number;
}

/** Speed over a part of a backlog. */
export interface Pace {
  readonly recordsPerSecond: number;
  readonly cpuMicrosPerRecord: number;
}

export interface BacklogRun extends Pace {
  /** The second half alone: just-in-time compilers are done, caches are filled. */
  readonly warm: Pace;
  readonly peakRssMb: number;
  /** From the start of the process to the first offsets committed. */
  readonly firstCommitMs: number;
}

/** What was seen at one moment. */
interface Sample {
  readonly at: number;
  readonly committed: number;
  readonly usage: Usage;
}

/** The sampling interval: each sample costs the broker a request. */
const lookMs = 25;
const stuckMs = 60_000;

/** @throws Error when the contender ends, gets stuck, or has not written what it should have */
export async function runBacklog(contender: Contender, backlog: Backlog, run: string): Promise<BacklogRun> {
  const { brokers, topic: inputTopic, tenants } = backlog;
  const observer = await observe(brokers, run);
  const job = { brokers, inputTopic, run };
  await contender.prepare?.({ ...job, partitions: backlog.partitions });
  // The first question waits for the group's coordinator, and would miss the start.
  await observer.committed(inputTopic, backlog.partitions);
  const started = performance.now();
  const running = contender.start(job);
  let samples: readonly Sample[];
  let last: Usage;
  try {
    samples = await watch(running, backlog, () => observer.committed(inputTopic, backlog.partitions));
    last = usageOf(running.pid);
  } finally {
    await running.stop();
  }
  const topics = tenants.map((tenant) => outputTopic(run, tenant));
  const outputs = await countCommitted(brokers, topics);
  if (outputs !== backlog.outputs) {
    throw new Error(`${contender.name} has written ${outputs} records to ${topics[0]}, not ${backlog.outputs}`);
  }
  // Later runs share the disk and its cache with this one's output.
  await observer.deleteTopics(topics);
  await observer.close();
  const first = samples[0];
  if (first === undefined) throw new Error(`${contender.name} committed nothing`);
  return {
    ...pace(samples, 0),
    warm: pace(samples, backlog.records / 2),
    peakRssMb: last.peakRssBytes / 1e6,
    firstCommitMs: first.at - started,
  };
}

/** Samples from the first to the last commit, one for each commit seen. */
async function watch(running: Running, backlog: Backlog, committed: () => Promise<number>): Promise<Sample[]> {
  const samples: Sample[] = [];
  let ended: string | undefined;
  void running.ended.then((how) => (ended = how));
  let progress = performance.now();
  for (let before = 0; before < backlog.records;) {
    await sleep(lookMs);
    const now = await committed();
    if (ended !== undefined) throw new Error(`it ended after ${now} of ${backlog.records} records: ${ended}`);
    const at = performance.now();
    if (now > before) {
      samples.push({ at, committed: now, usage: usageOf(running.pid) });
      progress = at;
    } else if (at - progress > stuckMs) {
      throw new Error(`no progress for ${stuckMs / 1000} s after ${now} of ${backlog.records} records`);
    }
    before = now;
  }
  return samples;
}

/** From the sample that is nearest to so many records to the last. */
function pace(samples: readonly Sample[], from: number): Pace {
  const last = samples.at(-1);
  const [first] = samples.slice(0, -1).sort((a, b) => Math.abs(a.committed - from) - Math.abs(b.committed - from));
  if (first === undefined || last === undefined) {
    throw new Error('the backlog was committed in one go: it is too short to be measured, see --records');
  }
  const records = last.committed - first.committed;
  return {
    recordsPerSecond: (records / (last.at - first.at)) * 1000,
    cpuMicrosPerRecord: ((last.usage.cpuMs - first.usage.cpuMs) / records) * 1000,
  };
}
