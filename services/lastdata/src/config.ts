/** The settings of the lastdata agent; those of the runtime (Kafka, HTTP, ...) come on top. */
import type { SettingsSchema } from '@kafnus/agent-runtime';
import { ngsiSettings, type NgsiConfig } from '@kafnus/ngsi-core';

export type Config = NgsiConfig;

export const settings = ngsiSettings satisfies SettingsSchema;
