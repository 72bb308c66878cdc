import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 15_000,
): Promise<void> {
  for (const since = Date.now(); !(await holds()); await sleep(50)) {
    if (Date.now() - since > timeoutMs) throw new Error(`not after ${timeoutMs / 1000} s: ${what}`);
  }
}
