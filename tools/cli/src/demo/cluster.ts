/** The Kafka of a demo: librdkafka's mock in a process of its own, or the cluster that the environment names. */
import { createTopics, type ClientSettings, type KafkaAddress } from '@kafnus/local-stack';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Io } from '../command.js';
import { deleteAll, topicsWith } from '../kafka/admin.js';
import { connection } from '../kafka/settings.js';
import { agentNames, Names, type AgentName } from './expectations.js';

export interface Cluster {
  readonly kind: 'embedded' | 'real';
  /** host:port,... */
  readonly brokers: string;
  readonly address: KafkaAddress;
  readonly producer: ClientSettings;
  readonly names: Names;
  /** What an agent is started with. */
  agentEnv(agent: AgentName): Readonly<Record<string, string>>;
  /** The topics of this run that there are now. */
  topics(): Promise<string[]>;
  /** @param clean whether the topics and groups of the run are deleted; an embedded broker takes them along anyway */
  close(clean: boolean): Promise<void>;
}

const RAW_PARTITIONS = 3;
const START_MS = 15_000;

/** The real cluster when KAFNUS_KAFKA_BROKERS is set, else an embedded one. @throws Error when it is not there */
export function openCluster(env: Io['env'], runId: string): Promise<Cluster> {
  const prefix = env['KAFNUS_TOPIC_PREFIX'] ?? '';
  return (env['KAFNUS_KAFKA_BROKERS'] ?? '') === ''
    ? startEmbedded(new Names(prefix))
    : openReal(env, new Names(`${prefix}demo_${runId}_`));
}

function groupOf(names: Names, agent: AgentName): string {
  return `${names.prefix}ngsi-agent-${agent}`;
}

async function startEmbedded(names: Names): Promise<Cluster> {
  const script = fileURLToPath(new URL('embedded-broker-main.js', import.meta.resolve('@kafnus/local-stack')));
  // A process group of its own: Ctrl-C reaches the agents and us first, and they leave in order. Its standard
  // input closes when this process ends, however it ends, and the broker ends with it.
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
      // The mock answers no CreateTopics: it makes a topic when a producer asks for it.
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
  const timer = setTimeout(() => child.kill('SIGKILL'), START_MS);
  try {
    for await (const chunk of child.stdout ?? []) {
      text += String(chunk);
      const found = /"bootstrapServers":"([^"]+)"/.exec(text.replaceAll('": "', '":"'))?.[1];
      if (found !== undefined) return found;
    }
  } finally {
    clearTimeout(timer);
  }
  throw new Error('the embedded broker did not start: run `make build`, and see what it said above');
}

async function openReal(env: Io['env'], names: Names): Promise<Cluster> {
  const { brokers, address, producer, env: own } = connection(env);
  await createTopics(
    address,
    agentNames.map((agent) => ({ topic: names.raw(agent), partitions: RAW_PARTITIONS })),
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
