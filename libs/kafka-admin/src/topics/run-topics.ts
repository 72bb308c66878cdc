/** `topics plan`, `apply` and `check`: the steps, and what is reported of them. */
import type { KafkaConnectionConfig } from '../connection-config.js';
import { hasNoErrors, sortedFindings } from '../finding.js';
import { checkTopics, type OutputTopic } from './topic-check.js';
import { TopicCluster, type Outcome } from './topic-cluster.js';
import type { TopicFinding } from './topic-finding.js';
import { planTopics, topicNamesOf, type AgentTopics, type PlannedTopic } from './topic-plan.js';
import { topicIn, type ClusterView } from './cluster-view.js';

export const topicActions = ['plan', 'apply', 'check'] as const;
export type TopicAction = (typeof topicActions)[number];

/** What plan, apply and check do: for the help of this program and of `kafnus topics`. */
export const topicsSummary = `  plan   tells which topics there should be, and why they are as they are; changes nothing
  apply  creates those that are missing; what is there stays as it is, above all its partitions
  check  compares what is there with the plan, and tells what to do about each difference`;

/** The options that both programs have besides their settings. */
export const topicsOptions = `  --replicas N     instances of an agent that are to run: are there partitions for all of them
  --update-config  apply only: also change configuration that does harm; check says which that is
  --json           print one JSON object`;

export interface TopicsRequest {
  readonly action: TopicAction;
  readonly agents: readonly AgentTopics[];
  /** How to reach the cluster. */
  readonly config: KafkaConnectionConfig;
  readonly clientId: string;
  /** The agent that writes to a topic, when it is an output topic of one. */
  readonly outputOf?: (topic: string) => AgentTopics | undefined;
  /** Instances of each agent that are to run. */
  readonly replicas?: number | undefined;
  /** apply: also change configuration that does harm. */
  readonly updateConfig: boolean;
  /** The user is the agent's own. */
  readonly asAgent: boolean;
}

/** What `apply` did to a topic, or why it did not. */
interface TopicStep {
  readonly topic: string;
  readonly did: 'created' | 'configured' | 'refused';
  readonly detail: string;
}

export interface TopicsReport {
  readonly action: TopicAction;
  readonly servers: string;
  readonly view: ClusterView;
  readonly plan: readonly PlannedTopic[];
  readonly outputs: readonly OutputTopic[];
  readonly steps: readonly TopicStep[];
  /** As the topics are now, sorted. */
  readonly findings: readonly TopicFinding[];
  /** Nothing is an error, and nothing was refused; `plan` is never an error. */
  readonly ok: boolean;
}

/** A fix may require another one: a retention must be as long as that of the input. */
const updateRounds = 4;

/** @throws Error when the cluster does not answer, or breaks off */
export async function runTopics(request: TopicsRequest): Promise<TopicsReport> {
  const { action, agents, config } = request;
  const cluster = await TopicCluster.connect(config, request.clientId);
  try {
    const outputs = await outputsOf(cluster, request);
    const readView = (created: readonly string[] = []): Promise<ClusterView> =>
      cluster.view(
        [...topicNamesOf(agents), ...outputs.map(({ name }) => name)],
        agents.map(({ groupId }) => groupId),
        created,
      );
    const evaluate = (view: ClusterView): { readonly plan: PlannedTopic[]; readonly findings: TopicFinding[] } => {
      const plan = planTopics(agents, view);
      const findings = sortedFindings(checkTopics({ ...request, plan, outputs, view }), ({ topic }) => topic);
      // What is missing is the plan itself.
      return { plan, findings: findings.filter(({ code }) => action !== 'plan' || code !== 'topic-missing') };
    };

    let view = await readView();
    const steps: TopicStep[] = [];
    if (action === 'apply') {
      const made = await createMissing(cluster, agents, view);
      steps.push(...made.steps);
      view = await readView(made.there);
      for (let round = 0; request.updateConfig && round < updateRounds; round += 1) {
        const configured = await setConfigs(cluster, evaluate(view).findings);
        steps.push(...configured);
        if (configured.length === 0) break;
        view = await readView();
        if (configured.some(({ did }) => did === 'refused')) break;
      }
    }
    const { plan, findings } = evaluate(view);
    const ok = action === 'plan' || (hasNoErrors(findings) && steps.every(({ did }) => did !== 'refused'));
    return { action, servers: config.kafkaBrokers, view, plan, outputs, steps, findings, ok };
  } finally {
    await cluster.close();
  }
}

async function outputsOf(cluster: TopicCluster, { agents, outputOf }: TopicsRequest): Promise<OutputTopic[]> {
  if (outputOf === undefined) return [];
  const own = new Set(topicNamesOf(agents));
  return (await cluster.allTopics()).sort().flatMap((name) => {
    const agent = own.has(name) ? undefined : outputOf(name);
    return agent === undefined ? [] : [{ name, agent }];
  });
}

/** What became of missing topics. */
interface Creation {
  readonly steps: readonly TopicStep[];
  /** Those that are there now, whoever created them. */
  readonly there: readonly string[];
}

/** Inputs first, and then what follows from how many partitions they have. */
async function createMissing(
  cluster: TopicCluster,
  agents: readonly AgentTopics[],
  before: ClusterView,
): Promise<Creation> {
  const others = planTopics(agents, before).filter(({ kind }) => kind !== 'changelog');
  const first = await createAll(cluster, others, before);
  const view = await cluster.view(topicNamesOf(agents), [], first.there);
  const changelogs = planTopics(agents, view).filter(({ kind }) => kind === 'changelog');
  const second = await createAll(cluster, changelogs, view);
  return { steps: [...first.steps, ...second.steps], there: [...first.there, ...second.there] };
}

async function createAll(cluster: TopicCluster, topics: readonly PlannedTopic[], view: ClusterView): Promise<Creation> {
  const steps: TopicStep[] = [];
  const there: string[] = [];
  for (const topic of topics) {
    const { name } = topic;
    const seen = topicIn(view, name);
    if (seen.kind === 'there') {
      // Created a moment ago by another process, it may be unknown to the next broker.
      if (seen.partitions.every(({ hasLeader }) => hasLeader)) there.push(name);
      continue;
    }
    const outcome =
      seen.kind === 'hidden' ? hiddenRefusal(topic) : (inputMissing(topic, view) ?? (await cluster.create(topic)));
    if (outcome.kind === 'refused') {
      steps.push({ topic: name, did: 'refused', detail: outcome.reason });
      continue;
    }
    there.push(name);
    // What another process has just created shows in the findings, if it does not fit.
    if (outcome.kind === 'done') steps.push({ topic: name, did: 'created', detail: createdText(topic) });
  }
  return { steps, there };
}

function createdText({ partitions, replication, settings }: PlannedTopic): string {
  const replicas = replication === -1 ? "the brokers' default of replicas" : `${replication} replicas`;
  return [`${partitions} partitions`, replicas, ...settings.map(({ name, value }) => `${name}=${value}`)].join(', ');
}

/** It may exist or not. */
function hiddenRefusal({ name }: PlannedTopic): Outcome {
  const reason = `not authorised: grant the user Describe, and Create if it is missing, on topic ${name}`;
  return { kind: 'refused', reason };
}

/** A changelog without its input would get a number of partitions that is only a guess. */
function inputMissing({ input }: PlannedTopic, view: ClusterView): Outcome | undefined {
  if (input === undefined || topicIn(view, input).kind === 'there') return undefined;
  return { kind: 'refused', reason: `not created: it must have as many partitions as ${input}, which is not there` };
}

async function setConfigs(cluster: TopicCluster, findings: readonly TopicFinding[]): Promise<TopicStep[]> {
  const wanted = new Map<string, Map<string, string>>();
  for (const { topic, fix } of findings) {
    if (fix === undefined) continue;
    const settings = wanted.get(topic) ?? new Map<string, string>();
    wanted.set(topic, settings.set(fix.setting, fix.value));
  }
  const steps: TopicStep[] = [];
  for (const [topic, settings] of wanted) {
    const change = [...settings].map(([name, value]) => `${name}=${value}`).join(', ');
    const outcome = await cluster.setConfig(topic, settings);
    steps.push(
      outcome.kind === 'refused'
        ? { topic, did: 'refused', detail: `${change}: ${outcome.reason}` }
        : { topic, did: 'configured', detail: change },
    );
  }
  return steps;
}
