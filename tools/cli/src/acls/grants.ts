/**
 * The rights that an agent needs, and no others: a function of its settings alone.
 *
 * Describe is never listed: Kafka implies it by Read or Write of a topic, by Read of a group and by Write of a transactional
 * id. Neither is IdempotentWrite of the cluster: since Kafka 3.0 the right to write to any topic is enough
 * (KIP-679), and with transactions the transactional id is.
 */

type Operation = 'Read' | 'Write' | 'Create';

/** Rights on one resource; a name that is `*` means all of the kind. */
export interface Grant {
  readonly resource: 'topic' | 'group' | 'transactional-id';
  readonly name: string;
  readonly pattern: 'literal' | 'prefixed';
  readonly operations: readonly Operation[];
  /** What the agent does with them. */
  readonly purpose: string;
}

/** What of an agent's settings decides its rights. */
export interface AgentTopics {
  readonly group: string;
  readonly inputTopic: string;
  readonly deadLetterTopic: string;
  /** Of an agent that keeps state. */
  readonly changelogTopic: string | undefined;
  /** The output topics by name where the tenants are listed; else what all of their names begin with, '' for nothing. */
  readonly outputs: { readonly topics: readonly string[] } | { readonly prefix: string };
  readonly exactlyOnce: boolean;
  /** Whether the agent creates missing topics. */
  readonly creates: boolean;
}

/** The smallest set, without what another grant of it covers. */
export function grantsOf(agent: AgentTopics): Grant[] {
  const write: readonly Operation[] = agent.creates ? ['Write', 'Create'] : ['Write'];
  const topic = (name: string, operations: readonly Operation[], purpose: string): Grant => ({
    resource: 'topic',
    name,
    pattern: 'literal',
    operations,
    purpose,
  });
  const grants: Grant[] = [
    topic(agent.inputTopic, ['Read'], 'reads its input'),
    {
      resource: 'group',
      name: agent.group,
      pattern: 'literal',
      operations: ['Read'],
      purpose: 'joins its group and commits offsets',
    },
    ...(agent.exactlyOnce
      ? [
          {
            resource: 'transactional-id',
            name: `${agent.group}-`,
            pattern: 'prefixed',
            operations: ['Write'],
            purpose: 'runs transactions, an id for each instance',
          } as const,
        ]
      : []),
    ...outputGrants(agent.outputs, write),
    topic(agent.deadLetterTopic, write, 'dead-letters what it rejects'),
    ...(agent.changelogTopic === undefined
      ? []
      : [
          topic(
            agent.changelogTopic,
            ['Read', 'Write', 'Create'],
            'keeps its state; creates it whatever the settings say',
          ),
        ]),
  ];
  return grants.flatMap((grant) => {
    const operations = grant.operations.filter(
      (operation) =>
        !grants.some((other) => other !== grant && covers(other, grant) && other.operations.includes(operation)),
    );
    return operations.length === 0 ? [] : [{ ...grant, operations }];
  });
}

function outputGrants(outputs: AgentTopics['outputs'], operations: readonly Operation[]): Grant[] {
  const purpose = 'writes rows for its tenants';
  if ('topics' in outputs) {
    return outputs.topics.map((name) => ({ resource: 'topic', name, pattern: 'literal', operations, purpose }));
  }
  const { prefix } = outputs;
  if (prefix !== '') return [{ resource: 'topic', name: prefix, pattern: 'prefixed', operations, purpose }];
  return [
    {
      resource: 'topic',
      name: '*',
      pattern: 'literal',
      operations,
      purpose: `${purpose}, whose topics can have any name`,
    },
  ];
}

/** Whether a grant reaches all that another one is for; two of the same name are not in one set. */
function covers(wide: Grant, narrow: Grant): boolean {
  if (wide.resource !== narrow.resource || narrow.pattern === 'prefixed') return false;
  return wide.pattern === 'prefixed' ? narrow.name.startsWith(wide.name) : wide.name === '*' && narrow.name !== '*';
}
