/** All settings of an agent in words, for `--help` and the reference page. */
import type { SettingsSchema } from '@kafnus/agent-contract';
import { allowedFor } from './formats.js';
import { argumentOf, hasFileVariant } from './sources.js';

/** One setting for people. */
export interface SettingReference {
  readonly key: string;
  readonly env: string;
  /** The variable which names a file with the value; empty when there is none. */
  readonly fileEnv: string;
  readonly argument: string;
  readonly allowed: string;
  /** As JSON; `required` when there is none. */
  readonly default: string;
  readonly doc: string;
  readonly sensitive: boolean;
}

export function settingsReference(schema: SettingsSchema): SettingReference[] {
  return Object.entries(schema).map(([key, setting]) => ({
    key,
    env: setting.env,
    fileEnv: hasFileVariant(setting) ? `${setting.env}_FILE` : '',
    argument: `--${argumentOf(key, setting)}`,
    allowed: allowedFor(setting),
    default: setting.default === null ? 'required' : JSON.stringify(setting.default),
    doc: setting.doc,
    sensitive: setting.sensitive === true,
  }));
}

/** The text of `--help`. */
export function helpText(agentName: string, schema: SettingsSchema): string {
  const settings = settingsReference(schema).map((setting) =>
    [
      `  ${setting.argument}  ${setting.env}${setting.fileEnv === '' ? '' : `  ${setting.fileEnv}`}`,
      `      ${setting.doc}`,
      `      ${setting.key}: ${setting.allowed}; default: ${setting.default}`,
    ].join('\n'),
  );
  return [
    `Kafnus NGSI agent "${agentName}".`,
    '',
    'Settings come from a file (YAML or JSON, by key), the environment and the arguments; the later wins.',
    'A variable ..._FILE names a file that holds the value. Empty variables count as not set.',
    '',
    '  --config  KAFNUS_CONFIG',
    '      Path of the configuration file.',
    '  --help, --version',
    '',
    "'topics plan', 'topics apply' and 'topics check' before all settings look after the agent's topics: 'topics --help'.",
    '',
    ...settings,
    '',
  ].join('\n');
}
