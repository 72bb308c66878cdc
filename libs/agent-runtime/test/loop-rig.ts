/**
 * Loops on an in-memory cluster: they are started, crashed and restarted, and in the end everything
 * is accounted for.
 */
import { expect } from '@jest/globals';
import {
  AgentLoop,
  loadConfig,
  parseChangelogValue,
  Telemetry,
  type InputRecord,
  type RunOptions,
  type RuntimeConfig,
} from '@kafnus/agent-runtime';
import { MemoryCluster, type MemoryOperation, type MemorySession } from '@kafnus/agent-testkit';
import { type RecordToWrite } from '@kafnus/local-stack';
import {
  agent,
  changelog,
  deadLetterTopic,
  expectedOf,
  groupId,
  input,
  inputTopic,
  type Kind,
} from './counting-agent.js';

export interface Running {
  readonly loop: AgentLoop;
  readonly session: MemorySession;
  readonly telemetry: Telemetry;
  /** Settles when the loop has ended; see {@link AgentLoop.run}. */
  readonly ended: Promise<void>;
}

/** Small numbers, so that batches, transactions and fetches end at different records. */
const defaults: Readonly<Record<string, string>> = {
  KAFNUS_KAFKA_BROKERS: 'none:9092',
  KAFNUS_GROUP_ID: groupId,
  KAFNUS_BATCH_SIZE: '4',
  KAFNUS_COMMIT_INTERVAL_MS: '2',
  KAFNUS_TOPIC_PARTITIONS: '2',
};

export class Rig {
  readonly cluster = new MemoryCluster();
  readonly loops: Running[] = [];
  #joined = 0;
  readonly #env: Readonly<Record<string, string>>;

  readonly #options: Pick<RunOptions, 'tracing' | 'limits'>;

  constructor(
    partitions = 2,
    env: Readonly<Record<string, string>> = {},
    options: Pick<RunOptions, 'tracing' | 'limits'> = {},
  ) {
    this.#env = env;
    this.#options = options;
    this.cluster.createTopic(inputTopic, partitions);
  }

  start(instanceId = 'one'): Running {
    const config = configOf({ ...this.#env, KAFNUS_INSTANCE_ID: instanceId });
    const { batchSize, delivery } = config;
    const session = this.cluster.session({ inputTopic, groupId, instanceId, batchSize, delivery });
    const telemetry = new Telemetry({
      agent: agent.name,
      instance: instanceId,
      version: '0',
      level: 'silent',
      maxTenantLabels: 10,
      processMetrics: false,
    });
    const configured = agent.configure({});
    const loop = new AgentLoop({ agent, configured, config, session, telemetry, ...this.#options });
    const ended = loop.run();
    // Whoever expects the failure looks at it; nobody else shall be ended by it.
    ended.catch(() => undefined);
    const running = { loop, session, telemetry, ended };
    this.loops.push(running);
    return running;
  }

  produce(records: Iterable<Pick<RecordToWrite, 'key' | 'value' | 'partition'>>): void {
    this.cluster.produce(
      [...records].map((record, index) => ({ partition: 0, ...record, topic: inputTopic, timestamp: index + 1 })),
    );
  }

  get lag(): number {
    return this.cluster.lag(groupId, inputTopic);
  }

  /** One more member, with an instance id of its own. */
  join(): Running {
    this.#joined += 1;
    return this.start(`member-${this.#joined}`);
  }

  /** The process of this session dies, and is started again under the same instance id. */
  restart(session: MemorySession): void {
    session.crash();
    this.start(session.instanceId);
  }

  /** Until all input is committed. @throws the error of a loop that has ended with one */
  async drained(): Promise<void> {
    const failures: unknown[] = [];
    for (const { ended } of this.loops) ended.catch((error: unknown) => failures.push(error));
    await this.cluster.until(() => this.lag === 0 || failures.length > 0, 'all input committed');
    if (failures.length > 0) throw new Error('a loop has ended', { cause: failures[0] });
  }

  /** Stops what runs, in an orderly way; also what is restarted meanwhile. */
  async stop(): Promise<void> {
    for (const { loop, session, ended } of this.loops) {
      loop.stop();
      let over = false;
      const end = ended.finally(() => (over = true));
      await Promise.race([end, this.cluster.until(() => over || session.crashed, 'stopped')]);
    }
  }

  /** Input to the end, then {@link verify}. */
  async finish(refuses?: (record: InputRecord) => boolean, comesAgain = false): Promise<void> {
    await this.drained();
    await this.stop();
    this.verify(refuses, comesAgain);
  }

  /**
   * Outputs, dead letters and state are those of the pure fold: nothing lost, repeated, reordered
   * or made up.
   * @param refuses the records that the output topics refuse
   * @param comesAgain without transactions what is aborted stays: the last output of each record
   *   counts
   */
  verify(refuses?: (record: InputRecord) => boolean, comesAgain = false): void {
    const topics = new Map<string, string[]>();
    const dead: string[] = [];
    for (const { partition } of this.cluster.partitions(inputTopic)) {
      const expected = expectedOf(this.#input(partition), refuses);
      for (const [topic, outputs] of expected.outputs) topics.set(topic, [...(topics.get(topic) ?? []), ...outputs]);
      dead.push(...expected.deadLetters);
      // Without transactions the changelog keeps what a refused record has put.
      if (!comesAgain) expect(this.restored(partition)).toEqual(expected.state);
    }
    const seen = (texts: string[]): string[] =>
      comesAgain ? [...new Map(texts.map((text) => [text.split(' from ').at(-1), text])).values()] : texts;
    for (const [topic, outputs] of topics) expect(seen(this.outputs(topic))).toEqual(outputs);
    expect(seen(this.deadLetters().map(origin).sort())).toEqual(dead.sort());
    for (const { loop } of this.loops) {
      const { read, emitted, skipped, rejected } = loop.ledger.totals();
      expect(read).toBe(emitted + sum(skipped) + sum(rejected));
    }
  }

  /** Records read by all loops, as their ledgers say. */
  get counted(): number {
    return this.loops.reduce((total, { loop }) => total + loop.ledger.totals().read, 0);
  }

  /**
   * In the order of each input partition, one partition after the other: output partition = input
   * partition.
   */
  outputs(topic: string): string[] {
    const records = this.cluster.read(topic);
    return [...new Set(records.map(fromPartition))]
      .sort((a, b) => a - b)
      .flatMap((partition) =>
        records
          .filter((record) => fromPartition(record) === partition)
          .map((record) => `${String(record.key)}=${String(record.value)} from ${header(record, 'from')}`),
      );
  }

  deadLetters(): InputRecord[] {
    return this.cluster.read(deadLetterTopic);
  }

  /** The state that a successor would restore. */
  restored(partition: number): Map<string, number> {
    const state = new Map<string, number>();
    for (const record of this.cluster.partitions(changelog)[partition]?.read(0, Infinity, 'read_committed').records ??
      []) {
      const value = parseChangelogValue(record.value);
      if (typeof value === 'number') state.set(String(record.key), value);
    }
    return state;
  }

  #input(partition: number): InputRecord[] {
    return this.cluster.partitions(inputTopic)[partition]?.read(0, Infinity, 'read_committed').records ?? [];
  }
}

export function configOf(env: Readonly<Record<string, string>>): RuntimeConfig {
  const outcome = loadConfig(agent, { argv: [], env: { ...defaults, ...env } });
  if (outcome.kind !== 'run') throw new Error('a configuration was asked for');
  return outcome.config;
}

export type Act = (rig: Rig, session: MemorySession) => void;

/** Lets a fault happen at the n-th call, counted over all sessions. */
export function at(rig: Rig, wanted: number, act: Act, operations?: readonly MemoryOperation[]): { calls: number } {
  const counter = { calls: 0 };
  rig.cluster.faults.onCall = ({ session, operation }) => {
    if (operations && !operations.includes(operation)) return;
    counter.calls += 1;
    if (counter.calls === wanted) act(rig, session);
  };
  return counter;
}

/** Counts the calls of one kind, without a fault. */
export function counted(rig: Rig, operation: MemoryOperation): { readonly calls: number } {
  return at(rig, Number.POSITIVE_INFINITY, fail, [operation]);
}

export function fail(): never {
  throw new Error('there is no such fault');
}

/** Records of some keys and kinds, the same each time. */
export function mixed(count: number, partitions = 2): Pick<RecordToWrite, 'key' | 'value' | 'partition'>[] {
  const kinds: readonly Kind[] = ['emit', 'emit', 'twice', 'skip', 'emit', 'reject', 'report'];
  return Array.from({ length: count }, (_, index) => {
    const partition = index % partitions;
    return {
      partition,
      ...input(`k${partition}-${index % 3}`, kinds[index % kinds.length] ?? 'emit', index % 5 === 0 ? 'b' : 'a'),
    };
  });
}

export function header(record: InputRecord, name: string): string | undefined {
  return record.headers
    .flatMap((entry) => Object.entries(entry))
    .find(([found]) => found === name)?.[1]
    .toString();
}

/** Where a dead letter comes from. */
function origin(record: InputRecord): string {
  return `${header(record, '__connect.errors.partition')}@${header(record, '__connect.errors.offset')}`;
}

function fromPartition(record: InputRecord): number {
  return Number(header(record, 'from')?.split('@')[0]);
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
