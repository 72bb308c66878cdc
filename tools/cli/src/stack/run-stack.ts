/**
 * Runs the whole pipeline on this machine until Ctrl-C: Apache Kafka, PostGIS, Kafka Connect with
 * its connectors, and the four agents. The data is deleted at the end.
 */
import {
  AgentProcess,
  createTopics,
  postgisVariables,
  startConnectWorker,
  startLocalPostgis,
  type ConnectWorker,
  type LocalPostgis,
} from '@kafnus/local-stack';
import { agentNames, type AgentName } from '@kafnus/ngsi-core';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodes, type Io } from '../command.js';
import { Screen } from '../terminal/screen.js';
import { styleOf, wantsColours } from '../terminal/style.js';
import { connectors, ConnectorMonitor, createConnectors } from './stack-connectors.js';
import { startKafka, type StackKafka } from './stack-kafka.js';
import { agentPort, requireFree, type StackPorts } from './stack-ports.js';

/** Its password is public, so it is no superuser: that could run programs on this machine. */
const role = { user: 'city', password: 'city' };
const partitionCount = 4;
/** The services of the city that `kafnus send` generates. */
const services = ['harbour', 'oldtown'];
const watchIntervalMs = 2000;
/** Longer than the agents' own limit (KAFNUS_SHUTDOWN_TIMEOUT_MS). */
const stopTimeoutMs = 6000;

/** The programs that run. */
interface Stack {
  kafka?: StackKafka;
  postgis?: LocalPostgis;
  worker?: ConnectWorker;
  readonly agents: Map<AgentName, AgentProcess>;
}

/**
 * @param agents those that it starts
 * @returns the exit code: 0 after Ctrl-C, 1 when a program ended unexpectedly
 */
export async function runStack(ports: StackPorts, agents: readonly AgentName[], io: Io): Promise<number> {
  const since = performance.now();
  const screen = new Screen(io.stdout);
  const style = styleOf(wantsColours(io.stdout, io.env));
  const done = (what: string, detail: string): void => {
    const seconds = ((performance.now() - since) / 1000).toFixed(1);
    screen.print(`  ${style.green('✔')} ${what.padEnd(9)} ${detail} ${style.dim(`(${seconds} s)`)}`);
    if (interrupted) throw new Error('interrupted');
  };
  let interrupted = false;
  const interruption = io.interrupted().then(() => {
    interrupted = true;
    return 'interrupted';
  });

  await requireFree(ports);
  const logs = mkdtempSync(join(tmpdir(), 'kafnus-stack-'));
  const stack: Stack = { agents: new Map() };
  let code: number = exitCodes.failure;
  try {
    screen.print('', `  ${style.bold('From a notification to a row')}: the whole pipeline, on this machine`, '');
    try {
      await start(stack, ports, agents, logs, done);
    } catch (error) {
      // Ctrl-C is the cause, also when it has ended the agents first.
      if (!interrupted) throw error;
    }
    if (!interrupted) {
      screen.print(...nextSteps(stack, ports, logs));
      void watch(stack, screen, () => interrupted);
      const end = await Promise.race([interruption, unexpectedEnd(stack)]);
      if (!interrupted) throw new Error(`${end}; the logs are in ${logs}`);
    }
    code = exitCodes.ok;
  } finally {
    screen.print('', style.dim('  stopping'));
    await stop(stack);
    if (code === exitCodes.ok) rmSync(logs, { recursive: true, force: true });
  }
  return code;
}

async function start(
  stack: Stack,
  ports: StackPorts,
  agents: readonly AgentName[],
  logs: string,
  done: (what: string, detail: string) => void,
): Promise<void> {
  const database = startLocalPostgis({ port: ports.postgis });
  // It is awaited below. Without this handler, an earlier failure would be an unhandled rejection.
  database.catch(() => undefined);
  stack.kafka = await startKafka(ports.kafka, logs);
  const { brokers } = stack.kafka;
  await createTopics(
    brokers,
    agentNames.map((agent) => ({ topic: `raw_${agent}`, partitions: partitionCount })),
  );
  done('Kafka', brokers);

  stack.postgis = await database;
  await stack.postgis.query(`create role ${role.user} login password '${role.password}'`);
  // The connector creates tables, but no schemas.
  for (const service of services) await stack.postgis.query(`create schema ${service} authorization ${role.user}`);
  done('PostGIS', databaseUrl(ports));

  for (const agent of agents) {
    const env = {
      KAFNUS_INSTANCE_ID: `stack-${agent}`,
      KAFNUS_TOPIC_PARTITIONS: `${partitionCount}`,
      ...agentSettings(agent, ports),
    };
    stack.agents.set(agent, new AgentProcess({ agent, brokers, env }));
  }
  await Promise.all([...stack.agents.values()].map((agent) => agent.ready()));
  done('agents', agents.join(', ') || 'none');

  stack.worker = await startConnectWorker({
    brokers,
    port: ports.connect,
    env: postgisVariables({ ...stack.postgis, ...role }),
    logs,
  });
  await createConnectors(stack.worker);
  done('Connect', `connectors ${connectors.join(', ')}`);
}

/** The settings of an agent in the stack, without its brokers. */
function agentSettings(agent: AgentName, ports: StackPorts): Readonly<Record<string, string>> {
  return { KAFNUS_SINK: 'debezium', KAFNUS_HTTP_PORT: `${agentPort(ports, agent)}` };
}

/** `NAME=value ...`, as it is written before a command. */
function settingsText(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

function databaseUrl({ postgis }: StackPorts): string {
  return `postgresql://${role.user}:${role.password}@127.0.0.1:${postgis}/kafnus`;
}

/** The addresses, and the next commands. */
function nextSteps(stack: Stack, ports: StackPorts, logs: string): string[] {
  const brokers = stack.kafka?.brokers ?? '';
  const select = `select entityid, timeinstant, no2, ST_AsText(location) from harbour.environment_air_airqualityobserved order by 1 limit 5`;
  const row = (what: string, where: string): string => `    ${what.padEnd(9)} ${where}`;
  return [
    '',
    row('Kafka', brokers),
    row('PostGIS', databaseUrl(ports)),
    row('Connect', `${stack.worker?.url ?? ''}/connectors`),
    ...agentNames.map((agent) =>
      stack.agents.has(agent)
        ? row(agent, `http://127.0.0.1:${agentPort(ports, agent)}`)
        : row(
            agent,
            `start it: ${settingsText({ KAFNUS_KAFKA_BROKERS: brokers, ...agentSettings(agent, ports) })} node services/${agent}/dist/main.js`,
          ),
    ),
    row('logs', logs),
    '',
    '  In another terminal:',
    '',
    `    ./kafnus send --brokers ${brokers} --topic raw_historic --topic raw_lastdata --topic raw_mutable`,
    `    psql ${databaseUrl(ports)} -c '${select}'`,
    '',
    '  Ctrl-C ends everything and deletes the data.',
    '',
  ];
}

/** Resolves with a message when a program ends. */
function unexpectedEnd({ kafka, postgis, worker, agents }: Stack): Promise<string> {
  return Promise.race([
    kafka?.ended ?? new Promise<string>(() => undefined),
    postgis?.ended().then((how) => `PostgreSQL has ended: ${how}`) ?? new Promise<string>(() => undefined),
    worker?.ended().then((how) => `Kafka Connect has ended: ${how}`) ?? new Promise<string>(() => undefined),
    ...[...agents].map(([name, agent]) =>
      agent.ended.then(
        ({ code, signal }) => `The ${name} agent has ended with ${signal ?? code ?? 0}, see ${agent.logFile}`,
      ),
    ),
  ]);
}

/** Prints the connectors that fail. */
async function watch({ worker }: Stack, screen: Screen, isOver: () => boolean): Promise<void> {
  if (worker === undefined) return;
  const monitor = new ConnectorMonitor(worker);
  for (;;) {
    await sleep(watchIntervalMs, undefined, { ref: false });
    const lines = await monitor.newFailures();
    if (isOver()) return;
    screen.print(...lines.map((line) => `  ${line}`));
  }
}

/** The agents first, because they need the brokers to shut down. */
async function stop({ kafka, postgis, worker, agents }: Stack): Promise<void> {
  await Promise.all([...agents.values()].map(stopAgent));
  await worker?.stop();
  await Promise.all([kafka?.stop(), postgis?.stop()]);
}

/** Sends SIGTERM, and SIGKILL when it does not end in time. */
async function stopAgent(agent: AgentProcess): Promise<void> {
  if (agent.end === undefined) {
    const stopped = agent.kill('SIGTERM');
    const timely = await Promise.race([stopped, sleep(stopTimeoutMs, undefined, { ref: false })]);
    if (timely === undefined) await agent.kill('SIGKILL');
  }
  if (agent.end?.code === 0) rmSync(dirname(agent.logFile), { recursive: true, force: true });
}
