/** What a thrown value says, whatever was thrown: an Error of any realm, or a plain object. */

/** The message of an error, else the value as text. */
export function messageOf(error: unknown): string {
  const message = property(error, 'message');
  return typeof message === 'string' ? message : String(error);
}

/** The `code` of an error of Node.js (`ENOENT`) or of the Kafka client (a number), if any. */
export function codeOf(error: unknown): string | number | undefined {
  const code = property(error, 'code');
  return typeof code === 'string' || typeof code === 'number' ? code : undefined;
}

function property(error: unknown, name: string): unknown {
  return typeof error === 'object' && error !== null ? Reflect.get(error, name) : undefined;
}
