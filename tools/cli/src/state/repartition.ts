/**
 * Carries lastdata's state over to more partitions, so that an agent that starts again finds each entity's newest
 * TimeInstant in the partition that the entity's records come from.
 *
 *     1  the group has no member, and what lies in the old partitions has been read
 *     2  the changelog is given the new number of partitions    from here on the agent refuses to start: the numbers differ
 *     3  in one transaction: every entry that belongs elsewhere is written there, and deleted where it was
 *     4  the input is given the new number of partitions        from here on the agent starts, and finds all in place
 *
 * Whatever ends it in between, the same command goes on from there: 2 and 4 are done or not, 3 is done as a whole or not at
 * all, and what is to be done is worked out anew from what the changelog holds.
 *
 * Where the input has been given its partitions before, the numbers agree from 2 on. Then what keeps an agent out is the
 * transaction, which holds the group's offsets: an agent reads them before its state, and waits. A run that is killed
 * between 2 and 3 leaves that door open, so its message is to be taken seriously: no agent before a run has succeeded.
 */
import { changelogTopic, parseChangelogValue } from '@kafnus/agent-runtime';
import type { ClientSettings } from '@kafnus/local-stack';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../error-text.js';
import { clipped, grouped, printable, quoted } from '../terminal/text.js';
import { Cluster, type Kafka, type Position, type Range, type Writer } from './cluster.js';
import {
  changes,
  misplaced,
  partitioners,
  StateImage,
  type Change,
  type Misplaced,
  type Partitioner,
  type Placement,
} from './placement.js';

/** The name that lastdata gives its state. */
const STORE = 'newest';
const PAUSE_EVERY = 2000;
/** Longer than the session timeout of the agents, 10 s. */
const GONE_MS = 15_000;
const UNFINISHED = 'It is not finished: run the same command again, and do not start the agent before it has succeeded';

export interface StateOptions {
  readonly kafka: Kafka;
  readonly group: string;
  readonly inputTopic: string;
  /** How the input's producers choose partitions; undefined: what the state itself proves. */
  readonly placement: Placement | undefined;
  /** Told what is going on, for a person who waits. */
  readonly onProgress: (what: string) => void;
  /** Asked now and then: true ends the work, and what is not committed is undone. */
  readonly interrupted: () => boolean;
}

export interface RepartitionOptions extends StateOptions {
  /** What KAFNUS_KAFKA_PRODUCER adds. */
  readonly producer: ClientSettings;
  /** How many partitions the input is to have; undefined: as many as the input or the changelog has, whichever has more. */
  readonly partitions: number | undefined;
  readonly dryRun: boolean;
  /** Called when a step is done; for tests that end the process there. */
  readonly onStep?: (step: Step) => void;
}

/** Moments at which an end leaves something behind. */
type Step = 'changelog-grown' | 'written' | 'committed' | 'done';

/** Partitions of both topics. */
interface Partitions {
  readonly input: number;
  readonly changelog: number;
}

/** What the changelog holds, and how it lies. */
export interface StateReport {
  readonly group: string;
  readonly inputTopic: string;
  readonly changelog: string;
  readonly partitions: Partitions;
  /** Entities that have state. */
  readonly entities: number;
  /** Records in the changelog that are not of lastdata. */
  readonly foreign: number;
  /** How many entities the hash of their id does not explain. */
  readonly unexplained: Readonly<Record<Partitioner, number>>;
  /** null: nothing is proven. */
  readonly placement: Placement | null;
  /** What keeps the state from being used; null: nothing. */
  readonly problem: string | null;
}

export interface RepartitionReport extends Omit<StateReport, 'problem'> {
  readonly target: number;
  readonly dryRun: boolean;
  /** Entries that are written to the partition where they belong. */
  readonly written: number;
  /** Entries that are deleted where they do not. */
  readonly deleted: number;
  /** Records in the input that the agent has not read: allowed only where it cannot read them any more. */
  readonly unread: number;
}

/** The work was given up because the user asked for it. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** Looks, and changes nothing. The agent may run. */
export async function checkState(options: StateOptions): Promise<StateReport> {
  const cluster = await Cluster.connect(options.kafka, options.group);
  try {
    const state = await readState(cluster, options);
    const { partitions, changelog, inputTopic } = state;
    const verdict = choosePlacement(state, options.placement, [partitions.changelog]);
    const report = reportOf(options, state, verdict.kind === 'proven' ? verdict.placements[0] : undefined);
    const problem = (): string | null => {
      if (partitions.changelog !== partitions.input) {
        return (
          `${changelog} has ${partitions.changelog} partitions, but ${inputTopic} has ${partitions.input}: ` +
          `the agent does not start. Carry the state over with 'kafnus state repartition'`
        );
      }
      if (verdict.kind === 'unproven') return verdict.message;
      const fewest = Math.min(
        ...verdict.placements.map((placement) => count(changes(state.image, placement, partitions.input)).total),
      );
      if (fewest === 0) return null;
      return (
        `${grouped(fewest)} entries are not as they should be: an entity's newest TimeInstant is missing where it belongs, ` +
        `or an old one was left elsewhere. Stop the agent and run 'kafnus state repartition'`
      );
    };
    return { ...report, problem: problem() };
  } finally {
    await cluster.close();
  }
}

/**
 * Carries the state over; nothing happens when all is in place.
 * @throws Error saying what is in the way and what to do; {@link Interrupted}
 */
export async function repartition(options: RepartitionOptions): Promise<RepartitionReport> {
  const cluster = await Cluster.connect(options.kafka, options.group);
  let writer: Writer | undefined;
  try {
    await requireNoMembers(cluster, options, Date.now() + GONE_MS);
    const topics = await lookUp(cluster, options);
    const target = targetOf(options, topics.partitions);
    // First of all, for it ends the transaction of a run that was killed: nothing at the end of the changelog is undecided.
    if (!options.dryRun) writer = await cluster.writer(`${options.group}-repartition`, options.producer);

    const committed = await cluster.committed(options.inputTopic, topics.partitions.input);
    const input = await cluster.ranges(options.inputTopic, topics.partitions.input);
    const state = await readState(cluster, options);
    const placement = requirePlacement(state, options.placement, target);
    const { puts, deletes, total } = count(changes(state.image, placement, target));
    const grown = state.partitions.input === target && state.partitions.changelog === target;
    const unread = total === 0 && grown ? 0 : await countUnread(cluster, options, state.partitions, input, committed);
    if (unread > 0) requireUnreadAllowed(options, state, placement, target, unread);
    const report: RepartitionReport = {
      ...reportOf(options, state, placement),
      target,
      dryRun: options.dryRun,
      written: puts,
      deleted: deletes,
      unread,
    };
    if (writer === undefined || (total === 0 && grown)) return report;

    try {
      await cluster.grow(state.changelog, target);
      options.onStep?.('changelog-grown');
      if (total > 0) await move(cluster, writer, options, { ...state, target, placement, total, input, committed });
      options.onStep?.('committed');
      await cluster.grow(options.inputTopic, target);
      options.onStep?.('done');
    } catch (error) {
      if (error instanceof Interrupted) throw error;
      throw new Error(`${messageOf(error)}. ${UNFINISHED}`, { cause: error });
    }
    await requireNothingPublished(cluster, options.inputTopic, input);
    return report;
  } finally {
    await writer?.close();
    await cluster.close();
  }
}

/** What was read of the changelog. */
interface State {
  readonly changelog: string;
  readonly inputTopic: string;
  readonly partitions: Partitions;
  readonly image: StateImage;
  readonly foreign: number;
}

async function lookUp(
  cluster: Cluster,
  { group, inputTopic }: StateOptions,
): Promise<Pick<State, 'changelog' | 'inputTopic' | 'partitions'>> {
  const changelog = changelogTopic(group, STORE);
  const partitions = { input: await cluster.partitions(inputTopic), changelog: await cluster.partitions(changelog) };
  return { changelog, inputTopic, partitions };
}

async function readState(cluster: Cluster, options: StateOptions): Promise<State> {
  const topics = await lookUp(cluster, options);
  const image = new StateImage();
  let foreign = 0;
  const ranges = await cluster.ranges(topics.changelog, topics.partitions.changelog);
  await cluster.read(
    ranges,
    ({ key, value, partition }) => {
      const number = parseChangelogValue(value);
      if (key === null || key === undefined || number === undefined) foreign += 1;
      else image.apply({ key: key.toString(), partition, value: number });
      return true;
    },
    () => {
      stopIf(options.interrupted());
      options.onProgress(`reading ${topics.changelog}: ${grouped(image.size)} entities`);
    },
  );
  return { ...topics, image, foreign };
}

function targetOf({ partitions: wanted, inputTopic }: RepartitionOptions, { input, changelog }: Partitions): number {
  const most = Math.max(input, changelog);
  const target = wanted ?? most;
  if (target >= most) return target;
  const [topic, has] = input === most ? [inputTopic, input] : ['the changelog', changelog];
  throw new Error(`--partitions ${target} is less than the ${has} that ${topic} has: Kafka takes no partitions away`);
}

type Verdict =
  | { readonly kind: 'proven'; readonly placements: readonly [Placement, ...Placement[]] }
  | { readonly kind: 'unproven'; readonly message: string };

/** Which placements the state allows: those that are asked for, or all of which nothing speaks against. */
function choosePlacement(state: State, wanted: Placement | undefined, counts: readonly number[]): Verdict {
  if (wanted === 'everywhere') return { kind: 'proven', placements: [wanted] };
  const asked: readonly Partitioner[] = wanted === undefined ? partitioners : [wanted];
  const found = asked.map((partitioner) => ({ partitioner, ...misplaced(state.image, partitioner, counts) }));
  const [first, ...others] = found.filter((one) => one.count === 0).map(({ partitioner }) => partitioner);
  if (first !== undefined) return { kind: 'proven', placements: [first, ...others] };
  const { count: worst, example } = found.reduce((a, b) => (b.count < a.count ? b : a));
  const where =
    example === undefined
      ? ''
      : `, such as ${quoted(example.key)} in partition ${example.partition} of ${state.changelog}`;
  return {
    kind: 'unproven',
    message:
      `${grouped(worst)} of ${grouped(state.image.size)} entities are not where ${asked.join(' or ')} of their id puts ` +
      `them${where}: the records of ${state.inputTopic} are keyed by something else than the entity id, hold several ` +
      `entities, or are partitioned otherwise. Where their state belongs cannot be computed: ` +
      `'kafnus state repartition --everywhere' gives every partition all of it`,
  };
}

function requirePlacement(state: State, wanted: Placement | undefined, target: number): Placement {
  const { input, changelog } = state.partitions;
  // A changelog with more partitions than its input is the work of a run that was cut off: moved already, or not yet.
  const verdict = choosePlacement(state, wanted, changelog > input ? [input, changelog] : [changelog]);
  if (verdict.kind === 'unproven') throw new Error(verdict.message);
  const [first, ...others] = verdict.placements;
  if (state.image.size === 0 || others.length === 0) return first;
  // A small state may fit by chance, and all of it fits a single partition. If all lies well already, it does not matter.
  const settled =
    changelog === target &&
    verdict.placements.find((placement) => count(changes(state.image, placement, target)).total === 0);
  if (settled) return settled;
  throw new Error(
    `how the records of ${state.inputTopic} are partitioned cannot be told from ${grouped(state.image.size)} entities in ` +
      `${changelog} partitions: say --partitioner ${verdict.placements.join(' or --partitioner ')} (Java clients ` +
      `use murmur2, librdkafka crc32 by default), or --everywhere if the records' key is not the entity id`,
  );
}

/** A process that died, or that has just refused to start, is a member until its session has timed out: it is waited for. */
async function requireNoMembers(cluster: Cluster, options: StateOptions, deadline = 0): Promise<void> {
  let members = await cluster.members();
  while (members.length > 0 && Date.now() < deadline) {
    stopIf(options.interrupted());
    options.onProgress(`waiting for the ${members.length} members of ${options.group} to leave`);
    await sleep(500);
    members = await cluster.members();
  }
  if (members.length === 0) return;
  const shown = members.slice(0, 3).map((member) => clipped(printable(member), 80));
  const more = members.length > shown.length ? `, and ${members.length - shown.length} more` : '';
  throw new Error(
    `the group ${options.group} has ${members.length} living members: ${shown.join(', ')}${more}. Stop all instances of the ` +
      `agent first: scale it to 0`,
  );
}

/**
 * Unread records in the partitions from before: an entity's older records would be read from there while its newer ones come
 * from elsewhere, each with a state of its own. What waits in partitions that are new already does not matter.
 */
async function countUnread(
  cluster: Cluster,
  options: StateOptions,
  partitions: Partitions,
  input: readonly Range[],
  committed: ReadonlyMap<number, number>,
): Promise<number> {
  const old = Math.min(partitions.input, partitions.changelog);
  const rest = input
    .slice(0, old)
    .map((range) => ({ ...range, offset: Math.max(range.offset, committed.get(range.partition) ?? 0) }));
  let found = false;
  await cluster.read(
    rest,
    () => {
      found = true;
      return false;
    },
    () => {
      stopIf(options.interrupted());
      options.onProgress(`looking for unread records in ${options.inputTopic}`);
    },
  );
  // The markers of transactions count as well: it is one record at least.
  return found ? rest.reduce((all, { offset, end }) => all + Math.max(0, end - offset), 0) : 0;
}

/** Where the agent can still read them, it must. Where it cannot, copies everywhere lose least (docs/operations.md). */
function requireUnreadAllowed(
  options: RepartitionOptions,
  state: State,
  placement: Placement,
  target: number,
  unread: number,
): void {
  const { input, changelog } = state.partitions;
  // Nothing is taken away, and no record changes its partition by this.
  if (placement === 'everywhere' && input === target) return;
  const what = `${options.inputTopic} holds about ${grouped(unread)} records that the group ${options.group} has not read`;
  if (input === changelog) {
    throw new Error(
      `${what}: stop publishing, start the agent, wait until GET /health says "lag": 0, stop the agent and try again`,
    );
  }
  if (placement === 'everywhere') return;
  throw new Error(
    `${what}, and with ${input} partitions in the input and ${changelog} in the changelog the agent cannot read them. ` +
      `Follow "If the input has more partitions already" in docs/operations.md: it begins with --everywhere`,
  );
}

interface Move extends State {
  readonly target: number;
  readonly placement: Placement;
  readonly total: number;
  readonly input: readonly Range[];
  readonly committed: ReadonlyMap<number, number>;
}

/** Writes all changes in one transaction, or none. */
async function move(cluster: Cluster, writer: Writer, options: RepartitionOptions, plan: Move): Promise<void> {
  const offsets = plan.input.map(({ topic, partition, offset }): Position => ({
    topic,
    partition,
    offset: plan.committed.get(partition) ?? offset,
  }));
  await writer.knows(plan.changelog, plan.target);
  await writer.begin(offsets, cluster.consumer);
  try {
    // One that came before the offsets were held has seen neither this transaction nor what it is for.
    await requireNoMembers(cluster, options);
    let written = 0;
    for (const { key, partition, value } of changes(plan.image, plan.placement, plan.target)) {
      await writer.write(plan.changelog, partition, key, value === null ? null : String(value));
      written += 1;
      if (written % PAUSE_EVERY !== 0) continue;
      // Lets a signal in, and the client's reports.
      await nextTurn();
      stopIf(options.interrupted(), UNFINISHED);
      options.onProgress(`writing ${plan.changelog}: ${grouped(written)} of ${grouped(plan.total)}`);
    }
    await writer.flush();
    options.onStep?.('written');
  } catch (error) {
    // Where this fails as well, the next run's initTransactions does it.
    await writer.abort().catch(() => undefined);
    throw error;
  }
  await writer.commit();
}

/** An end that moved: somebody went on publishing, and counted on the old number of partitions. */
async function requireNothingPublished(cluster: Cluster, inputTopic: string, before: readonly Range[]): Promise<void> {
  const now = await cluster.ranges(inputTopic, before.length);
  const more = now.reduce((all, { end }, index) => all + end - (before[index]?.end ?? end), 0);
  if (more === 0) return;
  throw new Error(
    `the state was carried over and ${inputTopic} has its partitions, but meanwhile ${grouped(more)} records were published to ` +
      `the old ones. Do not start the agent: stop publishing, and follow "If the input has more partitions already" in ` +
      `docs/operations.md`,
  );
}

function reportOf(options: StateOptions, state: State, placement: Placement | undefined): Omit<StateReport, 'problem'> {
  const counts = [state.partitions.changelog];
  const unexplained = (partitioner: Partitioner): Misplaced => misplaced(state.image, partitioner, counts);
  return {
    group: options.group,
    inputTopic: options.inputTopic,
    changelog: state.changelog,
    partitions: state.partitions,
    entities: state.image.size,
    foreign: state.foreign,
    unexplained: { murmur2: unexplained('murmur2').count, crc32: unexplained('crc32').count },
    placement: placement ?? null,
  };
}

function count(all: Iterable<Change>): { readonly puts: number; readonly deletes: number; readonly total: number } {
  let puts = 0;
  let deletes = 0;
  for (const { value } of all) {
    if (value === null) deletes += 1;
    else puts += 1;
  }
  return { puts, deletes, total: puts + deletes };
}

function stopIf(interrupted: boolean, left = 'Nothing was changed'): void {
  if (interrupted) throw new Interrupted(left);
}
