import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { askCommand, runCommand } from './command.js';
import { withFileLock } from './file-lock.js';

/** The version that `java/pom.xml` names. */
export const KAFKA_VERSION = '4.1.0';

/** Apache Kafka and Kafka Connect on this machine, ready to be run. */
export interface KafkaDistribution {
  /** The `java` command. */
  readonly java: string;
  /** A class path with the broker, Kafka's tools, Connect's runtime, converters and transforms, and our own classes. */
  readonly classPath: string;
  /** log4j2's configuration: one file, named by the system property `kafnus.log`. */
  readonly log4jConfig: string;
}

const INSTALL = 'install them with: apt-get install openjdk-17-jdk-headless maven';
const JAVA_FOLDER = fileURLToPath(new URL('../java/', import.meta.url));
const SOURCES = join(JAVA_FOLDER, 'src/kafnus/testkit');

/**
 * Kafka's jars and our Java classes, from the cache, or fetched from Maven Central and compiled at the first call (about
 * ten seconds). The cache is `$KAFNUS_CACHE`, else `.cache` in the root of the repository. It is filled under a lock and
 * appears by a rename: processes that start at the same time share one download and never see half of it.
 * @throws Error that says what to install when Java or Maven is missing
 */
export async function prepareKafka(): Promise<KafkaDistribution> {
  const missing = whyNoLocalKafka();
  if (missing !== undefined) throw new Error(missing);
  const { root, folder } = cacheFolder();
  if (!existsSync(folder)) {
    mkdirSync(root, { recursive: true });
    await withFileLock(`${folder}.lock`, async () => {
      if (!existsSync(folder)) await fill(folder);
    });
  }
  return {
    java: javaCommand('java'),
    classPath: `${join(folder, 'classes')}:${join(folder, 'jars')}/*`,
    log4jConfig: join(JAVA_FOLDER, 'log4j2.xml'),
  };
}

/** Why no local Kafka can be started on this machine, or undefined when it can. For tests: {@link withKafka}. */
export function whyNoLocalKafka(): string | undefined {
  const version = /version "(\d+)/.exec(askCommand(javaCommand('java'), '-version') ?? '')?.[1];
  if (version === undefined)
    return `A local Kafka needs a JDK (17 or newer) and Maven, and there is no java: ${INSTALL}`;
  if (Number(version) < 17) return `A local Kafka needs a JDK 17 or newer, and java is version ${version}: ${INSTALL}`;
  if (existsSync(cacheFolder().folder)) return undefined;
  if (askCommand(javaCommand('javac'), '-version') === undefined) {
    return `A local Kafka needs a JDK, and there is only a Java runtime (no javac): ${INSTALL}`;
  }
  if (askCommand('mvn', '-version') === undefined) {
    return `A local Kafka needs Maven for Kafka's jars, and there is no mvn: ${INSTALL}`;
  }
  return undefined;
}

/** Named for what it holds: with another pom or other sources it is another folder. */
function cacheFolder(): { readonly root: string; readonly folder: string } {
  const hash = createHash('sha256').update(readFileSync(join(JAVA_FOLDER, 'pom.xml')));
  for (const source of javaSources()) hash.update(readFileSync(source));
  const root = process.env['KAFNUS_CACHE'] ?? fileURLToPath(new URL('../../../.cache/', import.meta.url));
  return { root, folder: join(root, `kafka-${KAFKA_VERSION}-${hash.digest('hex').slice(0, 8)}`) };
}

function javaSources(): string[] {
  return readdirSync(SOURCES)
    .sort()
    .map((name) => join(SOURCES, name));
}

async function fill(folder: string): Promise<void> {
  const partial = `${folder}.partial`;
  await rm(partial, { recursive: true, force: true });
  const jars = join(partial, 'jars');
  const pom = join(JAVA_FOLDER, 'pom.xml');
  const maven = [
    '-B',
    '-q',
    '-Dstyle.color=never',
    '-f',
    pom,
    'dependency:copy-dependencies',
    '-DincludeScope=runtime',
  ];
  try {
    await runCommand('mvn', [...maven, `-DoutputDirectory=${jars}`]);
  } catch (error) {
    throw new Error('Maven could not fetch the jars of Kafka. Is a Maven repository reachable (~/.m2/settings.xml)?', {
      cause: error,
    });
  }
  const classes = join(partial, 'classes');
  await runCommand(javaCommand('javac'), ['--release', '17', '-d', classes, '-cp', `${jars}/*`, ...javaSources()]);
  await rename(partial, folder);
}

function javaCommand(name: 'java' | 'javac'): string {
  const home = process.env['JAVA_HOME'];
  return home === undefined || home === '' ? name : join(home, 'bin', name);
}
