/** The configuration is not valid: the process must not start. The message is complete. */
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
