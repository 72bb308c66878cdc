/**
 * What keeps an agent from working, by cause. Several things can be wrong at once, and each is
 * reported until its own cause is gone: the end of one must not make a process ready that another
 * still holds up.
 *
 *     cluster    |== all brokers down ==============================|
 *     topics             |== waiting for out-b ==|
 *     /ready     |------------------------ 503 ---------------------|  not 200 when out-b is there
 *
 * Whoever sets a cause clears that cause and no other. {@link AgentLoop} (agent-loop.ts) is the one
 * that does.
 */
import { partitionName, type TopicPartition } from './session.js';

/**
 * - `recovery`: the outcome of a transaction is unknown, until the next producer and its state are
 *   there.
 * - `cluster`: the brokers do not answer, or refuse this process; until they answer a request.
 * - `out-of-range`: logs that end before the position of this group; until the partition is gone.
 * - `preparation`: partitions that were assigned cannot be read or restored yet.
 * - `refusals`: transactions are aborted, one after the other; until one is committed, partitions
 *   are taken away, or a recovery ends.
 * - `topics`: a record waits for a topic that it has to be written to; until it is committed, or
 *   its partition is gone.
 */
export type ProblemCause = 'recovery' | 'cluster' | 'out-of-range' | 'preparation' | 'refusals' | 'topics';

/** The most severe first: it is what an operator must look at first. */
const bySeverity: readonly ProblemCause[] = [
  'recovery',
  'cluster',
  'out-of-range',
  'preparation',
  'refusals',
  'topics',
];
/** More texts are counted, not shown: hundreds of partitions can wait for hundreds of topics. */
const maxTexts = 3;

interface Problem {
  readonly cause: ProblemCause;
  readonly text: string;
  /** The partition whose record waits, and the record's offset. */
  readonly record?: TopicPartition & { readonly offset: number };
}

export class Problems {
  readonly #problems = new Map<string, Problem>();

  /** @param text in words for an operator; it replaces the one that this cause had */
  set(cause: ProblemCause, text: string): void {
    this.#problems.set(cause, { cause, text });
  }

  clear(cause: ProblemCause): void {
    this.#problems.delete(cause);
  }

  /** A record that cannot be written yet: at most one per partition, as the next waits. */
  setWaiting(record: TopicPartition & { readonly offset: number }, text: string): void {
    const { topic, partition, offset } = record;
    this.#problems.set(waitingKey(record), { cause: 'topics', text, record: { topic, partition, offset } });
  }

  /**
   * Ends the waiting of each record that is committed by now.
   * @param committed the next offset of each partition; null: none yet
   */
  clearCommitted(partitions: Iterable<TopicPartition & { readonly committed: number | null }>): void {
    if (this.#problems.size === 0) return;
    for (const partition of partitions) {
      const key = waitingKey(partition);
      const offset = this.#problems.get(key)?.record?.offset;
      if (offset !== undefined && partition.committed !== null && partition.committed > offset)
        this.#problems.delete(key);
    }
  }

  /** The records of these partitions are another process's concern now. */
  clearPartitions(partitions: Iterable<TopicPartition>): void {
    for (const partition of partitions) this.#problems.delete(waitingKey(partition));
  }

  /** All of them in one line, the most severe first; null when nothing is wrong. */
  get text(): string | null {
    if (this.#problems.size === 0) return null;
    const sorted = [...this.#problems.values()].sort(
      (a, b) => bySeverity.indexOf(a.cause) - bySeverity.indexOf(b.cause),
    );
    const texts = [...new Set(sorted.map(({ text }) => text))];
    const more = texts.length > maxTexts ? [`and ${texts.length - maxTexts} more`] : [];
    return [...texts.slice(0, maxTexts), ...more].join('; ');
  }
}

/** Not the name of a cause, whatever the topic is called: topic names have no spaces. */
function waitingKey(partition: TopicPartition): string {
  return `waiting ${partitionName(partition)}`;
}
