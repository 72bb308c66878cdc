/** Defects that are known and not mended yet: records that show nothing but those are not sent. */
import type { FuzzRecord } from './generator.js';

export function isMended({ name }: FuzzRecord): boolean {
  return !name.startsWith('500 entities');
}
