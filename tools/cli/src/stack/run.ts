/**
 * Everything between a notification and a row, on this machine: a real Kafka, PostGIS, Kafka Connect with its connectors and
 * the four agents, until Ctrl-C. All of it is real; only the data is thrown away at the end.
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
import { connectors, ConnectorWatch, createConnectors } from './connectors.js';
import { startKafka, type StackKafka } from './kafka.js';
import { agentPort, requireFree, type StackPorts } from './ports.js';

/** Known to everybody, so it may do nothing but this: the superuser could run programs. */
const ROLE = { user: 'city', password: 'city' };
const PARTITIONS = 4;
/** The services of the city that `kafnus send` makes up. */
const SERVICES = ['harbour', 'oldtown'];
const WATCH_MS = 2000;
/** Longer than the agents' own limit (KAFNUS_SHUTDOWN_TIMEOUT_MS). */
const STOP_MS = 6000;

/** What runs so far. */
interface Stack {
  kafka?: StackKafka;
  postgis?: LocalPostgis;
  worker?: ConnectWorker;
  readonly agents: Map<AgentName, AgentProcess>;
}

/**
 * @param agents those that it starts; a user runs the others
 * @returns the exit code: 0 after Ctrl-C, 1 when a part ended by itself
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
    screen.print('', `  ${style.bold('From a notification to a row')}: the whole way, on this machine`, '');
    try {
      await start(stack, ports, agents, logs, done);
    } catch (error) {
      // That is why, directly, or since Ctrl-C reaches the agents as well.
      if (!interrupted) throw error;
    }
    if (!interrupted) {
      screen.print(...nextSteps(stack, ports, logs));
      void watch(stack, screen, () => interrupted);
      const end = await Promise.race([interruption, anEnd(stack)]);
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
  // Awaited below: by then it may have failed long ago.
  database.catch(() => undefined);
  stack.kafka = await startKafka(ports.kafka, logs);
  const { brokers } = stack.kafka;
  await createTopics(
    brokers,
    agentNames.map((agent) => ({ topic: `raw_${agent}`, partitions: PARTITIONS })),
  );
  done('Kafka', brokers);

  stack.postgis = await database;
  await stack.postgis.query(`create role ${ROLE.user} login password '${ROLE.password}'`);
  // The connector makes tables, but no schemas.
  for (const service of SERVICES) await stack.postgis.query(`create schema ${service} authorization ${ROLE.user}`);
  done('PostGIS', databaseUrl(ports));

  for (const agent of agents) {
    const env = {
      KAFNUS_INSTANCE_ID: `stack-${agent}`,
      KAFNUS_TOPIC_PARTITIONS: `${PARTITIONS}`,
      ...needed(agent, ports),
    };
    stack.agents.set(agent, new AgentProcess({ agent, brokers, env }));
  }
  await Promise.all([...stack.agents.values()].map((agent) => agent.ready()));
  done('agents', agents.join(', ') || 'none');

  stack.worker = await startConnectWorker({
    brokers,
    port: ports.connect,
    env: postgisVariables({ ...stack.postgis, ...ROLE }),
    logs,
  });
  await createConnectors(stack.worker);
  done('Connect', `connectors ${connectors.join(', ')}`);
}

/** What an agent must be told to be part of the stack, its brokers aside. */
function needed(agent: AgentName, ports: StackPorts): Readonly<Record<string, string>> {
  return { KAFNUS_SINK: 'debezium', KAFNUS_HTTP_PORT: `${agentPort(ports, agent)}` };
}

/** As they are written before a command. */
function settingsText(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

function databaseUrl({ postgis }: StackPorts): string {
  return `postgresql://${ROLE.user}:${ROLE.password}@127.0.0.1:${postgis}/kafnus`;
}

/** What a user does next, ready to be copied. */
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
            `yours: ${settingsText({ KAFNUS_KAFKA_BROKERS: brokers, ...needed(agent, ports) })} node services/${agent}/dist/main.js`,
          ),
    ),
    row('logs', logs),
    '',
    '  In another terminal:',
    '',
    `    ./kafnus send --brokers ${brokers} --topic raw_historic --topic raw_lastdata --topic raw_mutable`,
    `    psql ${databaseUrl(ports)} -c '${select}'`,
    '',
    '  Ctrl-C ends everything, and the data is gone.',
    '',
  ];
}

/** Resolves when a part ends that should not. */
function anEnd({ kafka, postgis, worker, agents }: Stack): Promise<string> {
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

/** Tells of connectors that fail, until the end. */
async function watch({ worker }: Stack, screen: Screen, isOver: () => boolean): Promise<void> {
  if (worker === undefined) return;
  const connectorWatch = new ConnectorWatch(worker);
  for (;;) {
    await sleep(WATCH_MS, undefined, { ref: false });
    const lines = await connectorWatch.look();
    if (isOver()) return;
    screen.print(...lines.map((line) => `  ${line}`));
  }
}

/** In the order of the flow: what the agents have begun they can finish. */
async function stop({ kafka, postgis, worker, agents }: Stack): Promise<void> {
  await Promise.all([...agents.values()].map(stopAgent));
  await worker?.stop();
  await Promise.all([kafka?.stop(), postgis?.stop()]);
}

/** Stops it in order, or after a while by force. */
async function stopAgent(agent: AgentProcess): Promise<void> {
  if (agent.end === undefined) {
    const stopped = agent.kill('SIGTERM');
    const timely = await Promise.race([stopped, sleep(STOP_MS, undefined, { ref: false })]);
    if (timely === undefined) await agent.kill('SIGKILL');
  }
  if (agent.end?.code === 0) rmSync(dirname(agent.logFile), { recursive: true, force: true });
}
