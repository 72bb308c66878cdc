/**
 * Kafka's classes as the JVM keeps them in memory (class data sharing, JEP 310): a broker starts in
 * half the time, and the tests start some hundred.
 *
 * The first start on a machine runs a broker that writes down which classes it loads, and archives
 * those: ten seconds, once. A JVM that cannot do it, or finds that the archive does not fit
 * (another version, other jars), loads its classes as ever.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brokerSettings, propertiesFile } from './broker-settings.js';
import { askCommand, runCommand } from './command.js';
import type { KafkaDistribution } from './kafka-distribution.js';
import { brokerArguments, BrokerProcess } from './local-broker.js';
import { cacheFolder, fillOnce } from './maven-cache.js';
import { freePorts } from './ports.js';

const ARCHIVE = 'kafka.jsa';

/**
 * The JVM options that make use of the archive, which is made when there is none; no options where
 * it cannot be made.
 */
export async function sharedClasses(kafka: KafkaDistribution): Promise<string[]> {
  const version = /version "([\w.+-]+)/.exec(askCommand(kafka.java, '-version') ?? '')?.[1] ?? 'unknown';
  const folder = cacheFolder(`kafka-classes-java-${version}`, [kafka.jar]);
  await fillOnce(folder, (partial) => archive(kafka, partial));
  const file = join(folder, ARCHIVE);
  return existsSync(file) ? [`-XX:SharedArchiveFile=${file}`] : [];
}

async function archive(kafka: KafkaDistribution, folder: string): Promise<void> {
  await mkdir(folder);
  const list = join(folder, 'classes');
  try {
    await runBroker(kafka, [`-XX:DumpLoadedClassList=${list}`]);
    const dump = ['-Xshare:dump', `-XX:SharedClassListFile=${list}`, `-XX:SharedArchiveFile=${join(folder, ARCHIVE)}`];
    await runCommand(kafka.java, [...dump, '-XX:+UseSerialGC', '-cp', kafka.classPath]);
  } catch (error) {
    // It is no more than a gain of time: not tried again.
    await writeFile(join(folder, 'why-not'), String(error));
  }
}

/** Starts a broker, and stops it when it is up. */
async function runBroker(kafka: KafkaDistribution, jvmOptions: readonly string[]): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'kafnus-kafka-'));
  const [clientPort = 0, internalPort = 0, controllerPort = 0] = await freePorts(3);
  const seat = { id: 1, clientPort, advertisedPort: clientPort, internalPort, controllerPort };
  const config = join(scratch, 'broker.properties');
  const logFile = join(scratch, 'broker.log');
  const settings = brokerSettings({
    ...seat,
    voters: [seat],
    partitions: 1,
    dataFolder: join(scratch, 'data'),
    users: undefined,
    authorizer: false,
    properties: {},
  });
  try {
    await writeFile(config, propertiesFile(settings));
    const broker = new BrokerProcess({
      id: seat.id,
      port: clientPort,
      logFile,
      proxy: undefined,
      java: kafka.java,
      javaArguments: brokerArguments(kafka, {
        jvmOptions,
        logFile,
        config,
        clusterId: 'kafnus-class-archive',
        scratch,
      }),
      visible: () => Promise.resolve(),
    });
    await broker.start();
    await broker.stop();
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
