/** The same records are read again after an aborted transaction, and nothing of it remains. */
import { source, loopFaults, store, late, underFault } from '../tests.mjs';

/** @type {readonly import('../mutations.mjs').Mutation[]} */
export const aborts = [
  {
    name: 'no-rewind',
    breaks: 'after an abort the loop does not ask for the same records again: they are lost',
    file: source('committer.ts'),
    edits: [
      {
        find: `await session.rewind(partitions.rewindPositions());
    if (consequence === undefined) return;`,
        replace: 'if (consequence === undefined) return;',
      },
    ],
    tests: [underFault('aborted')],
  },
  {
    name: 'no-seek',
    breaks: "the session's rewind does not move the consumer",
    file: source('kafka/group-consumer.ts'),
    edits: [
      {
        find: 'await call((done) => this.#client.seek(position, seekTimeoutMs, done));',
        replace: 'void seekTimeoutMs;',
      },
    ],
    tests: [late('records that were fetched before a rewind are dropped, and come again in their order')],
  },
  {
    name: 'no-drop-of-fetched',
    breaks: 'records that were fetched before a rewind are delivered after it, and the ones in between are missing',
    file: source('kafka/group-consumer.ts'),
    edits: [
      {
        find: `this.#fetched.drop(positions);
    this.#events.dropJumps(positions);
    for (const position of positions) {
      // Without a start`,
        replace: `this.#events.dropJumps(positions);
    for (const position of positions) {
      // Without a start`,
      },
    ],
    tests: [late('records that were fetched before a rewind are dropped, and come again in their order')],
  },
  {
    name: 'no-quiesce-before-rewind',
    breaks: 'a consume call in flight brings records from before a rewind',
    file: source('kafka/group-consumer.ts'),
    edits: [
      {
        find: `await this.#quiesce();
    this.#fetched.drop(positions);
    this.#events.dropJumps(positions);
    for (const position of positions) {
      // Without a start`,
        replace: `this.#fetched.drop(positions);
    this.#events.dropJumps(positions);
    for (const position of positions) {
      // Without a start`,
      },
    ],
    tests: [late('records that were fetched before a rewind are dropped, and come again in their order')],
  },
  {
    name: 'no-rollback-of-state',
    breaks: 'the changes of state of an aborted transaction stay, so its records are decided on their own changes',
    file: source('partitions.ts'),
    edits: [{ find: 'owned.store?.rollback();', replace: '' }],
    tests: [underFault('aborted')],
  },
  {
    name: 'rollback-oldest-first',
    breaks: 'a key that was put twice in an aborted transaction keeps its first new value',
    file: source('state/partition-store.ts'),
    edits: [
      {
        find: 'for (let note = this.#notedKeys.length - 1; note >= 0; note -= 1) {',
        replace: 'for (let note = 0; note < this.#notedKeys.length; note += 1) {',
      },
    ],
    tests: [store('PartitionStore a change is seen at once, and taken back by undo')],
  },
  {
    name: 'held-outputs-kept',
    breaks:
      'outputs that were decided after an aborted commit are sent, and sent again when their records are read again',
    file: source('transaction-writer.ts'),
    edits: [{ find: 'this.#isOpen = false;\n    this.#buffered = [];', replace: 'this.#isOpen = false;' }],
    tests: [underFault('aborted')],
  },
  {
    name: 'counted-before-commit',
    breaks: 'records of an aborted transaction are counted twice: when they are read again, too',
    file: source('committer.ts'),
    edits: [
      { find: '    counts.commitInto(ledger);\n', replace: '    void ledger;\n' },
      {
        find: 'const started = performance.now();\n',
        replace: 'const started = performance.now();\n    batch.counts.commitInto(this.#options.ledger);\n',
      },
    ],
    tests: [loopFaults('under a fault aborted: what is read again is not counted twice')],
  },
];
