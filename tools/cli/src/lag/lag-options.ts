/** The options that `kafnus lag` and `kafnus top` share: agents, limits and instances. */
import { agentNames } from '@kafnus/ngsi-core';
import { UsageError, type Io } from '../command.js';
import { inputOf, namesOf } from '../kafka/topic-names.js';
import { connection } from '../kafka/connection.js';
import { duration, requireTopicName, wholeNumber } from '../options.js';
import { quoted } from '../terminal/text.js';
import type { LagLimits } from './lag-findings.js';
import { healthUrl } from './agent-health.js';
import { LagObserver, type WatchedAgent } from './lag-observer.js';
import type { AgentSnapshot, Snapshot } from './lag-snapshot.js';

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

/** Part of the help of both commands. */
export const lagOptionsHelp = `  --agent NAME         historic, lastdata, mutable or errors; may be repeated (default: those that
                       have a topic or a group)
  --group NAME         consumer group of one --agent (default: ngsi-agent-NAME)
  --input-topic TOPIC  input of one --agent (default: raw_NAME after KAFNUS_TOPIC_PREFIX)
  --health LIST        host:port,... of instances, to show their state, restores and rejects
  --max-lag N          a larger lag of an input is an error
  --max-age TIME       an older unprocessed record is an error
  --brokers LIST       host:port,... (default: KAFNUS_KAFKA_BROKERS); TLS and SASL are set by
                       KAFNUS_KAFKA_... as for the agents
`;

interface LagOptionValues {
  readonly agent: readonly string[];
  readonly group?: string | undefined;
  readonly 'input-topic'?: string | undefined;
  readonly health: readonly string[];
  readonly 'max-lag'?: string | undefined;
  readonly 'max-age'?: string | undefined;
  readonly interval?: string | undefined;
  readonly brokers?: string | undefined;
}

export interface WatchOptions {
  readonly open: () => Promise<LagObserver>;
  readonly limits: LagLimits;
  readonly intervalMs: number;
  /**
   * The agents that the user names. Others are left out when they have neither a topic nor a group.
   */
  readonly named: ReadonlySet<string>;
}

/** @throws UsageError, ConfigurationError */
export function watchOptions(values: LagOptionValues, defaultInterval: string, io: Io): WatchOptions {
  const { group, 'input-topic': topic } = values;
  const unknown = values.agent.find((name) => !agentNames.some((agent) => agent === name));
  if (unknown !== undefined)
    throw new UsageError(`--agent must be of ${agentNames.join(', ')}, not ${quoted(unknown)}`);
  if ((group !== undefined || topic !== undefined) && values.agent.length !== 1) {
    throw new UsageError('--group and --input-topic are for one agent: name it with --agent');
  }
  if (topic !== undefined) requireTopicName('--input-topic', topic);
  const names = namesOf(io.env);
  const targets = agentNames
    .filter((agent) => values.agent.length === 0 || values.agent.includes(agent))
    .map((agent): WatchedAgent => ({
      agent,
      group: group ?? `ngsi-agent-${agent}`,
      topic: topic ?? inputOf(names, agent),
    }));
  const health = values.health
    .flatMap((list) => list.split(','))
    .filter((each) => each.trim() !== '')
    .map(healthUrl);
  const intervalMs = duration('--interval', values.interval ?? defaultInterval);
  if (intervalMs < 500) throw new UsageError(`--interval must be 500ms or more, not ${quoted(values.interval ?? '')}`);
  const limits: LagLimits = {
    maxLag: values['max-lag'] === undefined ? Infinity : wholeNumber('--max-lag', values['max-lag'], 0),
    maxAge: values['max-age'] === undefined ? Infinity : duration('--max-age', values['max-age']),
  };
  const kafka = connection(io.env, values.brokers);
  return { open: () => LagObserver.connect(kafka, targets, health), limits, intervalMs, named: new Set(values.agent) };
}

/**
 * Without the agents that the user does not name and that have neither topic nor group.
 * @throws Error when none is left
 */
export function knownAgents(snapshot: Snapshot, { named }: WatchOptions): Snapshot {
  const isKnown = ({ agent, topicExists, state }: AgentSnapshot): boolean =>
    topicExists || named.has(agent) || state !== 'none';
  const agents = snapshot.agents.filter(isKnown);
  if (agents.length > 0) return { ...snapshot, agents };
  const topics = snapshot.agents.map(({ topic }) => topic).join(', ');
  throw new Error(
    `none of the topics ${topics} exists: create them with kafnus topics, or correct --brokers or KAFNUS_TOPIC_PREFIX`,
  );
}
