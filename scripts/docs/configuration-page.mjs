/** Generates docs/configuration.md: every setting of every agent, from the agents' schemas. */
import { code, prose, table } from './markdown.mjs';

/** The section of each setting. Every setting must be in exactly one section. */
const parts = [
  {
    title: 'Kafka',
    text: 'How to log in, and what fails how: [security.md](security.md).',
    holds: (key) => key.startsWith('kafka'),
  },
  {
    title: 'Group, delivery and times',
    text: 'What they decide: [delivery.md](delivery.md).',
    holds: (key) =>
      ['groupId', 'instanceId', 'concurrency', 'delivery', 'batchSize', 'onOffsetOutOfRange'].includes(key) ||
      (/TimeoutMs$|IntervalMs$/.test(key) && key !== 'topicTimeoutMs'),
  },
  {
    title: 'Names of topics',
    text: 'A template is text with `{prefix}`, `{suffix}` and, for outputs, `{service}`. [migrating.md](migrating.md) has the names of Kafnus 1.5.',
    holds: (key) =>
      ['naming', 'topicPrefix', 'topicSuffix'].includes(key) || /^(input|output|deadLetter)Topic$/.test(key),
  },
  {
    title: 'Creation of topics',
    text: 'Which topics there should be, and why: [operations.md](operations.md#topics).',
    holds: (key) => /^topic(s|Partitions|Replication|Config|TimeoutMs)/.test(key),
  },
  {
    title: 'Records and tenants',
    text: 'What they change on the wire: [SPEC.md](SPEC.md#3-output-record-historic-lastdata-mutable).',
    holds: (key) =>
      /^(sink|dataModel|attributeErrors|tenants|defaultService|defaultServicepath|missingTimeInstant|maxInputBytes|maxOutputBytes|rekey|inputPartitioner)$/.test(
        key,
      ),
  },
  {
    title: 'HTTP, logs and metrics',
    text: 'What is served: SPEC 11. Traces are turned on by OpenTelemetry’s own variables: [tracing.md](tracing.md).',
    holds: (key) => /^(http|adminToken|logLevel|maxTenantLabels)/.test(key),
  },
];

/** Defaults that differ between agents or machines. */
const defaults = { groupId: '`ngsi-agent-<agent>`', instanceId: 'the host name', kafkaBrokers: 'required' };

/**
 * @param {Record<string, object[]>} agents the rows of `settingsReference`, by the agent's name
 */
export function configurationPage(agents) {
  const names = Object.keys(agents);
  const settings = new Map();
  for (const name of names)
    for (const row of agents[name])
      settings.set(row.key, { row, agents: [...(settings.get(row.key)?.agents ?? []), name] });
  for (const key of settings.keys()) {
    const homes = parts.filter(({ holds }) => holds(key));
    if (homes.length !== 1)
      throw new Error(`the setting ${key} belongs to ${homes.length} parts of docs/configuration.md`);
  }

  const describe = ({ row, agents: having }) => {
    const argument = `--${row.key.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`)}`;
    return [
      code(row.env),
      code(row.key),
      defaults[row.key] ?? (row.default === '""' ? 'empty' : code(row.default.replace(/^"(.*)"$/, '$1'))),
      row.allowed,
      [
        prose(row.doc),
        row.fileEnv === '' ? '' : `Also ${code(row.fileEnv)}.`,
        row.argument === argument ? '' : `The argument is ${code(row.argument)}.`,
        having.length === names.length ? '' : `Only ${having.join(', ')}.`,
      ]
        .filter((text) => text !== '')
        .join(' '),
    ];
  };
  const tables = parts.map(({ title, text, holds }) => {
    const rows = [...settings.values()].filter(({ row }) => holds(row.key)).map(describe);
    return `## ${title}\n\n${text}\n\n${table(['variable', 'key', 'default', 'allowed', 'meaning'], rows)}\n`;
  });
  return `<!-- Written by \`make docs\` from libs/agent-runtime/src/config, libs/ngsi-core/src/settings.ts and services/*/src/config.ts. -->

# Configuration

Every setting of the agents, \`${names.join('`, `')}\`. All have all of them, unless the table says otherwise;
\`node services/<agent>/dist/main.js --help\` prints those of one.

A value comes from the defaults, a file, the environment or the arguments; the later wins:

    # agent.yaml, or JSON; --config agent.yaml or KAFNUS_CONFIG names it
    kafkaBrokers: kafka-0:9092,kafka-1:9092
    topicPrefix: city_
    topicConfig: { retention.ms: 604800000 }

    KAFNUS_DELIVERY=at-least-once node services/historic/dist/main.js --config agent.yaml --log-level debug

- The argument is the key with dashes: \`kafkaBrokers\` is \`--kafka-brokers\`. One that is not is named.
- Secrets, and the settings that are JSON objects, can come from a file that the variable with \`_FILE\` behind it names.
- A variable that is empty counts as not set. A key, an argument or a variable \`KAFNUS_...\` that nobody knows, and a value that is not
  allowed, end the start with exit code 2; the message names all of them. Variables of another agent are no mistake.
- Values that are sound and do not fit together end it as well: a SASL mechanism without its user or password, or a user that the protocol
  leaves unused; a key without its certificate, or that of another one; a certificate that has expired; a commit interval of more than half of
  the transaction timeout; \`topicConfig\` with compaction.
- \`GET /config\` tells every value and where it came from, with secrets as \`***\`.

${tables.join('\n')}
## Of other programs

| variable | of | meaning |
| --- | --- | --- |
| \`KAFNUS_CONFIG\` | agents | the configuration file, as \`--config\` |
| \`KAFNUS_DATABASE_URL\` | \`kafnus tables\` | the database; also \`KAFNUS_DATABASE_URL_FILE\`: [tables.md](tables.md) |
| \`KAFNUS_POSTGIS_HOST\`, \`_PORT\`, \`_DATABASE\`, \`_USER\`, \`_PASSWORD\` | Kafka Connect | what the connectors log in with: [deploy/connect](../deploy/connect/README.md) |
| \`UV_THREADPOOL_SIZE\` | Node.js | threads for calls of the Kafka client: [operations.md](operations.md#threads) |
| \`OTEL_...\` | OpenTelemetry | traces: [tracing.md](tracing.md) |

The commands of \`kafnus\` take the same \`KAFNUS_KAFKA_...\`: [cli.md](cli.md).
`;
}
