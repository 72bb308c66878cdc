/**
 * Starts an agent as a process: configuration, wiring, signals, exit codes.
 *
 *     0  stopped by SIGTERM or SIGINT, with everything committed or handed back
 *     1  a failure that a new process may cure; the last log line has it. By SIGKILL when a call of
 *        the Kafka client hangs in its own thread
 *     2  the configuration is wrong
 *
 * With `topics plan|apply|check` as first arguments it runs topics-command.ts instead.
 */
import { fileURLToPath } from 'node:url';
import type { Agent } from '@kafnus/agent-contract';
import { runConcurrently, stopWithParent } from './concurrency.js';
import { ConfigurationError, loadConfig, type ConfigOutcome, type RuntimeConfig } from './config.js';
import { createHttp } from './http.js';
import { KafkaSession } from './kafka/kafka-session.js';
import { partitionName } from './session.js';
import { changelogTopic } from './state/changelog.js';
import type { AgentStatus } from './status.js';
import { AgentLoop } from './agent-loop.js';
import { Telemetry } from './telemetry.js';
import { topicsCommand } from './topics-command.js';
import { startTracing, type Tracing } from './tracing.js';
import { version } from './version.js';

/** How often the watchdog looks whether there is progress. */
const watchdogMs = 1000;

/**
 * Runs the agent until a signal stops it, and then ends the process.
 * @param script the `import.meta.url` of the service's main module: `--concurrency` starts it again
 */
export async function start<C>(agent: Agent<C>, script: string): Promise<void> {
  const argv = process.argv.slice(2);
  if (argv[0] === 'topics') {
    const code = await topicsCommand(agent, argv.slice(1), version, {
      env: process.env,
      stdout: (text) => process.stdout.write(text),
      stderr: (text) => process.stderr.write(text),
    });
    // With the Kafka client loaded, Node's own clean-up at the end sometimes spins for ever.
    process.exit(code);
  }
  const outcome = load(agent, argv);
  if (outcome.kind !== 'run') {
    process.stdout.write(`${outcome.text}\n`);
    return;
  }
  const { config, printable } = outcome;
  const telemetry = new Telemetry({
    agent: agent.name,
    instance: config.instanceId,
    version,
    level: config.logLevel,
    maxTenantLabels: config.maxTenantLabels,
  });
  if (config.concurrency > 1) {
    process.exitCode = await runConcurrently({
      count: config.concurrency,
      script: fileURLToPath(script),
      argv,
      env: process.env,
      instanceId: config.instanceId,
      httpPort: config.httpPort,
      killAfterMs: config.shutdownTimeoutMs + 1000,
      logger: telemetry.logger,
    });
    return;
  }
  process.exit(await runOne(agent, config, printable, telemetry));
}

function load<C>(agent: Agent<C>, argv: readonly string[]): ConfigOutcome<C> {
  try {
    return loadConfig(agent, { argv, env: process.env, version });
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(2);
  }
}

async function runOne<C>(
  agent: Agent<C>,
  config: RuntimeConfig & C,
  printable: object,
  telemetry: Telemetry,
): Promise<number> {
  // Before anything of this process can be seen, its log included: who sees it may stop it at once.
  let requested: string | undefined;
  let stop = (reason: string): void => void (requested ??= reason);
  process.once('SIGTERM', () => stop('SIGTERM'));
  process.once('SIGINT', () => stop('SIGINT'));
  stopWithParent(() => stop('parent process ended'));

  const wired = await wire(agent, config, telemetry);
  if (wired === undefined) return 2;
  const { loop, session, inputTopic, deadLetterTopic, tracing } = wired;
  const watch = watchdog(loop, config, telemetry);
  const status = (): AgentStatus => statusOf(agent.name, config, loop, watch.stalled());
  const ready = (): { ready: boolean; reason: string } => readiness(loop);
  const live = (): { live: boolean; reason: string } =>
    watch.stalled()
      ? { live: false, reason: loop.status.problem ?? 'lag, but no progress' }
      : { live: loop.lifecycle.state !== 'failed', reason: loop.lifecycle.state };
  telemetry.observe({ status, ready });

  const http = createHttp({
    status,
    ready,
    live,
    telemetry,
    printableConfig: printable,
    adminToken: config.adminToken,
    host: config.httpHost,
    port: config.httpPort,
  });
  stop = (reason: string): void => {
    telemetry.stopping(reason);
    loop.stop();
    // What blocks in the client cannot be interrupted: the successor ends our transaction.
    setTimeout(() => {
      telemetry.stopped(
        1,
        new Error(`not finished within ${config.shutdownTimeoutMs} ms: the open transaction is left to be aborted`),
      );
      endIfHanging(session);
      process.exit(1);
    }, config.shutdownTimeoutMs).unref();
  };
  if (requested !== undefined) stop(requested);

  try {
    const { address, port } = await http.listen();
    telemetry.starting({
      version,
      http: `${address}:${port}`,
      inputTopic,
      deadLetterTopic,
      group: config.groupId,
      delivery: config.delivery,
    });
  } catch (error) {
    telemetry.stopped(2, error);
    return 2;
  }

  try {
    await loop.run();
    telemetry.stopped(0);
    return 0;
  } catch (error) {
    telemetry.stopped(error instanceof ConfigurationError ? 2 : 1, error);
    return error instanceof ConfigurationError ? 2 : 1;
  } finally {
    watch.stop();
    await http.close();
    await tracing?.shutdown();
    await session.callsReturned();
    endIfHanging(session);
  }
}

/**
 * process.exit waits for libuv's threads: if a call of the client never returns, SIGKILL is needed.
 */
function endIfHanging(session: KafkaSession): void {
  if (session.unreturnedCalls > 0) process.kill(process.pid, 'SIGKILL');
}

interface Wired {
  readonly loop: AgentLoop;
  readonly session: KafkaSession;
  readonly inputTopic: string;
  readonly deadLetterTopic: string;
  readonly tracing: Tracing | undefined;
}

async function wire<C>(agent: Agent<C>, config: RuntimeConfig & C, telemetry: Telemetry): Promise<Wired | undefined> {
  try {
    const configured = agent.configure(config);
    const { inputTopic, deadLetterTopic } = configured;
    if (
      agent.store !== undefined &&
      [inputTopic, deadLetterTopic].includes(changelogTopic(config.groupId, agent.store))
    ) {
      throw new Error('the changelog topic is the input or the dead-letter topic: choose another KAFNUS_GROUP_ID');
    }
    const tracing = await startTracing(
      {
        agent: agent.name,
        instance: config.instanceId,
        version,
        inputTopic,
        group: config.groupId,
        onProblem: (message) => telemetry.tracingProblem(message),
      },
      process.env,
    );
    const session = new KafkaSession({
      config,
      agent: agent.name,
      topics: [inputTopic],
      listener: {
        topicCreated: (topic) => telemetry.topicCreated(topic),
        brokerProblem: (error) => telemetry.brokerProblem(error),
        clusterAway: (error) => {
          telemetry.brokerProblem(error);
          loop.status.clusterAway(error);
        },
        commitRetry: (error) => telemetry.commitRetry(error),
        clientLog: ({ severity, fac, message }) =>
          telemetry.logger[severity <= 4 ? 'warn' : 'debug']({ facility: fac }, message),
      },
    });
    const loop = new AgentLoop({ agent, configured, config, session, telemetry, tracing });
    return { loop, session, inputTopic, deadLetterTopic, tracing };
  } catch (error) {
    telemetry.stopped(2, error);
    return undefined;
  }
}

/** On lag without progress for stallTimeoutMs, /live fails, so that the process is restarted. */
function watchdog(
  loop: AgentLoop,
  config: RuntimeConfig,
  telemetry: Telemetry,
): { stalled: () => boolean; stop: () => void } {
  let stalled = false;
  const look = (): void => {
    loop.status.lookForProgress();
    const idleMs = loop.status.stuckMs;
    const now = idleMs > config.stallTimeoutMs;
    if (now && !stalled) {
      const lag = loop.status.partitions().reduce((sum, partition) => sum + (partition.lag ?? 0), 0);
      telemetry.stalled({ lag, seconds: Math.round(idleMs / 1000), problem: loop.status.problem });
    }
    if (!now && stalled) telemetry.unstalled();
    stalled = now;
  };
  const timer = setInterval(look, watchdogMs);
  timer.unref();
  return { stalled: () => stalled, stop: () => clearInterval(timer) };
}

function readiness(loop: AgentLoop): { ready: boolean; reason: string } {
  const { state } = loop.lifecycle;
  if (state !== 'running') {
    return {
      ready: false,
      reason: `the agent is ${state}${loop.status.problem === null ? '' : `: ${loop.status.problem}`}`,
    };
  }
  if (loop.status.problem !== null) return { ready: false, reason: loop.status.problem };
  if (!loop.status.joined) return { ready: false, reason: 'the consumer group has not answered yet' };
  const restoring = loop.status.partitions().filter((partition) => partition.state === 'restoring');
  if (restoring.length > 0) return { ready: false, reason: `restoring ${restoring.map(partitionName).join(', ')}` };
  return { ready: true, reason: 'partitions are assigned and restored, or none are due' };
}

function statusOf(agent: string, config: RuntimeConfig, loop: AgentLoop, stalled: boolean): AgentStatus {
  const assignment = loop.status.partitions();
  return {
    agent,
    instance: config.instanceId,
    version,
    state: loop.lifecycle.state,
    since: loop.lifecycle.since.toISOString(),
    problem: loop.status.problem,
    stalled,
    assignment,
    lag: assignment.reduce((sum, { lag }) => sum + (lag ?? 0), 0),
    lastCommit: loop.status.lastCommit?.toISOString() ?? null,
    stateEntries: loop.status.stateEntries,
    ledger: loop.ledger.totals(),
  };
}
