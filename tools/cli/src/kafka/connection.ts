/** The connection of a command, from the settings of the agents. */
import { loadConfig } from '@kafnus/agent-runtime';
import { connectionProperties, describeGroups, type GroupAnswer } from '@kafnus/kafka-admin';
import type { ClientSettings, KafkaAddress } from '@kafnus/local-stack';
import { UsageError, type Io } from '../command.js';
import { inOptionsOfCommand } from '../options.js';
import { groupsByClient } from './topic-admin.js';

export interface Connection {
  readonly brokers: string;
  /** For consumers and admin clients. */
  readonly address: KafkaAddress;
  /** State and members of consumer groups. @throws Error when no broker answers */
  readonly groups: (names: readonly string[]) => Promise<Map<string, GroupAnswer>>;
  /** The settings of KAFNUS_KAFKA_PRODUCER, for producers. */
  readonly producer: ClientSettings;
  /** The variables, for agents that are started on the same cluster. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * @param brokers overrides KAFNUS_KAFKA_BROKERS
 * @throws UsageError without brokers; ConfigurationError naming the wrong option or variable
 */
export function connection(env: Io['env'], brokers?: string): Connection {
  const own = Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      name.startsWith('KAFNUS_KAFKA_') && value !== undefined ? [[name, value] as const] : [],
    ),
  );
  if ([brokers, own['KAFNUS_KAFKA_BROKERS'], own['KAFNUS_KAFKA_BROKERS_FILE']].every((given) => (given ?? '') === ''))
    throw new UsageError('--brokers is missing, and KAFNUS_KAFKA_BROKERS is not set');
  const argv = brokers === undefined ? [] : [`--kafka-brokers=${brokers}`];
  const outcome = inOptionsOfCommand({ 'kafka-brokers': 'brokers' }, () =>
    loadConfig({ name: 'cli', settings: {} }, { argv, env: own }),
  );
  if (outcome.kind !== 'run') throw new Error('no configuration was read');
  const { config } = outcome;
  if (brokers !== undefined) own['KAFNUS_KAFKA_BROKERS'] = brokers;
  const clientId = `kafnus-cli-${process.pid}`;
  const address = { ...connectionProperties(config, clientId), 'bootstrap.servers': config.kafkaBrokers };
  return {
    brokers: config.kafkaBrokers,
    address,
    groups: async (names) => (await describeGroups(config, clientId, names)) ?? groupsByClient(address, names),
    producer: config.kafkaProducer,
    env: own,
  };
}
