import type { ChildProcess } from 'node:child_process';

/** Resolves when a child process is gone, or could not be started, with how. */
export function ending(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      // Not started at all: there will be no exit.
      if (child.pid === undefined) resolve(error.message);
    });
    child.once('exit', (code, signal) => resolve(`the process ended with ${code ?? signal}`));
  });
}
