/**
 * What an agent's loop shows of itself: its partitions, what keeps it from working, and since when
 * nothing has come forward. The loop reports here; readiness, liveness and the pages read it.
 */
import type { ConfiguredAgent } from '@kafnus/agent-contract';
import { outOfRangeText } from './log-range.js';
import type { Partitions } from './partitions.js';
import type { PendingAssignment } from './pending-assignment.js';
import type { Problems } from './problems.js';
import { Progress } from './progress.js';
import type { Session } from './session.js';
import type { PartitionStatus } from './status.js';
import type { Telemetry } from './telemetry.js';

export interface LoopStatusOptions {
  readonly configured: Pick<ConfiguredAgent, 'inputTopic'>;
  readonly session: Pick<Session, 'watermarks' | 'partitionCount'>;
  readonly telemetry: Pick<Telemetry, 'brokerBack'>;
  readonly partitions: Partitions;
  readonly assignment: Pick<PendingAssignment, 'partitions' | 'progress'>;
  readonly problems: Problems;
  /** undefined for an agent without state. */
  readonly changelog: string | undefined;
  readonly stop: AbortSignal;
}

export class LoopStatus {
  readonly #options: LoopStatusOptions;
  readonly progress = new Progress();
  /** Whether the group has answered: from then on, no partition may also mean that none is due. */
  joined = false;
  lastCommit: Date | null = null;
  #probing = false;

  constructor(options: LoopStatusOptions) {
    this.#options = options;
  }

  /** The partitions of this process, those being prepared included. */
  partitions(): readonly PartitionStatus[] {
    const { session, assignment, partitions } = this.#options;
    const running = [...partitions].map((owned): PartitionStatus => {
      const { topic, partition, committed, next, first, outOfRange } = owned;
      const known = session.watermarks(owned);
      const end = known?.high ?? null;
      if (outOfRange) {
        // Nothing of this log was read.
        const lag = end === null ? null : Math.max(0, end - outOfRange.found);
        return { topic, partition, state: 'out-of-range', position: next, committed, end, lag };
      }
      // What was deleted unread does not wait any more.
      const from = Math.max(committed ?? first ?? 0, known?.low ?? 0);
      const lag = known === null ? null : Math.max(0, known.high - from);
      return { topic, partition, state: 'running', position: next, committed, end, lag };
    });
    const restoring = assignment.partitions.map((partition): PartitionStatus => {
      const restore = assignment.progress(partition);
      const base = { ...partition, state: 'restoring', position: null, committed: null, end: null, lag: null } as const;
      return restore === undefined ? base : { ...base, restore };
    });
    return [...running, ...restoring];
  }

  /** What keeps the agent from working, in words for an operator, the most severe first. */
  get problem(): string | null {
    return this.#options.problems.text;
  }

  /** Entries of the keyed state; null for an agent without state. */
  get stateEntries(): number | null {
    if (this.#options.changelog === undefined) return null;
    let entries = 0;
    for (const { store } of this.#options.partitions) entries += store?.size ?? 0;
    return entries;
  }

  /** Milliseconds for which there was something to do, and nothing was committed or restored. */
  get stuckMs(): number {
    return this.progress.stuckMs;
  }

  /** To be called now and then, see {@link Progress}. */
  lookForProgress(): void {
    this.progress.look(this.partitions());
  }

  /** The cluster does not answer: not ready until it does. The client reconnects by itself. */
  clusterAway(error: Error): void {
    this.waitForCluster(`the cluster does not answer: ${error.message}`);
  }

  /** Reports a problem of the cluster until a request to it is answered, or a commit. */
  waitForCluster(problem: string): void {
    const { session, configured, telemetry, problems, stop } = this.#options;
    problems.set('cluster', problem);
    if (this.#probing || stop.aborted) return;
    this.#probing = true;
    session.partitionCount(configured.inputTopic).then(
      () => {
        this.#probing = false;
        problems.clear('cluster');
        telemetry.brokerBack();
      },
      () => {
        this.#probing = false;
      },
    );
  }

  /** Reports the partitions that are out of range now, if there are any. */
  reportOutOfRange(): void {
    const { partitions, problems } = this.#options;
    const texts = [...partitions].flatMap(({ outOfRange }) =>
      outOfRange === null ? [] : [outOfRangeText(outOfRange)],
    );
    const [first] = texts;
    if (first === undefined) problems.clear('out-of-range');
    else problems.set('out-of-range', texts.length === 1 ? first : `${first}; and ${texts.length - 1} more such`);
  }
}
