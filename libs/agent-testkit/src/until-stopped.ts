/**
 * Resolves on SIGTERM or SIGINT. With `leash`, also when standard input ends: a parent that keeps a pipe to this process
 * takes it along, however the parent dies.
 */
export function untilStopped(options: { readonly leash: boolean }): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
    if (options.leash) process.stdin.resume().once('end', () => resolve());
  });
}
