/**
 * How old a transaction may be. The coordinator aborts one that is older than the transaction
 * timeout, counted from the first partition that was added to it, and raises the epoch of its
 * producer: the next call of the producer is told that it is fenced, in the same words as when
 * another process has taken its transactional id over.
 *
 *     begin   first record                   timeout
 *       |----------|------ commit ------| .8    |
 *     age 0                                     the coordinator aborts, and raises the epoch
 *
 * Here the age is counted from begin, which is earlier and therefore on the safe side. A commit
 * ends its retries at 0.8 of the timeout. Whoever is fenced in an older transaction was fenced by
 * the coordinator, as far as can be known; a rival shows in the next transaction, which is young.
 */

/** The part of the timeout within which a transaction is committed or given up. */
const usable = 0.8;

/**
 * @returns when to stop with a commit of a transaction that began then; both as performance.now()
 */
export function commitDeadline(begunAt: number, timeoutMs: number): number {
  return begunAt + timeoutMs * usable;
}

/** The transaction is too old for a commit to be sure of its coordinator. */
export function tooOldText(ageMs: number, timeoutMs: number): string {
  return (
    `the transaction is ${Math.round(ageMs)} ms old, and its coordinator aborts it after ${timeoutMs} ms ` +
    '(KAFNUS_TRANSACTION_TIMEOUT_MS): it is aborted, and its records are read again'
  );
}

/** Whether a producer that is fenced now was fenced by its coordinator, because of this age. */
export function isAbortedByCoordinator(ageMs: number, timeoutMs: number): boolean {
  return ageMs >= timeoutMs;
}

/** The coordinator was faster. */
export function abortedByCoordinatorText(ageMs: number, timeoutMs: number): string {
  return (
    `the coordinator has aborted the transaction: it was open for ${Math.round(ageMs)} ms, ` +
    `longer than KAFNUS_TRANSACTION_TIMEOUT_MS (${timeoutMs})`
  );
}
