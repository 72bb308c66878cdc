/**
 * N processes in one container, for development and small machines: each is a member of the
 * consumer group of its own. Threads are no alternative: the Kafka client's native part does not
 * load in worker threads.
 *
 * When one process ends, the others are stopped and the parent ends with its exit code. It restarts
 * nothing: that is the orchestrator's work, and half an agent that looks alive is worse than none.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import type { Logger } from 'pino';

import type { Environment } from './config.js';

export interface ConcurrencyOptions {
  readonly count: number;
  /** Path of the service's main module. */
  readonly script: string;
  /** Arguments of this process, without node and the script. */
  readonly argv: readonly string[];
  readonly env: Environment;
  /** Children are called `<instanceId>-0`, `-1`, ... */
  readonly instanceId: string;
  /** Of child 0; the others have the next ones. 0: each any free one. */
  readonly httpPort: number;
  /** Children that have not ended after this time are killed. Longer than their own limit. */
  readonly killAfterMs: number;
  readonly logger: Pick<Logger, 'info' | 'error'>;
}

const signals = ['SIGTERM', 'SIGINT'] as const;
/**
 * Two threads are always in use, and each call of the Kafka client that never comes back keeps one:
 * Node's four are few.
 */
const threadPoolSize = 16;

/** @returns the exit code for this process, when all children have ended */
export async function runConcurrently(options: ConcurrencyOptions): Promise<number> {
  const { logger } = options;
  const children = new Set<ChildProcess>();
  let exitCode = 0;
  let stopping = false;
  let deadline: NodeJS.Timeout | undefined;

  // Children get one SIGTERM from here, also for a SIGINT: the terminal has sent them that itself,
  // and to a process that is stopping already, a second one means to end at once.
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    for (const child of children) child.kill('SIGTERM');
    deadline = setTimeout(() => {
      logger.error({ children: children.size }, 'child processes did not stop in time and are killed');
      if (exitCode === 0) exitCode = 1;
      for (const child of children) child.kill('SIGKILL');
    }, options.killAfterMs);
  };

  const run = (index: number): Promise<void> =>
    new Promise((resolve) => {
      const child = startChild(options, index);
      children.add(child);
      const ended = (code: number, details: object): void => {
        if (!children.delete(child)) return;
        if (code !== 0) logger.error({ child: index, ...details }, 'child process failed; all are stopped');
        else if (!stopping) logger.info({ child: index, ...details }, 'child process ended; all are stopped');
        // The first failure is the cause; those of the others follow from it.
        if (exitCode === 0) exitCode = code;
        if (children.size > 0) stop();
        resolve();
      };
      child.once('exit', (code, signal) => {
        // Told to stop before it could listen for that: an orderly end too.
        const early = stopping && signal === 'SIGTERM';
        ended(early ? 0 : (code ?? 128 + constants.signals[signal ?? 'SIGKILL']), { code, signal });
      });
      child.once('error', (error) => ended(1, { error: error.message }));
    });

  for (const signal of signals) process.on(signal, stop);
  try {
    await Promise.all(Array.from({ length: options.count }, (_, index) => run(index)));
  } finally {
    for (const signal of signals) process.off(signal, stop);
    clearTimeout(deadline);
  }
  return exitCode;
}

function startChild(options: ConcurrencyOptions, index: number): ChildProcess {
  const port = options.httpPort === 0 ? 0 : options.httpPort + index;
  const own = { concurrency: '1', 'instance-id': `${options.instanceId}-${index}`, 'http-port': String(port) };
  const env = {
    // A process cannot choose it for itself: Node starts its threads before our first line runs.
    UV_THREADPOOL_SIZE: String(threadPoolSize),
    ...options.env,
    KAFNUS_CONCURRENCY: own.concurrency,
    KAFNUS_INSTANCE_ID: own['instance-id'],
    KAFNUS_HTTP_PORT: own['http-port'],
  };
  // Arguments win over the environment: --concurrency of this process is overridden there too.
  const args = [...options.argv, ...Object.entries(own).map(([name, value]) => `--${name}=${value}`)];
  return fork(options.script, args, { env, stdio: 'inherit' });
}

/**
 * For a child of {@link runConcurrently}: calls `stop` when the parent has ended, in any way.
 * Otherwise a killed parent would leave its children in the group, with their transactional ids.
 */
export function stopWithParent(stop: () => void): void {
  if (process.channel === undefined) return;
  process.once('disconnect', stop);
  // Waiting for the parent must not keep the process alive.
  process.channel.unref();
}
