/**
 * The size of an output, for the setting maxOutputBytes. It counts characters, which are bytes in
 * nearly all texts: encoding each text would cost more time than the exact number is worth.
 */
import type { OutputRecord } from '@kafnus/agent-contract';

/** The offsets, lengths and objects of a record in memory, so that tombstones count as well. */
const recordOverhead = 200;

/** @returns the characters of key, value and headers, including the names of headers */
export function outputSize({ key, value, headers }: OutputRecord): number {
  let size = recordOverhead + (key?.length ?? 0) + (value?.length ?? 0);
  for (const header of headers) {
    for (const name in header) size += name.length + (header[name]?.length ?? 0);
  }
  return size;
}
