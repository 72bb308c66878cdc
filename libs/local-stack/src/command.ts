import { spawn, spawnSync } from 'node:child_process';

/** What a finished command wrote. */
export interface CommandOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/** Where and as whom a command runs, where that is not as this process. */
export interface CommandPlace {
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Runs a command to its end.
 * @param input text for its standard input
 * @throws Error with the end of what it wrote when it cannot be started or its exit code is not 0
 */
export function runCommand(
  command: string,
  args: readonly string[],
  input = '',
  place: CommandPlace = {},
): Promise<CommandOutput> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...place, stdio: 'pipe' });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', (error) => reject(new Error(`${command} cannot be started: ${error.message}`)));
    child.on('close', (code, signal) => {
      if (code === 0) return resolve({ stdout, stderr });
      const end = `${stdout}\n${stderr}`.trim().split('\n').slice(-25).join('\n');
      reject(new Error(`${command} ${args[0] ?? ''} ended with ${code ?? signal}:\n${end}`));
    });
    // A command that ends before it has read everything closes the pipe: its exit code says what
    // happened.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/**
 * What a command says about itself (standard output and standard error), or undefined when it
 * cannot be run.
 */
export function askCommand(command: string, ...args: string[]): string | undefined {
  const result = spawnSync(command, args, { encoding: 'utf8' });
  return result.status === 0 ? result.stdout + result.stderr : undefined;
}
