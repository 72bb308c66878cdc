/** The requests of `topics` to a cluster. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KafkaConnectionConfig } from '../connection-config.js';
import { messageOf } from '../error-text.js';
import { connectionProperties } from '../connection-config.js';
import {
  call,
  kafka,
  type AdminClient,
  type ClientMetadata,
  type KafkaError,
  type KafkaProducer,
  type TopicDescription,
} from '../kafka-client.js';
import { createTopic } from '../create-topic.js';
import { asKafkaError, clusterForbidden, topicExists, topicForbidden, unknownTopic } from '../kafka-errors.js';
import { readConfigs, setTopicConfig, wireErrors, type ConfigAnswer } from '../wire/resource-configs.js';
import { WireConnection } from '../wire/wire-connection.js';
import type { GroupAnswer } from '../wire/group-answers.js';
import { groupsIn } from '../wire/describe-groups.js';
import { canConnect } from '../wire/sasl-login.js';
import { checkedSettings } from './topic-check.js';
import type { PlannedTopic } from './topic-plan.js';
import type { ClusterView, ConfigView, PartitionView, TopicRight, TopicView } from './cluster-view.js';

const answerMs = 10_000;
/** New topics are seen, with leaders, after this long; or something is wrong with the cluster. */
const visibleMs = 30_000;
const retryDelayMs = 100;

/** Names of the rights by the client's numbers. */
const rightsByCode: ReadonlyMap<number, readonly TopicRight[]> = new Map(
  Object.entries({
    ALL: ['Read', 'Write', 'Describe', 'DescribeConfigs', 'AlterConfigs'],
    READ: ['Read'],
    WRITE: ['Write'],
    DESCRIBE: ['Describe'],
    DESCRIBE_CONFIGS: ['DescribeConfigs'],
    ALTER_CONFIGS: ['AlterConfigs'],
  } as const).map(([name, rights]) => [kafka.AclOperationTypes[name] ?? Number.NaN, rights]),
);

/** The outcome of a request. `reason` says what to do. */
export type Outcome =
  { readonly kind: 'done' } | { readonly kind: 'exists' } | { readonly kind: 'refused'; readonly reason: string };

export class TopicCluster {
  readonly #config: KafkaConnectionConfig;
  readonly #producer: KafkaProducer;
  readonly #admin: AdminClient;
  readonly #wire: WireConnection | string;

  private constructor(config: KafkaConnectionConfig, producer: KafkaProducer, wire: WireConnection | string) {
    this.#config = config;
    this.#producer = producer;
    this.#admin = kafka.AdminClient.createFrom(producer);
    this.#wire = wire;
  }

  /** @throws Error naming the brokers and the reason when none answers, or none lets the user in */
  static async connect(config: KafkaConnectionConfig, clientId: string): Promise<TopicCluster> {
    const wire = canConnect(config)
      ? await WireConnection.open(config, clientId)
      : `not possible with ${config.kafkaSaslMechanism}`;
    // The client's own messages are those of the wire, and come without a name.
    const producer = new kafka.Producer({ ...connectionProperties(config, clientId), log_level: 2 }, {});
    let complaint = '';
    producer.on('event.error', (error: Error) => (complaint ||= `: ${error.message}`));
    try {
      await call((done) => producer.connect({ timeout: answerMs }, done));
    } catch (error) {
      if (typeof wire !== 'string') wire.close();
      throw new Error(`No Kafka answers at ${config.kafkaBrokers}${complaint || `: ${messageOf(error)}`}`, {
        cause: error,
      });
    }
    return new TopicCluster(config, producer, wire);
  }

  async close(): Promise<void> {
    this.#admin.disconnect();
    if (typeof this.#wire !== 'string') this.#wire.close();
    await call<unknown>((done) => this.#producer.disconnect(done));
  }

  /** The names of all topics that the user may see. */
  async allTopics(): Promise<string[]> {
    const { topics } = await this.#metadata();
    return topics.map(({ name }) => name);
  }

  /**
   * What is to be known about these topics and groups.
   * @param created topics that have just been created: they get some time to be seen, with leaders
   * @throws Error when the cluster does not answer
   */
  async view(
    names: readonly string[],
    groups: readonly string[],
    created: readonly string[] = [],
  ): Promise<ClusterView> {
    const { brokers } = await this.#metadata();
    let seen = await this.#describeWithConfigs(names);
    for (const since = Date.now(); Date.now() - since < visibleMs; seen = await this.#describeWithConfigs(names)) {
      const { descriptions, configs } = seen;
      // Each broker learns of a topic in its own time, and the connection for configuration is not
      // the client's.
      if (descriptions.every((one) => !created.includes(one.name) || isVisible(one, configs.get(one.name)))) break;
      await sleep(retryDelayMs);
    }
    const { descriptions, configs } = seen;
    return {
      brokers: brokers.length,
      defaultReplication: await this.#defaultReplication(brokers.map(({ id }) => id)),
      topics: new Map(descriptions.map((one) => [one.name, topicView(one, configs.get(one.name))])),
      members: await this.#members(groups),
    };
  }

  /** Creates a topic as planned; one that exists stays as it is. */
  async create({ name, partitions, replication, settings }: PlannedTopic): Promise<Outcome> {
    try {
      const config = Object.fromEntries(settings.map((setting) => [setting.name, setting.value]));
      await createTopic(this.#admin, name, { partitions, replicationFactor: replication, config }, answerMs);
      return { kind: 'done' };
    } catch (thrown) {
      const error = asKafkaError(thrown);
      if (error.code === topicExists) return { kind: 'exists' };
      const reason = forbidden(error)
        ? `not authorised: grant the user Create on topic ${name}, or on the cluster`
        : error.message;
      return { kind: 'refused', reason };
    }
  }

  /**
   * Sets configuration of a topic; other settings stay.
   * @throws Error when the connection breaks
   */
  async setConfig(topic: string, settings: ReadonlyMap<string, string>): Promise<Outcome> {
    if (typeof this.#wire === 'string') return { kind: 'refused', reason: this.#wire };
    const refusal = await setTopicConfig(this.#wire, topic, settings);
    if (refusal === undefined) return { kind: 'done' };
    const reason =
      refusal.code === wireErrors.topicAuthorization || refusal.code === wireErrors.clusterAuthorization
        ? `not authorised: grant the user AlterConfigs on topic ${topic}`
        : refusal.message;
    return { kind: 'refused', reason };
  }

  #metadata(): Promise<ClientMetadata> {
    return described('brokers and topics', (done) => {
      this.#producer.getMetadata({ allTopics: true, timeout: answerMs }, done);
    });
  }

  async #describeWithConfigs(names: readonly string[]): Promise<{
    readonly descriptions: readonly TopicDescription[];
    readonly configs: ReadonlyMap<string, ConfigView>;
  }> {
    const descriptions = await this.#describe(names);
    const there = descriptions.filter(({ partitions }) => partitions.length > 0).map(({ name }) => name);
    return { descriptions, configs: await this.#configs(there) };
  }

  async #describe(names: readonly string[]): Promise<TopicDescription[]> {
    if (names.length === 0) return [];
    return described('its topics', (done) => {
      this.#admin.describeTopics(names, { includeAuthorizedOperations: true, timeout: answerMs }, done);
    });
  }

  async #configs(topics: readonly string[]): Promise<Map<string, ConfigView>> {
    const resources = topics.map((name) => ({ type: 'topic', name }) as const);
    const answers = await this.#read(resources, checkedSettings);
    if (typeof answers === 'string') return new Map(topics.map((name) => [name, { kind: 'unknown', reason: answers }]));
    return new Map(answers.map((answer) => [answer.name, configView(answer)]));
  }

  /** A broker knows only its own configuration, and which one answers is unknown: all are named. */
  async #defaultReplication(brokers: readonly number[]): Promise<number | undefined> {
    const resources = brokers.map((id) => ({ type: 'broker', name: String(id) }) as const);
    const answers = await this.#read(resources, ['default.replication.factor']);
    const config = (typeof answers === 'string' ? [] : answers).find(({ kind }) => kind === 'config');
    const value = Number(config?.kind === 'config' ? config.values.get('default.replication.factor') : Number.NaN);
    return value > 0 ? value : undefined;
  }

  async #read(
    resources: Parameters<typeof readConfigs>[1],
    names: readonly string[],
  ): Promise<ConfigAnswer[] | string> {
    if (typeof this.#wire === 'string') return this.#wire;
    return resources.length === 0 ? [] : readConfigs(this.#wire, resources, names);
  }

  /** Groups that the user may not see are left out: the number of members is optional. */
  async #members(groups: readonly string[]): Promise<Map<string, number>> {
    const members = new Map<string, number>();
    if (typeof this.#wire === 'string') return members;
    const answers = await groupsIn(this.#wire, this.#config, groups).catch(() => new Map<string, GroupAnswer>());
    for (const [group, answer] of answers) {
      if (answer.kind === 'group') members.set(group, answer.members.length);
      if (answer.kind === 'absent') members.set(group, 0);
    }
    return members;
  }
}

/** The client says no more than "timed out": what it was about is added. */
async function described<T>(what: string, request: Parameters<typeof call<T>>[0]): Promise<T> {
  try {
    return await call(request);
  } catch (error) {
    throw new Error(`the cluster does not tell ${what}: ${messageOf(error)}. Are all of its brokers well? Try again`, {
      cause: error,
    });
  }
}

function forbidden({ code }: KafkaError): boolean {
  return code === topicForbidden || code === clusterForbidden;
}

function hasLeader({ leader }: TopicDescription['partitions'][number]): boolean {
  return leader !== undefined && leader !== null && leader.id >= 0;
}

function isVisible({ partitions }: TopicDescription, config: ConfigView | undefined): boolean {
  if (partitions.length === 0 || !partitions.every((partition) => hasLeader(partition))) return false;
  return config?.kind === 'known' || config?.reason !== unknownYet;
}

const unknownYet = 'the broker does not know the topic yet';

/** @throws KafkaError when the topic could not be looked up */
function topicView(description: TopicDescription, config: ConfigView | undefined): TopicView {
  const { error, partitions, authorizedOperations: operations } = description;
  if (error && error.code !== 0) {
    if (error.code === topicForbidden) return { kind: 'hidden' };
    if (unknownTopic.has(error.code)) return { kind: 'missing' };
    throw asKafkaError(error);
  }
  if (partitions.length === 0) return { kind: 'missing' };
  return {
    kind: 'there',
    partitions: partitions.map((partition): PartitionView => ({
      partition: partition.partition,
      hasLeader: hasLeader(partition),
      replicas: partition.replicas?.length ?? 0,
      inSync: partition.isr?.length ?? 0,
    })),
    // A cluster without an authorizer gives none.
    rights:
      operations === undefined || operations.length === 0
        ? undefined
        : new Set(operations.flatMap((operation) => rightsByCode.get(operation) ?? [])),
    config: config ?? { kind: 'unknown', reason: 'the broker left it out' },
  };
}

function configView(answer: ConfigAnswer): ConfigView {
  if (answer.kind === 'config') return { kind: 'known', values: answer.values };
  const reasons = new Map<number, string>([
    [wireErrors.topicAuthorization, 'the user may not (DescribeConfigs)'],
    [wireErrors.unknownTopic, unknownYet],
  ]);
  return { kind: 'unknown', reason: reasons.get(answer.code) ?? answer.message };
}
