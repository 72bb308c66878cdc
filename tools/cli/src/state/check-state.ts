/** Checks whether lastdata would find its state in the right partitions. */
import { grouped } from '../terminal/text.js';
import {
  countChanges,
  placementEvidence,
  readState,
  stateReport,
  type ChangelogState,
  type PlacementEvidence,
  type StateOptions,
  type StateReport,
} from './changelog-state.js';
import { GroupTopics } from './group-topics.js';
import { changes } from './state-placement.js';

/** Changes nothing. The agent may run. */
export async function checkState(options: StateOptions): Promise<StateReport> {
  const topics = await GroupTopics.connect(options.kafka, options.group);
  try {
    const state = await readState(topics, options);
    const evidence = placementEvidence(state, options.placement, [state.partitions.changelog]);
    const report = stateReport(options, state, evidence.kind === 'proven' ? evidence.placements[0] : undefined);
    return { ...report, problem: problemOf(state, evidence) };
  } finally {
    await topics.close();
  }
}

function problemOf(state: ChangelogState, evidence: PlacementEvidence): string | null {
  const { partitions, changelog, inputTopic } = state;
  if (partitions.changelog !== partitions.input) {
    return (
      `${changelog} has ${partitions.changelog} partitions, but ${inputTopic} has ${partitions.input}: ` +
      `the agent does not start. Move the state with 'kafnus state repartition'`
    );
  }
  if (evidence.kind === 'unproven') return evidence.message;
  const wrong = Math.min(
    ...evidence.placements.map((placement) => countChanges(changes(state.image, placement, partitions.input)).total),
  );
  if (wrong === 0) return null;
  return (
    `${grouped(wrong)} entries are wrong: the newest TimeInstant of an entity is missing in the partition of its ` +
    `records, or an old one is in another partition. Stop the agent and run 'kafnus state repartition'`
  );
}
