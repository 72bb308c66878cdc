import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CONNECT_FOLDER } from './connect-plugin.js';
import type { LocalPostgis } from './local-postgis.js';

/**
 * A connector as `deploy/connect` has it, for a test that runs exactly what an operator runs.
 * @param file `debezium-historic.json`, ...
 * @param overrides settings that win over those of the file
 * @throws Error when there is no such file, or when it is no flat JSON object of texts
 */
export function connectorTemplate(
  file: string,
  overrides: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const template: unknown = JSON.parse(readFileSync(join(CONNECT_FOLDER, file), 'utf8'));
  if (!isSettings(template)) throw new Error(`${file} must be one JSON object whose values are all texts`);
  return { ...template, ...overrides };
}

function isSettings(value: unknown): value is Record<string, string> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((setting) => typeof setting === 'string')
  );
}

/**
 * The environment of a worker whose connectors, made from the templates, write to this database.
 */
export function postgisVariables(
  postgis: Pick<LocalPostgis, 'host' | 'port' | 'database' | 'password'> & { readonly user: string },
): Record<string, string> {
  return {
    KAFNUS_POSTGIS_HOST: postgis.host,
    KAFNUS_POSTGIS_PORT: `${postgis.port}`,
    KAFNUS_POSTGIS_DATABASE: postgis.database,
    KAFNUS_POSTGIS_USER: postgis.user,
    KAFNUS_POSTGIS_PASSWORD: postgis.password,
  };
}

/** The settings of `deploy/connect/worker.properties`. */
export function workerTemplate(): Record<string, string> {
  const lines = readFileSync(join(CONNECT_FOLDER, 'worker.properties'), 'utf8').split('\n');
  return Object.fromEntries(
    lines.flatMap((line) => {
      const [, name, value] = /^([^#=]+)=(.*)$/.exec(line) ?? [];
      return name === undefined || value === undefined ? [] : [[name, value] as const];
    }),
  );
}
