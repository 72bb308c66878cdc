/** The settings of the historic agent; those of the runtime (Kafka, HTTP, ...) come on top. */
import type { SettingsSchema } from '@kafnus/agent-runtime';
import { historicSettings, type VersionConfig } from '@kafnus/ngsi-core';

export type Config = VersionConfig;

export const settings = historicSettings satisfies SettingsSchema;
