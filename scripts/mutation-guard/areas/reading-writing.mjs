/** Isolation levels, restores, and the contents of a transaction. */
import { source, admin, loop, callsAtStop, real, session } from '../tests.mjs';

/** @type {readonly import('../mutations.mjs').Mutation[]} */
export const readingWriting = [
  {
    name: 'restore-reads-uncommitted',
    breaks: 'state is restored from transactions that were aborted',
    file: admin('wire/record-batch.ts'),
    edits: [{ find: 'inAborted.add(first.producer);', replace: '' }],
    tests: [session('a changelog is restored to its end: committed entries, tombstones too, and of this partition')],
  },
  {
    name: 'client-restores-uncommitted',
    breaks: 'state that the client must read is restored from transactions that were aborted',
    file: source('kafka/client-config.ts'),
    edits: [
      {
        find: `'isolation.level': 'read_committed',
    'enable.partition.eof': true,
    'check.crcs': false,`,
        replace: `'isolation.level': 'read_uncommitted',
    'enable.partition.eof': true,
    'check.crcs': false,`,
      },
    ],
    tests: [session('a changelog whose records are kept with compression.type=zstd is restored')],
  },
  {
    name: 'restore-waits-for-its-call',
    breaks: 'a stop or a revocation waits for the calls of a restore from a dead leader, 3 s each',
    file: source('kafka/restore.ts'),
    edits: [
      {
        find: 'return untilAborted(restoreToEnd(options), options.signal);',
        replace: 'return untilAborted(restoreToEnd(options), undefined);',
      },
    ],
    tests: [
      callsAtStop(
        'a restore in a call that has not returned ends at once when its signal is aborted; its calls are short',
      ),
    ],
  },
  {
    name: 'admin-disconnected-in-a-call',
    breaks: 'a stop blocks the event loop for as long as the lookups of topics in flight take',
    file: source('kafka/kafka-session.ts'),
    edits: [
      { find: 'if (admin !== undefined && this.#calls.count(admin) === 0)', replace: 'if (admin !== undefined)' },
    ],
    tests: [
      callsAtStop(
        'close() disconnects admin clients, but none that is in a call: its disconnect() would block the event loop',
      ),
    ],
  },
  {
    name: 'flush-outlasts-the-stop',
    breaks:
      'at-least-once: an agent that is stopped while brokers do not answer is killed, and does not leave its group',
    file: source('kafka/idempotent-writer.ts'),
    edits: [
      {
        find: 'if (this.#context.cancelled.aborted || performance.now() >= producer.flushUntil) throw error;',
        replace: 'if (this.#context.cancelled.aborted) throw error;',
      },
    ],
    tests: [
      callsAtStop(
        'a flush while the brokers are away goes on, until half of KAFNUS_SHUTDOWN_TIMEOUT_MS after stopping(): the commit is aborted then',
      ),
    ],
  },
  {
    name: 'restore-awaits-a-lost-end',
    breaks: 'a restore of a log that lost its end in an election never ends, where the client reads it',
    file: source('kafka/restore.ts'),
    edits: [{ find: 'if (reached < end && empty >= emptyAnswers) {', replace: 'if (empty < 0) {' }],
    tests: [
      callsAtStop('a restore that the client reads of a log that has lost its end is over where the log ends now'),
    ],
  },
  {
    name: 'refreshes-pile-up',
    breaks: 'the end of the process waits for lookups of topics that run one after the other, 3 s each',
    file: source('output-topics.ts'),
    edits: [{ find: 'const maxRefreshes = 1;', replace: 'const maxRefreshes = 8;' }],
    tests: [callsAtStop('lookups of output topics beside the loop are one at a time, and short')],
  },
  {
    name: 'restore-ends-at-stable-offset',
    breaks: 'a restore misses the last changes of a predecessor whose marker is still on its way',
    file: source('kafka/restore.ts'),
    edits: [{ find: 'kafka.IsolationLevel.READ_UNCOMMITTED', replace: 'kafka.IsolationLevel.READ_COMMITTED' }],
    tests: [
      session('a changelog is not restored past a transaction that is still undecided; the signal ends the waiting'),
    ],
  },
  {
    name: 'input-reads-uncommitted',
    breaks:
      'records of aborted transactions are processed: raw_errors gets dead letters of records that were never committed',
    file: source('kafka/client-config.ts'),
    edits: [
      {
        find: `'isolation.level': 'read_committed',
    // Where a partition ends`,
        replace: `'isolation.level': 'read_uncommitted',
    // Where a partition ends`,
      },
    ],
    tests: [session('records of a transaction come when it is committed, and never when it is aborted')],
  },
  {
    name: 'offsets-outside-the-transaction',
    breaks: 'outputs are committed without the offsets of their inputs',
    file: source('kafka/transactional-writer.ts'),
    edits: [
      { find: 'sendOffsetsToTransaction(positions,', replace: 'sendOffsetsToTransaction(positions.slice(0, 0),' },
    ],
    tests: [session('a transaction is invisible until it is committed, and complete after it, the offsets with it')],
  },
  {
    name: 'changelog-not-written',
    breaks: 'the next process begins without state',
    file: source('transaction-writer.ts'),
    edits: [
      {
        find: 'room = this.#send(changelogRecord(changelog, record.partition, put, record.timestamp), batch) && room;',
        replace: 'void changelogRecord(changelog, record.partition, put, record.timestamp);',
      },
    ],
    tests: [loop('without faults state is taken over by the next process')],
  },
  {
    name: 'dead-letter-dropped',
    breaks: 'a rejected record disappears',
    file: source('transaction-writer.ts'),
    edits: [
      {
        find: 'room = this.#send(deadRecord, batch, recordBytes(deadRecord)) && room;',
        replace: 'void recordBytes(deadRecord);',
      },
    ],
    tests: [loop('without faults each record is emitted, skipped or dead-lettered once, and counted')],
  },
  {
    name: 'five-requests-in-flight',
    breaks: 'records of a topic that was just created are lost in committed transactions',
    file: source('kafka/client-config.ts'),
    edits: [
      {
        find: "'max.in.flight.requests.per.connection': 1,",
        replace: "'max.in.flight.requests.per.connection': 5,",
      },
    ],
    tests: [real('loses no record that is written to a topic right after its creation')],
  },
];
