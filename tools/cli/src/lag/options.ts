/** What `kafnus lag` and `kafnus top` have in common: which agents, which thresholds, which instances. */
import { agentNames } from '@kafnus/ngsi-core';
import { UsageError, type Io } from '../command.js';
import { inputOf, namesOf } from '../kafka/names.js';
import { connection } from '../kafka/settings.js';
import { duration, wholeNumber } from '../options.js';
import { quoted } from '../terminal/text.js';
import type { Limits } from './findings.js';
import { healthUrl } from './health.js';
import { Observer, type Target } from './observer.js';
import type { AgentSight, Snapshot } from './snapshot.js';

export const lagOptions = {
  agent: { type: 'string', multiple: true, default: [] as string[] },
  group: { type: 'string' },
  'input-topic': { type: 'string' },
  health: { type: 'string', multiple: true, default: [] as string[] },
  'max-lag': { type: 'string' },
  'max-age': { type: 'string' },
  interval: { type: 'string' },
  brokers: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const;

/** Their help, in the help of both. */
export const LAG_OPTIONS_HELP = `  --agent NAME         historic, lastdata, mutable or errors; may be repeated (default: those that
                       have a topic or a group)
  --group NAME         of one --agent: its consumer group (default: ngsi-agent-NAME)
  --input-topic TOPIC  of one --agent: its input (default: raw_NAME after KAFNUS_TOPIC_PREFIX)
  --health LIST        host:port,... of instances: their state, restores, rejects by reason
  --max-lag N          more records that wait in an input are an error
  --max-age TIME       an older record that waits is an error
  --brokers LIST       host:port,... (default: KAFNUS_KAFKA_BROKERS); TLS and SASL are set by
                       KAFNUS_KAFKA_... as for the agents
`;

interface Values {
  readonly agent: readonly string[];
  readonly group?: string | undefined;
  readonly 'input-topic'?: string | undefined;
  readonly health: readonly string[];
  readonly 'max-lag'?: string | undefined;
  readonly 'max-age'?: string | undefined;
  readonly interval?: string | undefined;
  readonly brokers?: string | undefined;
}

export interface Watch {
  readonly open: () => Promise<Observer>;
  readonly limits: Limits;
  readonly intervalMs: number;
  /** Agents that are to be there; the others are left out where neither their topic nor their group is. */
  readonly named: ReadonlySet<string>;
}

/** @throws UsageError, ConfigurationError */
export function watchOf(values: Values, defaultInterval: string, io: Io): Watch {
  const { group, 'input-topic': topic } = values;
  const unknown = values.agent.find((name) => !agentNames.some((agent) => agent === name));
  if (unknown !== undefined)
    throw new UsageError(`--agent must be of ${agentNames.join(', ')}, not ${quoted(unknown)}`);
  if ((group !== undefined || topic !== undefined) && values.agent.length !== 1) {
    throw new UsageError('--group and --input-topic are for one agent: say which with --agent');
  }
  if (topic !== undefined && !/^[A-Za-z0-9._-]{1,249}$/.test(topic)) {
    throw new UsageError(
      `--input-topic ${quoted(topic)} is no legal topic name: letters, digits, dots, dashes and underscores`,
    );
  }
  const names = namesOf(io.env);
  const targets = agentNames
    .filter((agent) => values.agent.length === 0 || values.agent.includes(agent))
    .map((agent): Target => ({ agent, group: group ?? `ngsi-agent-${agent}`, topic: topic ?? inputOf(names, agent) }));
  const health = values.health
    .flatMap((list) => list.split(','))
    .filter((each) => each.trim() !== '')
    .map(healthUrl);
  const intervalMs = duration('--interval', values.interval ?? defaultInterval);
  if (intervalMs < 500) throw new UsageError(`--interval must be 500ms or more, not ${quoted(values.interval ?? '')}`);
  const limits: Limits = {
    maxLag: values['max-lag'] === undefined ? Infinity : wholeNumber('--max-lag', values['max-lag'], 0),
    maxAge: values['max-age'] === undefined ? Infinity : duration('--max-age', values['max-age']),
  };
  const kafka = connection(io.env, values.brokers);
  return { open: () => Observer.connect(kafka, targets, health), limits, intervalMs, named: new Set(values.agent) };
}

/** Without the agents that nobody asked for and of which there is nothing. @throws Error when nothing is left */
export function present(snapshot: Snapshot, { named }: Watch): Snapshot {
  const isThere = ({ agent, topicExists, state }: AgentSight): boolean =>
    topicExists || named.has(agent) || state !== 'none';
  const agents = snapshot.agents.filter(isThere);
  if (agents.length > 0) return { ...snapshot, agents };
  const topics = snapshot.agents.map(({ topic }) => topic).join(', ');
  throw new Error(
    `none of the topics ${topics} exists: create them with kafnus topics, or correct --brokers or KAFNUS_TOPIC_PREFIX`,
  );
}
