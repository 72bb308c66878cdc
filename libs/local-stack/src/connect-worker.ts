import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { propertiesFile } from './broker-settings.js';
import { sharedClasses } from './class-archive.js';
import { prepareConnectPlugin } from './connect-plugin.js';
import { ConnectRest, type ConnectorStatus } from './connect-rest.js';
import { workerTemplate } from './connect-template.js';
import { prepareKafka } from './kafka-distribution.js';
import { ServerProcess } from './server-process.js';
import { jvmOptions } from './local-kafka.js';
import { freePorts } from './ports.js';

/** Options of {@link startConnectWorker}. */
export interface ConnectWorkerOptions {
  readonly brokers: string;
  /**
   * Its group and its topics are named for it; workers of one name share their connectors. Default
   * `kafnus-connect`.
   */
  readonly name?: string;
  /**
   * Settings that win over those of `deploy/connect/worker.properties` and over those for tests.
   */
  readonly properties?: Readonly<Record<string, string>>;
  /** What `${env:...}` in connectors stands for: see {@link postgisVariables}. */
  readonly env?: Readonly<Record<string, string>>;
  /** Of the REST interface. Default: a free one. */
  readonly port?: number;
  /** Heap as Java writes it. Default `512m`. */
  readonly heap?: string;
  /**
   * Benchmarks: the whole JIT compiler and the default garbage collector, instead of those that
   * start fastest.
   */
  readonly fullJit?: boolean;
  /** A folder for the log, kept after the end. Without it the log is deleted at the end. */
  readonly logs?: string;
}

/** A real Kafka Connect in distributed mode on this machine, with the Debezium JDBC sink. */
export interface ConnectWorker {
  /** Of the REST interface. */
  readonly url: string;
  /** undefined while the worker is down. */
  readonly pid: number | undefined;
  readonly logFile: string;
  /** Creates the connector, or changes it. @throws Error with what is wrong in its settings */
  putConnector(name: string, config: Readonly<Record<string, string>>): Promise<void>;
  deleteConnector(name: string): Promise<void>;
  /** @throws Error when there is no such connector, or not yet */
  status(name: string): Promise<ConnectorStatus>;
  /**
   * Resolves when the connector and all of its tasks run. @throws Error with the trace of what has
   * failed
   */
  awaitRunning(name: string, timeoutMs?: number): Promise<void>;
  /** Restarts what has failed of the connector, as an operator does. */
  restartFailed(name: string): Promise<void>;
  /** SIGKILL: a crash. */
  kill(): Promise<void>;
  /** Ends {@link kill}: the same address, and the connectors that it had. */
  start(): Promise<void>;
  /** Ends it for good. Its topics and the offsets of its connectors stay in Kafka. */
  stop(): Promise<void>;
  /** Resolves when the worker has ended, with how. */
  ended(): Promise<string>;
}

/** A busy machine with two cores. */
const START_DEADLINE = 90_000;

/**
 * The waits with which a production cluster protects itself from rebalances; a test that kills a
 * worker would sit them out.
 */
const FOR_TESTS = {
  'scheduled.rebalance.max.delay.ms': '0',
  'heartbeat.interval.ms': '500',
  'session.timeout.ms': '3000',
  'consumer.heartbeat.interval.ms': '500',
  'consumer.session.timeout.ms': '3000',
  'offset.flush.interval.ms': '1000',
};

/**
 * Starts a worker with the settings of `deploy/connect/worker.properties`. It takes about five
 * seconds, and the worker dies with this process, however it dies.
 */
export async function startConnectWorker(options: ConnectWorkerOptions): Promise<ConnectWorker> {
  const [kafka, plugins, port] = await Promise.all([
    prepareKafka(),
    prepareConnectPlugin(),
    options.port ?? freePorts(1).then(([free = 0]) => free),
  ]);
  const shared = await sharedClasses(kafka);
  const scratch = mkdtempSync(join(tmpdir(), 'kafnus-connect-'));
  const logs = options.logs ?? join(scratch, 'logs');
  mkdirSync(logs, { recursive: true });
  const name = options.name ?? 'kafnus-connect';
  const config = join(scratch, 'worker.properties');
  const settings = {
    ...workerTemplate(),
    ...FOR_TESTS,
    'bootstrap.servers': options.brokers,
    'group.id': name,
    'config.storage.topic': `${name}-configs`,
    'offset.storage.topic': `${name}-offsets`,
    'status.storage.topic': `${name}-status`,
    'plugin.path': plugins,
    listeners: `http://127.0.0.1:${port}`,
    ...options.properties,
  };
  writeFileSync(config, propertiesFile(settings));

  const rest = new ConnectRest(`http://127.0.0.1:${port}`);
  const logFile = join(logs, 'connect.log');
  const logging = [`-Dkafnus.log=${logFile}`, `-Dlog4j2.configurationFile=${kafka.log4jConfig}`];
  const main = ['-cp', kafka.classPath, 'kafnus.stack.ConnectWorker', config, scratch];
  const worker = new ServerProcess({
    name: 'The Connect worker',
    command: kafka.java,
    args: [...jvmOptions(options), ...shared, ...logging, ...main],
    env: { PATH: process.env['PATH'], JAVA_HOME: process.env['JAVA_HOME'], ...options.env },
    logFiles: [`${logFile}.err`, logFile],
    isReady: () => rest.isHealthy(),
    startDeadlineMs: START_DEADLINE,
    end: (child) => child.kill('SIGKILL'),
  });
  const stop = async (): Promise<void> => {
    await worker.end();
    rmSync(scratch, { recursive: true, force: true });
  };
  try {
    await worker.start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: rest.url,
    get pid() {
      return worker.pid;
    },
    logFile,
    putConnector: (connector, settings) => rest.putConnector(connector, settings),
    deleteConnector: (connector) => rest.deleteConnector(connector),
    status: (connector) => rest.status(connector),
    awaitRunning: (connector, timeoutMs) => rest.awaitRunning(connector, timeoutMs),
    restartFailed: (connector) => rest.restartFailed(connector),
    kill: () => worker.end(),
    start: () => worker.start(),
    stop,
    ended: () => worker.ended(),
  };
}
