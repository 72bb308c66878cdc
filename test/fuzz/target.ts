/** One agent as a process with topics of its own, what it is sent, and what is seen of it. */
import { WireClient, type PlacedRecord } from '@kafnus/agent-testkit';
import { AgentProcess, createTopics, usageOf, type LocalKafka } from '@kafnus/local-stack';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentName } from '../faults/harness/workload.js';
import { checkDeadLetters, checkLedger, difference, type Counts, type Finding, type Sent } from './checks.js';
import { header, type FuzzRecord } from './generator.js';
import type { Delivery } from './options.js';
import { Probe } from './probe.js';

const partitions = 2;
/** The old generation of V8, in MiB: less than the chart's pod has. */
const heapMiB = 512;
/** Heap, young generation, code, librdkafka's queues, and a poll of the largest records. */
const memoryLimitMiB = 1024;
const goodTenant = 'fuzzgood';
/**
 * Any time is taken, as of a topic that an older Kafka has filled: the brokers of Kafka 4 refuse
 * what is an hour ahead.
 */
const anyTime = {
  'message.timestamp.before.max.ms': String(2n ** 63n - 1n),
  'message.timestamp.after.max.ms': String(2n ** 63n - 1n),
};

const outputOf: Readonly<Record<AgentName, string>> = {
  historic: goodTenant,
  lastdata: `${goodTenant}_lastdata`,
  mutable: `${goodTenant}_mutable`,
  errors: `${goodTenant}_error_log`,
};

export interface TargetOptions {
  readonly kafka: LocalKafka;
  readonly agent: AgentName;
  readonly delivery: Delivery;
  /** Within this a good record must come out behind a burst, in ms. */
  readonly withinMs: number;
}

let targets = 0;
let goodRecords = 0;

export class Target {
  readonly agent: AgentName;
  readonly process: AgentProcess;
  readonly #options: TargetOptions;
  readonly #input: string;
  readonly #deadLetterTopic: string;
  readonly #client: WireClient;
  readonly #probe: Probe;
  /** Where the next record of the output and of the dead-letter topic is. */
  #outputNext = 0;
  #deadLetterNext = 0;
  #turn = 0;

  private constructor(options: TargetOptions, input: string, deadLetters: string, client: WireClient) {
    const { kafka, agent, delivery } = options;
    this.agent = agent;
    this.#options = options;
    this.#input = input;
    this.#deadLetterTopic = deadLetters;
    this.#client = client;
    this.process = new AgentProcess({
      agent,
      brokers: kafka.bootstrapServers,
      execArgv: [`--max-old-space-size=${heapMiB}`],
      env: {
        // Dead letters are compared with what was sent, at the places where it was sent.
        ...(agent === 'errors' ? {} : { KAFNUS_REKEY: 'off' }),
        KAFNUS_INPUT_TOPIC: input,
        KAFNUS_DEAD_LETTER_TOPIC: deadLetters,
        KAFNUS_GROUP_ID: input,
        KAFNUS_INSTANCE_ID: 'pod-0',
        KAFNUS_DELIVERY: delivery,
        // The output topics of a tenant are all of this run's agents': few and small.
        KAFNUS_TOPIC_PARTITIONS: '1',
      },
    });
    this.#probe = new Probe(this.process);
  }

  /** Resolves when it is ready for records. */
  static async start(options: TargetOptions): Promise<Target> {
    const name = `fuzz-${options.agent}-${(targets += 1)}`;
    const [input, deadLetters, output] = [`${name}.in`, `${name}.dead`, outputOf[options.agent]];
    const { internalServers } = options.kafka;
    await createTopics(internalServers, [
      { topic: input, partitions, config: anyTime },
      { topic: deadLetters, partitions: 1 },
    ]);
    await createTopics(internalServers, [{ topic: output, partitions: 1 }]).catch(() => undefined);
    const client = await WireClient.open(internalServers);
    const target = new Target(options, input, deadLetters, client);
    try {
      target.#outputNext = await target.#skip(output);
      await target.process.ready();
      target.#probe.start();
      return target;
    } catch (error) {
      await target.end();
      throw error;
    }
  }

  /** The longest answer of its HTTP interface so far, in ms. */
  get slowestAnswerMs(): number {
    return this.#probe.slowestMs;
  }

  /** The most resident memory so far, in MiB. */
  get peakMiB(): number {
    return usageOf(this.process.child.pid ?? 0).peakRssBytes / 2 ** 20;
  }

  /** Sends a burst and a good record behind it in each partition, and checks what became of all. */
  async send(records: readonly FuzzRecord[]): Promise<Finding[]> {
    const before = await this.#counts();
    if (before === undefined) return [this.#ended()];
    const started = Date.now();
    const [sent, ids] = await this.#produce(records);
    const silent = await this.#awaitGood(ids);
    if (silent !== undefined) return [silent];
    const late = await this.#awaitDone(before.read + sent.length, started);
    const after = await this.#counts();
    if (after === undefined) return [this.#ended()];
    const counts = difference(after, before);
    const deadLetters = await this.#readDeadLetters(counts.deadLetters);
    return [
      ...late,
      ...checkLedger(counts, sent.length),
      ...checkDeadLetters(deadLetters, sent, this.#input, counts.deadLetters),
      ...this.#probe.findings(),
      ...this.#memory(),
    ];
  }

  /** Stops it as an orchestrator does. */
  async stop(): Promise<Finding[]> {
    this.#probe.stop();
    const [end] = await Promise.all([this.process.kill('SIGTERM'), this.end()]);
    return end.code === 0 ? [] : [{ kind: 'ended', detail: `told to stop, it ended with ${JSON.stringify(end)}` }];
  }

  /** Ends it at once, if it still runs after a while. */
  async end(): Promise<void> {
    this.#probe.stop();
    const killer = setTimeout(() => this.process.child.kill('SIGKILL'), this.process.child.killed ? 10_000 : 0);
    await this.process.ended;
    clearTimeout(killer);
    this.#client.close();
  }

  async #produce(records: readonly FuzzRecord[]): Promise<[Sent[], string[]]> {
    const sent: Sent[] = [];
    const ids: string[] = [];
    // Good ones last: what comes out behind a record shows that it did not block its partition.
    for (let partition = 0; partition < partitions; partition += 1) {
      const id = `good-${(goodRecords += 1)}-`;
      ids.push(id);
      const own = records.filter((_, index) => (index + this.#turn) % partitions === partition);
      const all = [...own, goodRecord(this.agent, id)];
      const offsets = await this.#client.produce(this.#input, partition, all);
      all.forEach((record, index) => sent.push({ record, partition, offset: offsets[index] ?? -1 }));
    }
    this.#turn += 1;
    return [sent, ids];
  }

  async #awaitGood(ids: readonly string[]): Promise<Finding | undefined> {
    const open = new Set(ids);
    const { withinMs } = this.#options;
    const output = outputOf[this.agent];
    for (const deadline = Date.now() + withinMs; open.size > 0;) {
      const { records, next } = await this.#client.fetch(output, 0, this.#outputNext);
      this.#outputNext = next;
      for (const { value } of records) for (const id of open) if (value?.includes(id) === true) open.delete(id);
      if (this.process.end !== undefined) return this.#ended();
      if (open.size > 0 && Date.now() > deadline) {
        const health = await this.process.get('/health').catch(String);
        const shown = typeof health === 'string' ? health : health.body.slice(0, 1500);
        const detail = `${open.size} of ${ids.length} good records did not come out within ${withinMs / 1000} s; ${shown}\n${this.#lastWords()}`;
        return { kind: 'silent', detail };
      }
    }
    return undefined;
  }

  /** Until all is read and nothing is left: what comes out is visible a moment before that. */
  async #awaitDone(read: number, started: number): Promise<Finding[]> {
    const deadline = Date.now() + this.#options.withinMs;
    for (;;) {
      const health = await this.process.health().catch(() => undefined);
      if (health !== undefined && health.ledger.read >= read && health.lag === 0) return [];
      if (this.process.end !== undefined) return [this.#ended()];
      if (Date.now() > deadline) {
        const detail = `lag ${health?.lag}, ${health?.ledger.read} of ${read} read, ${Date.now() - started} ms after the burst`;
        return [{ kind: 'lag', detail }];
      }
      await sleep(20);
    }
  }

  async #counts(): Promise<Counts | undefined> {
    if (this.process.end !== undefined) return undefined;
    try {
      const { ledger } = await this.process.health();
      const { body } = await this.process.get('/metrics');
      const deadLetters = sum(
        [...body.matchAll(/^kafnus_dead_letters_total\{.*\} (\d+)$/gm)].map(([, count]) => Number(count)),
      );
      const { read, emitted, skipped, rejected } = ledger;
      return {
        read,
        emitted,
        skipped: sum(Object.values(skipped)),
        rejected: sum(Object.values(rejected)),
        deadLetters,
      };
    } catch (error) {
      if (this.process.end === undefined) throw error;
      return undefined;
    }
  }

  /**
   * What came to the dead-letter topic since the burst before; waits a moment for so many, and
   * takes more where there are more.
   */
  async #readDeadLetters(due: number): Promise<PlacedRecord[]> {
    const found: PlacedRecord[] = [];
    for (const deadline = Date.now() + 5000; ;) {
      const { records, next } = await this.#client.fetch(this.#deadLetterTopic, 0, this.#deadLetterNext);
      found.push(...records);
      if (next === this.#deadLetterNext && (found.length >= due || Date.now() > deadline)) return found;
      this.#deadLetterNext = next;
    }
  }

  async #skip(topic: string): Promise<number> {
    let at = 0;
    for (;;) {
      const { next } = await this.#client.fetch(topic, 0, at);
      if (next === at) return at;
      at = next;
    }
  }

  #memory(): Finding[] {
    const peak = this.peakMiB;
    if (peak <= memoryLimitMiB) return [];
    return [{ kind: 'memory', detail: `${Math.round(peak)} MiB of resident memory, more than ${memoryLimitMiB}` }];
  }

  #ended(): Finding {
    return {
      kind: 'ended',
      detail: `the process ended with ${JSON.stringify(this.process.end)}\n${this.#lastWords()}`,
    };
  }

  /** The end of its log, each line cut: messages quote what records hold. */
  #lastWords(): string {
    const lines = this.process.log.split('\n').slice(-12);
    return `${this.process.logFile}\n${lines.map((line) => line.slice(0, 600)).join('\n')}`;
  }
}

/** What must come out whatever was before it. */
function goodRecord(agent: AgentName, id: string): FuzzRecord {
  const timestamp = BigInt(Date.now());
  if (agent === 'errors') {
    const headers = [
      header('__connect.errors.topic', goodTenant),
      header('__connect.errors.exception.message', `ERROR: ${id}`),
    ];
    return { name: 'good', key: null, value: Buffer.from('{"payload":{}}'), headers, timestamp };
  }
  const entity = {
    id,
    type: 'Good',
    TimeInstant: { type: 'DateTime', value: '2026-06-24T10:05:00.000Z', metadata: {} },
  };
  const value = Buffer.from(JSON.stringify({ subscriptionId: 's', data: [entity] }));
  return { name: 'good', key: Buffer.from(id), value, headers: [header('Fiware-Service', goodTenant)], timestamp };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, number) => all + number, 0);
}
