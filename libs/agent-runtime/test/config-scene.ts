/** An agent with three settings of its own, and its configuration from any sources. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import type { SettingsSchema } from '@kafnus/agent-contract';
import {
  ConfigurationError,
  loadConfig,
  type Environment,
  type PrintableConfig,
  type RuntimeConfig,
} from '../src/config.js';

interface Own {
  readonly naming: 'default' | 'kafnus';
  readonly tenants: readonly string[];
  readonly ratio: number;
}

const settings: SettingsSchema = {
  naming: { doc: 'Names.', format: ['default', 'kafnus'], default: 'default', env: 'KAFNUS_NAMING' },
  tenants: { doc: 'Allowed tenants.', format: 'Array', default: [], env: 'KAFNUS_TENANTS' },
  ratio: { doc: 'A number.', format: 'Number', default: 0.5, env: 'KAFNUS_RATIO', arg: 'the-ratio' },
};
export const agent = { name: 'historic', settings };
export const brokers = { KAFNUS_KAFKA_BROKERS: 'kafka:9092' };

const folder = mkdtempSync(join(tmpdir(), 'kafnus-config-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
export function file(content: string, extension = 'yaml'): string {
  const path = join(folder, `config-${++files}.${extension}`);
  writeFileSync(path, content);
  return path;
}

export function load(
  env: Environment = brokers,
  argv: readonly string[] = [],
): { config: RuntimeConfig & Own; printable: PrintableConfig } {
  const outcome = loadConfig<Own>(agent, { argv, env });
  if (outcome.kind !== 'run') throw new Error(outcome.kind);
  return outcome;
}

export function failure(env: Environment, argv: readonly string[] = []): string {
  try {
    load({ ...brokers, ...env }, argv);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.message;
    throw error;
  }
  throw new Error('it was accepted');
}
