import { runTopics, topicActions, topicsJson, topicsOptions, topicsSummary, topicsText } from '@kafnus/agent-runtime';
import { agentNames } from '@kafnus/ngsi-core';
import { exitCodes, UsageError, type Command } from '../command.js';
import { parseOptions, wholeNumber } from '../options.js';
import { quoted } from '../terminal/text.js';
import { chooseAgents } from '../topics/agents.js';

const HELP = `Usage: kafnus topics plan|apply|check [options]

The topics that the agents need: raw topics, dead-letter topics and the changelog. Output topics are
created by the agents as tenants come; check looks at those that are there.

${topicsSummary}

"Topics" in docs/operations.md tells every value with its reason, and every finding.

Options:
  --agent NAME     ${agentNames.join(', ')} (default: all)
  --brokers LIST   host:port,... (default: KAFNUS_KAFKA_BROKERS); TLS and SASL are set by
                   KAFNUS_KAFKA_... as for the agents
  --config FILE    a configuration file of the agents; names, partitions and the like are read from
                   it and from KAFNUS_... as the agents do
  --partitions N   of topics that are created (default: KAFNUS_TOPIC_PARTITIONS, else 4)
  --replication N  their replicas (default: KAFNUS_TOPIC_REPLICATION, else the brokers' default)
${topicsOptions}
  --help

Exit codes: 0 done, or (check) nothing is an error; 1 refused, failed, no answer, or (check, apply)
something is an error; 2 called or configured wrongly.

Examples:
  kafnus topics plan --brokers localhost:9092
  kafnus topics apply --partitions 8 --replication 3
  kafnus topics check --agent lastdata --replicas 4 --json
`;

/** `kafnus topics`: creates and checks the topics of the agents. */
export const command: Command = {
  help: HELP,
  async run(argv, io) {
    const { values, positionals } = parseOptions(
      argv,
      {
        agent: { type: 'string' },
        brokers: { type: 'string' },
        config: { type: 'string' },
        partitions: { type: 'string' },
        replication: { type: 'string' },
        replicas: { type: 'string' },
        'update-config': { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
      true,
    );
    const [name, surplus] = positionals;
    const action = topicActions.find((one) => one === name);
    if (action === undefined) {
      const what = name === undefined ? 'what to do is missing' : `unknown action ${quoted(name)}`;
      throw new UsageError(`${what}: kafnus topics plan, apply or check`);
    }
    if (surplus !== undefined) throw new UsageError(`unexpected argument ${quoted(surplus)}`);
    const agent = agentNames.find((one) => one === values.agent);
    if (values.agent !== undefined && agent === undefined)
      throw new UsageError(`--agent must be one of ${agentNames.join(', ')}, not ${quoted(values.agent)}`);
    if (values['update-config'] && action !== 'apply') throw new UsageError('--update-config is for topics apply');
    const replicas = values.replicas === undefined ? undefined : wholeNumber('--replicas', values.replicas, 0);
    const { brokers, config, partitions, replication } = values;

    const choice = chooseAgents({ agent, brokers, config, partitions, replication }, io.env);
    const report = await runTopics({
      ...choice,
      action,
      clientId: `kafnus-cli-${process.pid}`,
      replicas,
      updateConfig: values['update-config'],
      asAgent: false,
    });
    io.stdout.write(values.json ? topicsJson(report) : topicsText(report));
    return report.ok ? exitCodes.ok : exitCodes.failure;
  },
};
