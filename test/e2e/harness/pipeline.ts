/**
 * A pipeline of real programs: Kafka, the four agents, Kafka Connect with the stock sink, PostGIS.
 */
import {
  AgentProcess,
  committedOffsets,
  connectorTemplate,
  createTopics,
  postgisVariables,
  produceAll,
  readAll,
  startConnectWorker,
  startLocalKafka,
  startLocalPostgis,
  type ConnectWorker,
  type LocalKafka,
  type LocalPostgis,
  type RecordToWrite,
} from '@kafnus/local-stack';
import { agentNames, type AgentName } from '@kafnus/ngsi-core';
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const kafnus = fileURLToPath(new URL('../../../tools/cli/dist/main.js', import.meta.url));

/** A connector made from a template of `deploy/connect`, for one topic. */
export interface Sink {
  readonly name: string;
  readonly topic: string;
}

export class Pipeline {
  readonly kafka: LocalKafka;
  readonly postgis: LocalPostgis;
  readonly worker: ConnectWorker;
  readonly #agents = new Map<AgentName, AgentProcess>();
  readonly #sinks: Sink[] = [];

  private constructor(kafka: LocalKafka, postgis: LocalPostgis, worker: ConnectWorker) {
    this.kafka = kafka;
    this.postgis = postgis;
    this.worker = worker;
  }

  static async start(): Promise<Pipeline> {
    const started: { stop(): Promise<void> }[] = [];
    try {
      const kafka = await startLocalKafka();
      started.push(kafka);
      const postgis = await startLocalPostgis();
      started.push(postgis);
      const worker = await startConnectWorker({ brokers: kafka.bootstrapServers, env: postgisVariables(postgis) });
      started.push(worker);
      const pipeline = new Pipeline(kafka, postgis, worker);
      started.push(pipeline);
      await pipeline.#startAgents();
      return pipeline;
    } catch (error) {
      // Programs that are left running would break later tests.
      for (const part of started.reverse()) await part.stop();
      throw error;
    }
  }

  async #startAgents(): Promise<void> {
    const raw = ['raw_historic', 'raw_lastdata', 'raw_mutable', 'raw_errors', 'raw_errors_dead'];
    await createTopics(
      this.kafka.bootstrapServers,
      raw.map((topic) => ({ topic, partitions: 4 })),
    );
    for (const agent of agentNames) this.startAgent(agent);
    await Promise.all([...this.#agents.values()].map((agent) => agent.ready()));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.kill()));
    await this.worker.stop();
    await this.postgis.stop();
    await this.kafka.stop();
  }

  agent(name: AgentName): AgentProcess {
    const agent = this.#agents.get(name);
    if (agent === undefined) throw new Error(`${name} does not run`);
    return agent;
  }

  /** Starts an agent, also again after a kill. */
  startAgent(agent: AgentName): AgentProcess {
    const process = new AgentProcess({
      agent,
      brokers: this.kafka.bootstrapServers,
      env: {
        KAFNUS_SINK: 'debezium',
        KAFNUS_INSTANCE_ID: `${agent}-0`,
        // Shortens the time until the group expels a killed process.
        KAFNUS_KAFKA_CONSUMER: '{"session.timeout.ms":2000,"heartbeat.interval.ms":500}',
      },
    });
    this.#agents.set(agent, process);
    return process;
  }

  async publish(records: readonly RecordToWrite[]): Promise<void> {
    await produceAll(this.kafka.bootstrapServers, records);
  }

  /** Waits until the agent has committed all of its input. */
  async awaitConsumed(agent: AgentName, timeoutMs = 60_000): Promise<void> {
    await this.#caughtUp(`ngsi-agent-${agent}`, `raw_${agent}`, timeoutMs);
  }

  /** Runs `kafnus` as an operator does. @returns its standard output */
  async kafnus(...args: readonly string[]): Promise<string> {
    const env = {
      ...process.env,
      KAFNUS_KAFKA_BROKERS: this.kafka.bootstrapServers,
      KAFNUS_DATABASE_URL: this.postgis.url,
    };
    return (await promisify(execFile)(process.execPath, [kafnus, ...args], { env })).stdout;
  }

  /** Creates the tables for the records in the output topics. */
  async applyTables(topics: readonly string[]): Promise<void> {
    await this.kafnus('tables', 'apply', ...topics.flatMap((topic) => ['--topic', topic]));
  }

  /**
   * Creates a connector for one topic from a template of `deploy/connect`, and waits until it runs.
   */
  async sink(template: string, topic: string, overrides: Readonly<Record<string, string>> = {}): Promise<Sink> {
    const { 'topics.regex': _all, ...config } = connectorTemplate(template, overrides);
    const sink = { name: `${template.replace('.json', '')}-${topic}`, topic };
    await this.worker.putConnector(sink.name, { ...config, topics: topic });
    await this.worker.awaitRunning(sink.name);
    this.#sinks.push(sink);
    return sink;
  }

  /**
   * Restarts failed tasks, as an operator's script does every minute, until the sink has written
   * everything. A task may fail some time after its cause, or fail again.
   */
  async restartUntilWritten(sink: Sink, timeoutMs = 60_000): Promise<void> {
    for (const deadline = Date.now() + timeoutMs; ;) {
      await this.worker.restartFailed(sink.name);
      try {
        return await this.awaitWritten(sink, 5000);
      } catch (error) {
        if (Date.now() > deadline) throw error;
      }
    }
  }

  /** Waits until the sink has written all committed records of its topic. */
  async awaitWritten(sink: Sink, timeoutMs = 60_000): Promise<void> {
    await this.#caughtUp(`connect-${sink.name}`, sink.topic, timeoutMs);
  }

  async #caughtUp(group: string, topic: string, timeoutMs: number): Promise<void> {
    const { bootstrapServers } = this.kafka;
    // The offset after the last record, not the end offset: transaction markers take offsets too,
    // and a reader may commit an offset before them.
    const ends = new Map<number, number>();
    for (const { partition, offset } of await readAll(bootstrapServers, [topic])) ends.set(partition, offset + 1);
    const since = Date.now();
    for (;;) {
      const committed = await committedOffsets(bootstrapServers, group, topic);
      if ([...ends].every(([partition, end]) => (committed.get(partition) ?? 0) >= end)) return;
      if (Date.now() - since > timeoutMs) {
        const offsets = [...ends].map(([partition, end]) => `${committed.get(partition) ?? 0}/${end}`).join(' ');
        throw new Error(`${group} has not read ${topic} to its end: ${offsets}\n${await this.#failures()}`);
      }
      await sleep(200);
    }
  }

  /** The failed connectors and the causes in their traces. */
  async #failures(): Promise<string> {
    const failures = this.#sinks.map(async ({ name }) => {
      const traces = (await this.worker.status(name)).tasks.map(({ trace }) => trace ?? '').join('\n');
      return [...traces.matchAll(/^Caused by: .*$/gm)].map(([cause]) => `${name}: FAILED: ${cause}`);
    });
    return (await Promise.all(failures)).flat().join('\n');
  }
}

export const subscriptionId = '57458eb60962ef754e7c0998';

export interface NotificationOptions {
  /** Default: the entity id, as in `kafnus send`. Orion uses the subscription id. */
  readonly key?: string;
  readonly service?: string;
  readonly servicepath?: string;
  readonly datamodel?: string;
  /** Timestamp of the record in milliseconds; recvtime is made from it. */
  readonly timestamp?: number;
}

export type Entity = { readonly id: string; readonly type?: string } & Readonly<Record<string, unknown>>;

/** A record of a raw topic with Orion's headers: one notification of one entity. */
export function notification(
  topic: string,
  entity: Entity,
  { key, service = 'madrid', servicepath = '/parks', datamodel, timestamp }: NotificationOptions = {},
): RecordToWrite {
  return {
    topic,
    key: key ?? entity.id,
    value: JSON.stringify({ subscriptionId, data: [entity] }),
    headers: [
      { 'Fiware-Service': service },
      { 'Fiware-ServicePath': servicepath },
      ...(datamodel === undefined ? [] : [{ 'fiware-datamodel': datamodel }]),
    ],
    ...(timestamp === undefined ? {} : { timestamp }),
  };
}

/** An attribute of an entity. */
export function attribute(type: string, value: unknown): object {
  return { type, value, metadata: {} };
}
