/** What a command of `kafnus` is, and what it gets from outside. */

/** How every command ends. */
export const exitCodes = { ok: 0, failure: 1, usage: 2, interrupted: 130 } as const;

/** Where text goes: a terminal, a file or a pipe. */
export interface TextOutput {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  /** Width in characters; terminals have one. */
  readonly columns?: number | undefined;
}

/** The world outside of a command. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: AsyncIterable<Buffer | string>;
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
  /** Resolves when the user asks for the end (Ctrl-C, SIGTERM). */
  interrupted(): Promise<void>;
}

/** One command, in a file of its own under `commands/`. */
export interface Command {
  /** What `kafnus <command> --help` prints. */
  readonly help: string;
  /**
   * @param argv what follows the command's name
   * @returns the exit code
   * @throws UsageError when the arguments make no sense; Error when it failed, with a message for a person
   */
  run(argv: readonly string[], io: Io): Promise<number>;
}

/** The command was called wrongly: exit code 2, and a pointer to its help. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
