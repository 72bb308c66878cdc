/** Unknown outcomes of commits, and partitions that are assigned and revoked. */
import { source, loop, loopFaults, late, underFault, session } from '../tests.mjs';

/** @type {readonly import('../mutations.mjs').Mutation[]} */
export const recovery = [
  {
    name: 'no-restore-after-unknown',
    breaks: 'a commit whose answer was lost counts as aborted although it was made: its records are processed twice',
    file: source('committer.ts'),
    edits: [
      {
        find: 'partitions.assign(await restorer.prepare(owned, stop, report));',
        replace: 'await restorer.prepare(owned, stop, report);',
      },
    ],
    tests: [underFault('unknown, and committed')],
  },
  {
    name: 'unknown-taken-for-aborted',
    breaks: 'a producer that was fenced goes on with the transaction of its successor',
    file: source('kafka/transactional-writer.ts'),
    edits: [
      {
        find: 'return error.isTxnRequiresAbort ? this.#abortBecause(error) : this.#unknown(error);',
        replace: 'return error.isTxnRequiresAbort ? this.#abortBecause(error) : this.#aborted(error);',
      },
    ],
    tests: [
      session(
        'an identity of a successor fences the predecessor: its open records never appear, its commit is unknown, reset() regains it',
      ),
    ],
  },
  {
    name: 'transactional-id-per-start',
    breaks:
      'a restarted process neither fences its predecessor nor ends its transaction: readers wait, a zombie writes',
    file: source('kafka/client-config.ts'),
    edits: [
      {
        find: 'const id = `${config.groupId}-${config.instanceId}`;',
        replace: 'const id = `${config.groupId}-${config.instanceId}-${performance.now()}`;',
      },
    ],
    tests: [
      session(
        'an identity of a successor ends the transaction that a dead predecessor left open: readers go on at once',
      ),
    ],
  },
  {
    name: 'no-ownership-filter',
    breaks: 'the session delivers records of a partition that was given away',
    file: source('kafka/fetched-records.ts'),
    edits: [{ find: 'return start !== undefined;', replace: 'return true;' }],
    tests: [late('records that arrive after the release of their partition are dropped')],
  },
  {
    name: 'no-quiesce-before-accept',
    breaks: 'a consume call in flight brings records from before a partition was given away and came back',
    file: source('kafka/group-consumer.ts'),
    edits: [
      {
        find: `async accept(positions: readonly PartitionOffset[]): Promise<void> {
    await this.#quiesce();`,
        replace: 'async accept(positions: readonly PartitionOffset[]): Promise<void> {',
      },
    ],
    tests: [late('records that were fetched before their partition came back are dropped')],
  },
  {
    name: 'unassigned-and-still-found',
    breaks: 'the loop decides records of a partition that was given away: two members write the same outputs',
    file: source('partitions.ts'),
    edits: [{ find: 'if (ofTopic) ofTopic[partition] = undefined;', replace: 'void ofTopic?.[partition];' }],
    tests: [loop('without faults a record of a partition that was given away is left to its new owner')],
  },
  {
    name: 'no-offset-filter',
    breaks: 'a record that was processed is processed again when it is delivered again',
    file: source('agent-loop.ts'),
    edits: [
      {
        find: 'if (owned === undefined || (owned.next !== null && record.offset < owned.next)) continue;',
        replace: 'if (owned === undefined) continue;',
      },
    ],
    tests: [loop('without faults a record that is delivered again is not processed again')],
  },
  {
    name: 'released-before-commit',
    breaks: 'the next owner starts while the transaction of the one before is open: it reads old offsets and old state',
    file: source('agent-loop.ts'),
    edits: [
      {
        find: `else await this.#committer.commitAll();
    this.#partitions.unassign(partitions);
    this.#deleted.forget(partitions);
    this.status.reportOutOfRange();
    this.#session.release(partitions);`,
        replace: `this.#session.release(partitions);
    if (!lost) await this.#committer.commitAll();
    this.#partitions.unassign(partitions);
    this.#deleted.forget(partitions);
    this.status.reportOutOfRange();`,
      },
    ],
    tests: [underFault('joined by another')],
  },
  {
    name: 'lost-and-committed',
    breaks:
      'a member that was cut off commits what its successor is processing, and relies on the coordinator to refuse',
    file: source('agent-loop.ts'),
    edits: [
      {
        find: 'if (lost) await this.#committer.abandon();\n    else await this.#committer.commitAll();',
        replace: 'await this.#committer.commitAll();',
      },
    ],
    tests: [
      loopFaults('under a fault lost: what was open is aborted, never committed; the coordinator is not relied on'),
    ],
  },
  {
    name: 'offsets-after-changelog',
    breaks: 'a transaction that ends between the two reads moves the offsets past changes that the state does not have',
    file: source('state-restorer.ts'),
    edits: [
      {
        find: 'const positions = await session.committed(partitions, signal);',
        replace: 'const positions = partitions.map((partition) => ({ ...partition, offset: null }));',
      },
      {
        find: 'return { positions, stores: await this.#restoreAll(changelog, partitions, signal) };',
        replace: `const stores = await this.#restoreAll(changelog, partitions, signal);
    return { positions: await session.committed(partitions), stores };`,
      },
    ],
    tests: [loop('without faults the state that is restored holds all that the committed offsets cover')],
  },
];
