import { suggestion } from '@kafnus/agent-runtime';
import { agentNames, type AgentName } from '@kafnus/ngsi-core';
import { agentTopics } from '../acls/acl-topics.js';
import { grantsOf, type Grant } from '../acls/grants.js';
import { exitCodes, UsageError, type Command, type Io } from '../command.js';
import { parseOptions } from '../options.js';
import { quoted, shellQuoted } from '../terminal/text.js';

const helpText = `Usage: kafnus acls --principal PRINCIPAL [options]

Prints the smallest set of ACLs that the agents need, as a script for kafka-acls.sh. It connects to
no broker: names are derived from the settings of the agents (KAFNUS_...), which must be those that
they are started with.

  --principal PRINCIPAL  principal of the agents, e.g. User:kafnus or User:CN=kafnus; {agent} is
                         replaced by the agent's name: User:kafnus-{agent} is a user per agent
  --agent NAME           historic, lastdata, mutable or errors (default: all four)
  --json                 print one JSON object instead
  --help

ACLs match names and prefixes. Without KAFNUS_TENANTS, tenants can have any name; without
KAFNUS_TOPIC_PREFIX, topics have no prefix. Without both, Write must be granted on all topics, so
set one of them.

Exit codes: 0 printed, 1 the settings conflict, 2 wrong usage.

Example:
  kafnus acls --principal User:kafnus-{agent} > acls.sh
  sh acls.sh --bootstrap-server broker:9093 --command-config admin.properties
`;

/**
 * Settings that name a topic or a group of one agent. Read for all four, each would get the same
 * one.
 */
const perAgentVariables = ['KAFNUS_INPUT_TOPIC', 'KAFNUS_OUTPUT_TOPIC', 'KAFNUS_DEAD_LETTER_TOPIC', 'KAFNUS_GROUP_ID'];

interface AgentGrants {
  readonly agent: AgentName;
  readonly principal: string;
  readonly grants: readonly Grant[];
}

export const command: Command = {
  help: helpText,
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
    throw new UsageError('--principal is missing: the principal of the agents, e.g. --principal User:kafnus');
  // A line break would end the command in the script.
  if (/^\w+:[^\x00-\x1f]+$/.test(principal)) return principal;
  throw new UsageError(`--principal ${quoted(principal)} is not TYPE:NAME, such as User:kafnus`);
}

/** @throws UsageError */
function agentsOf(name: string | undefined, io: Io): readonly AgentName[] {
  if (name === undefined) {
    const single = perAgentVariables.find((variable) => (io.env[variable] ?? '') !== '');
    if (single !== undefined) throw new UsageError(`${single} is for one agent: name it with --agent`);
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
    `--allow-principal ${shellQuoted(principal)}`,
    ...operations.map((operation) => `--operation ${operation}`),
    ...(pattern === 'prefixed' ? ['--resource-pattern-type prefixed'] : []),
    `--${resource} ${shellQuoted(name)}`,
  ].join(' ');
}
