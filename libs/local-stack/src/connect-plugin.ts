import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { askCommand } from './command.js';
import { whyNoLocalKafka } from './kafka-distribution.js';
import { cacheFolder, copyDependencies, fillOnce } from './maven-cache.js';

/** The folder in the repository with what an operator gives to Kafka Connect. */
export const CONNECT_FOLDER = fileURLToPath(new URL('../../../deploy/connect/', import.meta.url));
const POM = join(CONNECT_FOLDER, 'plugin/pom.xml');

/**
 * The folder for a worker's `plugin.path`, with the Debezium JDBC sink as
 * `deploy/connect/plugin/pom.xml` puts it together; from the cache, or fetched from Maven Central
 * at the first call.
 * @throws Error that says what to install when Maven is missing
 */
export async function prepareConnectPlugin(): Promise<string> {
  const missing = whyNoConnectWorker();
  if (missing !== undefined) throw new Error(missing);
  const folder = pluginFolder();
  await fillOnce(folder, (partial) => copyDependencies(POM, join(partial, 'debezium-jdbc'), 'the Debezium JDBC sink'));
  return folder;
}

/**
 * Why no Kafka Connect can be started on this machine, or undefined when it can. For tests:
 * {@link withPostgis}.
 */
export function whyNoConnectWorker(): string | undefined {
  const missing = whyNoLocalKafka();
  if (missing !== undefined || existsSync(pluginFolder())) return missing;
  if (askCommand('mvn', '-version') !== undefined) return undefined;
  return 'Kafka Connect needs Maven for the Debezium JDBC sink, and there is no mvn: apt-get install maven';
}

function pluginFolder(): string {
  return cacheFolder('connect-plugins', [POM]);
}
