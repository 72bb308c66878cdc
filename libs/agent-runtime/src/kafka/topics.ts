/**
 * Looks topics up, and creates them. What is known of them is kept elsewhere (topic-cache.ts).
 *
 * Topics are created by the agent and not by the broker's auto-creation, so that partitions,
 * replication and configuration are those that were set. Rights are looked up with the topic
 * (KIP-430): a transaction that touches a forbidden topic fails as a whole and does not say which
 * topic it was, so the question must be answered before.
 *
 * An operator may leave creation to the brokers all the same, with `allow.auto.create.topics` of
 * the producer. Then topics come into being when the producer asks for their metadata: that request
 * is the lookup, and needs no right but to write.
 */
import {
  asKafkaError,
  call,
  createTopic,
  isUnauthorised,
  kafka,
  topicExists,
  unknownTopic,
  type AdminClient,
  type ClientMetadata,
  type KafkaProducer,
  type TopicDescription,
} from '@kafnus/kafka-admin';
import type { TopicSpec, TopicState } from '../session.js';
import type { ClientContext } from './client-context.js';
import { isRefusal } from './errors.js';
import { uninterruptibleMs } from './retry.js';
import { TopicLookups } from './topic-lookups.js';

const all = kafka.AclOperationTypes['ALL'] ?? 2;
const readOperations: ReadonlySet<number> = new Set([kafka.AclOperationTypes['READ'] ?? 3, all]);
const writeOperations: ReadonlySet<number> = new Set([kafka.AclOperationTypes['WRITE'] ?? 4, all]);

/** Questions about topics; nothing is kept. */
export class Topics {
  readonly #context: ClientContext;
  readonly #admin: () => AdminClient;
  readonly #lookups = new TopicLookups((names, timeoutMs) => this.#describeAll(names, timeoutMs));
  readonly #autoCreator: (() => KafkaProducer) | undefined;

  /** @param autoCreator the producer, when the brokers create topics */
  constructor(context: ClientContext, admin: () => AdminClient, autoCreator?: () => KafkaProducer) {
    this.#context = context;
    this.#admin = admin;
    this.#autoCreator = autoCreator;
  }

  /**
   * Looks the topic up, and creates it when it is missing and `spec` is given. Never rejects. A
   * topic of which a partition has no leader is `unavailable`, as the commit of a transaction that
   * touches it would wait for one.
   * @param timeoutMs of each request
   */
  async ensure(name: string, spec: TopicSpec | null, timeoutMs = uninterruptibleMs): Promise<TopicState> {
    try {
      const found = await this.#describe(name, timeoutMs);
      if (found) return found;
      if (!spec)
        return {
          kind: 'missing',
          error: new Error(`topic ${name} does not exist, and its creation is switched off (KAFNUS_TOPICS_CREATE)`),
        };
      await this.#create(name, spec, timeoutMs);
      // The new topic spreads over the brokers in its own time: until it is seen, it is unavailable
      // and asked for again.
      const created = await this.#describe(name, timeoutMs);
      if (created) return created;
      return { kind: 'unavailable', error: new Error(`topic ${name} was created, but is not visible yet`) };
    } catch (thrown) {
      const error = asKafkaError(thrown);
      const named = new Error(isUnauthorised(error) ? error.message : `topic ${name}: ${error.message}`);
      if (isRefusal(error)) return { kind: 'unwritable', error: named };
      return { kind: 'unavailable', error: named };
    }
  }

  /**
   * Partitions of a topic that is read; null when it does not exist.
   * @throws Error; when a right is missing it is one that says so and has no code: the right may
   *   come, so it is worth asking again
   */
  async partitionCount(name: string): Promise<number | null> {
    const missing = new Error(`not authorised to read topic ${name}: grant Read on it`);
    const description = await this.#lookup(name, uninterruptibleMs).catch((thrown: unknown) => {
      throw isUnauthorised(asKafkaError(thrown)) ? missing : thrown;
    });
    if (!description) return null;
    if (!isAllowed(description, readOperations)) throw missing;
    return description.partitions.length;
  }

  async #describe(name: string, timeoutMs: number): Promise<TopicState | undefined> {
    const description = await this.#lookup(name, timeoutMs).catch((thrown: unknown) => {
      throw explained(thrown, `not authorised to write to topic ${name}: grant Write on it`);
    });
    if (!description) return undefined;
    if (!isAllowed(description, writeOperations)) {
      return { kind: 'unwritable', error: new Error(`not authorised to write to topic ${name}: grant Write on it`) };
    }
    return stateOf(description);
  }

  async #lookup(name: string, timeoutMs: number): Promise<TopicDescription | undefined> {
    if (this.#autoCreator) return this.#lookupCreating(this.#autoCreator(), name, timeoutMs);
    const description = await this.#lookups.lookUp(name, timeoutMs);
    if (!description) return undefined;
    if (description.error && description.error.code !== 0) {
      if (unknownTopic.has(description.error.code)) return undefined;
      throw asKafkaError(description.error);
    }
    return description.partitions.length > 0 ? description : undefined;
  }

  async #describeAll(names: readonly string[], timeoutMs: number): Promise<TopicDescription[]> {
    // A stop does not wait for lookups that have not begun.
    this.#context.cancelled.throwIfAborted();
    const admin = this.#admin();
    const request = call<TopicDescription[]>((done) => {
      admin.describeTopics(names, { includeAuthorizedOperations: true, timeout: timeoutMs }, done);
    });
    return this.#context.calls.track(admin, request);
  }

  /**
   * A broker that has just made the topic may have no partitions to tell yet: the topic is asked
   * for again.
   */
  async #lookupCreating(
    producer: KafkaProducer,
    name: string,
    timeoutMs: number,
  ): Promise<TopicDescription | undefined> {
    const request = call<ClientMetadata>((done) => {
      producer.getMetadata({ topic: name, allTopics: false, timeout: timeoutMs }, done);
    });
    const { topics } = await this.#context.calls.track(producer, request);
    const partitions = topics.find((topic) => topic.name === name)?.partitions ?? [];
    if (partitions.length === 0) return undefined;
    return {
      name,
      partitions: partitions.map(({ id, leader, isrs }) => ({
        partition: id,
        leader: { id: leader },
        isr: isrs,
      })),
    };
  }

  async #create(name: string, spec: TopicSpec, timeoutMs: number): Promise<void> {
    try {
      const admin = this.#admin();
      await this.#context.calls.track(admin, createTopic(admin, name, spec, timeoutMs));
      this.#context.listener.topicCreated(name);
    } catch (thrown) {
      // Another agent was faster.
      if (asKafkaError(thrown).code === topicExists) return;
      throw explained(thrown, `not authorised to create topic ${name}: grant Create on it, or create it beforehand`);
    }
  }
}

function stateOf({ name, partitions }: TopicDescription): TopicState {
  const offline = partitions.filter(({ leader }) => (leader?.id ?? -1) < 0).map(({ partition }) => partition);
  if (offline.length > 0) {
    const which = `partition${offline.length === 1 ? '' : 's'} ${offline.slice(0, 8).join(', ')}`;
    return {
      kind: 'unavailable',
      inSync: 0,
      partitions: partitions.length,
      error: new Error(`topic ${name}: ${which} without a leader`),
    };
  }
  const inSync = Math.min(...partitions.map(({ isr }) => isr?.length ?? Number.NaN));
  const isBehind = partitions.some(({ isr = [], replicas = [] }) => isr.length < replicas.length);
  return { kind: 'writable', partitions: partitions.length, ...(Number.isNaN(inSync) ? {} : { inSync, isBehind }) };
}

/**
 * A cluster without an authorizer, or one too old to tell, gives no operations: then the request
 * itself will show.
 */
function isAllowed({ authorizedOperations }: TopicDescription, wanted: ReadonlySet<number>): boolean {
  if (authorizedOperations === undefined || authorizedOperations.length === 0) return true;
  return authorizedOperations.some((operation) => wanted.has(operation));
}

/** Brokers say "Authorization failed." and neither what for nor which right would do. */
function explained(thrown: unknown, missing: string): unknown {
  const error = asKafkaError(thrown);
  return isUnauthorised(error) ? Object.assign(new Error(missing), { code: error.code }) : thrown;
}
