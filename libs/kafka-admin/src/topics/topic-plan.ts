/**
 * Which topics agents need, and how they should be: a pure function of the agents' settings and of
 * what the cluster has. The reasons are told with the plan, and in docs/operations.md ("Topics").
 */
import { changelogSegmentBytes } from '../changelog-topic.js';
import { topicIn, type ClusterView } from './cluster-view.js';

/** The topics of one agent, and what its settings say of them. */
export interface AgentTopics {
  readonly agent: string;
  readonly groupId: string;
  readonly inputTopic: string;
  readonly deadLetterTopic: string;
  /** undefined for an agent without state. */
  readonly changelog: string | undefined;
  /** Its input holds the dead letters of others. */
  readonly readsDeadLetters: boolean;
  /** KAFNUS_TOPIC_PARTITIONS. */
  readonly partitions: number;
  /** KAFNUS_TOPIC_REPLICATION; -1: the brokers' default. */
  readonly replication: number;
  /** The largest record that the agent writes, bytes. */
  readonly maxRecordBytes: number;
  /** How far ahead of the clock the times of its records are at most, ms. */
  readonly aheadMs: number;
  /** KAFNUS_TOPICS_CREATE. */
  readonly createsTopics: boolean;
}

/** What a topic is to an agent. */
type TopicUse = 'input' | 'dead letters' | 'changelog';

/** What is kept in a topic: what the plan depends on. */
type TopicKind = 'raw' | 'dead-letter' | 'changelog';

/** A setting of a topic, with the reason for its value. */
interface PlannedSetting {
  readonly name: string;
  readonly value: string;
  readonly reason: string;
}

export interface PlannedTopic {
  readonly name: string;
  readonly kind: TopicKind;
  readonly uses: readonly { readonly agent: string; readonly use: TopicUse }[];
  readonly partitions: number;
  /** -1: the brokers' default. */
  readonly replication: number;
  readonly settings: readonly PlannedSetting[];
  /** Of a changelog: the input whose partitions it must have. */
  readonly input?: string;
  /** The largest record that an agent writes to it, bytes; 0 for one that is only read. */
  readonly maxRecordBytes: number;
  /** The agent creates it by itself when it is missing. */
  readonly selfCreated: boolean;
}

const dayMs = 86_400_000;
/** At least a day: an agent that stands still over a night must find everything. */
export const leastRetentionMs = dayMs;
/** A week, for holidays. It is Kafka's default, and set because clusters change that. */
export const rawRetentionMs = 7 * dayMs;
/** Time to find a refusal, to correct its cause and to send the record again. */
export const deadLetterRetentionMs = 28 * dayMs;
/** The broker's default of message.timestamp.after.max.ms. */
export const brokerAheadMs = 3_600_000;
/** Kafka's own max.message.bytes. */
const defaultTopicMaxBytes = 1_048_588;

/** Every topic that the agents name. */
export function topicNamesOf(agents: readonly AgentTopics[]): string[] {
  return [...new Set(agents.flatMap((agent) => usesOf(agent).map(({ topic }) => topic)))];
}

/** The topics that must exist, inputs first: a changelog follows its input. */
export function planTopics(agents: readonly AgentTopics[], view: ClusterView): PlannedTopic[] {
  const uses = agents.flatMap((agent) => usesOf(agent).map(({ topic, use }) => ({ agent, topic, use })));
  const order: readonly TopicUse[] = ['input', 'dead letters', 'changelog'];
  uses.sort((a, b) => order.indexOf(a.use) - order.indexOf(b.use));
  return topicNamesOf(agents)
    .sort((a, b) => uses.findIndex(({ topic }) => topic === a) - uses.findIndex(({ topic }) => topic === b))
    .map((name) => {
      const own = uses.filter(({ topic }) => topic === name);
      const kind = kindOf(own);
      const changelogOf = own.find(({ use }) => use === 'changelog')?.agent;
      const replication = Math.max(...own.map(({ agent }) => agent.replication));
      const largest = Math.max(0, ...own.map(({ agent, use }) => (use === 'input' ? 0 : agent.maxRecordBytes)));
      return {
        name,
        kind,
        uses: own.map(({ agent: { agent }, use }) => ({ agent, use })),
        partitions:
          changelogOf === undefined
            ? Math.max(...own.map(({ agent }) => agent.partitions))
            : partitionsOf(view, changelogOf),
        replication,
        settings: settingsOf(kind, replication === -1 ? view.defaultReplication : replication, largest),
        ...(changelogOf === undefined ? {} : { input: changelogOf.inputTopic }),
        maxRecordBytes: largest,
        selfCreated: own.some(
          ({ agent, use }) => use === 'changelog' || (use === 'dead letters' && agent.createsTopics),
        ),
      };
    });
}

/** The min.insync.replicas with which one broker may be down and one replica lost. */
export function minInSync(replication: number): number {
  return replication >= 3 ? replication - 1 : 1;
}

function usesOf(agent: AgentTopics): { readonly topic: string; readonly use: TopicUse }[] {
  return [
    { topic: agent.inputTopic, use: 'input' },
    { topic: agent.deadLetterTopic, use: 'dead letters' },
    ...(agent.changelog === undefined ? [] : [{ topic: agent.changelog, use: 'changelog' as const }]),
  ];
}

function kindOf(uses: readonly { readonly agent: AgentTopics; readonly use: TopicUse }[]): TopicKind {
  if (uses.some(({ use }) => use === 'changelog')) return 'changelog';
  const deadLetters = uses.some(({ agent, use }) => use === 'dead letters' || agent.readsDeadLetters);
  return deadLetters ? 'dead-letter' : 'raw';
}

/** Of an input: as many as it has; as many as it will get when it is missing. */
function partitionsOf(view: ClusterView, { inputTopic, partitions }: AgentTopics): number {
  const input = topicIn(view, inputTopic);
  return input.kind === 'there' ? input.partitions.length : partitions;
}

function settingsOf(kind: TopicKind, replication: number | undefined, largest: number): PlannedSetting[] {
  const settings = [...contentSettings[kind]];
  if (largest > defaultTopicMaxBytes)
    settings.push(setting('max.message.bytes', largest, 'as large as what the agent is allowed to write'));
  if (replication !== undefined && replication >= 3)
    settings.push(
      setting('min.insync.replicas', minInSync(replication), 'what is acknowledged survives a lost broker'),
    );
  return settings;
}

const contentSettings: Readonly<Record<TopicKind, readonly PlannedSetting[]>> = {
  raw: [
    setting('cleanup.policy', 'delete', 'every version counts: compaction would keep only the newest of a key'),
    setting('retention.ms', rawRetentionMs, 'a week for an agent that stands still to find everything'),
    setting('message.timestamp.type', 'CreateTime', 'the time of publication is what recvtime tells'),
  ],
  'dead-letter': [
    setting('cleanup.policy', 'delete', 'every refusal counts'),
    setting('retention.ms', deadLetterRetentionMs, 'four weeks to find a refusal, mend its cause and send it again'),
  ],
  changelog: [
    // As the agent itself creates it.
    setting('cleanup.policy', 'compact', 'the state is the newest value of each key'),
    setting(
      'segment.bytes',
      changelogSegmentBytes,
      'the newest segment is never compacted, and a restore reads it all',
    ),
  ],
};

function setting(name: string, value: string | number, reason: string): PlannedSetting {
  return { name, value: String(value), reason };
}
