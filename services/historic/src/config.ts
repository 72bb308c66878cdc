/** The settings of the historic agent; those of the runtime (Kafka, HTTP, ...) come on top. */
import type { SettingsSchema } from '@kafnus/agent-runtime';
import { versionSettings, type VersionConfig } from '@kafnus/ngsi-core';

export type Config = VersionConfig;

/** Each version is a row of its own: the order of the records decides nothing. */
export const settings = {
  ...versionSettings,
  rekey: { ...versionSettings.rekey, default: 'off' },
} satisfies SettingsSchema;
