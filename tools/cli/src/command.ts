/** The interface of the commands of `kafnus`. */

export const exitCodes = { ok: 0, failure: 1, usage: 2, interrupted: 130 } as const;

/** A terminal, a file or a pipe. */
export interface TextOutput {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  /** The width of a terminal in characters. */
  readonly columns?: number | undefined;
}

/** The environment of a command, which tests replace. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: AsyncIterable<Buffer | string>;
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
  /** Resolves when the user interrupts (Ctrl-C, SIGTERM, SIGHUP). */
  interrupted(): Promise<void>;
}

/** A command, exported by a file of `commands/`. */
export interface Command {
  /** The output of `kafnus <command> --help`. */
  readonly help: string;
  /**
   * @param argv the arguments after the name of the command
   * @returns the exit code
   * @throws UsageError when the arguments are wrong; Error with a message for the user when the
   * command failed
   */
  run(argv: readonly string[], io: Io): Promise<number>;
}

/** Wrong arguments: exit code 2, and a pointer to the help. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
