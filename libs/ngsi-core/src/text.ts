/** Helpers for text that people read and for the small caches of the hot path. */

/** How much of an offending value a message shows. */
const SHOWN = 80;

/**
 * An offending value as a message shows it: quoted, escaped (a log line must stay one line) and cut.
 * @param value anything that came out of a record
 */
export function shown(value: unknown): string {
  if (typeof value === 'string') {
    return value.length > SHOWN
      ? `${JSON.stringify(value.slice(0, SHOWN))}… (${value.length} characters)`
      : JSON.stringify(value);
  }
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}

/** What JSON.stringify escapes: quotes, backslashes, controls, and surrogates where they are alone. */
const ESCAPED = /["\\\u0000-\u001f\ud800-\udfff]/;

/** The text as a JSON string, as JSON.stringify writes it: at half the cost where nothing is escaped, as in nearly all texts. */
export function quoted(text: string): string {
  return ESCAPED.test(text) ? JSON.stringify(text) : `"${text}"`;
}

/** Longer keys are not remembered: what is bounded in entries must be bounded in bytes, too. */
const LONGEST_KEY = 512;

/**
 * A map for the hot path. Tenants choose what is asked for, so it is bounded: when it is full it is emptied and starts
 * again, which costs a hostile stream its speed and nothing else.
 */
export class BoundedMap<T> {
  private readonly entries = new Map<string, T>();

  /** @param limit how many entries are kept */
  constructor(private readonly limit: number) {}

  get(key: string): T | undefined {
    return this.entries.get(key);
  }

  set(key: string, value: T): void {
    if (key.length > LONGEST_KEY) return;
    if (this.entries.size >= this.limit) this.entries.clear();
    this.entries.set(key, value);
  }
}

/**
 * Remembers the results of a pure function in a {@link BoundedMap}.
 * @param limit how many results are kept
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
