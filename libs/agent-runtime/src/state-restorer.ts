/**
 * What comes before the first record of a partition: the committed offsets and, for an agent with
 * state, its changelog. It runs beside the loop, which commits what it has meanwhile, and gives up
 * at once what is taken away again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConfiguredAgent } from '@kafnus/agent-contract';
import { partitionMismatch } from '@kafnus/kafka-admin';
import { ConfigurationError, type RuntimeConfig } from './config.js';
import type { Prepared } from './partitions.js';
import { partitionName, type ChangelogReader, type TopicAdmin, type TopicPartition, type Writer } from './session.js';
import { changelogSpec, parseChangelogValue } from './state/changelog.js';
import { PartitionStore } from './state/partition-store.js';
import type { Telemetry } from './telemetry.js';
import { untilAborted } from './until-aborted.js';

/** How far a restore has come: entries read, and the changelog's offsets. */
export interface RestoreProgress {
  readonly entries: number;
  readonly offset: number;
  readonly end: number;
}

export interface StateRestorerOptions {
  readonly configured: Pick<ConfiguredAgent, 'inputTopic'>;
  readonly config: Pick<RuntimeConfig, 'topicReplication'>;
  /** undefined for an agent without state. */
  readonly changelog: string | undefined;
  readonly session: Pick<Writer<never>, 'committed'> & TopicAdmin & ChangelogReader;
  /** Called when more entries of a changelog were read. */
  readonly onProgress: () => void;
  readonly telemetry: Pick<
    Telemetry,
    'restoreStarted' | 'restoreProgress' | 'restoreFinished' | 'foreignChangelogRecord'
  >;
}

const retryPauseMs = 500;
/**
 * Partitions that are restored at the same time: while the records of one are put into its store,
 * those of the other are on their way. More would only take more memory.
 */
const restoreLanes = 2;

export class StateRestorer {
  readonly #options: StateRestorerOptions;
  readonly #progress = new Map<string, RestoreProgress>();

  constructor(options: StateRestorerOptions) {
    this.#options = options;
  }

  /** Of a partition that is being restored. */
  progress(partition: TopicPartition): RestoreProgress | undefined {
    return this.#progress.get(partitionName(partition));
  }

  /**
   * The offsets first: they are answered only when no transaction that could move them is open, and
   * so the changelog that is read after them holds all that they cover.
   * @param report gets what is waited for, again and again, and null when that is there
   * @throws ConfigurationError when the changelog does not fit its input; Error when `signal` is
   *   aborted
   */
  async prepare(
    partitions: readonly TopicPartition[],
    signal: AbortSignal,
    report: (waiting: string | null) => void = () => undefined,
  ): Promise<Prepared> {
    const { session, changelog } = this.#options;
    const positions = await session.committed(partitions, signal);
    if (changelog === undefined || partitions.length === 0) return { positions, stores: new Map() };
    await this.#provisionChangelog(changelog, signal, report);
    return { positions, stores: await this.#restoreAll(changelog, partitions, signal) };
  }

  /** @throws what the first restore that fails does, when the others have ended */
  async #restoreAll(
    changelog: string,
    partitions: readonly TopicPartition[],
    signal: AbortSignal,
  ): Promise<Map<string, PartitionStore>> {
    const stores = new Map<string, PartitionStore>();
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    const waiting = partitions.values();
    const lane = async (): Promise<void> => {
      // The lanes share one iterator: each takes the next partition that none has taken.
      for (const partition of waiting) {
        either.throwIfAborted();
        stores.set(partitionName(partition), await this.#restore(changelog, partition, either));
      }
    };
    const stopping = (error: unknown): void => failed.abort(error);
    await Promise.all(Array.from({ length: restoreLanes }, () => lane().catch(stopping)));
    either.throwIfAborted();
    return stores;
  }

  /** Created whatever KAFNUS_TOPICS_CREATE says: without it nothing can be kept. */
  async #provisionChangelog(
    changelog: string,
    signal: AbortSignal,
    report: (waiting: string | null) => void,
  ): Promise<void> {
    const { session, configured, config } = this.#options;
    const expected = await session.partitionCount(configured.inputTopic, signal);
    if (expected === null) throw new Error(`the input topic ${configured.inputTopic} is gone`);
    for (;;) {
      signal.throwIfAborted();
      const lookup = session.ensureTopic(changelog, changelogSpec(expected, config.topicReplication));
      const state = await untilAborted(lookup, signal);
      if (state.kind === 'unwritable') throw state.error;
      if (state.kind === 'writable') {
        report(null);
        if (state.partitions === expected) return;
        throw new ConfigurationError([partitionMismatch(changelog, state.partitions, configured.inputTopic, expected)]);
      }
      report(`waiting for the changelog: ${state.error.message}`);
      await sleep(retryPauseMs, undefined, { signal });
    }
  }

  async #restore(
    changelog: string,
    { topic, partition }: TopicPartition,
    signal: AbortSignal,
  ): Promise<PartitionStore> {
    const { session, telemetry } = this.#options;
    const store = new PartitionStore();
    const name = partitionName({ topic, partition });
    const started = performance.now();
    telemetry.restoreStarted({ topic, partition });
    try {
      const entries = await session.restore(
        { topic: changelog, partition },
        (key, value) => {
          const number = parseChangelogValue(value);
          if (number !== undefined) store.restore(key, number);
          else telemetry.foreignChangelogRecord({ topic: changelog, partition, key: key.toString() });
        },
        (progress) => {
          this.#options.onProgress();
          this.#progress.set(name, progress);
          telemetry.restoreProgress({ topic, partition, ...progress });
        },
        signal,
      );
      telemetry.restoreFinished({ topic, partition, entries, seconds: (performance.now() - started) / 1000 });
      return store;
    } finally {
      this.#progress.delete(name);
    }
  }
}
