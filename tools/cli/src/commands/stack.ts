import { agentNames, type AgentName } from '@kafnus/ngsi-core';
import { UsageError, type Command } from '../command.js';
import { parseOptions, wholeNumber } from '../options.js';
import { runStack } from '../stack/run-stack.js';
import { quoted } from '../terminal/text.js';

const helpText = `Usage: kafnus stack [options]

Runs the whole pipeline on this machine until Ctrl-C: Apache Kafka, PostGIS, Kafka Connect with the
connectors of deploy/connect, and the four agents. It prints all addresses and the next commands.
The data is deleted at the end.

Needs a JDK 17 and Maven (make setup-kafka), PostgreSQL with PostGIS (make setup-postgis), and the
network for the first run. make stack installs all of it.

  --kafka-port N    (default 9092)
  --postgis-port N  (default 5433)
  --connect-port N  REST API of Kafka Connect (default 8083)
  --agents-port N   HTTP port of the first agent; the others use the next ports (default 9081)
  --without NAME    do not start this agent: you start it yourself; may be repeated
  --help

Exit codes: 0 ended by Ctrl-C, 1 a program did not start or ended unexpectedly, 2 wrong
usage.
`;

export const command: Command = {
  help: helpText,
  async run(argv, io) {
    const { values } = parseOptions(
      argv,
      {
        'kafka-port': { type: 'string', default: '9092' },
        'postgis-port': { type: 'string', default: '5433' },
        'connect-port': { type: 'string', default: '8083' },
        'agents-port': { type: 'string', default: '9081' },
        without: { type: 'string', multiple: true, default: [] },
      },
      false,
    );
    const ports = {
      kafka: port('--kafka-port', values['kafka-port']),
      postgis: port('--postgis-port', values['postgis-port']),
      connect: port('--connect-port', values['connect-port']),
      agents: port('--agents-port', values['agents-port']),
    };
    const without = values.without.map(agentName);
    return runStack(
      ports,
      agentNames.filter((agent) => !without.includes(agent)),
      io,
    );
  },
};

function port(option: string, text: string): number {
  const number = wholeNumber(option, text);
  if (number > 65_000) throw new UsageError(`${option} must be a port below 65000, not ${number}`);
  return number;
}

function agentName(text: string): AgentName {
  const name = agentNames.find((agent) => agent === text);
  if (name === undefined)
    throw new UsageError(`--without must be one of ${agentNames.join(', ')}, not ${quoted(text)}`);
  return name;
}
