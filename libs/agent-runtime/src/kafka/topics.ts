/**
 * What is known of the topics that are written to: looked up once, created when missing, refreshed now and then.
 *
 * Topics are created by the agent and not by the broker's auto-creation, so that partitions, replication and configuration
 * are those that were set. Rights are looked up with the topic (KIP-430): a transaction that touches a forbidden topic
 * fails as a whole and does not say which topic it was, so the question must be answered before.
 *
 * An operator may leave creation to the brokers all the same, with `allow.auto.create.topics` of the producer. Then topics
 * come into being when the producer asks for their metadata: that request is the lookup, and needs no right but to write.
 */
import type { TopicSpec, TopicState } from '../session.js';
import {
  call,
  kafka,
  type AdminClient,
  type ClientMetadata,
  type KafkaProducer,
  type TopicDescription,
} from './client.js';
import { asKafkaError, isRefusal, isUnauthorised, topicExists, unknownTopic } from './errors.js';

/** How long a lookup is trusted. A topic that gained partitions is noticed after this, as with Java's metadata.max.age.ms. */
const freshMs = 300_000;
/** How long a refusal is: the tenant's records are dead-lettered without asking again. */
const refusalMs = 30_000;
/**
 * A request cannot be interrupted, and the process cannot end under it: see uninterruptibleMs of
 * kafka-session.ts.
 */
const requestTimeoutMs = 3000;

const all = kafka.AclOperationTypes['ALL'] ?? 2;
const readOperations: ReadonlySet<number> = new Set([kafka.AclOperationTypes['READ'] ?? 3, all]);
const writeOperations: ReadonlySet<number> = new Set([kafka.AclOperationTypes['WRITE'] ?? 4, all]);

interface Known {
  readonly state: TopicState;
  readonly until: number;
}

/** The registry. The clock is passed in; it only decides when to look again. */
export class Topics {
  readonly #admin: () => AdminClient;
  readonly #now: () => number;
  readonly #onCreated: (topic: string) => void;
  readonly #autoCreator: (() => KafkaProducer) | undefined;
  readonly #known = new Map<string, Known>();

  /** @param autoCreator the producer, when the brokers create topics */
  constructor(
    admin: () => AdminClient,
    now: () => number,
    onCreated: (topic: string) => void,
    autoCreator?: () => KafkaProducer,
  ) {
    this.#admin = admin;
    this.#now = now;
    this.#onCreated = onCreated;
    this.#autoCreator = autoCreator;
  }

  /** What is known and fresh; undefined: ask {@link ensure}. */
  get(name: string): TopicState | undefined {
    const known = this.#known.get(name);
    if (known === undefined) return undefined;
    if (known.until > this.#now()) return known.state;
    this.#known.delete(name);
    return undefined;
  }

  /** A topic refused, and nobody says which one: all are looked up again. */
  forgetAll(): void {
    this.#known.clear();
  }

  forget(name: string, error?: Error): void {
    if (error) this.#remember(name, { kind: 'unwritable', error });
    else this.#known.delete(name);
  }

  /**
   * Looks the topic up, and creates it when it is missing and `spec` is given. A missing topic without `spec` is
   * `unavailable`: it may come.
   */
  async ensure(name: string, spec: TopicSpec | null): Promise<TopicState> {
    try {
      const found = await this.#describe(name);
      if (found) return this.#remember(name, found);
      if (!spec)
        return {
          kind: 'unavailable',
          error: new Error(`topic ${name} does not exist, and its creation is switched off`),
        };
      await this.#create(name, spec);
      // The new topic spreads over the brokers in its own time: until it is seen, it is unavailable and asked for again.
      const created = await this.#describe(name);
      if (created) return this.#remember(name, created);
      return { kind: 'unavailable', error: new Error(`topic ${name} was created, but is not visible yet`) };
    } catch (thrown) {
      const error = asKafkaError(thrown);
      const named = new Error(isUnauthorised(error) ? error.message : `topic ${name}: ${error.message}`);
      if (isRefusal(error)) return this.#remember(name, { kind: 'unwritable', error: named });
      return { kind: 'unavailable', error: named };
    }
  }

  /**
   * Partitions of a topic that is read; null when it does not exist.
   * @throws Error; when a right is missing it is one that says so and has no code: the right may come, so it is worth asking again
   */
  async partitionCount(name: string): Promise<number | null> {
    const missing = new Error(`not authorised to read topic ${name}: grant Read on it`);
    const description = await this.#lookup(name).catch((thrown: unknown) => {
      throw isUnauthorised(asKafkaError(thrown)) ? missing : thrown;
    });
    if (!description) return null;
    if (!isAllowed(description, readOperations)) throw missing;
    return description.partitions.length;
  }

  #remember(name: string, state: TopicState): TopicState {
    this.#known.set(name, { state, until: this.#now() + (state.kind === 'writable' ? freshMs : refusalMs) });
    return state;
  }

  async #describe(name: string): Promise<TopicState | undefined> {
    const description = await this.#lookup(name).catch((thrown: unknown) => {
      throw explained(thrown, `not authorised to write to topic ${name}: grant Write on it`);
    });
    if (!description) return undefined;
    if (!isAllowed(description, writeOperations)) {
      return { kind: 'unwritable', error: new Error(`not authorised to write to topic ${name}: grant Write on it`) };
    }
    return { kind: 'writable', partitions: description.partitions.length };
  }

  async #lookup(name: string): Promise<TopicDescription | undefined> {
    if (this.#autoCreator) return this.#lookupCreating(this.#autoCreator(), name);
    const [description] = await call<TopicDescription[]>((done) => {
      this.#admin().describeTopics([name], { includeAuthorizedOperations: true, timeout: requestTimeoutMs }, done);
    });
    if (!description) return undefined;
    if (description.error && description.error.code !== 0) {
      if (unknownTopic.has(description.error.code)) return undefined;
      throw asKafkaError(description.error);
    }
    return description.partitions.length > 0 ? description : undefined;
  }

  /** A broker that has just made the topic may have no partitions to tell yet: the topic is asked for again. */
  async #lookupCreating(producer: KafkaProducer, name: string): Promise<TopicDescription | undefined> {
    const { topics } = await call<ClientMetadata>((done) => {
      producer.getMetadata({ topic: name, allTopics: false, timeout: requestTimeoutMs }, done);
    });
    const partitions = topics.find((topic) => topic.name === name)?.partitions ?? [];
    return partitions.length === 0 ? undefined : { name, partitions: partitions.map(({ id }) => ({ partition: id })) };
  }

  async #create(name: string, spec: TopicSpec): Promise<void> {
    try {
      await call((done) => {
        this.#admin().createTopic(
          {
            topic: name,
            num_partitions: spec.partitions,
            replication_factor: spec.replicationFactor,
            config: spec.config,
          },
          requestTimeoutMs,
          done,
        );
      });
      this.#onCreated(name);
    } catch (thrown) {
      // Another agent was faster.
      if (asKafkaError(thrown).code === topicExists) return;
      throw explained(thrown, `not authorised to create topic ${name}: grant Create on it, or create it beforehand`);
    }
  }
}

/** A cluster without an authorizer, or one too old to tell, gives no operations: then the request itself will show. */
function isAllowed({ authorizedOperations }: TopicDescription, wanted: ReadonlySet<number>): boolean {
  if (authorizedOperations === undefined || authorizedOperations.length === 0) return true;
  return authorizedOperations.some((operation) => wanted.has(operation));
}

/** Brokers say "Authorization failed." and neither what for nor which right would do. */
function explained(thrown: unknown, missing: string): unknown {
  const error = asKafkaError(thrown);
  return isUnauthorised(error) ? Object.assign(new Error(missing), { code: error.code }) : thrown;
}
