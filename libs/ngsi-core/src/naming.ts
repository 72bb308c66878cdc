/**
 * Topic names: from templates to topics, and from a topic back to the service it belongs to (SPEC 1, 2 and 7).
 *
 * A template is text with exactly one `{service}` (`{db}` for the errors agent); `{prefix}` and `{suffix}` are filled in
 * at the start. What is left is a head and a tail around the service: a topic is one concatenation, and the way back
 * needs no pattern matching.
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
  /** Whose input, output and dead-letter topics the settings below are. */
  readonly agent: AgentName;
  readonly inputTopic?: string;
  /** A template with `{service}` (`{db}` is as good for the errors agent). */
  readonly outputTopic?: string;
  readonly deadLetterTopic?: string;
}

/** An output template with prefix and suffix filled in: the service stands between the two. */
interface TopicTemplate {
  readonly head: string;
  readonly tail: string;
  /** Whether anything but prefix and suffix tells its topics from others: false for `{prefix}{service}{suffix}`. */
  readonly distinct: boolean;
}

/** The names of one agent, fully resolved, and what it must know of the others'. */
export interface TopicNames {
  readonly agent: AgentName;
  readonly prefix: string;
  readonly suffix: string;
  /** The raw topic that this agent reads. */
  readonly input: string;
  /** Where this agent's rejects go: never its input. */
  readonly deadLetter: string;
  /** The output templates of all agents: this agent's as set, the others' by the naming. */
  readonly templates: Readonly<Record<AgentName, TopicTemplate>>;
  /** The input topics of all agents: this agent's as set, the others' by the naming. */
  readonly inputs: ReadonlySet<string>;
  /** Topics that no service may write to: inputs, dead letters, Kafka's own. */
  readonly reserved: ReadonlySet<string>;
}

const LEGAL_TOPIC = /^[a-zA-Z0-9._-]{1,249}$/;
const LEGAL_AFFIX = /^[a-zA-Z0-9._-]*$/;
/** SPEC 2. */
const LEGAL_SERVICE = /^[a-z0-9_]{1,50}$/;
const LONGEST_SERVICE = 50;

/** Written by the brokers themselves; all of them are legal service names. */
const KAFKA_TOPICS = [
  '__consumer_offsets',
  '__transaction_state',
  '__share_group_state',
  '__cluster_metadata',
  '__remote_log_metadata',
];

const DEFAULT_OUTPUTS: Readonly<Record<AgentName, string>> = {
  historic: '{prefix}{service}{suffix}',
  lastdata: '{prefix}{service}_lastdata{suffix}',
  mutable: '{prefix}{service}_mutable{suffix}',
  errors: '{prefix}{db}_error_log{suffix}',
};
const KAFNUS_HISTORIC = '{prefix}{service}_historic{suffix}';
const DEFAULT_DEAD_LETTER = '{prefix}raw_errors';
const DEFAULT_ERRORS_DEAD_LETTER = '{prefix}raw_errors_dead';

/** The settings as a person knows them, for messages. */
const SETTING = {
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
  requireAffix(SETTING.prefix, prefix);
  requireAffix(SETTING.suffix, suffix);
  const fixed = (template: string): string => fill(template, prefix, suffix);

  const input = fixed(options.inputTopic || `{prefix}raw_${agent}`);
  const deadLetter = fixed(
    options.deadLetterTopic || (agent === 'errors' ? DEFAULT_ERRORS_DEAD_LETTER : DEFAULT_DEAD_LETTER),
  );
  requireTopic(SETTING.input, input);
  requireTopic(SETTING.deadLetter, deadLetter);
  if (input === deadLetter) {
    throw new Error(
      `${SETTING.deadLetter} is "${deadLetter}", which is also the input topic: rejects would be read again`,
    );
  }

  const outputOf = (name: AgentName): TopicTemplate => {
    const byNaming = name === 'historic' && options.naming === 'kafnus' ? KAFNUS_HISTORIC : DEFAULT_OUTPUTS[name];
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
    fixed(DEFAULT_DEAD_LETTER),
    fixed(DEFAULT_ERRORS_DEAD_LETTER),
    ...KAFKA_TOPICS,
  ]);
  return { agent, prefix, suffix, input, deadLetter, templates, inputs, reserved };
}

/** The topic to which an agent writes for a service that has no {@link serviceProblem}. */
export function outputTopic(names: TopicNames, agent: AgentName, service: string): string {
  const { head, tail } = names.templates[agent];
  return head + service + tail;
}

/**
 * Why a service may not be used, or undefined when it may (SPEC 2): it is no legal name, or one of its output topics is
 * reserved or reads as a topic of another service.
 */
export function serviceProblem(names: TopicNames, service: string): string | undefined {
  if (!LEGAL_SERVICE.test(service)) {
    return `service ${shown(service)} is not allowed: it must be 1 to ${LONGEST_SERVICE} characters of a-z, 0-9 and _`;
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
 * The service for which a topic is an output topic: the inverse of {@link outputTopic} over all agents (SPEC 7). The
 * topics of Kafnus's HTTP and MongoDB sinks (`{prefix}{service}_http...{suffix}`, `{prefix}{service}_mongo{suffix}`) count
 * as well. An input, dead-letter or changelog topic belongs to no service.
 *
 * What tells most decides: `town_lastdata` is the lastdata topic of `town`, not the historic topic of `town_lastdata`, and
 * `my_historic_town_historic` is that of `my_historic_town`. Only where a template is all service, as the default
 * naming's historic one, `town_http` can be read in two ways: there `claimed` decides when it is one of them.
 *
 * The result is NOT checked: give it to {@link serviceProblem}.
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
    // Nearly every topic fits such a template: only a service that can be one says something.
    else if (serviceProblem(names, service) === undefined) bare.push(service);
  }
  distinct.sort((a, b) => b.literal - a.literal);
  const legal = distinct.find(({ service }) => LEGAL_SERVICE.test(service));
  if (legal) return legal.service;
  if (claimed !== undefined && bare.includes(claimed)) return claimed;
  return kafnusSinkService(names, topic, bare.length > 0) ?? distinct[0]?.service ?? bare[0];
}

/** Whether a topic is one that no service may own. */
function isReserved(names: TopicNames, topic: string): boolean {
  return names.reserved.has(topic) || topic.endsWith('-changelog');
}

/** The reading of a service's topic as that of another service, when the other's template tells more. */
function otherOwner(
  names: TopicNames,
  agent: AgentName,
  service: string,
  topic: string,
): { agent: AgentName; service: string } | undefined {
  const own = names.templates[agent];
  for (const other of agentNames) {
    if (other === agent || !isMoreTelling(names, other, agent, own)) continue;
    const reading = between(names.templates[other], topic);
    // The empty reading counts: a service called `_lastdata` ends in `_lastdata` (SPEC 2).
    if (reading === undefined || reading === service) continue;
    if (reading === '' || LEGAL_SERVICE.test(reading)) return { agent: other, service: reading };
  }
  return undefined;
}

/**
 * Of two services that would share a topic, the one whose template says less must go: `town_lastdata` (historic) and not
 * `town` (lastdata). The order of the agents breaks ties, so that all agents refuse the same one.
 */
function isMoreTelling(names: TopicNames, other: AgentName, agent: AgentName, own: TopicTemplate): boolean {
  const difference = literalLength(names.templates[other]) - literalLength(own);
  return difference > 0 || (difference === 0 && agentNames.indexOf(other) < agentNames.indexOf(agent));
}

/** The service of a topic of Kafnus's HTTP and MongoDB sinks; no agent here writes to them, but their failures come too. */
function kafnusSinkService(names: TopicNames, topic: string, ambiguous: boolean): string | undefined {
  const middle = between({ head: names.prefix, tail: names.suffix }, topic);
  if (middle === undefined) return undefined;
  const http = middle.lastIndexOf('_http');
  // Where the topic may as well be a service as a whole, only the plain ending is taken for a sink's.
  const end = http > 0 && !(ambiguous && http + '_http'.length < middle.length) ? http : mongoIndex(middle);
  const service = end > 0 ? middle.slice(0, end) : '';
  return LEGAL_SERVICE.test(service) ? service : undefined;
}

function mongoIndex(middle: string): number {
  return middle.endsWith('_mongo') ? middle.length - '_mongo'.length : -1;
}

/** What stands between head and tail: possibly '', undefined when the topic is not of this template. */
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
    throw new Error(`${SETTING.output} is "${template}": it must contain ${wanted} exactly once`);
  }
  const head = fill(before, prefix, suffix);
  const tail = fill(after, prefix, suffix);
  requireTopic(SETTING.output, `${head}${'s'.repeat(LONGEST_SERVICE)}${tail}`, template);
  if (tail.endsWith('-changelog')) {
    throw new Error(`${SETTING.output} is "${template}": topics that end in -changelog are the state of the agents`);
  }
  return { head, tail, distinct: fill(before + after, '', '') !== '' };
}

function requireAffix(setting: string, value: string): void {
  if (LEGAL_AFFIX.test(value)) return;
  throw new Error(`${setting} is ${shown(value)}: a topic name may hold only a-z, A-Z, 0-9, ".", "_" and "-"`);
}

function requireTopic(setting: string, topic: string, template = topic): void {
  const unknown = /\{[^}]*\}?/.exec(topic);
  if (unknown) {
    const known = topic === template ? '{prefix} and {suffix}' : '{prefix}, {suffix} and {service} ({db} for errors)';
    throw new Error(`${setting} is ${shown(template)}: unknown placeholder ${unknown[0]}; known are ${known}`);
  }
  if (LEGAL_TOPIC.test(topic) && topic !== '.' && topic !== '..') return;
  throw new Error(
    `${setting} is ${shown(template)}: no legal topic name (1 to 249 of a-z, A-Z, 0-9, ".", "_" and "-", not "." or ".."; the longest service counts ${LONGEST_SERVICE})`,
  );
}
