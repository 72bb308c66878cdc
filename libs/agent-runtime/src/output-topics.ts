/**
 * Decides whether a step can be written, and does what it takes: looks its topics up, creates them, waits for them, and
 * turns the step into a reject when they refuse it for good. One tenant's topic never stops the others (SPEC 8).
 */
import type { ConfiguredAgent, OutputRecord, Rejection, StatePut, Step } from './agent.js';
import type { RuntimeConfig } from './config.js';
import { entryMayExceed, maxRecordBytes, mayExceed, recordBytes } from './record-size.js';
import type { Session, TopicSpec, TopicState } from './session.js';
import type { Telemetry } from './telemetry.js';

export interface OutputTopicsOptions {
  readonly configured: Pick<ConfiguredAgent, 'deadLetterTopic'>;
  readonly config: Pick<
    RuntimeConfig,
    'kafkaProducer' | 'topicsCreate' | 'topicPartitions' | 'topicReplication' | 'topicConfig' | 'topicTimeoutMs'
  >;
  readonly session: Session;
  readonly telemetry: Pick<Telemetry, 'topicUnwritable'>;
}

/** The step to apply; or what has to be waited for. */
export type Provisioned =
  { readonly kind: 'step'; readonly step: Step } | { readonly kind: 'wait'; readonly problem: string };

export class OutputTopics {
  readonly #options: OutputTopicsOptions;
  readonly #session: Session;
  readonly #spec: TopicSpec | null;
  readonly #maxBytes: number;
  /** Since when a topic that nobody here creates is waited for. */
  readonly #waitingSince = new Map<string, number>();

  constructor(options: OutputTopicsOptions) {
    const { topicsCreate, topicPartitions, topicReplication, topicConfig } = options.config;
    const config = Object.fromEntries(Object.entries(topicConfig).map(([name, value]) => [name, String(value)]));
    this.#options = options;
    this.#session = options.session;
    this.#maxBytes = maxRecordBytes(options.config);
    this.#spec = topicsCreate ? { partitions: topicPartitions, replicationFactor: topicReplication, config } : null;
  }

  /** The quick answer, asked for every record: false means that {@link provision} must see the step first. */
  ready(step: Step): boolean {
    if (step.kind === 'skip') return true;
    if (step.kind === 'emit') {
      for (const output of step.outputs) {
        if (this.#session.topic(output.topic)?.kind !== 'writable' || mayExceed(output, this.#maxBytes)) return false;
      }
      if (step.puts !== undefined) {
        for (const { key } of step.puts) if (entryMayExceed(key, this.#maxBytes)) return false;
      }
      if (step.reports === undefined || step.reports.length === 0) return true;
    }
    return this.#session.topic(this.#options.configured.deadLetterTopic)?.kind === 'writable';
  }

  /** Sees to it that the step's topics can be written. */
  async provision(step: Step): Promise<Provisioned> {
    let applied = step;
    if (step.kind === 'emit') {
      const refusal = (await this.#refusal(step.outputs)) ?? this.#largeEntry(step.puts ?? []);
      if (typeof refusal === 'string') return { kind: 'wait', problem: refusal };
      if (refusal) applied = { kind: 'reject', tenant: step.tenant, rejections: [refusal] };
    }
    if (
      applied.kind === 'reject' ||
      (applied.kind === 'emit' && applied.reports !== undefined && applied.reports.length > 0)
    ) {
      // Nothing may be lost, so there is nowhere to go on to without it, however long it takes.
      const { deadLetterTopic } = this.#options.configured;
      const known = this.#session.topic(deadLetterTopic);
      const state = known?.kind === 'writable' ? known : await this.#session.ensureTopic(deadLetterTopic, this.#spec);
      if (state.kind !== 'writable')
        return { kind: 'wait', problem: `dead letters cannot be written: ${state.error.message}` };
    }
    return { kind: 'step', step: applied };
  }

  /** Why the outputs cannot be written: for good, or (a text) for now. */
  async #refusal(outputs: readonly OutputRecord[]): Promise<Rejection | string | undefined> {
    for (const output of outputs) {
      const { topic } = output;
      const state = this.#session.topic(topic) ?? (await this.#lookUp(topic));
      if (state.kind === 'unwritable')
        return { code: 'topic-unwritable', stage: 'KAFKA_PRODUCE', message: state.error.message };
      if (state.kind === 'unavailable') return `waiting for ${topic}: ${state.error.message}`;
      const size = recordBytes(output);
      if (size > this.#maxBytes) {
        const message = `the record for ${topic} would have ${size} bytes, and ${this.#maxBytes} are sent at most: publish smaller attributes`;
        return { code: 'record-too-large', stage: 'KAFKA_PRODUCE', message };
      }
    }
    return undefined;
  }

  /** A key of the state may have more bytes than the outputs, in which most characters of names are replaced by one byte. */
  #largeEntry(puts: readonly StatePut[]): Rejection | undefined {
    for (const put of puts) {
      const size = recordBytes({ key: put.key, value: String(put.value), headers: [] });
      if (size <= this.#maxBytes) continue;
      const message = `the entry of the state would have ${size} bytes, and ${this.#maxBytes} are sent at most: use shorter ids and types`;
      return { code: 'record-too-large', stage: 'KAFKA_PRODUCE', message };
    }
    return undefined;
  }

  async #lookUp(topic: string): Promise<TopicState> {
    const state = await this.#session.ensureTopic(topic, this.#spec);
    if (state.kind === 'unavailable' && this.#spec === null && this.#waitedTooLong(topic)) {
      this.#session.forgetTopic(topic, state.error);
      this.#options.telemetry.topicUnwritable(topic, state.error);
      return { kind: 'unwritable', error: state.error };
    }
    if (state.kind !== 'unavailable') this.#waitingSince.delete(topic);
    if (state.kind === 'unwritable') this.#options.telemetry.topicUnwritable(topic, state.error);
    return state;
  }

  /** Of a topic that others have to create. */
  #waitedTooLong(topic: string): boolean {
    const since = this.#waitingSince.get(topic) ?? performance.now();
    this.#waitingSince.set(topic, since);
    if (performance.now() - since < this.#options.config.topicTimeoutMs) return false;
    this.#waitingSince.delete(topic);
    return true;
  }
}
