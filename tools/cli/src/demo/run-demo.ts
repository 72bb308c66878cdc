/**
 * Runs the demo: starts broker and agents, publishes the scenario, waits until the agents have
 * processed it, reads all topics, compares them with what is expected, and prints the report.
 */
import { readAll } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { cityNotifications } from '../city.js';
import { exitCodes, type Io } from '../command.js';
import { Publisher } from '../kafka/publisher.js';
import { Screen } from '../terminal/screen.js';
import { styleOf, wantsColours } from '../terminal/style.js';
import { DemoAgent } from './demo-agent.js';
import { openDemoKafka, type DemoKafka } from './demo-kafka.js';
import { counterLines, type AgentCounters } from './agent-counters.js';
import {
  stepPublications,
  agentNames,
  cityPublication,
  expectationsOf,
  ngsiAgents,
  rawRecord,
  sinkFailureRecord,
  type AgentName,
  type Expectations,
  type PublishedNotification,
} from './demo-expectations.js';
import { keepLines, problemLines, reportLines, comparisonLines } from './demo-report.js';
import { cityLoad } from './demo-scenario.js';
import { compare, type AgentObservation, type Observation, type Comparison } from './compare.js';

export interface DemoOptions {
  readonly json: boolean;
  /** Keep the agents running until Ctrl-C. */
  readonly keep: boolean;
  /** Delete the topics on a real cluster. */
  readonly clean: boolean;
  /** Time limit for the agents to be ready, and then to be done. */
  readonly timeoutMs: number;
}

const pollIntervalMs = 100;
const graceMs = 2000;

class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/**
 * @returns the exit code: 0 when the output is as expected, 1 when it is not, 130 when it was
 * interrupted before
 */
export async function runDemo(options: DemoOptions, io: Io): Promise<number> {
  const since = performance.now();
  let interrupted = false;
  const interruption = io.interrupted().then(() => {
    interrupted = true;
  });
  // With --json, standard output has the summary only.
  const output = options.json ? { write: () => true } : io.stdout;
  const screen = new Screen(output);
  const style = styleOf(wantsColours(output, io.env));
  const agents: DemoAgent[] = [];
  let cluster: DemoKafka | undefined;
  let code: number = exitCodes.failure;
  let expected: Expectations | undefined;

  const seconds = (): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;
  const done = (what: string, detail: string): void => {
    screen.print(`  ${style.green('✔')} ${what.padEnd(9)} ${detail} ${style.dim(`(${seconds()})`)}`);
  };
  const counters = (): AgentCounters[] =>
    agents.map(({ name, status, ready, end }) => ({
      name,
      status,
      ready,
      ended: end !== undefined,
      expected: expected?.counts[name].read,
    }));
  /** Polls the agents until the condition holds. @returns false when the time limit has passed */
  const watch = async (note: () => string, condition: () => boolean): Promise<boolean> => {
    const deadline = performance.now() + options.timeoutMs;
    for (;;) {
      if (interrupted) throw new Interrupted();
      await Promise.all(agents.map((agent) => agent.poll()));
      screen.draw(['', ...counterLines(counters(), screen.width, style), '', `  ${style.dim(note())}`]);
      if (condition()) return true;
      if (performance.now() > deadline) return false;
      await sleep(pollIntervalMs);
    }
  };

  try {
    screen.print('', `  ${style.bold('Kafnus NGSI agents')}: NGSIv2 notifications in, Kafka Connect records out`, '');
    cluster = await openDemoKafka(io.env, runId());
    const { names } = cluster;
    done(
      'broker',
      cluster.kind === 'embedded' ? `embedded, at ${cluster.brokers}` : `${cluster.brokers}, topics ${names.prefix}*`,
    );

    for (const name of agentNames) agents.push(new DemoAgent(name, cluster, {}));
    const started = (): boolean => agents.every(({ ready }) => ready) || agents.some(({ end }) => end);
    await watch(() => 'the agents start and join their consumer groups', started);
    if (!agents.every(({ ready }) => ready) || agents.some(({ end }) => end))
      throw new Error(notReady(agents, seconds()));
    done('agents', `${agentNames.join(', ')}: ready`);

    const published = await publish(cluster, (sent, total) =>
      watch(
        () => `publishing: ${sent} of ${total} notifications`,
        () => true,
      ).then(() => undefined),
    );
    expected = expectationsOf(names, published);
    const { counts } = expected;
    done(
      'published',
      `${published.length} notifications to each of ${ngsiAgents.map((agent) => names.raw(agent)).join(', ')}; a sink failure to ${names.raw('errors')}`,
    );

    // The ledger counts committed records only.
    const isDone = ({ name, status }: DemoAgent): boolean => (status?.ledger.read ?? 0) >= counts[name].read;
    await watch(
      () => 'the agents process the notifications',
      () => agents.every(isDone) || agents.some(({ end }) => end),
    );
    // When an agent has ended, the others get some time to finish.
    if (!agents.every(isDone)) await sleep(graceMs);
    if (agents.every(isDone)) done('processed', 'every record is emitted, skipped or rejected, and committed');

    const seen = await observe(cluster, agents);
    const comparison = compare(names, expected, seen);
    screen.draw([]);
    const view = { kind: cluster.kind, brokers: cluster.brokers, names, published, seen, counters: counters() };
    screen.print(...reportLines(view, screen.width, style));
    screen.print(...comparisonLines(view, comparison, screen.width, style));
    if (comparison.problems.length > 0) {
      screen.print(
        ...endings(agents).map((line) => `  ${style.red('✘')} ${line}`),
        ...problemLines(comparison).map((line) => `  ${line}`),
      );
      screen.print(...logTails(agents, new Set(comparison.problems.map(({ agent }) => agent))));
    }
    if (options.json) {
      io.stdout.write(`${JSON.stringify(summary(cluster, agents, seen, published, comparison, since))}\n`);
    }
    code = comparison.problems.length === 0 ? exitCodes.ok : exitCodes.failure;

    if (options.keep) {
      screen.print(
        ...keepLines(
          view,
          agents.map(({ name, http }) => ({ name, http })),
          style,
        ),
      );
      await interruption;
    }
  } catch (error) {
    screen.draw([]);
    if (!(error instanceof Interrupted)) {
      screen.print(...logTails(agents, new Set(agents.filter(({ ready }) => !ready).map(({ name }) => name))));
      throw error;
    }
    code = exitCodes.interrupted;
  } finally {
    await close(cluster, agents, options, code, (line) => screen.print(line));
  }
  return code;
}

function notReady(agents: readonly DemoAgent[], after: string): string {
  const waiting = agents.flatMap(({ name, ready, end }) => (ready || end ? [] : [name]));
  return endings(agents).join(', ') || `not ready after ${after}: ${waiting.join(', ')}`;
}

/** The agents that have ended, with signal or exit code. */
function endings(agents: readonly DemoAgent[]): string[] {
  return agents.flatMap(({ name, end }) =>
    end ? [`${name} ended unexpectedly (${end.signal ?? `exit code ${end.code}`})`] : [],
  );
}

/** Time and process id in base 36, so that no two runs have the same topics. */
function runId(): string {
  return `${Date.now().toString(36)}${process.pid.toString(36)}`;
}

/** Publishes the steps, then the generated notifications at their rate. */
async function publish(
  cluster: DemoKafka,
  onProgress: (sent: number, total: number) => Promise<void>,
): Promise<PublishedNotification[]> {
  const { names, address, producer } = cluster;
  const publisher = await Publisher.connect(address, producer);
  const published: PublishedNotification[] = [];
  const total = stepPublications(0).length + cityLoad.notifications;
  const send = async (publication: PublishedNotification): Promise<void> => {
    for (const agent of ngsiAgents) await publisher.send(rawRecord(names.raw(agent), publication));
    published.push(publication);
  };
  try {
    for (const publication of stepPublications(Date.now())) await send(publication);
    await publisher.send(sinkFailureRecord(names, Date.now()));
    const since = performance.now();
    let reportedAt = since;
    let sent = 0;
    for (const notification of cityNotifications(cityLoad)) {
      while (sent >= ((performance.now() - since) / 1000) * cityLoad.perSecond) await sleep(10);
      await send(cityPublication(notification, Date.now()));
      sent += 1;
      if (sent === cityLoad.notifications) break;
      if (performance.now() - reportedAt < pollIntervalMs) continue;
      reportedAt = performance.now();
      await onProgress(published.length, total);
    }
    await publisher.flush();
    const { first } = publisher.failures;
    if (first !== undefined) throw new Error(`a notification was refused: ${first}`);
    return published;
  } finally {
    await publisher.close();
  }
}

/** Reads all topics with read_committed. */
async function observe(cluster: DemoKafka, agents: readonly DemoAgent[]): Promise<Observation> {
  const names = (await cluster.topics()).filter((topic) => !topic.endsWith('-changelog'));
  const records = await readAll(cluster.address, names);
  const seen = await Promise.all(
    agents.map(async (agent): Promise<[AgentName, AgentObservation][]> => {
      await agent.poll();
      if (agent.status === undefined) return [];
      const { ledger, stateEntries } = agent.status;
      return [[agent.name, { ledger, unkeyed: await agent.unkeyed(), stateEntries }]];
    }),
  );
  return { topics: names, records, agents: Object.fromEntries(seen.flat()) };
}

/** The logs of the agents that have ended, which explain the rest; else of those concerned. */
function logTails(agents: readonly DemoAgent[], concerned: ReadonlySet<AgentName>): string[] {
  const ended = agents.filter(({ end }) => end);
  return (ended.length > 0 ? ended : agents.filter(({ name }) => concerned.has(name))).flatMap((agent) => [
    '',
    `  the last lines of ${agent.name}'s log, ${agent.logFile}:`,
    ...agent.lastLogLines(8).map((line) => `    ${line}`),
  ]);
}

function summary(
  cluster: DemoKafka,
  agents: readonly DemoAgent[],
  seen: Observation,
  published: readonly PublishedNotification[],
  { checks, problems }: Comparison,
  started: number,
): object {
  const topics: Record<string, number> = {};
  for (const { topic } of seen.records) topics[topic] = (topics[topic] ?? 0) + 1;
  return {
    ok: problems.length === 0,
    seconds: Math.round(performance.now() - started) / 1000,
    broker: { kind: cluster.kind, brokers: cluster.brokers, prefix: cluster.names.prefix },
    published: published.length,
    agents: Object.fromEntries(
      agents.map(({ name, http, status }) => [
        name,
        { http: http ?? null, stateEntries: status?.stateEntries ?? null, ...counts(seen.agents[name]) },
      ]),
    ),
    topics,
    checks,
    problems,
  };
}

function counts(agent: AgentObservation | undefined): object {
  if (agent === undefined) return {};
  const { read, emitted, rekeyed, skipped, rejected } = agent.ledger;
  return { read, emitted, rekeyed, skipped, rejected, unkeyed: agent.unkeyed };
}

/** Ends all processes. The logs are kept after a failure. */
async function close(
  cluster: DemoKafka | undefined,
  agents: readonly DemoAgent[],
  options: DemoOptions,
  code: number,
  print: (line: string) => void,
): Promise<void> {
  await Promise.all(agents.map((agent) => agent.stop()));
  if (code !== exitCodes.failure) for (const agent of agents) agent.removeLog();
  if (cluster?.kind === 'real' && !options.clean) {
    const topics = await cluster.topics();
    print(`  Topics left on ${cluster.brokers} (--clean deletes them): ${topics.join(', ')}`);
  }
  await cluster?.close(options.clean);
}
