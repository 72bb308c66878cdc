/** Phrases of the findings. */
import type { PartitionView } from './cluster-view.js';

const units = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1000, 'second'],
] as const;

/** `7 days`, `36 hours`, `90 seconds`: in the largest unit that it is a whole number of. */
export function duration(ms: number): string {
  for (const [size, unit] of units) if (ms >= size && ms % size === 0) return counted(ms / size, unit);
  return `${ms} ms`;
}

export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

const shownPartitions = 8;

export function partitionList(partitions: readonly PartitionView[]): string {
  const numbers = partitions.slice(0, shownPartitions).map(({ partition }) => partition);
  const more = partitions.length > shownPartitions ? `, and ${partitions.length - shownPartitions} more,` : '';
  return `partition${partitions.length === 1 ? '' : 's'} ${numbers.join(', ')}${more}`;
}
