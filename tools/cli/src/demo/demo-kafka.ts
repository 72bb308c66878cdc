/**
 * The cluster of the demo: librdkafka's mock in another process, or the cluster that the
 * environment names.
 */
import { createTopics, type ClientSettings, type KafkaAddress } from '@kafnus/local-stack';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Io } from '../command.js';
import { deleteAll, topicsWith } from '../kafka/topic-admin.js';
import { connection } from '../kafka/connection.js';
import { agentNames, DemoTopicNames, rawPartitions, type AgentName } from './demo-expectations.js';

export interface DemoKafka {
  readonly kind: 'embedded' | 'real';
  /** host:port,... */
  readonly brokers: string;
  readonly address: KafkaAddress;
  readonly producer: ClientSettings;
  readonly names: DemoTopicNames;
  /** The environment of an agent. */
  agentEnv(agent: AgentName): Readonly<Record<string, string>>;
  /** The existing topics of this run. */
  topics(): Promise<string[]>;
  /**
   * @param clean whether to delete topics and groups of the run on a real cluster; the embedded one
   * ends with them
   */
  close(clean: boolean): Promise<void>;
}

const startTimeoutMs = 15_000;

/**
 * The cluster of KAFNUS_KAFKA_BROKERS when it is set, else an embedded one.
 * @throws Error when it does not answer
 */
export function openDemoKafka(env: Io['env'], runId: string): Promise<DemoKafka> {
  const prefix = env['KAFNUS_TOPIC_PREFIX'] ?? '';
  return (env['KAFNUS_KAFKA_BROKERS'] ?? '') === ''
    ? startEmbedded(new DemoTopicNames(prefix))
    : openReal(env, new DemoTopicNames(`${prefix}demo_${runId}_`));
}

function groupOf(names: DemoTopicNames, agent: AgentName): string {
  return `${names.prefix}ngsi-agent-${agent}`;
}

async function startEmbedded(names: DemoTopicNames): Promise<DemoKafka> {
  const script = fileURLToPath(new URL('embedded-broker-main.js', import.meta.resolve('@kafnus/local-stack')));
  // Detached: Ctrl-C signals the agents and this process, and not the broker, which the agents need
  // to shut down. The broker ends when its standard input closes, which happens however this
  // process ends.
  const child = spawn(
    process.execPath,
    [script, '--exit-with-parent', ...agentNames.map((agent) => names.raw(agent))],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    },
  );
  const brokers = await firstAddress(child);
  return {
    kind: 'embedded',
    brokers,
    address: brokers,
    producer: {},
    names,
    agentEnv: (agent) => ({
      KAFNUS_TOPIC_PREFIX: names.prefix,
      KAFNUS_GROUP_ID: groupOf(names, agent),
      // The mock does not support CreateTopics. It creates a topic when a producer requests its
      // metadata.
      KAFNUS_TOPICS_CREATE: 'false',
      KAFNUS_KAFKA_PRODUCER: '{"allow.auto.create.topics":true}',
    }),
    topics: () => topicsWith(brokers, names.prefix),
    async close() {
      const ended = once(child, 'exit');
      child.stdin.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), 3000);
      if (child.exitCode === null && child.signalCode === null) await ended;
      clearTimeout(timer);
    },
  };
}

async function firstAddress(child: ChildProcess): Promise<string> {
  let text = '';
  const timer = setTimeout(() => child.kill('SIGKILL'), startTimeoutMs);
  try {
    for await (const chunk of child.stdout ?? []) {
      text += String(chunk);
      const found = /"bootstrapServers":"([^"]+)"/.exec(text.replaceAll('": "', '":"'))?.[1];
      if (found !== undefined) return found;
    }
  } finally {
    clearTimeout(timer);
  }
  throw new Error('the embedded broker did not start: run `make build`, and see its output above');
}

async function openReal(env: Io['env'], names: DemoTopicNames): Promise<DemoKafka> {
  const { brokers, address, producer, env: own } = connection(env);
  await createTopics(
    address,
    agentNames.map((agent) => ({ topic: names.raw(agent), partitions: rawPartitions })),
  );
  return {
    kind: 'real',
    brokers,
    address,
    producer,
    names,
    agentEnv: (agent) => ({ ...own, KAFNUS_TOPIC_PREFIX: names.prefix, KAFNUS_GROUP_ID: groupOf(names, agent) }),
    topics: () => topicsWith(address, names.prefix),
    async close(clean) {
      if (!clean) return;
      const groups = agentNames.map((agent) => groupOf(names, agent));
      await deleteAll(address, await topicsWith(address, names.prefix), groups);
    },
  };
}
