/**
 * Runs Kafka in a detached process, so that Ctrl-C does not signal it: the agents need it to shut
 * down.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface StackKafka {
  /** host:port */
  readonly brokers: string;
  /** Resolves with exit code or signal, as text, when it has ended. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

/** @throws Error when it does not start. Its standard error has the reason */
export async function startKafka(port: number, logs: string): Promise<StackKafka> {
  const script = fileURLToPath(new URL('local-kafka-main.js', import.meta.resolve('@kafnus/local-stack')));
  // It ends when its standard input closes, which happens however this process ends.
  const child = spawn(process.execPath, [script, '--exit-with-parent', '--port', `${port}`, '--logs', logs], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  const ended = once(child, 'exit').then(([code, signal]) => `Kafka ended with ${String(code ?? signal)}`);
  let text = '';
  for await (const chunk of child.stdout) {
    text += String(chunk);
    const brokers = /"bootstrapServers":"([^"]+)"/.exec(text)?.[1];
    if (brokers === undefined) continue;
    return {
      brokers,
      ended,
      async stop() {
        child.stdin.end();
        await ended;
      },
    };
  }
  throw new Error(`${await ended} before it was ready, see above`);
}
