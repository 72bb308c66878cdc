/**
 * The demo: starts everything, publishes the scenario, watches, compares, tells.
 *
 *     broker -> agents -> acts, sink failure, crowd -> all is counted -> everything is read -> verdict -> (keep) -> end
 */
import { readAll } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import { cityNotifications } from '../city.js';
import { exitCodes, type Io } from '../command.js';
import { Publisher } from '../kafka/publisher.js';
import { Screen } from '../terminal/screen.js';
import { styleOf, wantsColours } from '../terminal/style.js';
import { DemoAgent } from './agents.js';
import { openCluster, type Cluster } from './cluster.js';
import { counterLines, type AgentCounters } from './counters.js';
import {
  actPublications,
  agentNames,
  crowdPublication,
  expectationsOf,
  ngsiAgents,
  rawRecord,
  sinkFailureRecord,
  type AgentName,
  type Expectations,
  type Publication,
} from './expectations.js';
import { keepLines, problemLines, reportLines, verdictLines } from './report.js';
import { crowd } from './scenario.js';
import { verify, type AgentObservation, type Observation, type Verdict } from './verify.js';

export interface DemoOptions {
  readonly json: boolean;
  /** Leave everything running until Ctrl-C. */
  readonly keep: boolean;
  /** Delete the topics on a real cluster. */
  readonly clean: boolean;
  /** How long the agents may take to be ready, and then to be done, in milliseconds. */
  readonly timeoutMs: number;
}

const POLL_MS = 100;
const GRACE_MS = 2000;

class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** @returns the exit code: 0 when all that was expected came, 1 when not, 130 when it was interrupted before it was done */
export async function runDemo(options: DemoOptions, io: Io): Promise<number> {
  const since = performance.now();
  let interrupted = false;
  const interruption = io.interrupted().then(() => {
    interrupted = true;
  });
  // With --json nothing but the summary is for standard output, and nobody watches.
  const output = options.json ? { write: () => true } : io.stdout;
  const screen = new Screen(output);
  const style = styleOf(wantsColours(output, io.env));
  const agents: DemoAgent[] = [];
  let cluster: Cluster | undefined;
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
  /** Looks at the agents until the condition holds. @returns false when the time was over */
  const watch = async (note: () => string, condition: () => boolean): Promise<boolean> => {
    const deadline = performance.now() + options.timeoutMs;
    for (;;) {
      if (interrupted) throw new Interrupted();
      await Promise.all(agents.map((agent) => agent.poll()));
      screen.draw(['', ...counterLines(counters(), screen.width, style), '', `  ${style.dim(note())}`]);
      if (condition()) return true;
      if (performance.now() > deadline) return false;
      await sleep(POLL_MS);
    }
  };

  try {
    screen.print('', `  ${style.bold('Kafnus NGSI agents')}: NGSIv2 notifications in, Kafka Connect records out`, '');
    cluster = await openCluster(io.env, runId());
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

    // The ledger counts what is committed, and nothing else.
    const isDone = ({ name, status }: DemoAgent): boolean => (status?.ledger.read ?? 0) >= counts[name].read;
    await watch(
      () => 'the agents work',
      () => agents.every(isDone) || agents.some(({ end }) => end),
    );
    // When one has ended, not everything will come: the others finish what they can.
    if (!agents.every(isDone)) await sleep(GRACE_MS);
    if (agents.every(isDone)) done('processed', 'every record is emitted, skipped or rejected, and committed');

    const seen = await observe(cluster, agents);
    const verdict = verify(names, expected, seen);
    screen.draw([]);
    const view = { kind: cluster.kind, brokers: cluster.brokers, names, published, seen, counters: counters() };
    screen.print(...reportLines(view, screen.width, style));
    screen.print(...verdictLines(view, verdict, screen.width, style));
    if (verdict.problems.length > 0) {
      screen.print(
        ...endings(agents).map((line) => `  ${style.red('✘')} ${line}`),
        ...problemLines(verdict).map((line) => `  ${line}`),
      );
      screen.print(...logTails(agents, new Set(verdict.problems.map(({ agent }) => agent))));
    }
    if (options.json) {
      io.stdout.write(`${JSON.stringify(summary(cluster, agents, seen, published, verdict, since))}\n`);
    }
    code = verdict.problems.length === 0 ? exitCodes.ok : exitCodes.failure;

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

/** The agents that are no more, and why, as far as that is known. */
function endings(agents: readonly DemoAgent[]): string[] {
  return agents.flatMap(({ name, end }) =>
    end ? [`${name} ended by itself (${end.signal ?? `exit code ${end.code}`})`] : [],
  );
}

/** Base 36 of the time and of the process: no two runs have the same topics. */
function runId(): string {
  return `${Date.now().toString(36)}${process.pid.toString(36)}`;
}

/** The acts first, then the crowd at its pace; `tell` is called now and then. */
async function publish(cluster: Cluster, tell: (sent: number, total: number) => Promise<void>): Promise<Publication[]> {
  const { names, address, producer } = cluster;
  const publisher = await Publisher.connect(address, producer);
  const published: Publication[] = [];
  const total = actPublications(0).length + crowd.notifications;
  const send = async (publication: Publication): Promise<void> => {
    for (const agent of ngsiAgents) await publisher.send(rawRecord(names.raw(agent), publication));
    published.push(publication);
  };
  try {
    for (const publication of actPublications(Date.now())) await send(publication);
    await publisher.send(sinkFailureRecord(names, Date.now()));
    const since = performance.now();
    let told = since;
    let sent = 0;
    for (const notification of cityNotifications(crowd)) {
      while (sent >= ((performance.now() - since) / 1000) * crowd.perSecond) await sleep(10);
      await send(crowdPublication(notification, Date.now()));
      sent += 1;
      if (sent === crowd.notifications) break;
      if (performance.now() - told < POLL_MS) continue;
      told = performance.now();
      await tell(published.length, total);
    }
    await publisher.flush();
    const { first } = publisher.failures;
    if (first !== undefined) throw new Error(`a notification was refused: ${first}`);
    return published;
  } finally {
    await publisher.close();
  }
}

/** Reads everything there is, as a consumer of the agents' output would: read_committed. */
async function observe(cluster: Cluster, agents: readonly DemoAgent[]): Promise<Observation> {
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

/** Of those that have ended, where there are any: what the others missed followed from that. */
function logTails(agents: readonly DemoAgent[], concerned: ReadonlySet<AgentName>): string[] {
  const ended = agents.filter(({ end }) => end);
  return (ended.length > 0 ? ended : agents.filter(({ name }) => concerned.has(name))).flatMap((agent) => [
    '',
    `  the last lines of ${agent.name}'s log, ${agent.logFile}:`,
    ...agent.lastLogLines(8).map((line) => `    ${line}`),
  ]);
}

function summary(
  cluster: Cluster,
  agents: readonly DemoAgent[],
  seen: Observation,
  published: readonly Publication[],
  { checks, problems }: Verdict,
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
  const { read, emitted, skipped, rejected } = agent.ledger;
  return { read, emitted, skipped, rejected, unkeyed: agent.unkeyed };
}

/** Leaves no process behind; the logs stay when something failed. */
async function close(
  cluster: Cluster | undefined,
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
