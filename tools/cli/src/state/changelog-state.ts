/**
 * Reads the state of lastdata from its changelog, and finds out how it is distributed over the
 * partitions.
 */
import { changelogTopic, parseChangelogValue } from '@kafnus/agent-runtime';
import type { Connection } from '../kafka/connection.js';
import { grouped, quoted } from '../terminal/text.js';
import type { GroupTopics } from './group-topics.js';
import {
  misplaced,
  partitioners,
  StateImage,
  type Partitioner,
  type Placement,
  type StateChange,
} from './state-placement.js';

/** The name of lastdata's store. */
export const storeName = 'newest';

export interface StateOptions {
  readonly kafka: Pick<Connection, 'address' | 'groups'>;
  readonly group: string;
  readonly inputTopic: string;
  /** How the producers of the input choose partitions; undefined: what the state proves. */
  readonly placement: Placement | undefined;
  /** Called with what is being done, for a person who waits. */
  readonly onProgress: (what: string) => void;
  /** True once the user has asked for the end. */
  readonly interrupted: () => boolean;
}

/** The user has asked for the end. The message says what remains to be done. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** @throws Interrupted */
export function throwIfInterrupted(interrupted: boolean, message = 'Nothing was changed'): void {
  if (interrupted) throw new Interrupted(message);
}

/** The numbers of partitions of both topics. */
export interface Partitions {
  readonly input: number;
  readonly changelog: number;
}

export interface ChangelogState {
  readonly changelog: string;
  readonly inputTopic: string;
  readonly partitions: Partitions;
  readonly image: StateImage;
  /** Records of the changelog that lastdata has not written. */
  readonly foreign: number;
}

/** The state and its distribution. The fields are part of the JSON output. */
export interface StateReport {
  readonly group: string;
  readonly inputTopic: string;
  readonly changelog: string;
  readonly partitions: Partitions;
  /** Entities that have state. */
  readonly entities: number;
  /** Records of the changelog that lastdata has not written. */
  readonly foreign: number;
  /** By partitioner: the entities that are not in the partition of their id's hash. */
  readonly unexplained: Readonly<Record<Partitioner, number>>;
  /** Null when none is proven. */
  readonly placement: Placement | null;
  /** Why the agent cannot use the state; null when it can. */
  readonly problem: string | null;
}

export async function describeTopics(
  topics: GroupTopics,
  { group, inputTopic }: StateOptions,
): Promise<Pick<ChangelogState, 'changelog' | 'inputTopic' | 'partitions'>> {
  const changelog = changelogTopic(group, storeName);
  const partitions = { input: await topics.partitions(inputTopic), changelog: await topics.partitions(changelog) };
  return { changelog, inputTopic, partitions };
}

/** @throws Interrupted */
export async function readState(topics: GroupTopics, options: StateOptions): Promise<ChangelogState> {
  const described = await describeTopics(topics, options);
  const { changelog, partitions } = described;
  const image = new StateImage();
  let foreign = 0;
  await topics.read(
    await topics.ranges(changelog, partitions.changelog),
    ({ key, value, partition }) => {
      const number = parseChangelogValue(value);
      if (key === null || key === undefined || number === undefined) foreign += 1;
      else image.apply({ key: key.toString(), partition, value: number });
      return true;
    },
    () => {
      throwIfInterrupted(options.interrupted());
      options.onProgress(`reading ${changelog}: ${grouped(image.size)} entities`);
    },
  );
  return { ...described, image, foreign };
}

/** The placements that are consistent with the state, or a message that none is. */
export type PlacementEvidence =
  | { readonly kind: 'proven'; readonly placements: readonly [Placement, ...Placement[]] }
  | { readonly kind: 'unproven'; readonly message: string };

/**
 * @param wanted the placement that the user names; undefined: all partitioners are tried
 * @param counts the numbers of partitions that producers may have used
 */
export function placementEvidence(
  state: ChangelogState,
  wanted: Placement | undefined,
  counts: readonly number[],
): PlacementEvidence {
  if (wanted === 'everywhere') return { kind: 'proven', placements: [wanted] };
  const tried: readonly Partitioner[] = wanted === undefined ? partitioners : [wanted];
  const results = tried.map((partitioner) => ({ partitioner, ...misplaced(state.image, partitioner, counts) }));
  const [first, ...others] = results.filter((one) => one.count === 0).map(({ partitioner }) => partitioner);
  if (first !== undefined) return { kind: 'proven', placements: [first, ...others] };
  const { count, example } = results.reduce((a, b) => (b.count < a.count ? b : a));
  const where =
    example === undefined
      ? ''
      : `, such as ${quoted(example.key)} in partition ${example.partition} of ${state.changelog}`;
  return {
    kind: 'unproven',
    message:
      `${grouped(count)} of ${grouped(state.image.size)} entities are not in the partition that ${tried.join(' or ')} ` +
      `of their id gives${where}. The records of ${state.inputTopic} have other keys than the entity id, hold several ` +
      `entities, or are partitioned in another way, so the right partition of the state cannot be computed. ` +
      `'kafnus state repartition --everywhere' gives every partition all of the state`,
  };
}

export function stateReport(
  options: StateOptions,
  { changelog, partitions, image, foreign }: ChangelogState,
  placement: Placement | undefined,
): Omit<StateReport, 'problem'> {
  const unexplained = (partitioner: Partitioner): number => misplaced(image, partitioner, [partitions.changelog]).count;
  return {
    group: options.group,
    inputTopic: options.inputTopic,
    changelog,
    partitions,
    entities: image.size,
    foreign,
    unexplained: { murmur2: unexplained('murmur2'), crc32: unexplained('crc32') },
    placement: placement ?? null,
  };
}

/** How many records write state, and how many delete it. */
export function countChanges(all: Iterable<StateChange>): { puts: number; deletes: number; total: number } {
  const counts = { puts: 0, deletes: 0, total: 0 };
  for (const { value } of all) {
    counts[value === null ? 'deletes' : 'puts'] += 1;
    counts.total += 1;
  }
  return counts;
}
