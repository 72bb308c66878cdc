/** Writes the results to files. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Machine } from './machine.js';
import type { LatencyResult } from './pipeline/latency.js';
import type { PipelineResult } from './pipeline/throughput.js';
import type { PeersResult } from './peers/peers.js';
import type { RestoreResult } from './restore/restore.js';
import type { GrowthResult } from './growth/growth.js';
import type { PostgisResult } from './postgis/postgis.js';
import type { PureResult } from './pure/pure.js';

/** Results by section; undefined for a section that did not run. */
export interface Results {
  readonly pipeline?: PipelineResult;
  readonly peers?: PeersResult;
  readonly latency?: LatencyResult;
  readonly restore?: RestoreResult;
  readonly growth?: GrowthResult;
  readonly postgis?: PostgisResult;
  readonly pure?: PureResult;
}

const folder = fileURLToPath(new URL('../results/', import.meta.url));

export function writeResult(name: string, machine: Machine, result: object): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}${name}.json`, `${JSON.stringify({ machine, ...result }, null, 2)}\n`);
}
