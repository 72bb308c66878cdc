/** The Kafka of a stack, started and ended through a process of its own: Ctrl-C must reach the agents first. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface StackKafka {
  /** host:port */
  readonly brokers: string;
  /** Resolves when it has ended, with how. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

/** @throws Error when it does not start; why has been told on standard error */
export async function startKafka(port: number, logs: string): Promise<StackKafka> {
  const script = fileURLToPath(new URL('local-kafka-main.js', import.meta.resolve('@kafnus/local-stack')));
  // Its standard input closes when this process ends, however it ends, and the broker ends with it.
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
