/**
 * What is known of output topics, for how long, and how much of it is kept: a bounded cache, and no
 * I/O.
 *
 *     age of an entry     0 ........... refreshAt ............ until ........
 *     used as it is       yes           yes                    no
 *     looked up           no            beside the loop        in the loop, before it is used
 *
 * Names of topics come from tenants, and anyone who may publish can invent services. So both halves
 * are bounded, each by itself: names that were made up push each other out, and never a topic that
 * records are written to.
 */
import type { TopicState } from './session.js';

/**
 * Milliseconds after which new partitions of a topic are noticed, as Java's metadata.max.age.ms.
 */
const freshMs = 300_000;
/** How long a refusal is trusted that nobody has looked at again, ms. */
const refusedMs = 30_000;
/** How soon a topic that is refused, and still used, is looked up again, ms. */
const lookAgainMs = 10_000;

export const maxWritableTopics = 10_000;
export const maxRefusedTopics = 2000;

/** A topic that records can be written to. */
export interface WritableTopic {
  readonly kind: 'writable';
  readonly partitions: number;
  readonly inSync: number | undefined;
  /** The topic takes no record of more bytes, as far as it has shown. */
  maxBytes: number;
  refreshAt: number;
  until: number;
}

/** A topic whose records are dead-lettered. */
export interface RefusedTopic {
  readonly kind: 'refused';
  readonly error: Error;
  /**
   * Until when an answer that the topic is there changes nothing, ms; 0: it ends the refusal. A
   * write that failed although the topic looked well is better evidence than a lookup that still
   * says so.
   */
  readonly penaltyUntil: number;
  /** Replicas in sync when the write had failed: more of them end the penalty. */
  inSync: number | undefined;
  refreshAt: number;
  until: number;
}

export type KnownTopic = WritableTopic | RefusedTopic;

/** Times are in milliseconds of any clock that does not go back. */
export class TopicCache {
  readonly #writable = new Map<string, WritableTopic>();
  readonly #refused = new Map<string, RefusedTopic>();
  readonly #maxBytes: number;

  /** @param maxBytes the most bytes of a record that the producer takes */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** What is known, however old it is: the caller compares `until`. */
  get(name: string): KnownTopic | undefined {
    return this.#writable.get(name) ?? this.#refused.get(name);
  }

  get size(): number {
    return this.#writable.size + this.#refused.size;
  }

  writable(name: string, { partitions, inSync }: TopicState & { readonly kind: 'writable' }, now: number): void {
    this.forget(name);
    const entry = { kind: 'writable', partitions, inSync, maxBytes: this.#maxBytes } as const;
    keep(this.#writable, maxWritableTopics, name, { ...entry, refreshAt: now + freshMs, until: now + 2 * freshMs });
  }

  /** @param penaltyMs see {@link RefusedTopic.penaltyUntil} @param inSync as it was just found */
  refuse(name: string, error: Error, now: number, penaltyMs = 0, inSync?: number): void {
    this.forget(name);
    const penaltyUntil = penaltyMs === 0 ? 0 : now + penaltyMs;
    const until = now + Math.max(refusedMs, penaltyMs);
    const entry = { kind: 'refused', error, penaltyUntil, inSync } as const;
    keep(this.#refused, maxRefusedTopics, name, { ...entry, refreshAt: now + lookAgainMs, until });
  }

  forget(name: string): void {
    this.#writable.delete(name);
    this.#refused.delete(name);
  }

  /** For all that was found writable: the next use of each is a lookup. */
  forgetWritable(): void {
    this.#writable.clear();
  }

  /** For all that is refused. */
  forgetRefused(): void {
    this.#refused.clear();
  }

  /** Takes the answer of a lookup. */
  answered(name: string, state: TopicState, now: number): void {
    const known = this.get(name);
    if (state.kind === 'unavailable') {
      // No answer: what was known stays, and is asked for again soon.
      if (known !== undefined) this.#postpone(known, now);
      if (known?.kind === 'refused') known.inSync = state.inSync ?? known.inSync;
      return;
    }
    if (state.kind === 'writable') {
      if (known?.kind === 'refused' && !endsPenalty(known, state.inSync, now)) {
        known.inSync ??= state.inSync;
        this.#postpone(known, now);
      } else this.writable(name, state, now);
      return;
    }
    this.refuse(name, state.error, now);
  }

  #postpone(known: KnownTopic, now: number): void {
    known.refreshAt = now + lookAgainMs;
    if (known.kind === 'refused') known.until = Math.max(known.until, now + refusedMs);
  }
}

function endsPenalty({ penaltyUntil, inSync: before }: RefusedTopic, inSync: number | undefined, now: number): boolean {
  if (now >= penaltyUntil) return true;
  return before !== undefined && inSync !== undefined && inSync > before;
}

/** Adds the newest; the oldest gives way. */
function keep<T>(map: Map<string, T>, most: number, name: string, entry: T): void {
  if (map.size >= most) {
    for (const oldest of map.keys()) {
      map.delete(oldest);
      break;
    }
  }
  map.set(name, entry);
}
