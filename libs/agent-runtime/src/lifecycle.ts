/**
 * The states of an agent, and the transitions between them.
 *
 *                  +------------+
 *                  |  starting  |  connecting, initTransactions, joining the group
 *                  +-----+------+
 *                        |
 *            +-----------v-----------+
 *      +---->|        running        |  partitions come and go; those being restored wait
 *      |     +---+---------------+---+
 *      |         |               |
 *      |   +-----v------+        |
 *      +---+ recovering |        |  outcome of a transaction unknown, or producer fenced: a new
 *          +-----+------+        |  producer, same transactional id, state restored again
 *                |               |
 *            +---v---------------v---+
 *            |       stopping        |  commit or abort, leave the group, disconnect
 *            +-----------+-----------+
 *                        |
 *                  +-----v------+
 *                  |  stopped   |
 *                  +------------+
 *
 * Every state may also go to `failed`: the process ends with exit code 1, and the orchestrator
 * starts it again.
 */
export type LifecycleState = 'starting' | 'running' | 'recovering' | 'stopping' | 'stopped' | 'failed';

const transitions: Readonly<Record<LifecycleState, readonly LifecycleState[]>> = {
  starting: ['running', 'stopping', 'failed'],
  running: ['recovering', 'stopping', 'failed'],
  recovering: ['running', 'stopping', 'failed'],
  stopping: ['stopped', 'failed'],
  stopped: [],
  failed: [],
};

/** Holds the current state; a transition that is not drawn above is a bug, and throws. */
export class Lifecycle {
  #state: LifecycleState = 'starting';
  #since = new Date();

  get state(): LifecycleState {
    return this.#state;
  }

  get since(): Date {
    return this.#since;
  }

  /** @throws Error when the transition is not allowed */
  to(next: LifecycleState): void {
    if (!transitions[this.#state].includes(next)) throw new Error(`illegal transition from ${this.#state} to ${next}`);
    this.#state = next;
    this.#since = new Date();
  }
}
