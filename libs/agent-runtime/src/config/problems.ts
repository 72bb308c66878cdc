/**
 * The configuration is not valid: the process must not start. The message is complete, for a
 * person.
 */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';

  readonly problems: readonly string[];

  /**
   * @param found one sentence each; all that were found, so that a start needs one correction and
   *   not five
   */
  constructor(found: string | readonly string[]) {
    const problems = typeof found === 'string' ? [found] : found;
    super(
      problems.length === 1
        ? `configuration: ${problems[0] ?? ''}`
        : `configuration: ${problems.length} problems:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`,
    );
    this.problems = problems;
  }
}

const maxShown = 80;

/** A value as a message may show it: quoted, control characters escaped, at most 80 characters. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > maxShown ? `${text.slice(0, maxShown)}...` : text;
}

/**
 * "; did you mean x?" when a known name is near the given one (at most a third of its characters
 * differ), else "". Names are compared without case, dashes and underscores: most mistakes are made
 * there.
 */
export function suggestion(given: string, known: Iterable<string>): string {
  const plain = (name: string): string => name.toLowerCase().replace(/[-_.]/g, '');
  const wanted = plain(given);
  let best = { name: '', distance: Math.floor(wanted.length / 3) + 1 };
  for (const name of known) {
    const distance = editDistance(wanted, plain(name), best.distance);
    if (distance < best.distance) best = { name, distance };
  }
  return best.name === '' ? '' : `; did you mean ${best.name}?`;
}

/** Levenshtein's distance; `limit` is returned when it is reached. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return Math.min(previous[b.length] ?? limit, limit);
}
