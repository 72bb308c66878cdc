/**
 * How large an output is, for the bound on what one record may become: see the setting maxOutputBytes. What is counted is
 * characters, which are bytes in nearly all texts; to encode each text for its bytes would cost more than the bound is worth.
 */
import type { OutputRecord } from '@kafnus/agent-contract';

/** Offsets, lengths and the objects of a record in memory; so that tombstones and tiny rows count as well. */
const OVERHEAD = 200;

/** @returns characters of key, value and headers, names included */
export function outputSize({ key, value, headers }: OutputRecord): number {
  let size = OVERHEAD + (key?.length ?? 0) + (value?.length ?? 0);
  for (const header of headers) {
    for (const name in header) size += name.length + (header[name]?.length ?? 0);
  }
  return size;
}
