/** What a thrown value says, whatever was thrown. */
import { isNativeError } from 'node:util/types';

/** The message of an error, else the value as text. */
export function messageOf(error: unknown): string {
  return isNativeError(error) ? error.message : String(error);
}

/** The `code` of an error of Node (`ENOENT`) or of the Kafka client (a number), if there is one. */
export function codeOf(error: unknown): string | number | undefined {
  const code: unknown = isNativeError(error) && 'code' in error ? error.code : undefined;
  return typeof code === 'string' || typeof code === 'number' ? code : undefined;
}
