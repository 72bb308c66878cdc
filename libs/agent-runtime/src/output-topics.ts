/**
 * Decides whether a step can be written, and turns it into a reject when its topic refuses it. One
 * tenant's topic never stops the others (SPEC 8):
 *
 *     the cluster says no, or that it    its records are dead-lettered at once
 *     does not exist
 *     no answer, no leader, cannot be    it is waited for, KAFNUS_TOPIC_TIMEOUT_MS at most, and
 *     created now                        then its records are dead-lettered
 *     writes fail although a lookup      the same; it is tried again after 30 s, 1 min, ... 10 min
 *     finds it writable
 *
 * All waits together are bounded as well ({@link WaitBudget}). What is refused and still used is
 * looked up again every few seconds, beside the loop. The dead-letter topic is waited for without a
 * bound: nothing may be lost, so there is nowhere to go on to without it.
 *
 * {@link check} is synchronous. Whoever applies the step that it returns in the same turn of the
 * event loop can rely on what it found, though answers of lookups arrive at any other time.
 */
import type { ConfiguredAgent, EmitStep, Rejection, Step } from '@kafnus/agent-contract';
import type { Written } from './batch.js';
import type { RuntimeConfig } from './config.js';
import type { InputTopic } from './input-topic.js';
import { entryMayExceed, largeEntry, maxRecordBytes, mayExceed, tooLarge } from './record-size.js';
import type { GroupConsumer, Refusal, TopicAdmin, TopicSpec, TopicState } from './session.js';
import type { Telemetry } from './telemetry.js';
import { topicAnswer } from './topic-answer.js';
import { TopicCache, type KnownTopic } from './topic-cache.js';
import { TopicTroubles } from './topic-troubles.js';
import { within } from './until-aborted.js';
import { WaitBudget } from './wait-budget.js';

export interface OutputTopicsOptions {
  readonly configured: Pick<ConfiguredAgent, 'deadLetterTopic' | 'inputTopic'>;
  readonly config: Pick<
    RuntimeConfig,
    'kafkaProducer' | 'topicsCreate' | 'topicPartitions' | 'topicReplication' | 'topicConfig' | 'topicTimeoutMs'
  >;
  readonly session: Pick<TopicAdmin & GroupConsumer, 'ensureTopic' | 'wake'>;
  readonly telemetry: Pick<Telemetry, 'topicUnwritable'>;
  readonly input: Pick<InputTopic, 'refused'>;
  /** The topic of the agent's own state, if it has any. */
  readonly changelog?: string | undefined;
}

/** How long the loop waits for a lookup, ms; after that the lookup goes on beside the loop. */
const answerMs = 1000;
/** The same when the wait budget is spent: enough for the answer of a healthy cluster. */
const hurriedMs = 250;
/**
 * Lookups beside the loop at the same time, and the timeout of each, ms. The client makes one call
 * after the other, and a stop cannot interrupt them.
 */
const maxRefreshes = 1;
const refreshMs = 1000;

/** So long after a transaction that could not end, topics are doubted, ms. */
const doubtMs = 60_000;
/**
 * A topic that may have been the reason is refused until it has more replicas in sync, or for so
 * long: each attempt costs all tenants the time of such a transaction.
 */
const blockedPenaltyMs = 600_000;

export class OutputTopics {
  readonly #options: OutputTopicsOptions;
  readonly #spec: TopicSpec | null;
  readonly #maxBytes: number;
  readonly #input: { readonly kind: 'writable'; readonly maxBytes: number };
  readonly #cache: TopicCache;
  readonly #troubles: TopicTroubles;
  readonly #budget: WaitBudget;
  /** Then the size of a record does not tell what it takes on the wire. */
  readonly #compresses: boolean;
  /** Lookups that have no answer yet. */
  readonly #lookups = new Map<string, Promise<TopicState>>();
  #refreshes = 0;
  /** A refusal without a name may be the changelog's: it is looked up before the next write. */
  #doubtsChangelog = false;
  #blockedUntil = Number.NEGATIVE_INFINITY;
  /** Read once per poll. */
  #now = performance.now();

  constructor(options: OutputTopicsOptions) {
    const { topicsCreate, topicPartitions, topicReplication, topicConfig, topicTimeoutMs } = options.config;
    const config = Object.fromEntries(Object.entries(topicConfig).map(([name, value]) => [name, String(value)]));
    this.#options = options;
    const { kafkaProducer } = options.config;
    const compression = kafkaProducer['compression.type'] ?? kafkaProducer['compression.codec'] ?? 'none';
    this.#compresses = compression !== 'none';
    this.#maxBytes = maxRecordBytes(options.config);
    this.#input = { kind: 'writable', maxBytes: this.#maxBytes };
    this.#cache = new TopicCache(this.#maxBytes);
    this.#troubles = new TopicTroubles(topicTimeoutMs);
    this.#budget = new WaitBudget(topicTimeoutMs, this.#now);
    this.#spec = topicsCreate ? { partitions: topicPartitions, replicationFactor: topicReplication, config } : null;
  }

  /** Before the records of a poll: what is known grows old. */
  tick(): void {
    this.#now = performance.now();
    this.#troubles.forgetOld(this.#now);
  }

  /**
   * @returns the step to apply, which may be a reject; or the name of a topic that {@link lookUp}
   * has to see first
   */
  check(step: Step): Step | string {
    const { changelog } = this.#options;
    if (step.kind === 'skip' && step.puts === undefined) return step;
    let applied: Step = step;
    if (step.kind === 'emit') {
      for (const output of step.outputs) {
        // The input is read, so it is there: see input-topic.ts.
        const known = output.partition === undefined ? this.#known(output.topic) : this.#input;
        if (known === undefined) return output.topic;
        if (known.kind === 'refused') {
          applied = reject(step, { code: 'topic-unwritable', stage: 'KAFKA_PRODUCE', message: known.error.message });
          break;
        }
        if (mayExceed(output, known.maxBytes)) {
          const rejection = tooLarge(output, known.maxBytes);
          if (rejection !== undefined) {
            applied = reject(step, rejection);
            break;
          }
        }
      }
    }
    if (applied.kind !== 'reject' && applied.puts !== undefined) {
      if (this.#doubtsChangelog && changelog !== undefined) return changelog;
      for (const put of applied.puts) {
        const rejection = entryMayExceed(put.key, this.#maxBytes) ? largeEntry(put, this.#maxBytes) : undefined;
        if (rejection === undefined) continue;
        applied = reject(step, rejection);
        break;
      }
    }
    if (applied.kind === 'skip') return applied;
    if (applied.kind === 'emit' && (applied.reports === undefined || applied.reports.length === 0)) return applied;
    const { deadLetterTopic } = this.#options.configured;
    return this.#known(deadLetterTopic)?.kind === 'writable' ? applied : deadLetterTopic;
  }

  /**
   * Partitions of a topic for which {@link check} was asked in this turn.
   * @throws Error when it is not writable: records of an entity would be in several partitions
   *   (DESIGN, invariant 8)
   */
  partitions(topic: string): number {
    const known = this.#cache.get(topic);
    if (known?.kind !== 'writable') throw new Error(`a record is written to topic ${topic}, which was not looked up`);
    return known.partitions;
  }

  /** What is known and not too old; what grows old is looked up beside the loop. */
  #known(topic: string): KnownTopic | undefined {
    const known = this.#cache.get(topic);
    if (known === undefined || known.until <= this.#now) return undefined;
    if (known.refreshAt <= this.#now) this.#refresh(topic, known);
    return known;
  }

  #refresh(topic: string, known: KnownTopic): void {
    if (this.#refreshes >= maxRefreshes || this.#lookups.has(topic)) return;
    // The answer moves it; without one it is asked for again only after the next.
    known.refreshAt = Number.POSITIVE_INFINITY;
    this.#refreshes += 1;
    // Nobody waits for this lookup: an error of it must not end the process.
    this.#ask(topic, refreshMs)
      .catch(() => undefined)
      .finally(() => (this.#refreshes -= 1));
  }

  /**
   * Looks a topic up that {@link check} has named, for a bounded time.
   * @returns undefined when {@link check} has an answer now; else what is waited for, in words for
   *   an operator
   */
  async lookUp(topic: string): Promise<string | undefined> {
    const started = performance.now();
    const before = this.#cache.get(topic);
    const state = await this.#answer(topic);
    this.tick();
    if (topic === this.#options.changelog) {
      if (state?.kind === 'writable') {
        this.#doubtsChangelog = false;
        return undefined;
      }
      return `the state cannot be written: ${state?.error.message ?? `no answer about topic ${topic}`}`;
    }
    if (topic === this.#options.configured.deadLetterTopic) {
      if (state?.kind === 'writable') return undefined;
      return `dead letters cannot be written: ${state?.error.message ?? `no answer about topic ${topic}`}`;
    }
    if (state !== undefined && state.kind !== 'unavailable') {
      this.#troubles.answered(topic);
      return state.kind === 'writable' ? this.#doubt(topic, state) : undefined;
    }
    const error = state?.error ?? new Error(`topic ${topic}: no answer within ${answerMs} ms`);
    const problem = `waiting for ${topic}: ${error.message}`;
    // While a cluster is away nothing could be dead-lettered: nothing is refused then, and the time
    // is not the topic's, which may be without a leader for seconds after the others have theirs.
    const dead = await this.#answer(this.#options.configured.deadLetterTopic);
    this.tick();
    if (dead?.kind !== 'writable') {
      this.#troubles.outage(topic, this.#now);
      return `${problem}; nor is there an answer about the dead-letter topic`;
    }
    const waited = this.#troubles.waited(topic, started, this.#now);
    // One that was refused before is not waited for again: it is looked at beside the loop, and
    // taken as soon as it is well.
    const waitMs = before?.kind === 'refused' ? 0 : Math.min(this.#options.config.topicTimeoutMs, this.#left());
    if (waited < waitMs) return problem;
    this.#budget.spend(waited, this.#now);
    this.#troubles.answered(topic);
    this.#refuse(topic, error);
    return undefined;
  }

  /**
   * After a transaction that could not end: each topic that may be the one is refused.
   * @returns what is waited for
   */
  async #doubt(
    topic: string,
    { isBehind, inSync = 0 }: TopicState & { readonly kind: 'writable' },
  ): Promise<string | undefined> {
    if (isBehind !== true || this.#now >= this.#blockedUntil) return undefined;
    const dead = await this.#answer(this.#options.configured.deadLetterTopic);
    this.tick();
    if (dead?.kind !== 'writable') {
      // Taken as it is, it would stop the next transaction as well.
      this.#cache.forget(topic);
      return `no answer about the dead-letter topic: ${dead?.error.message ?? `none within ${answerMs} ms`}`;
    }
    if (inSync >= (dead.inSync ?? 0)) return undefined;
    const message = `transactions with records for topic ${topic} cannot end: it has too few replicas in sync (${inSync})`;
    this.#refuse(topic, new Error(message), blockedPenaltyMs, inSync);
    return undefined;
  }

  #left(): number {
    return this.#budget.left(performance.now());
  }

  /** undefined: no answer in time. */
  #answer(topic: string): Promise<TopicState | undefined> {
    return within(this.#ask(topic), this.#left() > answerMs ? answerMs : hurriedMs);
  }

  /** One lookup of a topic at a time; its answer goes into the cache, however late it comes. */
  #ask(topic: string, timeoutMs?: number): Promise<TopicState> {
    const running = this.#lookups.get(topic);
    if (running !== undefined) return running;
    const { session, telemetry } = this.#options;
    const spec = topic === this.#options.changelog ? null : this.#spec;
    const lookup = topicAnswer(session, topic, spec, timeoutMs)
      .then((state) => {
        this.#cache.answered(topic, state, performance.now());
        if (state.kind === 'unwritable' || state.kind === 'missing') telemetry.topicUnwritable(topic, state.error);
        return state;
      })
      .finally(() => this.#lookups.delete(topic));
    this.#lookups.set(topic, lookup);
    return lookup;
  }

  #refuse(topic: string, error: Error, penaltyMs = 0, inSync?: number): void {
    this.#cache.refuse(topic, error, performance.now(), penaltyMs, inSync);
    this.#options.telemetry.topicUnwritable(topic, error);
  }

  // --- outcomes of transactions -----------------------------------------------------------------

  /** Whether {@link committed} has to get what is written: while a topic is in trouble. */
  get isWatching(): boolean {
    return !this.#troubles.isEmpty;
  }

  /** A transaction was committed in which so much was written to each topic. */
  committed(written: ReadonlyMap<string, Written>): void {
    for (const topic of written.keys()) this.#troubles.written(topic);
  }

  /**
   * A transaction was refused by these topics. @param since when its first record was processed
   * @returns why nothing can go on, when it is a topic of the agent itself that always refuses
   */
  refused(topics: ReadonlyMap<string, Refusal>, since: number): string | undefined {
    let stands: string | undefined;
    for (const [topic, { error, kind }] of topics) {
      if (kind === 'contents') continue;
      if (kind === 'destination' && !this.#isOwn(topic)) {
        if (topic === this.#options.configured.inputTopic) this.#options.input.refused(error);
        else this.#refuse(topic, error);
        continue;
      }
      this.#cache.forget(topic);
      if (kind === 'destination') stands = `${topic} cannot be written: ${error.message}`;
    }
    const failing = [...topics].filter(([, { kind }]) => kind === 'passing');
    const { inputTopic } = this.#options.configured;
    if (failing.some(([topic]) => this.#isOwn(topic) || topic === inputTopic)) {
      // The agent's own topics are in the same trouble: no tenant's topic is to blame, and nothing
      // could be dead-lettered.
      this.#troubles.forgetAll();
      this.#cache.forgetRefused();
      return stands;
    }
    for (const [topic, { error }] of failing) {
      const now = performance.now();
      const { penaltyMs, lostMs } = this.#troubles.failed(topic, since, now, this.#left() <= 0);
      if (penaltyMs === 0) continue;
      this.#budget.spend(lostMs, now);
      this.#refuse(topic, new Error(`writes to topic ${topic} fail: ${error.message}`), penaltyMs);
    }
    return stands;
  }

  /**
   * A transaction could not end: one of its topics takes no write. All are looked up again: a topic
   * without a leader shows then, and one with too few replicas in sync is told by having fewer than
   * the dead-letter topic, which is as the cluster's operator wants topics.
   */
  blocked(): void {
    this.#cache.forgetWritable();
    this.#blockedUntil = performance.now() + doubtMs;
  }

  /** A transaction was refused, and nobody says by which topic: rights are looked up again. */
  refusedUnnamed(): void {
    this.#cache.forgetWritable();
    this.#doubtsChangelog = true;
  }

  /**
   * A single record was refused. @param written to the topics of its transaction
   * @param topics those that have refused it; empty: nobody knows which, and all of them are to
   *   blame
   * @returns how many topics refuse all records now
   */
  refusedRecord(
    written: ReadonlyMap<string, Written>,
    topics: ReadonlyMap<string, Refusal>,
    error: Error,
    isContents: boolean,
  ): number {
    let refused = 0;
    for (const [topic, { records, largest }] of written) {
      if (this.#isOwn(topic)) continue;
      const refusal = topics.get(topic);
      if (topic === this.#options.configured.inputTopic) {
        if (topics.size > 0 || isContents) continue;
        this.#options.input.refused(error);
        refused += 1;
        continue;
      }
      if (refusal?.kind === 'contents') {
        // What is as large will be refused as well. Several records of one topic are one batch:
        // that says nothing about each of them.
        const known = this.#cache.get(topic);
        if (refusal.about === 'size' && records === 1 && known?.kind === 'writable' && !this.#compresses)
          known.maxBytes = largest - 1;
        const penaltyMs = this.#troubles.refusedContents(topic);
        if (penaltyMs === 0) continue;
        const message = `topic ${topic} refuses one record after the other: ${refusal.error.message}`;
        this.#refuse(topic, new Error(message), penaltyMs);
        refused += 1;
      } else if (topics.size === 0 && !isContents) {
        this.#refuse(topic, new Error(`topic ${topic}: ${error.message}`), this.#troubles.refusedEverything(topic));
        refused += 1;
      }
    }
    return refused;
  }

  #isOwn(topic: string): boolean {
    return topic === this.#options.configured.deadLetterTopic || topic === this.#options.changelog;
  }
}

function reject(step: Pick<EmitStep, 'tenant'>, rejection: Rejection): Step {
  return { kind: 'reject', tenant: step.tenant, rejections: [rejection] };
}
