/** The message of whatever was thrown. By its shape, for errors of another realm are no instances of ours. */
export function messageOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error && typeof error.message === 'string'
    ? error.message
    : String(error);
}
