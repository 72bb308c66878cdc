/**
 * Topic names: from templates to topics, and from a topic to its service (SPEC 1, 2 and 7).
 *
 * A template is text with exactly one `{service}` (`{db}` for the errors agent); `{prefix}` and
 * `{suffix}` are replaced at startup. A head and a tail around the service remain: a topic is a
 * concatenation, and the inverse needs no pattern matching.
 */
import { shown } from './text.js';

export type AgentName = 'historic' | 'lastdata' | 'mutable' | 'errors';

/** All agents, in the order of SPEC 1. */
export const agentNames: readonly AgentName[] = ['historic', 'lastdata', 'mutable', 'errors'];

/** The settings that decide topic names; an empty or missing topic means its default. */
export interface NamingOptions {
  /** `kafnus` selects the names of Kafnus 1.5, where historic writes to `{service}_historic`. */
  readonly naming: 'default' | 'kafnus';
  readonly prefix: string;
  readonly suffix: string;
  /** The agent to which the settings below belong. */
  readonly agent: AgentName;
  readonly inputTopic?: string;
  /** A template with `{service}` (or `{db}` for the errors agent). */
  readonly outputTopic?: string;
  readonly deadLetterTopic?: string;
}

/** An output template with prefix and suffix replaced: the service is between head and tail. */
interface TopicTemplate {
  readonly head: string;
  readonly tail: string;
  /** Whether it has text of its own beside prefix and suffix: not `{prefix}{service}{suffix}`. */
  readonly distinct: boolean;
}

/** The resolved names of one agent, and those of the other agents that it needs. */
export interface TopicNames {
  readonly agent: AgentName;
  readonly prefix: string;
  readonly suffix: string;
  /** The raw topic that this agent reads. */
  readonly input: string;
  /** The topic of this agent's rejected records: never its input. */
  readonly deadLetter: string;
  /** The output templates of all agents: this agent's as set, the others' by the naming. */
  readonly templates: Readonly<Record<AgentName, TopicTemplate>>;
  /** The input topics of all agents: this agent's as set, the others' by the naming. */
  readonly inputs: ReadonlySet<string>;
  /** Topics that no service may write to: inputs, dead-letter topics, Kafka's own topics. */
  readonly reserved: ReadonlySet<string>;
}

const legalTopic = /^[a-zA-Z0-9._-]{1,249}$/;
const legalAffix = /^[a-zA-Z0-9._-]*$/;
/** SPEC 2. */
const legalService = /^[a-z0-9_]{1,50}$/;
const maxServiceLength = 50;

/**
 * Written by the brokers themselves, and by Schema Registry, which a foreign record ends; all of
 * them are legal service names.
 */
const kafkaTopics = [
  '_schemas',
  '__consumer_offsets',
  '__transaction_state',
  '__share_group_state',
  '__cluster_metadata',
  '__remote_log_metadata',
];

const defaultOutputs: Readonly<Record<AgentName, string>> = {
  historic: '{prefix}{service}{suffix}',
  lastdata: '{prefix}{service}_lastdata{suffix}',
  mutable: '{prefix}{service}_mutable{suffix}',
  errors: '{prefix}{db}_error_log{suffix}',
};
const kafnusHistoric = '{prefix}{service}_historic{suffix}';
const defaultDeadLetter = '{prefix}raw_errors';
const defaultErrorsDeadLetter = '{prefix}raw_errors_dead';

/** The names of settings in messages. */
const settingNames = {
  prefix: 'topicPrefix (KAFNUS_TOPIC_PREFIX)',
  suffix: 'topicSuffix (KAFNUS_TOPIC_SUFFIX)',
  input: 'inputTopic (KAFNUS_INPUT_TOPIC)',
  output: 'outputTopic (KAFNUS_OUTPUT_TOPIC)',
  deadLetter: 'deadLetterTopic (KAFNUS_DEAD_LETTER_TOPIC)',
};

/**
 * Resolves the settings to names.
 * @throws Error naming the setting when it cannot make legal and unambiguous topic names
 */
export function topicNames(options: NamingOptions): TopicNames {
  const { agent, prefix, suffix } = options;
  requireAffix(settingNames.prefix, prefix);
  requireAffix(settingNames.suffix, suffix);
  const fixed = (template: string): string => fill(template, prefix, suffix);

  const input = fixed(options.inputTopic || `{prefix}raw_${agent}`);
  const deadLetter = fixed(
    options.deadLetterTopic || (agent === 'errors' ? defaultErrorsDeadLetter : defaultDeadLetter),
  );
  requireTopic(settingNames.input, input);
  requireTopic(settingNames.deadLetter, deadLetter);
  if (input === deadLetter) {
    throw new Error(
      `${settingNames.deadLetter} is "${deadLetter}", which is also the input topic: rejects would be read again`,
    );
  }

  const outputOf = (name: AgentName): TopicTemplate => {
    const byNaming = name === 'historic' && options.naming === 'kafnus' ? kafnusHistoric : defaultOutputs[name];
    return parseTemplate((name === agent && options.outputTopic) || byNaming, name, prefix, suffix);
  };
  const templates = {
    historic: outputOf('historic'),
    lastdata: outputOf('lastdata'),
    mutable: outputOf('mutable'),
    errors: outputOf('errors'),
  };

  const inputs = new Set([input, ...agentNames.map((name) => fixed(`{prefix}raw_${name}`))]);
  const reserved = new Set([
    ...inputs,
    deadLetter,
    fixed(defaultDeadLetter),
    fixed(defaultErrorsDeadLetter),
    ...kafkaTopics,
  ]);
  return { agent, prefix, suffix, input, deadLetter, templates, inputs, reserved };
}

/** The output topic of an agent for a service that has no {@link serviceProblem}. */
export function outputTopic(names: TopicNames, agent: AgentName, service: string): string {
  const { head, tail } = names.templates[agent];
  return head + service + tail;
}

/**
 * Why a service may not be used, or undefined when it may (SPEC 2): it is no legal name, or one of
 * its output topics is reserved or reads as a topic of another service.
 */
export function serviceProblem(names: TopicNames, service: string): string | undefined {
  if (!legalService.test(service)) {
    return `service ${shown(service)} is not allowed: it must be 1 to ${maxServiceLength} characters of a-z, 0-9 and _`;
  }
  for (const agent of agentNames) {
    const topic = outputTopic(names, agent, service);
    if (isReserved(names, topic)) {
      return `service "${service}" is not allowed: its ${agent} topic "${topic}" is an input, dead-letter or internal topic`;
    }
    const other = otherOwner(names, agent, service, topic);
    if (other !== undefined) {
      return `service "${service}" is not allowed: its ${agent} topic "${topic}" would be the ${other.agent} topic of service "${other.service}"`;
    }
  }
  return undefined;
}

/**
 * The service of an output topic: the inverse of {@link outputTopic} over all agents (SPEC 7). The
 * topics of Kafnus's HTTP and MongoDB sinks (`{prefix}{service}_http...{suffix}`,
 * `{prefix}{service}_mongo{suffix}`) count as well. An input, dead-letter or changelog topic has no
 * service.
 *
 * The most specific template that fits decides: `town_lastdata` is the lastdata topic of `town`,
 * not the historic topic of `town_lastdata`. Where a template is the service alone, as that of
 * historic in the default naming, `town_http` has two interpretations: `claimed` decides, if it is
 * one of them.
 *
 * The result is not checked: pass it to {@link serviceProblem}.
 * @param claimed the service that the record itself names
 */
export function serviceOfTopic(names: TopicNames, topic: string, claimed?: string): string | undefined {
  if (isReserved(names, topic)) return undefined;
  const bare: string[] = [];
  const distinct: { service: string; literal: number }[] = [];
  for (const agent of agentNames) {
    const template = names.templates[agent];
    const service = between(template, topic);
    if (!service) continue;
    if (template.distinct) distinct.push({ service, literal: literalLength(template) });
    // Nearly every topic fits such a template, so only a legal service counts.
    else if (serviceProblem(names, service) === undefined) bare.push(service);
  }
  distinct.sort((a, b) => b.literal - a.literal);
  const legal = distinct.find(({ service }) => legalService.test(service));
  if (legal) return legal.service;
  if (claimed !== undefined && bare.includes(claimed)) return claimed;
  return kafnusSinkService(names, topic, bare.length > 0) ?? distinct[0]?.service ?? bare[0];
}

/** Whether a topic is one that no service may own. */
function isReserved(names: TopicNames, topic: string): boolean {
  return names.reserved.has(topic) || topic.endsWith('-changelog');
}

/** The other service to which a topic of this service would belong by a more specific template. */
function otherOwner(
  names: TopicNames,
  agent: AgentName,
  service: string,
  topic: string,
): { agent: AgentName; service: string } | undefined {
  const own = names.templates[agent];
  for (const other of agentNames) {
    if (other === agent || !isMoreSpecific(names, other, agent, own)) continue;
    const reading = between(names.templates[other], topic);
    // An empty service counts: the service `_lastdata` is refused (SPEC 2).
    if (reading === undefined || reading === service) continue;
    if (reading === '' || legalService.test(reading)) return { agent: other, service: reading };
  }
  return undefined;
}

/**
 * Whether the template of another agent has more text of its own. Of two services that would share
 * a topic, the one with the less specific template is refused: `town_lastdata` (historic) and not
 * `town` (lastdata). On a tie the order of the agents decides, so all agents refuse the same one.
 */
function isMoreSpecific(names: TopicNames, other: AgentName, agent: AgentName, own: TopicTemplate): boolean {
  const difference = literalLength(names.templates[other]) - literalLength(own);
  return difference > 0 || (difference === 0 && agentNames.indexOf(other) < agentNames.indexOf(agent));
}

/** The service of a topic of Kafnus's HTTP and MongoDB sinks, whose failures arrive as well. */
function kafnusSinkService(names: TopicNames, topic: string, ambiguous: boolean): string | undefined {
  const middle = between({ head: names.prefix, tail: names.suffix }, topic);
  if (middle === undefined) return undefined;
  const http = middle.lastIndexOf('_http');
  // If the whole topic may be a service, only the plain ending `_http` counts as that of a sink.
  const end = http > 0 && !(ambiguous && http + '_http'.length < middle.length) ? http : mongoIndex(middle);
  const service = end > 0 ? middle.slice(0, end) : '';
  return legalService.test(service) ? service : undefined;
}

function mongoIndex(middle: string): number {
  return middle.endsWith('_mongo') ? middle.length - '_mongo'.length : -1;
}

/** The text between head and tail, possibly ''; undefined when the topic does not fit. */
function between(template: { readonly head: string; readonly tail: string }, topic: string): string | undefined {
  const { head, tail } = template;
  if (topic.length < head.length + tail.length || !topic.startsWith(head) || !topic.endsWith(tail)) return undefined;
  return topic.slice(head.length, topic.length - tail.length);
}

function literalLength(template: TopicTemplate): number {
  return template.head.length + template.tail.length;
}

function fill(template: string, prefix: string, suffix: string): string {
  return template.replaceAll('{prefix}', () => prefix).replaceAll('{suffix}', () => suffix);
}

/** Splits an output template at its service. */
function parseTemplate(template: string, agent: AgentName, prefix: string, suffix: string): TopicTemplate {
  const wanted = agent === 'errors' ? '{db}' : '{service}';
  const split = template.split(agent === 'errors' ? /\{db\}|\{service\}/ : '{service}');
  const [before, after] = split;
  if (before === undefined || after === undefined || split.length > 2) {
    throw new Error(`${settingNames.output} is "${template}": it must contain ${wanted} exactly once`);
  }
  const head = fill(before, prefix, suffix);
  const tail = fill(after, prefix, suffix);
  requireTopic(settingNames.output, `${head}${'s'.repeat(maxServiceLength)}${tail}`, template);
  if (tail.endsWith('-changelog')) {
    throw new Error(
      `${settingNames.output} is "${template}": topics that end in -changelog are the state of the agents`,
    );
  }
  return { head, tail, distinct: fill(before + after, '', '') !== '' };
}

function requireAffix(setting: string, value: string): void {
  if (legalAffix.test(value)) return;
  throw new Error(`${setting} is ${shown(value)}: a topic name may hold only a-z, A-Z, 0-9, ".", "_" and "-"`);
}

function requireTopic(setting: string, topic: string, template = topic): void {
  const unknown = /\{[^}]*\}?/.exec(topic);
  if (unknown) {
    const known = topic === template ? '{prefix} and {suffix}' : '{prefix}, {suffix} and {service} ({db} for errors)';
    throw new Error(`${setting} is ${shown(template)}: unknown placeholder ${unknown[0]}; known are ${known}`);
  }
  if (legalTopic.test(topic) && topic !== '.' && topic !== '..') return;
  throw new Error(
    `${setting} is ${shown(template)}: no legal topic name (1 to 249 of a-z, A-Z, 0-9, ".", "_" and "-", not "." or ".."; the longest service counts ${maxServiceLength})`,
  );
}
