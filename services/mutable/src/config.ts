/** The settings of the mutable agent; those of the runtime (Kafka, HTTP, ...) come on top. */
import type { SettingsSchema } from '@kafnus/agent-runtime';
import { versionSettings, type VersionConfig } from '@kafnus/ngsi-core';

export type Config = VersionConfig;

export const settings = versionSettings satisfies SettingsSchema;
