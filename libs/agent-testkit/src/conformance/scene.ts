/** Helpers of the conformance suite: the topics and members of a case, and their actions. */
import {
  partitionName,
  type InputRecord,
  type LogJump,
  type OutgoingRecord,
  type Session,
  type SessionEvent,
  type TopicPartition,
} from '@kafnus/agent-runtime';
import type * as JestGlobals from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RecordToWrite } from '@kafnus/local-stack';

/** The access of the suite to an implementation and its cluster. */
export interface SessionHarness {
  createTopic(topic: string, partitions: number, config?: Readonly<Record<string, string>>): Promise<void>;
  /** Outside of any transaction. */
  produce(records: readonly RecordToWrite[]): Promise<unknown>;
  /** Deletes the records before an offset, as retention does. */
  deleteRecords(partition: TopicPartition, before: number): Promise<unknown>;
  /** Deletes a topic and creates it again. */
  recreateTopic(topic: string, partitions: number): Promise<unknown>;
  /** All records of a topic, partition by partition in order. */
  readCommitted(topic: string): Promise<readonly InputRecord[]>;
  /** Not started yet. */
  openSession(options: HarnessSession): Session;
  /**
   * At-least-once only: fatal errors end this number of producers, from the next session that
   * starts or is reset on. The first records of such a producer are queued, and then lost.
   */
  breakProducers(count: number): Promise<void>;
  /** Resolves when the first of {@link breakProducers} has its error. */
  brokenProducer(): Promise<unknown>;
  /** The time in ms in which a record that was sent arrives. */
  readonly quietMs: number;
  close(): Promise<void>;
}

/** The delivery of all sessions of a suite. */
export type Delivery = 'exactly-once' | 'at-least-once';

export interface HarnessSession {
  readonly inputTopic: string;
  readonly groupId: string;
  readonly instanceId: string;
  readonly delivery: Delivery;
  /** The largest number of records of one event; more than that is fetched ahead. */
  readonly batchSize: number;
}

/** The functions of Jest that the suite needs. */
export interface TestFunctions extends Pick<typeof JestGlobals, 'afterAll' | 'beforeAll' | 'expect' | 'test'> {
  readonly describe: (name: string, suite: () => void) => void;
}

type DefineCase = (title: string, act: (scene: Scene) => Promise<void>) => void;

/** What the cases of an area are defined with. */
export interface Suite {
  /** Defines a case, with topics and a group of its own. */
  readonly scene: DefineCase;
  /** Defines a case of transactions. */
  readonly transactional: DefineCase;
  /** Defines a case that injects a fault into the whole cluster. */
  readonly alone: DefineCase;
  readonly expect: typeof JestGlobals.expect;
  readonly delivery: Delivery;
  readonly harness: () => SessionHarness;
}

/** The timeout of a case in ms. */
export const caseMs = 60_000;
/**
 * The timestamp of records: brokers may compact or delete segments with old records during a case.
 */
export const now = Date.now();
/** The topics of a case, and its sessions, which are closed at its end. */
export class Scene {
  readonly in: string;
  readonly target: string;
  readonly input0: TopicPartition;
  readonly #harness: SessionHarness;
  readonly #delivery: Delivery;
  readonly #group: string;
  readonly #members: Member[] = [];

  constructor(harness: SessionHarness, name: string, delivery: Delivery) {
    this.#harness = harness;
    this.#delivery = delivery;
    this.#group = `${name}-group`;
    this.in = `${name}-in`;
    this.target = `${name}-out`;
    this.input0 = { topic: this.in, partition: 0 };
  }

  input(partitions: number): Promise<void> {
    return this.#harness.createTopic(this.in, partitions);
  }

  output(): Promise<void> {
    return this.#harness.createTopic(this.target, 2);
  }

  async member(instanceId: string, batchSize = 1000): Promise<Member> {
    const session = this.#harness.openSession({
      inputTopic: this.in,
      groupId: this.#group,
      instanceId,
      delivery: this.#delivery,
      batchSize,
    });
    const member = new Member(session);
    this.#members.push(member);
    await session.start();
    return member;
  }

  out(value: string, partition: number): OutgoingRecord {
    return { topic: this.target, partition, key: 'key', value, headers: [], timestamp: now };
  }

  /** Waits until records that were sent have arrived. */
  quiet(result?: string): Promise<string | undefined> {
    return sleep(this.#harness.quietMs, result);
  }

  /** The output as `partition:value`. */
  async read(): Promise<string[]> {
    const records = await this.#harness.readCommitted(this.target);
    return [0, 1].flatMap((partition) =>
      records.filter((record) => record.partition === partition).map((record) => `${partition}:${valueOf(record)}`),
    );
  }

  async end(): Promise<void> {
    await Promise.all(this.#members.map(({ session }) => session.close()));
  }
}

/** A session, and the answers to its events. */
export class Member {
  readonly session: Session;
  readonly records: InputRecord[] = [];
  readonly owned = new Set<string>();
  /** The reports about the logs. */
  readonly jumps: (SessionEvent & { readonly jump: LogJump })[] = [];
  /** The partitions of the last revocation. */
  revoked: readonly TopicPartition[] = [];
  lost = false;
  /** Whether revocations are answered at once. */
  releases = true;

  constructor(session: Session) {
    this.session = session;
  }

  /** Takes one event and answers it. */
  async step(wantRecords = true): Promise<void> {
    await this.#answer(await this.session.next(50, wantRecords));
  }

  async #answer(event: SessionEvent): Promise<void> {
    if (event.kind === 'failed') throw event.error;
    if ('jump' in event) this.jumps.push(event);
    if (event.kind === 'records') this.records.push(...event.records);
    if (event.kind === 'assigned') {
      await this.session.accept(await this.session.committed(event.partitions));
      for (const partition of event.partitions) this.owned.add(partitionName(partition));
    }
    if (event.kind === 'revoked') {
      this.revoked = event.partitions;
      this.lost = event.lost;
      if (this.releases) this.release(...event.partitions);
    }
  }

  release(...partitions: TopicPartition[]): void {
    for (const partition of partitions) this.owned.delete(partitionName(partition));
    this.session.release(partitions);
  }

  /** Waits until it has this number of partitions. */
  async joined(partitions: number): Promise<this> {
    await together([this], () => this.owned.size === partitions, { wantRecords: false });
    return this;
  }

  /** The next assignment that is not empty; the caller answers it. */
  async assignment(): Promise<readonly TopicPartition[]> {
    const deadline = performance.now() + caseMs / 2;
    while (performance.now() < deadline) {
      const event = await this.session.next(100, true);
      if (event.kind === 'assigned' && event.partitions.length > 0) return event.partitions;
      await this.#answer(event);
    }
    throw new Error('nothing was assigned');
  }

  receive(count: number): Promise<void> {
    return together([this], () => this.records.length >= count);
  }

  /** Takes events for some time. */
  idle(forMs: number, options: { wantRecords?: boolean } = {}): Promise<void> {
    return together([this], () => false, { ...options, forMs });
  }

  /** The values of a partition, in the order of their arrival. */
  values(partition: number): (string | null)[] {
    return this.records.filter((record) => record.partition === partition).map(valueOf);
  }
}

/**
 * Lets members take events until the condition holds.
 * @param options `forMs`: stop after this time, even if it does not hold
 * @throws Error when it does not hold in time
 */
export async function together(
  members: readonly Member[],
  condition: () => boolean,
  options: { wantRecords?: boolean; forMs?: number } = {},
): Promise<void> {
  const deadline = performance.now() + (options.forMs ?? caseMs / 2);
  while (!condition()) {
    if (performance.now() > deadline) {
      if (options.forMs !== undefined) return;
      const told = members.map(
        ({ owned, records }) => `${[...owned].join(' ') || 'nothing'} with ${records.length} records`,
      );
      throw new Error(`not within ${caseMs / 2} ms; the members own ${told.join('; ')}`);
    }
    await Promise.all(members.map((member) => member.step(options.wantRecords)));
  }
}

/** Waits until no event arrives any more. */
export async function settled(session: Session): Promise<void> {
  while ((await session.next(200, true)).kind !== 'idle');
}

/** Repeats a check that may need some time to pass. */
export async function eventually(check: () => Promise<void>): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await check();
      return;
    } catch (error) {
      if (attempt === 20) throw error;
      await sleep(250);
    }
  }
}

export function numbered(topic: string, partition: number, count: number): RecordToWrite[] {
  return values(partition, count).map((value) => ({ topic, partition, key: 'key', value, timestamp: now }));
}

export function values(partition: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${partition}#${index}`);
}

export function valueOf({ value }: InputRecord): string | null {
  return value === null ? null : value.toString();
}

export function headersOf(record: InputRecord | undefined): string[][] {
  return (record?.headers ?? []).flatMap((header) =>
    Object.entries(header).map(([name, value]) => [name, value.toString()]),
  );
}

export function first<T extends TopicPartition>(partitions: readonly T[]): T {
  const [partition] = partitions;
  if (!partition) throw new Error('there is no partition');
  return partition;
}
