/** What plan, apply and check found and did: as text for people, and as JSON for scripts. */
import { findingLevels, levelCounts } from '../finding.js';
import type { Fix, TopicFinding } from './topic-finding.js';
import type { PlannedTopic } from './topic-plan.js';
import type { TopicsReport } from './run-topics.js';
import { topicIn, type TopicView } from './cluster-view.js';

/** Everything, as one line of JSON. */
export function topicsJson(report: TopicsReport): string {
  const { action, servers, view, plan, outputs, steps, findings, ok } = report;
  return `${JSON.stringify({
    command: `topics ${action}`,
    servers,
    brokers: view.brokers,
    members: Object.fromEntries(view.members),
    ok,
    topics: plan.map((topic) => ({
      name: topic.name,
      kind: topic.kind,
      uses: topic.uses,
      planned: {
        partitions: topic.partitions,
        replication: topic.replication,
        config: topic.settings.map(({ name, value, reason }) => ({ name, value, reason })),
      },
      found: foundJson(topicIn(view, topic.name)),
    })),
    outputs: outputs.map(({ name, agent }) => ({ name, agent: agent.agent, found: foundJson(topicIn(view, name)) })),
    steps,
    findings,
  })}\n`;
}

function foundJson(view: TopicView): object {
  if (view.kind !== 'there') return { state: view.kind };
  return {
    state: view.kind,
    partitions: view.partitions.length,
    replication: replicasOf(view),
    config: view.config.kind === 'known' ? Object.fromEntries(view.config.values) : null,
  };
}

/** For a terminal, or the log of a job. */
export function topicsText(report: TopicsReport): string {
  const { action, servers, view, plan, outputs } = report;
  const brokers = `${view.brokers} broker${view.brokers === 1 ? '' : 's'}`;
  const rows = [
    ['topic', 'for', 'partitions', 'replicas', 'now'],
    ...plan.map((topic) => planRow(topic, report)),
    ...outputs.map(({ name, agent }) => outputRow(name, agent.agent, report)),
  ];
  return [
    `topics ${action}: ${servers}, ${brokers}`,
    '',
    ...columns(rows),
    ...(action === 'plan' ? settingLines(plan) : []),
    ...stepLines(report),
    ...report.findings.flatMap(findingLines),
    '',
    verdict(report),
    '',
  ].join('\n');
}

function planRow(topic: PlannedTopic, report: TopicsReport): string[] {
  const found = topicIn(report.view, topic.name);
  const there = found.kind === 'there';
  const replication = topic.replication === -1 ? (report.view.defaultReplication ?? 'default') : topic.replication;
  return [
    topic.name,
    usesText(topic.uses),
    String(there ? found.partitions.length : topic.partitions),
    String(there ? replicasOf(found) : replication),
    standing(topic.name, report),
  ];
}

/** `input of errors, dead letters of historic, lastdata` */
function usesText(uses: PlannedTopic['uses']): string {
  const kinds = [...new Set(uses.map(({ use }) => use))];
  return kinds
    .map((kind) => `${kind} of ${uses.flatMap(({ agent, use }) => (use === kind ? [agent] : [])).join(', ')}`)
    .join('; ');
}

function outputRow(name: string, agent: string, report: TopicsReport): string[] {
  const found = topicIn(report.view, name);
  const there = found.kind === 'there';
  const counts = there ? [String(found.partitions.length), String(replicasOf(found))] : ['', ''];
  return [name, `output of ${agent}`, ...counts, standing(name, report)];
}

function replicasOf(view: Extract<TopicView, { kind: 'there' }>): number {
  return Math.min(...view.partitions.map(({ replicas }) => replicas));
}

function standing(topic: string, { action, view, findings }: TopicsReport): string {
  const { kind } = topicIn(view, topic);
  if (kind === 'hidden') return 'not visible';
  if (kind === 'missing') return action === 'plan' ? 'would be created' : 'missing';
  const own = findings.filter((finding) => finding.topic === topic && finding.level !== 'note');
  const worst = findingLevels.find((level) => own.some((finding) => finding.level === level));
  return worst === undefined ? 'fits' : `${own.length} ${worst}${own.length === 1 ? '' : 's'}`;
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** Topics with the same settings together. */
function settingLines(plan: readonly PlannedTopic[]): string[] {
  const names = new Map<string, string[]>();
  for (const { name, settings } of plan) {
    const lines = columns(settings.map((setting) => [`  ${setting.name}=${setting.value}`, setting.reason])).join('\n');
    names.set(lines, [...(names.get(lines) ?? []), name]);
  }
  return [...names].flatMap(([lines, topics]) => ['', `${topics.join(', ')}:`, lines]);
}

function stepLines({ action, steps }: TopicsReport): string[] {
  if (action !== 'apply') return [];
  if (steps.length === 0) return ['', 'nothing to do: every topic is there'];
  return ['', ...steps.map(({ topic, did, detail }) => `${did} ${topic}: ${detail}`)];
}

const indent = '         ';

function findingLines({ level, code, topic, message, advice, fix }: TopicFinding): string[] {
  return [
    '',
    `${level.padEnd(indent.length - 1)} ${topic}  ${code}`,
    `${indent}${message}.`,
    `${indent}To do: ${advice}.`,
    ...(fix === undefined ? [] : [`${indent}Or:    ${configCommand(topic, fix)}`]),
  ];
}

/** The same change with Kafka's own tool, which wants brackets around a value with a comma. */
function configCommand(topic: string, { setting, value }: Fix): string {
  return `kafka-configs.sh --bootstrap-server ... --alter --topic ${topic} --add-config ${setting}=${value}`;
}

function verdict({ action, plan, view, findings, steps, ok }: TopicsReport): string {
  const refused = steps.filter(({ did }) => did === 'refused').length;
  const summary = [...(refused > 0 ? [`${refused} refused`] : []), ...levelCounts(findings)].join(', ');
  if (action === 'plan') {
    const missing = plan.filter(({ name }) => topicIn(view, name).kind === 'missing').length;
    const todo =
      missing === 0 ? 'every topic is there' : `topics apply would create ${missing} of ${plan.length} topics`;
    return summary === '' ? todo : `${todo}; of what is there: ${summary}`;
  }
  if (!ok) return summary;
  return summary === '' ? 'everything fits' : `it fits (${summary})`;
}
