/** Builds the Kafka Streams application of `peers/kafka-streams`, once. */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { progress } from '../progress.js';
import { runCommand } from './command.js';

export interface StreamsApplication {
  /** The `java` command. */
  readonly java: string;
  readonly classPath: string;
}

const source = fileURLToPath(new URL('../../peers/kafka-streams/', import.meta.url));
const cache = process.env['KAFNUS_CACHE'] ?? fileURLToPath(new URL('../../../.cache/', import.meta.url));

/**
 * The application, from the cache, or with its jars fetched from Maven Central and compiled: 15 s.
 * @throws Error with the end of Maven's or the compiler's output
 */
export async function buildStreamsApplication(): Promise<StreamsApplication> {
  const pom = join(source, 'pom.xml');
  const sources = readdirSync(join(source, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.java'))
    .sort()
    .map((name) => join(source, 'src', name));
  const hash = createHash('sha256');
  for (const file of [pom, ...sources]) hash.update(readFileSync(file));
  const folder = join(cache, `kafka-streams-peer-${hash.digest('hex').slice(0, 8)}`);
  if (!existsSync(folder)) {
    progress('building the Kafka Streams application (once)');
    await mkdir(cache, { recursive: true });
    // It appears by a rename: nobody sees half of it, and of two that build at once the first wins.
    const partial = `${folder}.${randomUUID()}`;
    const jars = join(partial, 'jars');
    const copy = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${jars}`];
    await runCommand('mvn', ['-B', '-q', '-f', pom, ...copy]);
    const compile = ['--release', '17', '-d', join(partial, 'classes'), '-cp', `${jars}/*`, ...sources];
    await runCommand(javaCommand('javac'), compile);
    try {
      await rename(partial, folder);
    } catch (error) {
      if (!existsSync(folder)) throw error;
      await rm(partial, { recursive: true });
    }
  }
  return { java: javaCommand('java'), classPath: `${join(folder, 'classes')}:${join(folder, 'jars')}/*` };
}

function javaCommand(name: 'java' | 'javac'): string {
  const home = process.env['JAVA_HOME'];
  return home === undefined || home === '' ? name : join(home, 'bin', name);
}
