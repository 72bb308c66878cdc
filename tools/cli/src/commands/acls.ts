import { agentNames, type AgentName } from '@kafnus/ngsi-core';
import { agentTopics } from '../acls/agent-topics.js';
import { grantsOf, type Grant } from '../acls/grants.js';
import { exitCodes, UsageError, type Command, type Io } from '../command.js';
import { parseOptions } from '../options.js';
import { suggestion } from '../suggestion.js';
import { quoted } from '../terminal/text.js';

const HELP = `Usage: kafnus acls --principal PRINCIPAL [options]

Prints the ACLs that the agents need, the smallest set, as a script for Kafka's own kafka-acls.sh.
It asks no broker: names follow from the settings of the agents (KAFNUS_...), which must be those
that they are started with.

  --principal PRINCIPAL  who logs in, e.g. User:kafnus or User:CN=kafnus; {agent} stands for the
                         agent's name: User:kafnus-{agent} gives each agent a user of its own
  --agent NAME           historic, lastdata, mutable or errors (default: all four)
  --json                 print one JSON object instead
  --help

ACLs know names and prefixes. Where tenants can have any name (no KAFNUS_TENANTS) and topics have no
prefix (no KAFNUS_TOPIC_PREFIX), the right to write must be for all topics: set one of the two.

Exit codes: 0 printed, 1 the settings do not hold together, 2 called wrongly.

Example:
  kafnus acls --principal User:kafnus-{agent} > acls.sh
  sh acls.sh --bootstrap-server broker:9093 --command-config admin.properties
`;

/** Settings that are one agent's: for all four they would name the same topic or group. */
const ofOneAgent = ['KAFNUS_INPUT_TOPIC', 'KAFNUS_OUTPUT_TOPIC', 'KAFNUS_DEAD_LETTER_TOPIC', 'KAFNUS_GROUP_ID'];

interface AgentGrants {
  readonly agent: AgentName;
  readonly principal: string;
  readonly grants: readonly Grant[];
}

/** `kafnus acls`: the rights of the agents. */
export const command: Command = {
  help: HELP,
  run(argv, io) {
    const { values } = parseOptions(
      argv,
      { principal: { type: 'string' }, agent: { type: 'string' }, json: { type: 'boolean', default: false } },
      false,
    );
    const principal = checkedPrincipal(values.principal);
    const agents = agentsOf(values.agent, io).map((agent) => ({
      agent,
      principal: principal.replaceAll('{agent}', agent),
      grants: grantsOf(agentTopics(agent, io.env)),
    }));
    io.stdout.write(values.json ? `${JSON.stringify({ agents })}\n` : script(agents));
    return Promise.resolve(exitCodes.ok);
  },
};

/** @throws UsageError */
function checkedPrincipal(principal: string | undefined): string {
  if (principal === undefined)
    throw new UsageError('--principal is missing: who logs in, e.g. --principal User:kafnus');
  // A line break would end the command that it stands in.
  if (/^\w+:[^\x00-\x1f]+$/.test(principal)) return principal;
  throw new UsageError(`--principal ${quoted(principal)} is not TYPE:NAME, such as User:kafnus`);
}

/** @throws UsageError */
function agentsOf(name: string | undefined, io: Io): readonly AgentName[] {
  if (name === undefined) {
    const single = ofOneAgent.find((variable) => (io.env[variable] ?? '') !== '');
    if (single !== undefined) throw new UsageError(`${single} is the setting of one agent: say which, by --agent`);
    return agentNames;
  }
  const agent = agentNames.find((one) => one === name);
  if (agent === undefined)
    throw new UsageError(`--agent ${quoted(name)} is none of ${agentNames.join(', ')}${suggestion(name, agentNames)}`);
  return [agent];
}

function script(agents: readonly AgentGrants[]): string {
  const lines = agents.flatMap(({ agent, principal, grants }) => [
    '',
    `# ${agent}`,
    ...grants.flatMap((grant) => [`# ${grant.purpose}`, aclCommand(principal, grant)]),
  ]);
  const usage = '# sh THIS_FILE --bootstrap-server HOST:PORT [--command-config FILE]; kafka-acls.sh must be in PATH.';
  return `${['#!/bin/sh', usage, 'set -e', ...lines].join('\n')}\n`;
}

function aclCommand(principal: string, { resource, name, pattern, operations }: Grant): string {
  return [
    'kafka-acls.sh "$@" --add',
    `--allow-principal ${shellWord(principal)}`,
    ...operations.map((operation) => `--operation ${operation}`),
    ...(pattern === 'prefixed' ? ['--resource-pattern-type prefixed'] : []),
    `--${resource} ${shellWord(name)}`,
  ].join(' ');
}

function shellWord(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
