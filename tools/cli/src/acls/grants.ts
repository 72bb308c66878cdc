/**
 * The least rights that an agent needs, from its settings. Pure.
 *
 * Describe is not listed: it is implied by Read or Write on a topic, by Read on a group and by
 * Write on a transactional id. IdempotentWrite on the cluster is not listed either: since Kafka
 * 3.0, Write on any topic implies it (KIP-679), and with transactions Write on the transactional id
 * does.
 */

type Operation = 'Read' | 'Write' | 'Create';

/** Rights on one resource; the literal name `*` means all resources of the kind. */
export interface Grant {
  readonly resource: 'topic' | 'group' | 'transactional-id';
  readonly name: string;
  readonly pattern: 'literal' | 'prefixed';
  readonly operations: readonly Operation[];
  /** What the agent needs them for. */
  readonly purpose: string;
}

/** The settings of an agent that decide its rights. */
export interface AgentTopics {
  readonly group: string;
  readonly inputTopic: string;
  readonly deadLetterTopic: string;
  /** Undefined when the agent has no state. */
  readonly changelogTopic: string | undefined;
  /**
   * All output topics when the tenants are listed; else the prefix of their names, which may be
   * empty.
   */
  readonly outputs: { readonly topics: readonly string[] } | { readonly prefix: string };
  readonly exactlyOnce: boolean;
  /** Whether it writes records back to its input. */
  readonly rekeys: boolean;
  /** Whether the agent creates missing topics. */
  readonly creates: boolean;
}

/** The smallest set: no grant is covered by another one. */
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
    agent.rekeys
      ? topic(
          agent.inputTopic,
          ['Read', 'Write'],
          'reads its input; writes records back to the partition of their entity',
        )
      : topic(agent.inputTopic, ['Read'], 'reads its input'),
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
    topic(agent.deadLetterTopic, write, 'writes the records that it rejects'),
    ...(agent.changelogTopic === undefined
      ? []
      : [
          topic(
            agent.changelogTopic,
            ['Read', 'Write', 'Create'],
            'stores its state; creates the topic whatever the settings say',
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

/**
 * Whether a grant includes the resources of another one. Two grants of a set never have the same
 * name.
 */
function covers(wide: Grant, narrow: Grant): boolean {
  if (wide.resource !== narrow.resource || narrow.pattern === 'prefixed') return false;
  return wide.pattern === 'prefixed' ? narrow.name.startsWith(wide.name) : wide.name === '*' && narrow.name !== '*';
}
