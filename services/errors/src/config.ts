/** The settings that the errors agent has besides those of the runtime. */
import { namingSettings, ngsiSettings, type NamingConfig, type Sink } from '@kafnus/ngsi-core';

export interface Config extends NamingConfig {
  readonly sink: Sink;
  /** Comma-separated. */
  readonly tenants: string;
}

export const settings = { ...namingSettings, sink: ngsiSettings.sink, tenants: ngsiSettings.tenants } as const;
