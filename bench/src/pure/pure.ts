/** Section "pure": the cost of a decision, without Kafka. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { progress } from '../progress.js';
import { shown, table } from '../table.js';

/** One step of the work on one entity. */
export interface PureFigures {
  readonly step: string;
  readonly attributes: number;
  /** Of the notification that holds the entity. */
  readonly inputBytes: number;
  readonly nanoseconds: number;
  /** The time of the fastest block, which other processes disturb least. */
  readonly nanosecondsAtBest: number;
  /** On the heap, and outside of it for buffers. */
  readonly allocatedBytes: number;
}

export const decisionStep = 'the whole decision';
/** A decision on an entity that matches no template. */
export const parsedDecisionStep = 'the whole decision, parsed';
/** JSON.parse and JSON.stringify of a notification: a measure of the machine's speed. */
export const yardstickStep = 'JSON.parse and JSON.stringify';

export interface PureResult {
  readonly figures: readonly PureFigures[];
}

const script = fileURLToPath(new URL('pure-child.js', import.meta.url));

/**
 * Runs in a separate process with an unused heap, and a large young generation, so that no garbage
 * collection is measured.
 */
export async function measurePure(): Promise<PureResult> {
  progress('the steps of a decision, by size of the entity');
  const flags = ['--expose-gc', '--max-semi-space-size=128', '--min-semi-space-size=128'];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, script], { maxBuffer: 2 ** 24 });
  return JSON.parse(stdout) as PureResult;
}

export function pureTable({ figures }: PureResult): string {
  const rows = figures.map(({ step, attributes, inputBytes, nanoseconds, allocatedBytes }) => [
    step,
    shown(attributes),
    shown(inputBytes),
    shown(nanoseconds),
    shown(allocatedBytes),
    shown((nanoseconds * 1000) / inputBytes),
  ]);
  const heads = ['', 'attributes', 'bytes in', 'ns an entity', 'bytes allocated', 'ns a KB in'];
  return table('The decision without Kafka: one notification with one entity', heads, rows);
}
