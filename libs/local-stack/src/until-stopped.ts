/**
 * Resolves on SIGTERM or SIGINT. With `exitWithParent`, also when standard input ends: a parent
 * that keeps a pipe to this process takes it along, however the parent dies.
 */
export function untilStopped(options: { readonly exitWithParent: boolean }): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
    if (options.exitWithParent) process.stdin.resume().once('end', () => resolve());
  });
}
