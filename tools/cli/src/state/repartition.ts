/**
 * Moves lastdata's state when partitions are added to its input, so that an agent that starts again
 * finds the newest TimeInstant of each entity in the partition of the entity's records.
 *
 *     1  The group has no member, and has read the records of the old partitions.
 *     2  Partitions are added to the changelog. The numbers of partitions now differ, so the agent
 *        refuses to start.
 *     3  In one transaction, every entry that belongs to another partition is written there and
 *        deleted in its old partition.
 *     4  Partitions are added to the input. The agent starts again and finds all of its state.
 *
 * When a run ends early, the same command continues: steps 2 and 4 are idempotent, step 3 is
 * atomic, and the changes are computed from the changelog each time.
 *
 * When the input has got its partitions before, the numbers are equal from step 2 on, and the agent
 * could start. The transaction of step 3 then prevents it: it holds the offsets of the group, which
 * an agent fetches before its state. A run that is killed between steps 2 and 3 leaves no such
 * protection. Its message therefore says that no agent may start before a run has succeeded.
 */
import { messageOf } from '@kafnus/kafka-admin';
import type { ClientSettings } from '@kafnus/local-stack';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { OffsetRange } from '../kafka/offset-ranges.js';
import { excerpt, grouped } from '../terminal/text.js';
import {
  countChanges,
  describeTopics,
  Interrupted,
  placementEvidence,
  readState,
  stateReport,
  throwIfInterrupted,
  type ChangelogState,
  type Partitions,
  type StateOptions,
  type StateReport,
} from './changelog-state.js';
import { GroupTopics } from './group-topics.js';
import { changes, type Placement } from './state-placement.js';
import type { StateProducer } from './state-producer.js';

const recordsPerPause = 2000;
/** Longer than the session timeout of the agents, 10 s. */
const membersTimeoutMs = 15_000;
const unfinished =
  'The move is not finished: run the same command again, and do not start the agent before it has succeeded';

export interface RepartitionOptions extends StateOptions {
  /** The settings of KAFNUS_KAFKA_PRODUCER. */
  readonly producer: ClientSettings;
  /** The number of partitions to reach; undefined: the larger one of input and changelog. */
  readonly partitions: number | undefined;
  readonly dryRun: boolean;
  /** For tests that kill the process after a certain step. */
  readonly onStep?: (step: 'changelog-grown' | 'written' | 'committed' | 'done') => void;
}

/** The fields are the JSON output. */
export interface RepartitionReport extends Omit<StateReport, 'problem'> {
  readonly target: number;
  readonly dryRun: boolean;
  /** Entries that are written to the partition where they belong. */
  readonly written: number;
  /** Entries that are deleted in other partitions. */
  readonly deleted: number;
  /**
   * Records of the input that the agent has not read; not 0 only when it cannot read them any more.
   */
  readonly unread: number;
}

/**
 * Changes nothing when all of the state is in place.
 * @throws Error with what prevents it and what to do; {@link Interrupted}
 */
export async function repartition(options: RepartitionOptions): Promise<RepartitionReport> {
  const topics = await GroupTopics.connect(options.kafka, options.group);
  let producer: StateProducer | undefined;
  try {
    await requireNoMembers(topics, options, Date.now() + membersTimeoutMs);
    const described = await describeTopics(topics, options);
    const target = targetOf(options, described.partitions);
    // It aborts the open transaction of a run that was killed, so it comes before everything that
    // reads the changelog.
    if (!options.dryRun) producer = await topics.createProducer(`${options.group}-repartition`, options.producer);

    const committed = await topics.committed(options.inputTopic, described.partitions.input);
    const input = await topics.ranges(options.inputTopic, described.partitions.input);
    const state = await readState(topics, options);
    const placement = requirePlacement(state, options.placement, target);
    const { puts, deletes, total } = countChanges(changes(state.image, placement, target));
    const hasTarget = state.partitions.input === target && state.partitions.changelog === target;
    const unread =
      total === 0 && hasTarget ? 0 : await countUnread(topics, options, state.partitions, input, committed);
    if (unread > 0) requireUnreadAllowed(options, state, placement, target, unread);
    const report: RepartitionReport = {
      ...stateReport(options, state, placement),
      target,
      dryRun: options.dryRun,
      written: puts,
      deleted: deletes,
      unread,
    };
    if (producer === undefined || (total === 0 && hasTarget)) return report;

    try {
      await topics.createPartitions(state.changelog, target);
      options.onStep?.('changelog-grown');
      if (total > 0)
        await moveState(topics, producer, options, { ...state, target, placement, total, input, committed });
      options.onStep?.('committed');
      await topics.createPartitions(options.inputTopic, target);
      options.onStep?.('done');
    } catch (error) {
      if (error instanceof Interrupted) throw error;
      throw new Error(`${messageOf(error)}. ${unfinished}`, { cause: error });
    }
    await requireNothingPublished(topics, options.inputTopic, input);
    return report;
  } finally {
    await producer?.close();
    await topics.close();
  }
}

function targetOf({ partitions, inputTopic }: RepartitionOptions, { input, changelog }: Partitions): number {
  const current = Math.max(input, changelog);
  const target = partitions ?? current;
  if (target >= current) return target;
  const [topic, has] = input === current ? [inputTopic, input] : ['the changelog', changelog];
  throw new Error(`--partitions ${target} is less than the ${has} that ${topic} has: Kafka cannot remove partitions`);
}

function requirePlacement(state: ChangelogState, wanted: Placement | undefined, target: number): Placement {
  const { input, changelog } = state.partitions;
  // When the changelog has more partitions than the input, a run has ended early, before or after
  // step 3.
  const evidence = placementEvidence(state, wanted, changelog > input ? [input, changelog] : [changelog]);
  if (evidence.kind === 'unproven') throw new Error(evidence.message);
  const [first, ...others] = evidence.placements;
  if (state.image.size === 0 || others.length === 0) return first;
  // Both partitioners explain a small state by chance, and any state of one partition. The choice
  // does not matter when all of the state is in place.
  const settled =
    changelog === target &&
    evidence.placements.find((placement) => countChanges(changes(state.image, placement, target)).total === 0);
  if (settled) return settled;
  throw new Error(
    `the partitioner of ${state.inputTopic} cannot be derived from ${grouped(state.image.size)} entities in ` +
      `${changelog} partitions: name it with --partitioner ${evidence.placements.join(' or --partitioner ')} (Java ` +
      `clients use murmur2, librdkafka uses crc32 by default), or use --everywhere if the key is not the entity id`,
  );
}

/** A process that was killed or refused to start is a member until its session times out. */
async function requireNoMembers(topics: GroupTopics, options: StateOptions, deadline = 0): Promise<void> {
  let members = await topics.members();
  while (members.length > 0 && Date.now() < deadline) {
    throwIfInterrupted(options.interrupted());
    options.onProgress(`waiting for the ${members.length} members of ${options.group} to leave`);
    await sleep(500);
    members = await topics.members();
  }
  if (members.length === 0) return;
  const named = members.slice(0, 3).map((member) => excerpt(member, 80));
  const more = members.length > named.length ? `, and ${members.length - named.length} more` : '';
  throw new Error(
    `the group ${options.group} has ${members.length} living members: ${named.join(', ')}${more}. Stop all instances of the ` +
      `agent first: scale it to 0`,
  );
}

/**
 * Counts the unread records of the old partitions. The agent would read an older record of an
 * entity there and a newer one in another partition, and compare them with the state of different
 * partitions. Records in partitions that are new already do not matter.
 */
async function countUnread(
  topics: GroupTopics,
  options: StateOptions,
  partitions: Partitions,
  input: readonly OffsetRange[],
  committed: ReadonlyMap<number, number>,
): Promise<number> {
  const unread = input
    .slice(0, Math.min(partitions.input, partitions.changelog))
    .map((range) => ({ ...range, offset: Math.max(range.offset, committed.get(range.partition) ?? 0) }));
  let isFound = false;
  await topics.read(
    unread,
    () => {
      isFound = true;
      return false;
    },
    () => {
      throwIfInterrupted(options.interrupted());
      options.onProgress(`looking for unread records in ${options.inputTopic}`);
    },
  );
  // The offsets between may be transaction markers only. When a record was found, their number is
  // an estimate.
  return isFound ? unread.reduce((sum, { offset, end }) => sum + Math.max(0, end - offset), 0) : 0;
}

/**
 * When the agent can still read the records, it must. When it cannot, state in every partition
 * loses least (docs/operations.md).
 */
function requireUnreadAllowed(
  options: RepartitionOptions,
  state: ChangelogState,
  placement: Placement,
  target: number,
  unread: number,
): void {
  const { input, changelog } = state.partitions;
  // No state is deleted, and no record comes from another partition than before.
  if (placement === 'everywhere' && input === target) return;
  const what = `${options.inputTopic} holds about ${grouped(unread)} records that the group ${options.group} has not read`;
  if (input === changelog) {
    throw new Error(
      `${what}: stop publishing, start the agent, wait until GET /health has "lag": 0, stop the agent and try again`,
    );
  }
  if (placement === 'everywhere') return;
  throw new Error(
    `${what}, and with ${input} partitions in the input and ${changelog} in the changelog the agent cannot read them. ` +
      `Follow "If the input has more partitions already" in docs/operations.md, which begins with --everywhere`,
  );
}

interface StateMove extends ChangelogState {
  readonly target: number;
  readonly placement: Placement;
  readonly total: number;
  readonly input: readonly OffsetRange[];
  readonly committed: ReadonlyMap<number, number>;
}

/** Writes all changes in one transaction. */
async function moveState(
  topics: GroupTopics,
  producer: StateProducer,
  options: RepartitionOptions,
  plan: StateMove,
): Promise<void> {
  const offsets = plan.input.map(({ topic, partition, offset }) => ({
    topic,
    partition,
    offset: plan.committed.get(partition) ?? offset,
  }));
  await producer.awaitPartitions(plan.changelog, plan.target);
  await producer.begin(offsets, topics.consumer);
  try {
    // An agent that joined before the transaction held the offsets has fetched them, and would read
    // old state.
    await requireNoMembers(topics, options);
    let written = 0;
    for (const { key, partition, value } of changes(plan.image, plan.placement, plan.target)) {
      await producer.write(plan.changelog, partition, key, value === null ? null : String(value));
      written += 1;
      if (written % recordsPerPause !== 0) continue;
      // Lets signals and delivery reports be handled.
      await nextTurn();
      throwIfInterrupted(options.interrupted(), unfinished);
      options.onProgress(`writing ${plan.changelog}: ${grouped(written)} of ${grouped(plan.total)}`);
    }
    await producer.flush();
    options.onStep?.('written');
  } catch (error) {
    // When the abort fails too, initTransactions of the next run aborts the transaction.
    await producer.abort().catch(() => undefined);
    throw error;
  }
  await producer.commit();
}

/** Records that were published meanwhile were partitioned by the old number of partitions. */
async function requireNothingPublished(
  topics: GroupTopics,
  inputTopic: string,
  before: readonly OffsetRange[],
): Promise<void> {
  const now = await topics.ranges(inputTopic, before.length);
  const more = now.reduce((sum, { end }, index) => sum + end - (before[index]?.end ?? end), 0);
  if (more === 0) return;
  throw new Error(
    `the state was moved and ${inputTopic} has its partitions, but meanwhile ${grouped(more)} records were published to ` +
      `the old ones. Do not start the agent: stop publishing, and follow "If the input has more partitions already" in ` +
      `docs/operations.md`,
  );
}
