/** Entities in other partitions than their own, and deletions. */
import { inputTopic, lastdataAgent, lastdataRekey, source } from '../tests.mjs';

/** @type {readonly import('../mutations.mjs').Mutation[]} */
export const rekeying = [
  {
    name: 'stray-decided-in-place',
    breaks: 'an entity has a state in each partition, and an older version overwrites a newer one',
    file: 'libs/ngsi-core/src/ngsi-agent.ts',
    edits: [{ find: 'home !== undefined && home !== record.partition', replace: 'home !== undefined && home < 0' }],
    tests: [
      lastdataRekey('each entity is decided in its home partition, once, whatever keys the records have'),
      lastdataRekey('a stray record brings the newest TimeInstant that is known where it was found'),
    ],
  },
  {
    name: 'newest-elsewhere-not-kept',
    breaks: 'after an upgrade, a version older than the row overwrites it, once the producer has changed its keys',
    file: 'libs/ngsi-core/src/step-builder.ts',
    edits: [{ find: 'if (this.#memory.get(key) !== this.get(key))', replace: "if (key === '')" }],
    tests: [lastdataRekey('a stray record brings the newest TimeInstant that is known where it was found')],
  },
  {
    name: 'hops-unbounded',
    breaks: 'two agents that do not agree on partitions pass a record on for ever',
    file: 'libs/ngsi-core/src/rekey.ts',
    edits: [{ find: 'rekeyed.origin.hops >= maxHops', replace: 'rekeyed.origin.hops > 1e6 * maxHops' }],
    tests: [lastdataRekey('a stray record is decided where it is after three hops')],
  },
  {
    name: 'copies-of-others-decided',
    breaks: 'two groups on one raw topic process each record twice',
    file: 'libs/ngsi-core/src/ngsi-agent.ts',
    edits: [
      { find: 'rekeyed.origin.group !== group', replace: 'rekeyed.origin.group === group + group + record.timestamp' },
    ],
    tests: [lastdataRekey('a stray record of another group is skipped: its original is read as well')],
  },
  {
    name: 'input-trouble-ends-rekeying',
    breaks:
      'while the input does not answer, records are decided where they are, and older versions overwrite newer ones',
    file: source('input-topic.ts'),
    edits: [
      {
        find: '      this.#problem = state.error.message;\n',
        replace: '      this.#problem = state.error.message;\n      this.#partitions = undefined;\n',
      },
    ],
    tests: [inputTopic('is unknown until the cluster has answered'), inputTopic('once known, missing changes nothing')],
  },
  {
    name: 'late-deletion-is-stale',
    breaks: 'the row of a deleted entity stays for good when a late measurement was seen before',
    file: 'services/lastdata/src/agent.ts',
    edits: [
      {
        find: '  const mark = instant === undefined ? undefined : deletionMark(epochMicros(instant));\n',
        replace:
          "  const mark = instant === undefined ? undefined : deletionMark(epochMicros(instant));\n  if (known !== undefined && mark !== undefined && mark < known) return skip('stale');\n",
      },
    ],
    tests: [lastdataAgent('deletions may be late themselves: what stays out is anything up to the newest TimeInstant')],
  },
  {
    name: 'deletion-not-marked',
    breaks: 'the last update of an entity, brought by another thread of Orion, creates the deleted row again',
    file: 'services/lastdata/src/agent.ts',
    edits: [
      {
        find: 'const later = micros + 0.5;',
        replace: 'const later = micros + 0.5;\n  if (later > micros) return micros;',
      },
    ],
    tests: [
      lastdataAgent(
        'deletions at the newest TimeInstant an announced entityCreate brings the entity back, an update does not',
      ),
    ],
  },
];
