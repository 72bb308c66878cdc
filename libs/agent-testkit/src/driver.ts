/**
 * Runs an agent without a broker, record by record, as the TopologyTestDriver of Kafka Streams
 * does: its decisions, its outputs, its state and its ledger.
 */
import {
  deadLetter,
  guardDecision,
  Ledger,
  LedgerBatch,
  loadConfig,
  PartitionStore,
  type Agent,
  type ConfiguredAgent,
  type InputRecord,
  type OutgoingRecord,
  type OutputRecord,
  type RecordHeader,
  type Step,
} from '@kafnus/agent-runtime';
import { asRead } from './memory-log.js';

/** An input record of a test; everything omitted has a default. Objects become JSON text. */
export interface PipedRecord {
  /** Default: the agent's input topic. */
  readonly topic?: string;
  /** Default 0. */
  readonly partition?: number;
  /** Default: one more than that of the previous record of the partition. */
  readonly offset?: number;
  /** Milliseconds since the epoch. Default {@link defaultTimestamp}. */
  readonly timestamp?: number;
  /** Default null. */
  readonly key?: string | Buffer | object | null;
  /** Default null: a tombstone. */
  readonly value?: string | Buffer | object | null;
  /** By name, or a list when a header repeats. Values arrive as bytes, as from Kafka. */
  readonly headers?: Readonly<Record<string, string | Buffer>> | readonly RecordHeader[];
}

/** The default timestamp of records: 2026-01-01T00:00:00.000Z. */
export const defaultTimestamp = Date.UTC(2026, 0, 1);

/** @typeParam C the values of the agent's settings */
export class AgentDriver<C> {
  /** As in the runtime, an exception of the decision is a reject. */
  readonly configured: ConfiguredAgent;
  /** The outputs by topic, in order. */
  readonly outputs = new Map<string, OutputRecord[]>();
  /** The dead-letter records, as the runtime writes them. */
  readonly deadLetters: OutgoingRecord[] = [];
  readonly ledger = new Ledger(Number.POSITIVE_INFINITY);
  readonly #stores = new Map<number, PartitionStore>();
  readonly #offsets = new Map<string, number>();

  /**
   * @param config values of the agent's settings; the others have their defaults
   * @throws Error when the agent does not have such a setting, or refuses its value
   */
  constructor(agent: Agent<C>, config: Partial<C> = {}) {
    const unknown = Object.keys(config).find((key) => !Object.hasOwn(agent.settings, key));
    if (unknown !== undefined) throw new Error(`The agent ${agent.name} has no setting ${unknown}`);
    const rest = Object.fromEntries(Object.entries(agent.settings).filter(([key]) => !Object.hasOwn(config, key)));
    const loaded = loadConfig<C>(
      { name: agent.name, settings: rest },
      { argv: [], env: { KAFNUS_KAFKA_BROKERS: 'none:9092' } },
    );
    if (loaded.kind !== 'run') throw new Error('no argument was given, so nothing but a configuration comes back');
    const configured = agent.configure({ ...loaded.config, ...config });
    this.configured = { ...configured, decide: guardDecision(configured.decide, () => undefined) };
  }

  /** Passes a record to the agent, and applies its decision. */
  pipe(piped: PipedRecord): Step {
    const record = this.#record(piped);
    const store = this.state(record.partition);
    const step = this.configured.decide(record, store);
    const batch = new LedgerBatch();
    batch.count(step, record);
    batch.commitInto(this.ledger);
    if (step.kind === 'emit') {
      for (const output of step.outputs) this.#write(output);
      for (const put of step.puts ?? []) store.put(put);
      store.committed(store.mark());
    }
    const [first, ...rest] =
      (step.kind === 'reject' ? step.rejections : step.kind === 'emit' ? step.reports : undefined) ?? [];
    if (first) this.deadLetters.push(deadLetter(this.configured.deadLetterTopic, record, [first, ...rest]));
    return step;
  }

  /** The outputs of a topic. */
  output(topic: string): readonly OutputRecord[] {
    return this.outputs.get(topic) ?? [];
  }

  /**
   * A topic as a table: the last record of each key. A tombstone removes its key; records without a
   * key are omitted.
   */
  latest(topic: string): Map<string, OutputRecord> {
    const table = new Map<string, OutputRecord>();
    for (const output of this.output(topic)) {
      if (output.key === null) continue;
      const key = output.key.toString();
      if (output.value === null) table.delete(key);
      else table.set(key, output);
    }
    return table;
  }

  /** The state of an input partition. */
  state(partition = 0): PartitionStore {
    let store = this.#stores.get(partition);
    if (!store) this.#stores.set(partition, (store = new PartitionStore()));
    return store;
  }

  #write(output: OutputRecord): void {
    const written = this.outputs.get(output.topic);
    if (written) written.push(output);
    else this.outputs.set(output.topic, [output]);
  }

  #record(piped: PipedRecord): InputRecord {
    const { topic = this.configured.inputTopic, partition = 0, timestamp = defaultTimestamp, headers = [] } = piped;
    const place = `${topic}-${partition}`;
    const offset = piped.offset ?? this.#offsets.get(place) ?? 0;
    this.#offsets.set(place, offset + 1);
    const list = isList(headers) ? headers : Object.entries(headers).map(([name, value]) => ({ [name]: value }));
    return {
      topic,
      partition,
      offset,
      timestamp,
      key: bytes(piped.key ?? null),
      value: bytes(piped.value ?? null),
      headers: list.map(asRead),
    };
  }
}

function isList(headers: object): headers is readonly RecordHeader[] {
  return Array.isArray(headers);
}

function bytes(content: string | Buffer | object | null): Buffer | null {
  if (content === null || Buffer.isBuffer(content)) return content;
  return Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
}
