/** The connectors of deploy/connect must find the topics of every tenant, and no others. */
import { describe, expect, test } from '@jest/globals';
import { connectorTemplate } from '@kafnus/local-stack';
import { agentNames, outputTopic, serviceProblem, topicNames, type AgentName } from '@kafnus/ngsi-core';
import fc from 'fast-check';

const files: Readonly<Record<AgentName, string>> = {
  historic: 'historic',
  lastdata: 'lastdata',
  mutable: 'mutable',
  errors: 'error-log',
};

/** The agents whose connectors read a topic. Connect matches the whole name. */
function readers(kind: 'debezium' | 'kafnus-connect', topic: string): AgentName[] {
  return agentNames.filter((agent) => {
    const pattern = connectorTemplate(`${kind}-${files[agent]}.json`)['topics.regex'] ?? '';
    return new RegExp(`^(?:${pattern})$`).test(topic);
  });
}

/** Names as they come, and those that are nearly somebody else's. */
const services = fc.oneof(
  fc.stringMatching(/^[a-z0-9_]{1,50}$/),
  fc
    .array(
      fc.constantFrom('raw', '_', 'lastdata', 'mutable', 'error', 'log', 'historic', 'errors', 'dead', 'town', '_'),
    )
    .map((parts) => parts.join(''))
    .filter((name) => /^[a-z0-9_]{1,50}$/.test(name)),
);

describe.each([
  ['debezium', 'default'],
  ['kafnus-connect', 'kafnus'],
] as const)('the %s connectors', (kind, naming) => {
  const names = topicNames({ naming, prefix: '', suffix: '', agent: 'errors' });

  test('read the topics of every service that there may be, each by one', () => {
    fc.assert(
      fc.property(services, (service) => {
        fc.pre(serviceProblem(names, service) === undefined);
        for (const agent of agentNames) expect(readers(kind, outputTopic(names, agent, service))).toEqual([agent]);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ...names.reserved,
    'ngsi-agent-lastdata-lastdata-changelog',
    'kafnus-connect-configs',
    'kafnus-connect-status',
  ])('leave %s alone', (topic) => {
    expect(readers(kind, topic)).toEqual([]);
  });

  test.each(agentNames)('of the %s agent dead-letters to a topic that does not come back to it', (agent) => {
    const { deadLetter } = topicNames({ naming, prefix: '', suffix: '', agent });
    expect(connectorTemplate(`${kind}-${files[agent]}.json`)['errors.deadletterqueue.topic.name']).toBe(deadLetter);
  });
});
