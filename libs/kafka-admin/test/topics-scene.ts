/** Agents and clusters for the tests of plan and check. */
import { checkTopics, type CheckInput } from '../src/topics/topic-check.js';
import type { TopicFinding } from '../src/topics/topic-finding.js';
import { planTopics, type AgentTopics } from '../src/topics/topic-plan.js';
import type { ClusterView, PartitionView, TopicView } from '../src/topics/cluster-view.js';

export type There = Extract<TopicView, { kind: 'there' }>;

const common = { partitions: 4, replication: -1, maxRecordBytes: 1_048_000, aheadMs: 3_540_000, createsTopics: true };

export const historic: AgentTopics = {
  ...common,
  agent: 'historic',
  groupId: 'ngsi-agent-historic',
  inputTopic: 'raw_historic',
  deadLetterTopic: 'raw_errors',
  changelog: undefined,
  readsDeadLetters: false,
};
export const lastdata: AgentTopics = {
  ...historic,
  agent: 'lastdata',
  groupId: 'ngsi-agent-lastdata',
  inputTopic: 'raw_lastdata',
  changelog: 'ngsi-agent-lastdata-newest-changelog',
};
export const errors: AgentTopics = {
  ...historic,
  agent: 'errors',
  groupId: 'ngsi-agent-errors',
  inputTopic: 'raw_errors',
  deadLetterTopic: 'raw_errors_dead',
  readsDeadLetters: true,
};
export const changelog = 'ngsi-agent-lastdata-newest-changelog';

/** What Kafka 4 says of a topic that nobody has configured. */
const kafkaDefaults = {
  'cleanup.policy': 'delete',
  'retention.ms': '604800000',
  'retention.bytes': '-1',
  'segment.bytes': '1073741824',
  'min.insync.replicas': '1',
  'max.message.bytes': '1048588',
  'message.timestamp.type': 'CreateTime',
  'message.timestamp.before.max.ms': '9223372036854775807',
  'message.timestamp.after.max.ms': '3600000',
  'unclean.leader.election.enable': 'false',
};

export function partitions(count: number, replicas = 1, inSync = replicas): PartitionView[] {
  return Array.from({ length: count }, (_, partition) => ({ partition, hasLeader: true, replicas, inSync }));
}

/** A topic with Kafka's defaults and these settings. */
export function there(
  settings: Readonly<Record<string, string>> = {},
  from: Partial<There> = {},
  count = 4,
  replicas = 1,
): There {
  return {
    kind: 'there',
    partitions: partitions(count, replicas),
    rights: undefined,
    config: { kind: 'known', values: new Map(Object.entries({ ...kafkaDefaults, ...settings })) },
    ...from,
  };
}

export function cluster(topics: Readonly<Record<string, TopicView>>, from: Partial<ClusterView> = {}): ClusterView {
  return { brokers: 1, defaultReplication: 1, topics: new Map(Object.entries(topics)), members: new Map(), ...from };
}

/** The cluster after `apply` on an empty one. */
export function applied(agents: readonly AgentTopics[], from: Partial<ClusterView> = {}): ClusterView {
  const empty = cluster({}, from);
  const topics = planTopics(agents, empty).map((topic) => {
    const settings = Object.fromEntries(topic.settings.map(({ name, value }) => [name, value]));
    const replicas = topic.replication === -1 ? (empty.defaultReplication ?? 1) : topic.replication;
    return [topic.name, there(settings, {}, topic.partitions, replicas)] as const;
  });
  return { ...empty, topics: new Map(topics) };
}

/** The same with some topics in another state. */
export function but(view: ClusterView, topics: Readonly<Record<string, TopicView>>): ClusterView {
  return { ...view, topics: new Map([...view.topics, ...Object.entries(topics)]) };
}

export function check(
  agents: readonly AgentTopics[],
  view: ClusterView,
  more: Partial<Pick<CheckInput, 'outputs' | 'replicas' | 'asAgent'>> = {},
): TopicFinding[] {
  return checkTopics({ agents, plan: planTopics(agents, view), outputs: [], asAgent: false, ...more, view });
}

/** `level code topic`, the short form of a finding. */
export function brief(findings: readonly TopicFinding[]): string[] {
  return findings.map(({ level, code, topic }) => `${level} ${code} ${topic}`);
}
