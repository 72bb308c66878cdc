/**
 * Section "postgis": rows a second that the stock sink of Kafka Connect writes, from a backlog of
 * each agent's output. It is by far the slowest part of the way: what the agents write a second is
 * in the section "pipeline".
 */
import {
  connectorTemplate,
  postgisVariables,
  startConnectWorker,
  startLocalPostgis,
  whyNoLocalPostgis,
  type ConnectWorker,
  type LocalKafka,
  type LocalPostgis,
} from '@kafnus/local-stack';
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { outputTopic, startAgent, type AgentName } from '../contender.js';
import { tenantName } from '../notification.js';
import { observe, type Observer } from '../observer.js';
import type { Options } from '../options.js';
import type { Backlog } from '../pipeline/backlog.js';
import { writeNotifications } from '../pipeline/write-backlog.js';
import { progress } from '../progress.js';
import { nextRun } from '../rounds.js';
import { median, rounded } from '../statistics.js';
import { shown, table } from '../table.js';

interface PostgisFigures {
  readonly agent: AgentName;
  readonly variant: string;
  readonly tasks: number;
  /** Medians of the rounds. */
  readonly rowsPerSecond: number;
}

export interface PostgisResult {
  readonly records: number;
  readonly figures: readonly PostgisFigures[];
}

interface Contender {
  readonly agent: 'historic' | 'lastdata' | 'mutable';
  readonly variant: string;
  /** In `deploy/connect`. */
  readonly template: string;
  readonly tasks: number;
  /** The topic that the agent writes to. */
  readonly topic: (run: string) => string;
}

const byHeader = 'target_table, by Groovy';
const routed = (agent: Contender['agent'], tasks = 1): Contender => ({
  agent,
  variant: byHeader,
  template: `debezium-${agent}.json`,
  tasks,
  topic: (run) => outputTopic(run, tenantName(0)),
});

const contenders: readonly Contender[] = [
  routed('historic'),
  routed('historic', 4),
  {
    agent: 'historic',
    variant: 'a topic per table',
    template: 'debezium-topic-per-table.json',
    tasks: 1,
    // The name of the table, which is that of the service path and the entity type.
    topic: () => `${tenantName(0)}.stations_airqualityobserved`,
  },
  routed('lastdata'),
  routed('mutable'),
];

const kafnus = fileURLToPath(new URL('../../../tools/cli/dist/main.js', import.meta.url));
const lookMs = 100;
const stuckMs = 60_000;

/** @throws Error that says what to install */
export async function measurePostgis(kafka: LocalKafka, options: Options): Promise<PostgisResult> {
  const missing = whyNoLocalPostgis();
  if (missing !== undefined) throw new Error(missing);
  // A tenth of the speed of an agent: a tenth of the records takes as long.
  const records = Math.max(20_000, Math.round(options.records / 5));
  const backlog = await writeNotifications(kafka, 'raw_postgis', records);
  const postgis = await startLocalPostgis();
  let worker: ConnectWorker | undefined;
  try {
    worker = await startConnectWorker({
      brokers: kafka.bootstrapServers,
      env: postgisVariables(postgis),
      properties: { 'offset.flush.interval.ms': '200' },
      fullJit: true,
      heap: '1g',
    });
    progress('a first run that does not count: it warms the sink up');
    await measure(routed('historic'), backlog, postgis, worker);
    const figures: PostgisFigures[] = [];
    for (const contender of contenders) {
      const speeds: number[] = [];
      for (let round = 1; round <= options.comparisonRounds; round++) {
        speeds.push(await measure(contender, backlog, postgis, worker));
      }
      const { agent, variant, tasks } = contender;
      const rowsPerSecond = rounded(median(speeds), 3);
      progress(`${agent}, ${variant}, ${tasks} tasks: ${shown(rowsPerSecond)} rows/s`);
      figures.push({ agent, variant, tasks, rowsPerSecond });
    }
    return { records, figures };
  } finally {
    await worker?.stop();
    await postgis.stop();
  }
}

/**
 * Has the agent write its output, makes the tables, and then lets the sink loose on it. @returns
 * rows a second
 */
async function measure(
  { agent, template, tasks, topic }: Contender,
  backlog: Backlog,
  postgis: LocalPostgis,
  worker: ConnectWorker,
): Promise<number> {
  const { brokers, partitions, records } = backlog;
  const run = nextRun();
  const output = topic(run);
  const running = startAgent(
    agent,
    { brokers, inputTopic: backlog.topic, run },
    {
      KAFNUS_SINK: 'debezium',
      KAFNUS_OUTPUT_TOPIC: output.replace(tenantName(0), '{service}'),
    },
  );
  const source = await observe(brokers, run);
  try {
    await settled(source, backlog.topic, partitions, (committed) => committed >= records);
  } finally {
    await running.stop();
    await source.close();
  }
  const apply = ['tables', 'apply', '--brokers', brokers, '--topic', output, '--max-records', '100'];
  const env = { ...process.env, KAFNUS_DATABASE_URL: postgis.url };
  await promisify(execFile)(process.execPath, [kafnus, ...apply], { env });

  const { 'topics.regex': _all, ...config } = connectorTemplate(template, { 'tasks.max': `${tasks}` });
  const sink = await observe(brokers, `connect-${run}`);
  try {
    await worker.putConnector(run, { ...config, topics: output });
    const { at, committed } = await settled(sink, output, partitions, (count) => count > 0);
    // Its last offsets are transaction markers, which it never commits: done is what no longer
    // moves.
    const end = await settled(sink, output, partitions, (_count, stillMs) => stillMs > 3000);
    await worker.awaitRunning(run);
    return ((end.committed - committed) / (end.at - at)) * 1000;
  } finally {
    await worker.deleteConnector(run);
    await sink.deleteTopics([output]);
    await sink.close();
    const [schema] = await postgis.query<{ name: string }>(`select quote_ident($1) as name`, [tenantName(0)]);
    await postgis.query(`drop schema ${schema?.name ?? ''} cascade`);
  }
}

/**
 * Looks at a group's offsets until they are as wanted.
 * @param done gets the records committed, and for how long that number has not moved
 * @returns the number, and when it was first seen, in milliseconds
 */
async function settled(
  observer: Observer,
  topic: string,
  partitions: number,
  done: (committed: number, stillMs: number) => boolean,
): Promise<{ readonly committed: number; readonly at: number }> {
  let committed = 0;
  for (let at = performance.now(); ; await sleep(lookMs)) {
    const now = await observer.committed(topic, partitions);
    if (now !== committed) at = performance.now();
    committed = now;
    const stillMs = performance.now() - at;
    if (done(committed, stillMs)) return { committed, at };
    if (stillMs > stuckMs)
      throw new Error(`no progress for ${stuckMs / 1000} s after ${committed} records of ${topic}`);
  }
}

export function postgisTable({ records, figures }: PostgisResult): string {
  const rows = figures.map(({ agent, variant, tasks, rowsPerSecond }) => [
    agent,
    variant,
    shown(tasks),
    shown(rowsPerSecond),
  ]);
  const title = `Rows of the stock sink into PostGIS, from a backlog of ${shown(records)} notifications into one table`;
  return table(title, ['', 'the table is told by', 'tasks', 'rows/s'], rows);
}
