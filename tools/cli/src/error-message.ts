/**
 * The message of a thrown value. It tests for the property, because errors of another realm are no
 * instances of Error.
 */
export function messageOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error && typeof error.message === 'string'
    ? error.message
    : String(error);
}
