import { setTimeout as sleep } from 'node:timers/promises';

/** Repeats a check until it holds. @throws what the check throws, after `timeoutMs` */
export async function eventually(check: () => Promise<void>, timeoutMs = 60_000): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; ; await sleep(200)) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}
