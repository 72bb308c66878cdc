/** Starts the programs that are measured. */
import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import type { Running } from '../contender.js';

const execute = promisify(execFile);

/** Runs a command to its end. @throws Error with the end of its output when it fails */
export async function runCommand(command: string, args: readonly string[]): Promise<void> {
  try {
    await execute(command, args, { maxBuffer: 2 ** 26 });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} failed:\n${`${stdout}\n${stderr}`.trim().slice(-3000)}`, { cause: error });
  }
}

/**
 * Starts a program that runs until it is killed. SIGKILL is sufficient, because it has committed
 * its work by then.
 * @param channel opens an IPC channel, so that a Node.js program exits with this process
 */
export function startProgram(command: string, args: readonly string[], channel = false): Running {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe', ...(channel ? (['ipc'] as const) : [])] });
  let log = '';
  const keep = (text: string): void => {
    log = (log + text).slice(-3000);
  };
  child.stdout?.setEncoding('utf8').on('data', keep);
  child.stderr?.setEncoding('utf8').on('data', keep);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(`${command} ended with ${code ?? signal}\n${log}`));
  });
  if (child.pid === undefined) throw new Error(`${command} cannot be started`);
  return {
    pid: child.pid,
    ended,
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
