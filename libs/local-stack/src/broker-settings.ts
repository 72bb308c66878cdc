import type { LocalKafkaOptions } from './local-kafka.js';

/** What the settings of one broker follow from. */
export interface BrokerPlan {
  readonly id: number;
  /**
   * Where clients connect to, and where they are told to connect to: another port when a proxy
   * stands in front.
   */
  readonly clientPort: number;
  readonly advertisedPort: number;
  readonly internalPort: number;
  readonly controllerPort: number;
  /** Every broker of the cluster with its controller port. */
  readonly voters: readonly { readonly id: number; readonly controllerPort: number }[];
  readonly partitions: number;
  readonly dataFolder: string;
  /** Names and passwords; clients must then log in (SASL/PLAIN). */
  readonly users: Readonly<Record<string, string>> | undefined;
  readonly authorizer: boolean;
  /** Listeners for clients besides the plain ones. */
  readonly listeners?: LocalKafkaOptions['listeners'];
  /** Settings that win over all of the above. */
  readonly properties: Readonly<Record<string, string>>;
}

/**
 * The server.properties of a combined broker and controller for tests: everything on the loopback
 * interface, small buffers, and none of the waits that protect a production cluster from itself.
 */
export function brokerSettings(plan: BrokerPlan): Record<string, string> {
  const replicas = Math.min(3, plan.voters.length);
  const minIsr = replicas === 3 ? 2 : 1;
  const listeners = plan.listeners ?? [];
  const further = listeners.map(({ name, port }) => `,${name}://127.0.0.1:${port}`).join('');
  const protocols = listeners.map(({ name, protocol }) => `,${name}:${protocol}`).join('');
  return {
    'process.roles': 'broker,controller',
    'node.id': `${plan.id}`,
    'controller.quorum.voters': plan.voters.map((voter) => `${voter.id}@127.0.0.1:${voter.controllerPort}`).join(','),
    // Brokers talk to each other on a listener of their own: a proxy before the clients' one never
    // cuts replication, and a test can look at the data past the proxy.
    listeners:
      `CLIENT://127.0.0.1:${plan.clientPort},INTERNAL://127.0.0.1:${plan.internalPort},` +
      `CONTROLLER://127.0.0.1:${plan.controllerPort}${further}`,
    'advertised.listeners': `CLIENT://127.0.0.1:${plan.advertisedPort},INTERNAL://127.0.0.1:${plan.internalPort}${further}`,
    'listener.security.protocol.map': `CLIENT:${plan.users ? 'SASL_PLAINTEXT' : 'PLAINTEXT'},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT${protocols}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'INTERNAL',
    'log.dirs': plan.dataFolder,

    'num.partitions': `${plan.partitions}`,
    'default.replication.factor': `${replicas}`,
    'min.insync.replicas': `${minIsr}`,
    'auto.create.topics.enable': 'false',
    'offsets.topic.replication.factor': `${replicas}`,
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': `${replicas}`,
    'transaction.state.log.min.isr': `${minIsr}`,
    'transaction.state.log.num.partitions': '4',
    // A transaction that its producer left behind is aborted within a second of its timeout, not of
    // ten.
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': '1000',

    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '1000',
    // The same for the group protocol of KIP-848, where the broker sets the timeouts.
    'group.consumer.min.session.timeout.ms': '1000',
    'group.consumer.session.timeout.ms': '6000',
    'group.consumer.min.heartbeat.interval.ms': '500',
    // librdkafka waits for the response to a heartbeat for one interval, and the coordinator fences
    // a member that has missed one: on a busy machine a second is too short.
    'group.consumer.heartbeat.interval.ms': '2000',
    // How soon the others notice that a broker was killed. Shorter ones expire on a busy machine
    // without any fault.
    'broker.heartbeat.interval.ms': '500',
    'broker.session.timeout.ms': '4000',

    'num.network.threads': '2',
    'num.io.threads': '4',
    'log.cleaner.dedupe.buffer.size': '4194304',
    'log.cleaner.backoff.ms': '1000',
    ...(plan.users ? loginSettings(plan.users) : {}),
    // Who comes on the internal listener has no name: brokers, and the tests themselves.
    ...(plan.authorizer
      ? {
          'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
          'super.users': 'User:ANONYMOUS',
        }
      : {}),
    ...plan.properties,
  };
}

function loginSettings(users: Readonly<Record<string, string>>): Record<string, string> {
  const accounts = Object.entries(users).map(([name, password]) => `user_${name}="${password}"`);
  return {
    'sasl.enabled.mechanisms': 'PLAIN',
    'listener.name.client.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required ${accounts.join(' ')};`,
  };
}

/** The text of a Java properties file. */
export function propertiesFile(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n`)
    .join('');
}
