/** What run-fuzz.mjs has read from the command line. */
import { agentNames } from '@kafnus/ngsi-core';
import type { AgentName } from '../faults/harness/workload.js';

export type Delivery = 'exactly-once' | 'at-least-once';
export const deliveries: readonly Delivery[] = ['exactly-once', 'at-least-once'];

export interface FuzzOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly agents: readonly AgentName[];
  readonly deliveries: readonly Delivery[];
  /** Small records in a burst. */
  readonly size: number;
  /** Within this a good record must come out behind a burst, in ms. */
  readonly withinMs: number;
  /** A file of an earlier run: its records only. */
  readonly replay: string | undefined;
}

export function fuzzOptions(): FuzzOptions {
  const text = process.env['FUZZ_OPTIONS'];
  if (text === undefined) throw new Error('FUZZ_OPTIONS is not set: start the fuzz test with make fuzz');
  const { minutes, seed, agent, delivery, size, within, replay } = JSON.parse(text) as Record<
    string,
    string | undefined
  >;
  return {
    minutes: Number(minutes),
    seed: Number(seed),
    agents: agentNames.filter((name) => agent === undefined || name === agent),
    deliveries: deliveries.filter((name) => delivery === undefined || name === delivery),
    size: Number(size),
    withinMs: Number(within) * 1000,
    replay,
  };
}
