/** Helpers for messages, and small caches for the decisions. */

/** How many characters of an invalid value a message shows. */
const maxShown = 80;

/**
 * An invalid value as a message shows it: quoted, escaped (a log line stays one line) and cut.
 * @param value any value from a record
 */
export function shown(value: unknown): string {
  if (typeof value === 'string') {
    return value.length > maxShown
      ? `${JSON.stringify(value.slice(0, maxShown))}… (${value.length} characters)`
      : JSON.stringify(value);
  }
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}

/** What JSON.stringify escapes: quotes, backslashes, control characters, lone surrogates. */
const escapedCharacter = /["\\\u0000-\u001f\ud800-\udfff]/;

/** JSON.stringify of a text, in half the time when nothing is escaped, as in nearly all texts. */
export function quoted(text: string): string {
  return escapedCharacter.test(text) ? JSON.stringify(text) : `"${text}"`;
}

/** Longer keys are not cached: this bounds the bytes of a cache, and not only its entries. */
const maxKeyLength = 512;

/**
 * A bounded cache: tenants choose its keys. A full cache is emptied, so a hostile stream of keys
 * costs time, and never memory.
 */
export class BoundedMap<T> {
  readonly #entries = new Map<string, T>();

  readonly #limit: number;

  /** @param limit the largest number of entries */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: string): T | undefined {
    return this.#entries.get(key);
  }

  set(key: string, value: T): void {
    if (key.length > maxKeyLength) return;
    if (this.#entries.size >= this.#limit) this.#entries.clear();
    this.#entries.set(key, value);
  }
}

/**
 * Caches the results of a pure function in a {@link BoundedMap}.
 * @param limit the largest number of results
 */
export function memo<T>(limit: number, compute: (key: string) => T): (key: string) => T {
  const known = new BoundedMap<T>(limit);
  return (key) => {
    const hit = known.get(key);
    if (hit !== undefined) return hit;
    const value = compute(key);
    known.set(key, value);
    return value;
  };
}
