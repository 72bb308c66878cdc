/** What is wrong with topics, and what to do about it: a pure function of plan and view. */
import { changelogSegmentBytes, partitionMismatch } from '../changelog-topic.js';
import type { FindingLevel } from '../finding.js';
import { counted, duration, partitionList } from './finding-text.js';
import type { Fix, TopicFinding, TopicFindingCode } from './topic-finding.js';
import {
  brokerAheadMs,
  deadLetterRetentionMs,
  leastRetentionMs,
  minInSync,
  rawRetentionMs,
  type AgentTopics,
  type PlannedTopic,
} from './topic-plan.js';
import { topicIn, type ClusterView, type TopicRight, type TopicView } from './cluster-view.js';

/** A topic that an agent writes rows to: it is checked when it exists, and never planned. */
export interface OutputTopic {
  readonly name: string;
  readonly agent: AgentTopics;
}

export interface CheckInput {
  readonly agents: readonly AgentTopics[];
  readonly plan: readonly PlannedTopic[];
  readonly outputs: readonly OutputTopic[];
  readonly view: ClusterView;
  /** Instances of each agent that are to run, where that is known. */
  readonly replicas?: number | undefined;
  /** The user is the agent's own, and must have its rights. */
  readonly asAgent: boolean;
}

type Found = Extract<TopicView, { kind: 'there' }>;
type Draft = Omit<TopicFinding, 'topic'>;

/** The settings of a topic that are read and checked. */
export const checkedSettings = [
  'cleanup.policy',
  'retention.ms',
  'retention.bytes',
  'segment.bytes',
  'min.insync.replicas',
  'max.message.bytes',
  'message.timestamp.type',
  'message.timestamp.before.max.ms',
  'message.timestamp.after.max.ms',
  'unclean.leader.election.enable',
] as const;
type CheckedSetting = (typeof checkedSettings)[number];

/** All findings, in the order of the plan. */
export function checkTopics(input: CheckInput): TopicFinding[] {
  const planned = input.plan.flatMap((topic) =>
    [...plannedFindings(topic, input)].map((draft) => ({ ...draft, topic: topic.name })),
  );
  const outputs = input.outputs.flatMap((output) =>
    [...outputFindings(output, input.view)].map((draft) => ({ ...draft, topic: output.name })),
  );
  return [...planned, ...outputs];
}

function* plannedFindings(topic: PlannedTopic, input: CheckInput): Generator<Draft> {
  const found = topicIn(input.view, topic.name);
  if (found.kind === 'hidden') {
    yield error('topic-hidden', 'the user may not see it', `grant the user Describe on topic ${topic.name}`);
    return;
  }
  if (found.kind === 'missing') {
    yield missing(topic);
    return;
  }
  yield* rightFindings(topic, found, input.asAgent);
  yield* partitionFindings(topic, found, input);
  yield* replicationFindings(found, topic.replication, input.view.brokers);
  if (found.config.kind === 'unknown') {
    const advice = `grant the user DescribeConfigs on topic ${topic.name}, or look with kafka-configs.sh`;
    yield warning('config-unread', `its configuration could not be read: ${found.config.reason}`, advice);
    return;
  }
  yield* cleanupFindings(topic, found, input);
  if (topic.maxRecordBytes > 0) {
    yield* messageSizeFindings(found, topic.maxRecordBytes);
    yield* timestampFindings(found, inputsOf(topic, input.agents), input.view);
  }
}

function missing({ kind, uses, selfCreated }: PlannedTopic): Draft {
  const create = 'create it: topics apply';
  if (selfCreated) {
    const what = kind === 'changelog' ? 'an empty state' : "the brokers' configuration";
    return warning('topic-missing', `it does not exist: the agent would create it, with ${what}`, create);
  }
  const { agent = '', use = '' } = uses[0] ?? {};
  const wait = use === 'input' ? `${agent} has nothing to read` : `${agent} waits for it at its first refusal`;
  return error('topic-missing', `it does not exist: ${wait}`, create);
}

const needed: Readonly<Record<PlannedTopic['uses'][number]['use'], readonly TopicRight[]>> = {
  input: ['Read'],
  'dead letters': ['Write'],
  changelog: ['Read', 'Write'],
};

function* rightFindings({ name, uses }: PlannedTopic, { rights: granted }: Found, asAgent: boolean): Generator<Draft> {
  if (granted === undefined) return;
  const lacking = [...new Set(uses.flatMap(({ use }) => needed[use]))].filter((right) => !granted.has(right));
  if (lacking.length === 0) return;
  const message = `the user may not ${lacking.join(' and ')}, which the agent must`;
  const whom = asAgent ? 'the user' : 'the user of the agent';
  const advice = `grant ${whom} ${lacking.join(' and ')} on topic ${name}`;
  // Who looks from outside may well have other rights than the agent.
  yield { level: asAgent ? 'error' : 'note', code: 'right-missing', message, advice };
}

const addingPartitions = '"Adding partitions" in docs/operations.md';

function* partitionFindings(topic: PlannedTopic, found: Found, input: CheckInput): Generator<Draft> {
  const count = found.partitions.length;
  if (topic.input !== undefined) {
    const source = topicIn(input.view, topic.input);
    if (source.kind === 'there' && source.partitions.length !== count) {
      const message = partitionMismatch(topic.name, count, topic.input, source.partitions.length);
      yield error('not-copartitioned', message, `${addingPartitions}; topics apply never changes partitions`);
    }
    return;
  }
  for (const agent of input.agents) {
    if (agent.inputTopic !== topic.name) continue;
    const living = input.view.members.get(agent.groupId) ?? 0;
    const wanted = Math.max(input.replicas ?? 0, living);
    if (wanted <= count) continue;
    const who = living >= wanted ? `members of ${agent.groupId}` : `instances of ${agent.agent}`;
    yield warning(
      'partitions-few',
      `it has ${counted(count, 'partition')} for ${wanted} ${who}: a partition is read by one of them, so ${wanted - count} get nothing to do`,
      `run at most ${count}, or follow ${addingPartitions}`,
    );
  }
  if (count !== topic.partitions) {
    const message = `it has ${counted(count, 'partition')}, and KAFNUS_TOPIC_PARTITIONS says ${topic.partitions}`;
    yield note(
      'partitions-differ',
      message,
      `nothing, if that was chosen; for more of them follow ${addingPartitions}`,
    );
  }
}

/**
 * How safe what is acknowledged is, and whether it can be written now.
 * @param wanted replicas; -1: not said
 */
function* replicationFindings(found: Found, wanted: number, brokers: number): Generator<Draft> {
  const replicas = Math.min(...found.partitions.map((partition) => partition.replicas));
  const reassign = 'give it more replicas with kafka-reassign-partitions.sh';
  if (replicas === 1 && brokers > 1) {
    const message = `it has a single replica on a cluster of ${brokers} brokers: when that broker is lost, so are its records`;
    yield { level: wanted === 1 ? 'note' : 'error', code: 'replication-low', message, advice: reassign };
  } else if (replicas < wanted) {
    yield warning('replication-low', `it has ${counted(replicas, 'replica')} of ${wanted}`, reassign);
  }

  const least = number(found, 'min.insync.replicas');
  if (least !== undefined && least > replicas) {
    const message = `min.insync.replicas is ${least}, and it has ${counted(replicas, 'replica')}: no write is taken`;
    yield error('min-isr-high', message, setIt, fix('min.insync.replicas', minInSync(replicas)));
  } else if (least !== undefined && least === replicas && replicas > 1) {
    const message = `min.insync.replicas is ${least}, as many as it has replicas: no write is taken while one broker is down`;
    yield warning('min-isr-high', message, setIt, fix('min.insync.replicas', minInSync(replicas)));
  } else if (least === 1 && replicas >= 3) {
    const message = `min.insync.replicas is 1: what one broker has counts as written, and is lost with it`;
    yield warning('min-isr-low', message, setIt, fix('min.insync.replicas', minInSync(replicas)));
  }
  if (text(found, 'unclean.leader.election.enable') === 'true') {
    const message = `unclean.leader.election.enable is true: committed records are lost when all good replicas are away`;
    yield warning('unclean-election', message, setIt, fix('unclean.leader.election.enable', 'false'));
  }

  const { partitions: all } = found;
  const offline = all.filter(({ hasLeader }) => !hasLeader);
  if (offline.length > 0) {
    const message = `${partitionList(offline)} without a leader: nothing is read or written there`;
    yield error('partition-offline', message, 'start the brokers that have its replicas');
  }
  const behind = all.filter((partition) => partition.hasLeader && partition.inSync < partition.replicas);
  const stopped = behind.filter(({ inSync }) => least !== undefined && inSync < least);
  const checkReplicas = 'look why the brokers of the missing replicas are down or slow';
  if (stopped.length > 0) {
    const message = `${partitionList(stopped)} with fewer replicas in sync than min.insync.replicas (${least}): no write is taken`;
    yield error('partition-behind', message, checkReplicas);
  } else if (behind.length > 0) {
    yield warning('partition-behind', `${partitionList(behind)} with replicas that are behind or gone`, checkReplicas);
  }
}

/** What is deleted, and when. */
function* cleanupFindings(topic: PlannedTopic, found: Found, input: CheckInput): Generator<Draft> {
  const policy = text(found, 'cleanup.policy');
  if (topic.kind === 'changelog') {
    if (policy !== undefined && policy !== 'compact') {
      const lost = policy.includes('delete')
        ? 'state that is older than its retention is lost'
        : 'it grows without an end';
      yield error('cleanup-policy', `cleanup.policy is ${policy}: ${lost}`, setIt, fix('cleanup.policy', 'compact'));
    }
    const segment = number(found, 'segment.bytes');
    if (segment !== undefined && segment > changelogSegmentBytes) {
      const message = `segment.bytes is ${segment}: the newest segment is never compacted, and a restore reads all of it`;
      yield note('segments-large', message, setIt, fix('segment.bytes', changelogSegmentBytes));
    }
    return;
  }
  if (policy?.includes('compact') === true) {
    const message = `cleanup.policy is ${policy}: of the records of one key only the newest is kept, the others are lost`;
    yield error('cleanup-policy', message, setIt, fix('cleanup.policy', 'delete'));
  }
  yield* retentionFindings(topic, found, input);
  const bytes = number(found, 'retention.bytes');
  if (bytes !== undefined && bytes >= 0) {
    const message = `retention.bytes is ${bytes}: beyond that, records of a partition are deleted, whether they were read or not`;
    yield warning(
      'retention-bytes',
      message,
      'make sure that as much comes in no less than retention.ms, or set it to -1',
    );
  }
  if (topic.kind === 'raw' && text(found, 'message.timestamp.type') === 'LogAppendTime') {
    const message =
      'message.timestamp.type is LogAppendTime: recvtime tells when the broker got a record, also when it is sent again';
    yield note('timestamp-type', message, 'nothing, if that was chosen');
  }
}

function* retentionFindings(topic: PlannedTopic, found: Found, input: CheckInput): Generator<Draft> {
  const retentionMs = milliseconds(found, 'retention.ms');
  if (retentionMs === undefined) return;
  const planned = topic.kind === 'raw' ? rawRetentionMs : deadLetterRetentionMs;
  if (retentionMs < leastRetentionMs) {
    const message = `records are deleted after ${duration(retentionMs)} (retention.ms), also those that nobody has read: an agent that stands still for as long has lost them`;
    yield warning('retention-short', message, setIt, fix('retention.ms', planned));
    return;
  }
  if (topic.kind !== 'dead-letter') return;
  const raw = longestRetention(inputsOf(topic, input.agents), input.view);
  if (Number.isFinite(raw) && retentionMs < raw) {
    const message = `refusals are deleted after ${duration(retentionMs)} (retention.ms), before the raw records (${duration(raw)}): raise it`;
    yield warning('retention-short', message, setIt, fix('retention.ms', Math.max(planned, raw)));
  }
}

function* outputFindings({ agent, name }: OutputTopic, view: ClusterView): Generator<Draft> {
  const found = topicIn(view, name);
  if (found.kind !== 'there') return;
  const count = found.partitions.length;
  if (count !== agent.partitions) {
    const message = `it has ${counted(count, 'partition')}, and KAFNUS_TOPIC_PARTITIONS says ${agent.partitions}: its sink can run as many tasks as it has partitions`;
    yield note(
      'partitions-differ',
      message,
      `nothing, if that was chosen; for more of them follow ${addingPartitions}`,
    );
  }
  yield* replicationFindings(found, agent.replication, view.brokers);
  const policy = text(found, 'cleanup.policy');
  if (policy?.includes('compact') === true) {
    const message = `cleanup.policy is ${policy}: keys hold the entity id only, so records of other entities are dropped (SPEC 8)`;
    yield error('cleanup-policy', message, setIt, fix('cleanup.policy', 'delete'));
  }
  const raw = longestRetention([agent], view);
  const retentionMs = milliseconds(found, 'retention.ms');
  if (retentionMs !== undefined && Number.isFinite(raw) && retentionMs < raw) {
    const message = `records are deleted after ${duration(retentionMs)} (retention.ms), by the time of the raw record: what is read ${duration(retentionMs)} late is gone before a sink sees it, and ${agent.inputTopic} keeps ${duration(raw)}`;
    yield warning('retention-short', message, setIt, fix('retention.ms', raw));
  }
  yield* messageSizeFindings(found, agent.maxRecordBytes);
  yield* timestampFindings(found, [agent], view);
}

function* messageSizeFindings(found: Found, largest: number): Generator<Draft> {
  const limit = number(found, 'max.message.bytes');
  if (limit === undefined || limit >= largest) return;
  const message = `max.message.bytes is ${limit}, and the agent writes records and batches of up to ${largest} bytes (message.max.bytes): the broker refuses what is larger`;
  yield error('message-size', message, setIt, fix('max.message.bytes', largest));
}

/**
 * Outputs, dead letters and changelog have the time of the raw record (SPEC 3), which may be as old
 * as the retention of its topic, and as far ahead of the clock as the agent leaves it.
 */
function* timestampFindings(found: Found, inputsFrom: readonly AgentTopics[], view: ClusterView): Generator<Draft> {
  // The broker overwrites the time, and checks none.
  if (text(found, 'message.timestamp.type') === 'LogAppendTime') return;
  const before = milliseconds(found, 'message.timestamp.before.max.ms');
  if (before !== undefined && before < longestRetention(inputsFrom, view)) {
    const message = `message.timestamp.before.max.ms is ${duration(before)}: the broker refuses the records that are made of older raw records`;
    yield error('timestamp-limit', message, setIt, fix('message.timestamp.before.max.ms', noTimestampLimit));
  }
  const after = milliseconds(found, 'message.timestamp.after.max.ms');
  const aheadMs = Math.max(0, ...inputsFrom.map((agent) => agent.aheadMs));
  if (after !== undefined && after < aheadMs) {
    const message = `message.timestamp.after.max.ms is ${duration(after)}: the broker refuses the records that are made of raw records further ahead of its clock, and the agent writes them up to ${duration(aheadMs)} ahead`;
    yield error('timestamp-limit', message, setIt, fix('message.timestamp.after.max.ms', brokerAheadMs));
  }
}

/** Kafka's default of limits that are none: the largest long. */
const noTimestampLimit = '9223372036854775807';
/** No retention of a topic that is used is longer: 285,000 years are no limit. */
const foreverMs = Number.MAX_SAFE_INTEGER;

const setIt = 'set it: topics apply --update-config';

type DraftOf = (code: TopicFindingCode, message: string, advice: string, fix?: Fix) => Draft;

const draftOf =
  (level: FindingLevel): DraftOf =>
  (code, message, advice, fix) => ({ level, code, message, advice, ...(fix && { fix }) });
const error = draftOf('error');
const warning = draftOf('warning');
const note = draftOf('note');

function fix(setting: CheckedSetting, value: string | number): Fix {
  return { setting, value: String(value) };
}

/** The agents whose records can get into the topic. */
function inputsOf({ name }: PlannedTopic, agents: readonly AgentTopics[]): AgentTopics[] {
  return agents.filter(({ deadLetterTopic, changelog }) => deadLetterTopic === name || changelog === name);
}

/** The longest retention of these agents' inputs, ms: Infinity for ever, 0 when none is known. */
function longestRetention(agents: readonly AgentTopics[], view: ClusterView): number {
  const known = agents.map(({ inputTopic }) => {
    const found = topicIn(view, inputTopic);
    return found.kind === 'there' ? (milliseconds(found, 'retention.ms') ?? 0) : 0;
  });
  return Math.max(0, ...known);
}

function text({ config }: Found, setting: CheckedSetting): string | undefined {
  return config.kind === 'known' ? config.values.get(setting) : undefined;
}

function number(found: Found, setting: CheckedSetting): number | undefined {
  const value = Number(text(found, setting) ?? Number.NaN);
  return Number.isFinite(value) ? value : undefined;
}

/** -1, and what is as good as it, is Infinity. */
function milliseconds(found: Found, setting: CheckedSetting): number | undefined {
  const value = number(found, setting);
  return value !== undefined && (value < 0 || value >= foreverMs) ? Infinity : value;
}
