/** The settings that the agents share, as plain data for convict, and the types of their values. */
import type { Sink } from './attribute.js';
import { inputPartitioners, type InputPartitioner } from './rekey.js';
import type { AgentName, NamingOptions } from './naming.js';
import { dataModels, type DataModel } from './route.js';
import { shown } from './text.js';

/** The values of {@link namingSettings}. */
export interface NamingConfig {
  readonly naming: 'default' | 'kafnus';
  readonly topicPrefix: string;
  readonly topicSuffix: string;
  readonly inputTopic: string;
  readonly outputTopic: string;
  readonly deadLetterTopic: string;
}

/** The settings that decide topic names: all agents have them. */
export const namingSettings = {
  naming: {
    doc: 'Which topic names are the default: those of this suite, or those of Kafnus 1.5 (historic writes to {service}_historic).',
    format: ['default', 'kafnus'],
    default: 'default',
    env: 'KAFNUS_NAMING',
    arg: 'naming',
  },
  topicPrefix: {
    doc: 'Goes before every topic name, as {prefix}.',
    format: 'String',
    default: '',
    env: 'KAFNUS_TOPIC_PREFIX',
    arg: 'topic-prefix',
  },
  topicSuffix: {
    doc: 'Goes after every output topic name, as {suffix}.',
    format: 'String',
    default: '',
    env: 'KAFNUS_TOPIC_SUFFIX',
    arg: 'topic-suffix',
  },
  inputTopic: {
    doc: 'The raw topic that is read; {prefix} may be used. Empty: {prefix}raw_<agent>.',
    format: 'String',
    default: '',
    env: 'KAFNUS_INPUT_TOPIC',
    arg: 'input-topic',
  },
  outputTopic: {
    doc: 'The template of the output topics, with {service} ({db} for errors), {prefix} and {suffix}. Empty: by naming.',
    format: 'String',
    default: '',
    env: 'KAFNUS_OUTPUT_TOPIC',
    arg: 'output-topic',
  },
  deadLetterTopic: {
    doc: 'Where rejected records and reports go; {prefix} may be used. Empty: {prefix}raw_errors ({prefix}raw_errors_dead for errors).',
    format: 'String',
    default: '',
    env: 'KAFNUS_DEAD_LETTER_TOPIC',
    arg: 'dead-letter-topic',
  },
} as const;

/** The values of {@link ngsiSettings}. */
export interface NgsiConfig extends NamingConfig {
  readonly sink: Sink;
  readonly dataModel: DataModel;
  readonly attributeErrors: 'report' | 'reject';
  /** Comma-separated. */
  readonly tenants: string;
  readonly defaultService: string;
  readonly defaultServicepath: string;
  /** Counted in characters. */
  readonly maxOutputBytes: number;
  /** Of the runtime: tells re-keyed records of this agent from those of other groups. */
  readonly groupId?: string;
  readonly rekey: 'auto' | 'off';
  readonly inputPartitioner: InputPartitioner;
}

/** The settings of the agents that turn notifications into rows: historic, lastdata and mutable. */
export const ngsiSettings = {
  ...namingSettings,
  sink: {
    doc: 'Whose record format is written: that of Kafnus Connect’s sinks, or of the stock Debezium JDBC sink.',
    format: ['kafnus', 'debezium'],
    default: 'kafnus',
    env: 'KAFNUS_SINK',
    arg: 'sink',
  },
  dataModel: {
    doc: 'How tables are named for records without a fiware-datamodel header, or with one that is not known.',
    format: dataModels,
    default: dataModels[0],
    env: 'KAFNUS_DATAMODEL',
    arg: 'data-model',
  },
  attributeErrors: {
    doc: 'When an attribute cannot be converted: report writes the row with a null and dead-letters the record as well; reject writes no row.',
    format: ['report', 'reject'],
    default: 'report',
    env: 'KAFNUS_ATTRIBUTE_ERRORS',
    arg: 'attribute-errors',
  },
  tenants: {
    doc: 'The services whose records are processed, separated by commas; records of others are skipped. Empty: all.',
    format: 'String',
    default: '',
    env: 'KAFNUS_TENANTS',
    arg: 'tenants',
  },
  defaultService: {
    doc: 'The service of records that name none.',
    format: 'String',
    default: 'default',
    env: 'KAFNUS_DEFAULT_SERVICE',
    arg: 'default-service',
  },
  defaultServicepath: {
    doc: 'The service path of records that name none.',
    format: 'String',
    default: '/',
    env: 'KAFNUS_DEFAULT_SERVICEPATH',
    arg: 'default-servicepath',
  },
  maxOutputBytes: {
    doc: 'Most bytes (characters, as most are of one byte) that the outputs of one record may have, keys and headers included; a record of several entities that would have more is rejected. They are in memory at once, and in one transaction.',
    format: 'positive',
    default: 33_554_432,
    env: 'KAFNUS_MAX_OUTPUT_BYTES',
    arg: 'max-output-bytes',
  },
  rekey: {
    doc: 'auto: an entity that is not in the partition of its id is written back to the input topic with its id as key, so that its order holds whatever keys the producer sets; the agent needs Write on its input. off: it is decided where it is.',
    format: ['auto', 'off'],
    default: 'auto',
    env: 'KAFNUS_REKEY',
    arg: 'rekey',
  },
  inputPartitioner: {
    doc: 'How the producers of the input choose the partition of a key: consistent (CRC32: librdkafka, so Orion and `kafnus send`) or murmur2 (Java clients). With the other one the records are re-keyed, which costs a second pass.',
    format: inputPartitioners,
    default: inputPartitioners[0],
    env: 'KAFNUS_INPUT_PARTITIONER',
    arg: 'input-partitioner',
  },
} as const;

/** The values of {@link versionSettings}. */
export interface VersionConfig extends NgsiConfig {
  readonly missingTimeInstant: 'reject' | 'record-timestamp';
}

/** The settings of the agents that keep versions: historic and mutable. */
export const versionSettings = {
  ...ngsiSettings,
  missingTimeInstant: {
    doc: 'What becomes of an entity without TimeInstant: reject, or record-timestamp, which takes the raw record’s timestamp for it.',
    format: ['reject', 'record-timestamp'],
    default: 'reject',
    env: 'KAFNUS_MISSING_TIME_INSTANT',
    arg: 'missing-time-instant',
  },
} as const;

/** The settings of historic: each version is a row of its own, and order decides nothing. */
export const historicSettings = {
  ...versionSettings,
  rekey: { ...versionSettings.rekey, default: 'off' },
} as const;

/** The naming options of an agent's settings. */
export function namingOptions(agent: AgentName, config: NamingConfig): NamingOptions {
  return {
    naming: config.naming,
    prefix: config.topicPrefix,
    suffix: config.topicSuffix,
    agent,
    inputTopic: config.inputTopic,
    outputTopic: config.outputTopic,
    deadLetterTopic: config.deadLetterTopic,
  };
}

/**
 * The allow list of services, or undefined when all are allowed.
 * @param problemOf why a service name may not be used
 * @throws Error naming the setting when it contains an illegal service
 */
export function allowedTenants(
  tenants: string,
  problemOf: (service: string) => string | undefined,
): ReadonlySet<string> | undefined {
  const services = tenants
    .split(',')
    .map((service) => service.trim().toLowerCase())
    .filter((service) => service !== '');
  for (const service of services) {
    const problem = problemOf(service);
    if (problem !== undefined) throw new Error(`tenants (KAFNUS_TENANTS) is ${shown(tenants)}: ${problem}`);
  }
  return services.length === 0 ? undefined : new Set(services);
}
