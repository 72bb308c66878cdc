/**
 * Configuration (SPEC 10): one schema per agent, made of the runtime's settings and its own, gives
 * names, defaults, docs and checks. Defaults, file, environment, arguments: the later wins.
 */
import type { Agent, Setting, SettingsSchema } from '@kafnus/agent-contract';
import { isPem, messageOf } from '@kafnus/kafka-admin';
import { crossChecks } from './config/checks.js';
import { valueOf } from './config/formats.js';
import { ConfigurationError, shown } from './config/problems.js';
import { helpText } from './config/reference.js';
import { runtimeSettings } from './config/settings.js';
import type { Properties, RuntimeConfig } from './config/settings.js';
import { argumentOf, readArguments, readConfigFile, readEnvironment } from './config/sources.js';
import type { Environment, Given } from './config/sources.js';

export { ConfigurationError } from './config/problems.js';
export { settingsReference } from './config/reference.js';
export { logLevels, runtimeSettings } from './config/settings.js';
export type { LogLevel, OutOfRangePolicy, RuntimeConfig } from './config/settings.js';
export type { Environment } from './config/sources.js';

/** A value for people: secrets are `***`. */
interface PrintableSetting {
  readonly value: unknown;
  /** `default`, `file config.yaml`, `environment variable KAFNUS_...`, `argument --...` */
  readonly source: string;
}

export type PrintableConfig = Readonly<Record<string, PrintableSetting>>;

/** What was asked for: to run with a configuration, or to print a text and end. */
export type ConfigOutcome<C> =
  | { readonly kind: 'run'; readonly config: RuntimeConfig & C; readonly printable: PrintableConfig }
  | { readonly kind: 'help' | 'version'; readonly text: string };

export interface ConfigInput {
  /** The arguments without `node` and the script. */
  readonly argv: readonly string[];
  readonly env: Environment;
  /** Told by `--version`. */
  readonly version?: string;
}

/**
 * The whole schema of an agent.
 * @throws Error when the agent declares a key, variable or argument of the runtime
 */
export function settingsOf(agent: Pick<Agent<never>, 'name' | 'settings'>): SettingsSchema {
  const runtime = runtimeSettings(agent.name);
  const names = ([key, setting]: [string, Setting]): string[] => [key, setting.env, argumentOf(key, setting)];
  const taken = new Set(Object.entries(runtime).flatMap(names));
  const clash = Object.entries(agent.settings)
    .flatMap(names)
    .find((name) => taken.has(name));
  if (clash !== undefined) throw new Error(`the setting ${clash} of the agent ${agent.name} is the runtime's`);
  return { ...runtime, ...agent.settings };
}

/**
 * Reads and checks everything.
 * @throws ConfigurationError which names each key that is wrong, where it came from, and what is
 *   allowed
 */
export function loadConfig<C>(agent: Pick<Agent<C>, 'name' | 'settings'>, input: ConfigInput): ConfigOutcome<C> {
  const schema = settingsOf(agent);
  const problems: string[] = [];
  const { layer: args, config: pathArgument, help, version } = readArguments(input.argv, schema, problems);
  if (help) return { kind: 'help', text: helpText(agent.name, schema) };
  if (version) return { kind: 'version', text: `${agent.name} ${input.version ?? 'unknown'}` };
  const environment = readEnvironment(input.env, schema, problems);
  const path = pathArgument ?? input.env['KAFNUS_CONFIG'] ?? '';
  const file = path === '' ? new Map<string, Given>() : readConfigFile(path, schema, problems);

  const values: Record<string, unknown> = {};
  const printable: Record<string, PrintableSetting> = {};
  for (const [key, setting] of Object.entries(schema)) {
    const given = args.get(key) ?? environment.get(key) ?? file.get(key);
    try {
      const value = valueOf(key, setting, given?.raw);
      values[key] = value;
      printable[key] = { value: masked(setting, value), source: given?.source ?? 'default' };
    } catch (error) {
      problems.push(problemWith(key, setting, given, error));
    }
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  // The schema has checked each value; that C is the shape of `agent.settings` is up to the agent.
  const config = values as unknown as RuntimeConfig & C;
  const conflicts = crossChecks(config);
  if (conflicts.length > 0) throw new ConfigurationError(conflicts);
  return { kind: 'run', config, printable };
}

function problemWith(key: string, setting: Setting, given: Given | undefined, error: unknown): string {
  const reason = messageOf(error);
  if (given === undefined) {
    return `${key} is not set: ${reason}. Give it by ${setting.env}, by --${argumentOf(key, setting)} or in the configuration file`;
  }
  const secret = setting.sensitive === true || setting.format === 'properties';
  const link =
    typeof given.raw === 'string' && /^(?:tcp|udp|sctp):\/\//.test(given.raw) && given.source.startsWith('environment');
  const hint = link
    ? '. Kubernetes sets such variables for a Service of that name: set enableServiceLinks: false for the pod'
    : '';
  return `${key}: ${secret ? 'the value' : shown(given.raw)} of the ${given.source} is not valid: ${reason}${hint}`;
}

const mask = '***';
const secretProperty = /pass|secret|token|credential|private|[._]pem$|oauthbearer\.config|jaas/i;

/** Empty secrets are shown as such: whether one is set is what people look for. */
function masked(setting: Setting, value: unknown): unknown {
  if (setting.format === 'properties') return maskedProperties(value as Properties);
  if (setting.sensitive !== true || value === '') return value;
  // A path to the private key is no secret, and worth seeing.
  return setting.env === 'KAFNUS_KAFKA_SSL_KEY' && typeof value === 'string' && !isPem(value) ? value : mask;
}

function maskedProperties(properties: Properties): Properties {
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => [
      name,
      secretProperty.test(name) ? mask : withoutCredentials(value),
    ]),
  );
}

/** `http://user:password@host` -> `http://***@host` */
function withoutCredentials(value: string | number | boolean): string | number | boolean {
  return typeof value === 'string' ? value.replace(/\/\/[^/@\s]+@/g, `//${mask}@`) : value;
}
