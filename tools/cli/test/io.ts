import type { Io } from '../src/command.js';
import { runProgram } from '../src/program.js';

/** What a run of the program wrote, and how it ended. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program in this process, as its main module would. */
export async function kafnus(argv: readonly string[], world: Partial<Io> = {}): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  const code = await runProgram(argv, {
    env: {},
    stdin: chunks(),
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    interrupted: () => new Promise(() => undefined),
    ...world,
  });
  return { code, stdout, stderr };
}

/** A stream that delivers these pieces. */
export async function* chunks(...pieces: readonly (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield Buffer.from(piece);
}
