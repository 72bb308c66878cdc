import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { askCommand, runCommand } from './command.js';
import { cacheFolder, copyDependencies, fillOnce } from './maven-cache.js';

/** The version that `java/pom.xml` names. */
export const KAFKA_VERSION = '4.1.0';

/** Apache Kafka and Kafka Connect on this machine, ready to be run. */
export interface KafkaDistribution {
  /** The `java` command. */
  readonly java: string;
  /**
   * A class path with the broker, Kafka's tools, Connect's runtime, converters and transforms, and
   * our own classes.
   */
  readonly classPath: string;
  /** The part of it that is our own: named for what the rest is, too. */
  readonly jar: string;
  /** log4j2's configuration: one file, named by the system property `kafnus.log`. */
  readonly log4jConfig: string;
}

const INSTALL = 'install them with: apt-get install openjdk-17-jdk-headless maven';
const JAVA_FOLDER = fileURLToPath(new URL('../java/', import.meta.url));
const POM = join(JAVA_FOLDER, 'pom.xml');
const SOURCES = join(JAVA_FOLDER, 'src/kafnus/stack');
const OWN_JAR = 'kafnus-local-stack.jar';

/**
 * Kafka's jars and our Java classes, from the cache, or fetched from Maven Central and compiled at
 * the first call (about ten seconds).
 * @throws Error that says what to install when Java or Maven is missing
 */
export async function prepareKafka(): Promise<KafkaDistribution> {
  const missing = whyNoLocalKafka();
  if (missing !== undefined) throw new Error(missing);
  const folder = kafkaFolder();
  await fillOnce(folder, fill);
  const jar = join(folder, OWN_JAR);
  return {
    java: javaCommand('java'),
    classPath: `${jar}:${join(folder, 'jars')}/*`,
    jar,
    log4jConfig: join(JAVA_FOLDER, 'log4j2.xml'),
  };
}

/**
 * Why no local Kafka can be started on this machine, or undefined when it can. For tests:
 * {@link withKafka}.
 */
export function whyNoLocalKafka(): string | undefined {
  const version = /version "(\d+)/.exec(askCommand(javaCommand('java'), '-version') ?? '')?.[1];
  if (version === undefined)
    return `A local Kafka needs a JDK (17 or newer) and Maven, and there is no java: ${INSTALL}`;
  if (Number(version) < 17) return `A local Kafka needs a JDK 17 or newer, and java is version ${version}: ${INSTALL}`;
  if (existsSync(kafkaFolder())) return undefined;
  if (askCommand(javaCommand('javac'), '-version') === undefined) {
    return `A local Kafka needs a JDK, and there is only a Java runtime (no javac): ${INSTALL}`;
  }
  if (askCommand('mvn', '-version') === undefined) {
    return `A local Kafka needs Maven for Kafka's jars, and there is no mvn: ${INSTALL}`;
  }
  return undefined;
}

function kafkaFolder(): string {
  return cacheFolder(`kafka-${KAFKA_VERSION}`, [POM, ...javaSources()]);
}

function javaSources(): string[] {
  return readdirSync(SOURCES)
    .sort()
    .map((name) => join(SOURCES, name));
}

async function fill(folder: string): Promise<void> {
  const jars = join(folder, 'jars');
  await copyDependencies(POM, jars, 'Kafka');
  const classes = join(folder, 'classes');
  await runCommand(javaCommand('javac'), ['--release', '17', '-d', classes, '-cp', `${jars}/*`, ...javaSources()]);
  // The JVM archives classes of jars only, see class-archive.ts.
  await runCommand(javaCommand('jar'), ['--create', '--file', join(folder, OWN_JAR), '-C', classes, '.']);
}

function javaCommand(name: 'java' | 'javac' | 'jar'): string {
  const home = process.env['JAVA_HOME'];
  return home === undefined || home === '' ? name : join(home, 'bin', name);
}
