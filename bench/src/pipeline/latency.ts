/**
 * Section "latency": the time from the moment at which a notification is due at the producer to its
 * arrival at a `read_committed` reader of the output topic. Producer, agent and reader are separate
 * processes. The producer keeps its rate (an open loop), so that a pause affects every notification
 * that waited in it.
 */
import { createTopics, type LocalKafka } from '@kafnus/local-stack';
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { agentContender, outputTopic, type Contender } from '../contender.js';
import { tenantName } from '../notification.js';
import { observe } from '../observer.js';
import type { Options } from '../options.js';
import { kafkaStreams } from '../peers/contenders.js';
import { buildStreamsApplication } from '../peers/kafka-streams.js';
import { progress } from '../progress.js';
import { nextRun } from '../rounds.js';
import { median, rounded } from '../statistics.js';
import { shown, table } from '../table.js';
import { typicalPartitions } from './write-backlog.js';

/** The reader's report, by phase, in milliseconds. */
export interface ReaderReport {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/**
 * The producer's report, by phase, in milliseconds: its own delay, which is part of every latency.
 */
export interface ProducerReport {
  readonly lateP99: number;
}

/** A period at a constant rate. */
interface Phase {
  readonly rate: number;
  readonly notifications: number;
  /** The number of uncounted notifications at the start: they warm up compilers and fetches. */
  readonly warmUp: number;
  /** The producer's own delay, which is part of every latency. */
  readonly lingerMs: number;
}

/** The plan of one measurement, as the two programs get it. */
export interface LatencyPlan {
  readonly brokers: string;
  readonly topic: string;
  readonly partitions: number;
  readonly phases: readonly Phase[];
}

/** What one round found at one rate. */
interface LatencyRound extends ReaderReport, ProducerReport {
  readonly rate: number;
}

/** Medians of the rounds, and the rounds. */
export interface LatencyFigures extends LatencyRound {
  readonly name: string;
  readonly rounds: readonly LatencyRound[];
}

export interface LatencyResult {
  readonly figures: readonly LatencyFigures[];
}

export const exactlyOnce = 'historic, exactly once';
export const atLeastOnce = 'historic, at least once';
/** The producer and the reader on one topic without an agent: the lower bound. */
const nobody = 'nobody in between';

/**
 * The sequence of rates, in notifications/s. At the low rates each record is sent at once, so that
 * the latency is the agent's. At the highest rate that would be 5,000 requests/s, which alone took
 * a broker 30 ms.
 */
const steps = [
  { rate: 200, lingerMs: 0 },
  { rate: 1000, lingerMs: 0 },
  { rate: 5000, lingerMs: 1 },
];
const countedSeconds = 5;
const startSeconds = 4;
const settlingSeconds = 1;

const phases: readonly Phase[] = steps.map(({ rate, lingerMs }, place) => {
  const warmUpSeconds = place === 0 ? startSeconds : settlingSeconds;
  return { rate, notifications: rate * (warmUpSeconds + countedSeconds), warmUp: rate * warmUpSeconds, lingerMs };
});

export async function measureLatency(kafka: LocalKafka, { rounds }: Options): Promise<LatencyResult> {
  const contenders: (Contender | undefined)[] = [
    agentContender('historic', exactlyOnce),
    agentContender('historic', atLeastOnce, { KAFNUS_DELIVERY: 'at-least-once' }),
    kafkaStreams(await buildStreamsApplication()),
    undefined,
  ];
  progress('a first run that does not count: it warms the broker up');
  await measure(kafka.bootstrapServers, contenders[0]);
  const entries = contenders.map((contender) => ({
    contender,
    name: contender?.name ?? nobody,
    /** For each round, figures of each phase. */
    found: [] as LatencyRound[][],
  }));
  for (let round = 1; round <= rounds; round++) {
    for (const { contender, name, found } of entries) {
      const figures = await measure(kafka.bootstrapServers, contender);
      found.push(figures);
      const texts = figures.map(({ rate, p50, p99 }) => `${shown(rate)}/s: p50 ${shown(p50)}, p99 ${shown(p99)} ms`);
      progress(`round ${round}/${rounds}  ${name}  ${texts.join('; ')}`);
    }
  }
  return {
    figures: entries.flatMap(({ name, found }) =>
      phases.map(({ rate }) => ({ name, rate, ...medians(found.flat().filter((round) => round.rate === rate)) })),
    ),
  };
}

function medians(rounds: readonly LatencyRound[]): Omit<LatencyFigures, 'name' | 'rate'> {
  const of = (figure: keyof ReaderReport | keyof ProducerReport): number =>
    rounded(median(rounds.map((round) => round[figure])), 3);
  return { p50: of('p50'), p99: of('p99'), max: of('max'), lateP99: of('lateP99'), rounds };
}

/** @returns figures for each phase */
async function measure(brokers: string, contender: Contender | undefined): Promise<LatencyRound[]> {
  const run = nextRun();
  const inputTopic = `${run}_raw`;
  const partitions = typicalPartitions;
  await createTopics(brokers, [{ topic: inputTopic, partitions }]);
  const output = contender === undefined ? inputTopic : outputTopic(run, tenantName(0));
  const plan: LatencyPlan = { brokers, topic: inputTopic, partitions, phases };
  const job = { brokers, inputTopic, run };
  if (contender?.prepare) await contender.prepare({ ...job, partitions });
  else if (contender) await createTopics(brokers, [{ topic: output, partitions }]);
  const running = contender?.start(job);
  const reader = startProgram<readonly ReaderReport[]>('latency-reader.js', { ...plan, topic: output });
  let producer: Program<readonly ProducerReport[]> | undefined;
  try {
    await reader.ready();
    producer = startProgram<readonly ProducerReport[]>('latency-producer.js', plan);
    const lost = running?.ended.then((how): never => {
      throw new Error(`${contender?.name} ended: ${how}`);
    });
    // The process ends later by itself, and nothing waits for it.
    lost?.catch(() => undefined);
    const both = Promise.all([reader.report(), producer.report()]);
    const [read, produced] = await (lost === undefined ? both : Promise.race([both, lost]));
    return phases.map(({ rate }, place) => {
      const [reader, producer] = [read[place], produced[place]];
      if (reader === undefined || producer === undefined) throw new Error(`no report of the phase with ${rate}/s`);
      return {
        rate,
        p50: rounded(reader.p50, 3),
        p99: rounded(reader.p99, 3),
        max: rounded(reader.max, 3),
        lateP99: rounded(producer.lateP99, 3),
      };
    });
  } finally {
    reader.child.kill();
    producer?.child.kill();
    await running?.stop();
    const observer = await observe(brokers, run);
    await observer.deleteTopics([...new Set([inputTopic, output])]);
    await observer.close();
  }
}

interface Program<R> {
  readonly child: ChildProcess;
  /** Resolves when the program sends `ready`; rejects when it ends before. */
  ready(): Promise<void>;
  /** Resolves with its report; rejects when the process ends before. */
  report(): Promise<R>;
}

/**
 * Runs a program of this folder. It may send `ready`, sends its report when it is done, and exits
 * when it is released.
 */
function startProgram<R>(script: string, plan: LatencyPlan): Program<R> {
  const child = fork(fileURLToPath(new URL(script, import.meta.url)), [JSON.stringify(plan)]);
  let reported: R | undefined;
  let ready = false;
  let end: string | undefined;
  const changes = new Set<() => void>();
  const changed = (): void => changes.forEach((change) => change());
  child.on('message', (message) => {
    if (message === 'ready') ready = true;
    else reported = message as R;
    changed();
  });
  child.once('exit', (code, signal) => {
    end = `${code ?? signal}`;
    changed();
  });
  const until = async <T>(found: () => T | undefined): Promise<T> => {
    for (;;) {
      const value = found();
      if (value !== undefined) return value;
      if (end !== undefined) throw new Error(`${script} ended with ${end} and no report`);
      await new Promise<void>((resolve) => changes.add(resolve));
    }
  };
  return {
    child,
    ready: () => until(() => ready || undefined).then(() => undefined),
    report: () => until(() => reported),
  };
}

export function latencyTable({ figures }: LatencyResult): string {
  const rows = figures.map(({ name, rate, p50, p99, max, lateP99 }) => [
    name,
    shown(rate),
    shown(p50),
    shown(p99),
    shown(max),
    shown(lateP99),
  ]);
  const title = 'Latency from producer to read_committed reader, milliseconds';
  return table(title, ['', 'notifications/s', 'p50', 'p99', 'max', 'p99 of the producer’s own delay'], rows);
}
