import { runTopics, topicActions, topicsJson, topicsOptions, topicsSummary, topicsText } from '@kafnus/kafka-admin';
import { agentNames } from '@kafnus/ngsi-core';
import { exitCodes, UsageError, type Command } from '../command.js';
import { actionOf, parseOptions, wholeNumber } from '../options.js';
import { quoted } from '../terminal/text.js';
import { selectAgents } from '../topics/agent-topics.js';

const helpText = `Usage: kafnus topics plan|apply|check [options]

Creates and checks the topics that the agents need: raw topics, dead-letter topics and the
changelog. The agents themselves create output topics, with the first record of a tenant; check
includes those that exist.

${topicsSummary}

"Topics" in docs/operations.md explains every value and every finding.

Options:
  --agent NAME     ${agentNames.join(', ')} (default: all)
  --brokers LIST   host:port,... (default: KAFNUS_KAFKA_BROKERS); TLS and SASL are set by
                   KAFNUS_KAFKA_... as for the agents
  --config FILE    configuration file of the agents; names, partitions and so on are read from it
                   and from KAFNUS_... as the agents do
  --partitions N   of created topics (default: KAFNUS_TOPIC_PARTITIONS, else 4)
  --replication N  replication factor of created topics (default: KAFNUS_TOPIC_REPLICATION, else the
                   default of the brokers)
${topicsOptions}
  --help

Exit codes: 0 done, or (check) no error; 1 refused, failed, no answer, or (check, apply) an error;
2 wrong usage or configuration.

Examples:
  kafnus topics plan --brokers localhost:9092
  kafnus topics apply --partitions 8 --replication 3
  kafnus topics check --agent lastdata --replicas 4 --json
`;

export const command: Command = {
  help: helpText,
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
    const action = actionOf(positionals, topicActions, 'kafnus topics plan, apply or check');
    const agent = agentNames.find((one) => one === values.agent);
    if (values.agent !== undefined && agent === undefined)
      throw new UsageError(`--agent must be one of ${agentNames.join(', ')}, not ${quoted(values.agent)}`);
    if (values['update-config'] && action !== 'apply') throw new UsageError('--update-config is for topics apply');
    const replicas = values.replicas === undefined ? undefined : wholeNumber('--replicas', values.replicas, 0);
    const { brokers, config, partitions, replication } = values;

    const agents = selectAgents({ agent, brokers, config, partitions, replication }, io.env);
    const report = await runTopics({
      ...agents,
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
