/** The ports of the stack. They are fixed, so that the documentation can name them. */
import { createServer } from 'node:net';
import { agentNames, type AgentName } from '@kafnus/ngsi-core';

export interface StackPorts {
  readonly kafka: number;
  readonly postgis: number;
  readonly connect: number;
  /** Of the first agent; the others use the next ones. */
  readonly agents: number;
}

export function agentPort(ports: StackPorts, agent: AgentName): number {
  return ports.agents + agentNames.indexOf(agent);
}

/** @throws Error naming each port that is not free, its purpose and the option that changes it */
export async function requireFree(ports: StackPorts): Promise<void> {
  const wanted = [
    { port: ports.kafka, what: 'Kafka', option: '--kafka-port' },
    { port: ports.postgis, what: 'PostGIS', option: '--postgis-port' },
    { port: ports.connect, what: 'Kafka Connect', option: '--connect-port' },
    ...agentNames.map((agent) => ({
      port: agentPort(ports, agent),
      what: `the ${agent} agent`,
      option: '--agents-port',
    })),
  ];
  const lines: string[] = [];
  for (const { port, what, option } of wanted) {
    const doubled = wanted.find((other) => other.port === port && other.what !== what);
    if (doubled !== undefined)
      lines.push(`port ${port} is used for ${what} and for ${doubled.what}: change one with ${option} N`);
    else if (!(await isFree(port)))
      lines.push(`port ${port} for ${what} is in use: choose another one with ${option} N`);
  }
  if (lines.length > 0) throw new Error(lines.join('\n'));
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
