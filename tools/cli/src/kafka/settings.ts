/** Where Kafka is and how to log in: the settings that the agents have, read the same way. */
import { connectionProperties, loadConfig } from '@kafnus/agent-runtime';
import type { ClientSettings, KafkaAddress } from '@kafnus/agent-testkit';
import type { Io } from '../command.js';

/** The connection of a command. */
export interface Connection {
  readonly brokers: string;
  /** For clients that read, look up and administer. */
  readonly address: KafkaAddress;
  /** What KAFNUS_KAFKA_PRODUCER adds for those that write. */
  readonly producer: ClientSettings;
  /** The variables themselves: what an agent is started with to reach the same cluster. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * @param brokers wins over KAFNUS_KAFKA_BROKERS
 * @throws ConfigurationError naming the variable that is wrong or missing
 */
export function connection(env: Io['env'], brokers?: string): Connection {
  const own = Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      name.startsWith('KAFNUS_KAFKA_') && value !== undefined ? [[name, value] as const] : [],
    ),
  );
  if (brokers !== undefined) own['KAFNUS_KAFKA_BROKERS'] = brokers;
  const outcome = loadConfig({ name: 'cli', settings: {} }, { argv: [], env: own });
  if (outcome.kind !== 'run') throw new Error('no configuration was read');
  const { config } = outcome;
  const properties = connectionProperties(config, `kafnus-cli-${process.pid}`);
  return {
    brokers: config.kafkaBrokers,
    address: { ...properties, 'bootstrap.servers': config.kafkaBrokers },
    producer: config.kafkaProducer,
    env: own,
  };
}
