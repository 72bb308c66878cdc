import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brokerSettings, propertiesFile } from './broker-settings.js';
import { sharedClasses } from './class-archive.js';
import { runCommand } from './command.js';
import { prepareKafka } from './kafka-distribution.js';
import { awaitBrokers } from './kafka-metadata.js';
import { brokerArguments, BrokerProcess, type LocalBroker } from './local-broker.js';
import { freePorts } from './ports.js';
import { startTcpProxy } from './tcp-proxy.js';

/** Options of {@link startLocalKafka}. */
export interface LocalKafkaOptions {
  /** 1 (default), or 3 with replication factor 3 and two in-sync replicas. */
  readonly brokers?: 1 | 3;
  /** Partitions of a topic that is created without a number of its own. Default 4. */
  readonly partitions?: number;
  /** Broker settings that win over those for tests, see `broker-settings.ts`. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Heap of each broker as Java writes it. Default `512m`. */
  readonly heap?: string;
  /**
   * Benchmarks: the whole JIT compiler and the default garbage collector, instead of those that
   * start fastest.
   */
  readonly fullJit?: boolean;
  /**
   * A folder for the brokers' logs, kept after the end. Without it they are deleted with the data.
   */
  readonly logs?: string;
  /** Puts a {@link TcpProxy} before each broker: clients know and use only the proxies. */
  readonly proxied?: boolean;
  /**
   * Accounts, by name, with passwords: clients must log in (security.protocol=sasl_plaintext,
   * sasl.mechanism=PLAIN).
   */
  readonly users?: Readonly<Record<string, string>>;
  /**
   * ACLs: nothing is allowed to the {@link users} that no ACL allows; add ACLs with
   * {@link LocalKafka.tool}.
   */
  readonly authorizer?: boolean;
  /**
   * Listeners besides the plain ones, by name, each with its protocol (`SSL`, `SASL_SSL`) and a
   * port that is free. What else they need are {@link properties}; see {@link startSecureKafka}.
   * For one broker.
   */
  readonly listeners?: readonly { readonly name: string; readonly port: number; readonly protocol: string }[];
  /** Further options of the JVM. */
  readonly jvm?: readonly string[];
  /** The clients' port of the first broker; the others take the next ones. Default: free ones. */
  readonly port?: number;
}

/** A real Apache Kafka (KRaft) on this machine. */
export interface LocalKafka {
  /** Where clients connect to, through the proxies if there are any. */
  readonly bootstrapServers: string;
  /**
   * The listener of the brokers among themselves: plaintext, never proxied, and its users may do
   * everything. For the hands of a test: what it prepares and how it looks at the end result are no
   * part of the fault.
   */
  readonly internalServers: string;
  readonly brokers: readonly LocalBroker[];
  /** The folder with a log file per broker. */
  readonly logs: string;
  /**
   * Runs one of Kafka's command line tools on the internal listener.
   * @param mainClass for example `org.apache.kafka.tools.AclCommand` or
   * `org.apache.kafka.tools.TransactionsCommand`
   * @returns what it printed
   * @throws Error with the end of its output when it fails
   */
  tool(mainClass: string, ...args: string[]): Promise<string>;
  /** Kills all brokers and deletes their data. */
  stop(): Promise<void>;
}

/**
 * Starts a Kafka of one or three combined brokers and controllers, without Docker; it needs a JDK
 * 17 and, once, Maven. It takes about three seconds, and the brokers die with this process, however
 * it dies.
 */
export async function startLocalKafka(options: LocalKafkaOptions = {}): Promise<LocalKafka> {
  const kafka = await prepareKafka();
  const shared = await sharedClasses(kafka);
  const ids = Array.from({ length: options.brokers ?? 1 }, (_, index) => index + 1);
  const scratch = mkdtempSync(join(tmpdir(), 'kafnus-kafka-'));
  const logs = options.logs ?? join(scratch, 'logs');
  mkdirSync(logs, { recursive: true });
  // An id must not look like an option of the command line it is passed on.
  const clusterId = randomBytes(16).toString('base64url').replace(/^-/, 'A');

  const free = await freePorts(ids.length * 4);
  const seats = ids.map((id, index) => {
    const [advertised = 0, behindProxy = 0, internalPort = 0, controllerPort = 0] = free.slice(index * 4);
    const advertisedPort = options.port === undefined ? advertised : options.port + index;
    return {
      id,
      advertisedPort,
      clientPort: options.proxied ? behindProxy : advertisedPort,
      internalPort,
      controllerPort,
    };
  });
  const proxies = options.proxied
    ? await Promise.all(seats.map((seat) => startTcpProxy({ port: seat.clientPort }, seat.advertisedPort)))
    : [];
  const internalServers = seats.map((seat) => `127.0.0.1:${seat.internalPort}`).join(',');

  const brokers: BrokerProcess[] = seats.map((seat, index) => {
    const config = join(scratch, `broker-${seat.id}.properties`);
    const settings = brokerSettings({
      ...seat,
      voters: seats,
      partitions: options.partitions ?? 4,
      dataFolder: join(scratch, `data-${seat.id}`),
      users: options.users,
      authorizer: options.authorizer ?? false,
      listeners: options.listeners ?? [],
      properties: options.properties ?? {},
    });
    writeFileSync(config, propertiesFile(settings));
    const logFile = join(logs, `broker-${seat.id}.log`);
    return new BrokerProcess({
      id: seat.id,
      port: seat.advertisedPort,
      logFile,
      proxy: proxies[index],
      java: kafka.java,
      javaArguments: brokerArguments(kafka, {
        jvmOptions: [...jvmOptions(options), ...shared, ...(options.jvm ?? [])],
        logFile,
        config,
        clusterId,
        scratch,
      }),
      visible: () => awaitRunningBrokers(),
    });
  });

  /** Until every running broker knows every running broker. */
  const awaitRunningBrokers = async (): Promise<void> => {
    const running = brokers.flatMap((broker, index) =>
      broker.pid === undefined ? [] : [seats[index]?.internalPort ?? 0],
    );
    await Promise.all(running.map((internal) => awaitBrokers(`127.0.0.1:${internal}`, running.length)));
  };
  const stop = async (): Promise<void> => {
    // All at once and by force: brokers that leave one by one hand their partitions on, for data
    // that is thrown away.
    await Promise.all(brokers.map((broker) => broker.kill()));
    await Promise.all(proxies.map((proxy) => proxy.close()));
    rmSync(scratch, { recursive: true, force: true });
  };

  try {
    await Promise.all(brokers.map((broker) => broker.launch()));
    await awaitRunningBrokers();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    bootstrapServers: brokers.map((broker) => `127.0.0.1:${broker.port}`).join(','),
    internalServers,
    brokers,
    logs,
    async tool(mainClass, ...args) {
      const jvm = ['-XX:TieredStopAtLevel=1', ...shared, `-Dkafnus.log=${join(logs, 'tools.log')}`];
      const main = [`-Dlog4j2.configurationFile=${kafka.log4jConfig}`, '-cp', kafka.classPath, mainClass];
      return (await runCommand(kafka.java, [...jvm, ...main, '--bootstrap-server', internalServers, ...args])).stdout;
    },
    stop,
  };
}

/** Of a JVM that starts fast, unless it is to run fast. */
export function jvmOptions(options: Pick<LocalKafkaOptions, 'fullJit' | 'heap'>): string[] {
  const quick = options.fullJit ? [] : ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
  return [`-Xmx${options.heap ?? '512m'}`, ...quick, '-XX:+ExitOnOutOfMemoryError', '-Djava.awt.headless=true'];
}
