/** The changelog topic: its configuration, and what to do when it does not fit its input. */

/** The newest segment is never compacted: with Kafka's 1 GiB a restore would read all of it. */
export const changelogSegmentBytes = 100 << 20;

/** The configuration of a changelog that is created. */
export const changelogConfig = {
  'cleanup.policy': 'compact',
  'segment.bytes': String(changelogSegmentBytes),
} as const;

/** What to do about a changelog that does not fit its input. */
export function partitionMismatch(changelog: string, found: number, input: string, expected: number): string {
  const group = changelog.replace(/-[^-]+-changelog$/, '');
  return (
    `the changelog topic ${changelog} has ${found} partitions, but its input ${input} has ${expected}: the state of an entity ` +
    `would be looked for in another partition than it was written to. Stop publishing and all instances of the agent, and ` +
    `follow "Adding partitions" in docs/operations.md: "kafnus state repartition --group ${group} --input-topic ${input} ` +
    `--partitions ${Math.max(found, expected)}" carries the state over`
  );
}
