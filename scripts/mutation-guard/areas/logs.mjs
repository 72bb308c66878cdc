/** Damaged and truncated logs, transactions that time out, and commits without transactions. */
import { source, admin, range, batches, real, session, atLeastOnce } from '../tests.mjs';

/** @type {readonly import('../mutations.mjs').Mutation[]} */
export const logs = [
  {
    name: 'checksum-not-compared',
    breaks: 'state is restored from a batch that a disk or a network has damaged',
    file: admin('wire/record-batch.ts'),
    edits: [
      {
        find: 'if (crc32c(batches, at + attributesAt, end) !== batches.readUInt32BE(at + crcAt)) {',
        replace: 'if (crc32c(batches, at + attributesAt, end) + batches.readUInt32BE(at + crcAt) < 0) {',
      },
    ],
    tests: [batches('an answer with a batch of which any bit behind its checksum is wrong is read up to it')],
  },
  {
    name: 'coordinator-taken-for-rival',
    breaks:
      'two transactions that grow too old within a minute end the process: it takes its coordinator for another process',
    file: source('kafka/transaction-age.ts'),
    edits: [{ find: 'return ageMs >= timeoutMs;', replace: 'return ageMs >= timeoutMs * 1000;' }],
    tests: [
      real(
        'a transaction that is older than its coordinator waits and was aborted by it: commit reports no fencing, and a new producer goes on',
      ),
    ],
  },
  {
    name: 'deadline-counts-from-commit',
    breaks:
      'the age of a transaction before its commit is forgotten: the coordinator aborts it while its commit is retried',
    file: source('kafka/transaction-age.ts'),
    edits: [
      {
        find: 'return begunAt + timeoutMs * usable;',
        replace: 'return Math.max(begunAt, performance.now()) + timeoutMs * usable;',
      },
    ],
    tests: [real('a transaction that is older than its coordinator waits is aborted before the coordinator aborts it')],
  },
  {
    name: 'jump-backwards-unnoticed',
    breaks:
      'after a truncation the session delivers the new log without a report, and the loop drops its records as processed before',
    file: source('kafka/read-positions.ts'),
    edits: [{ find: "if (found < expected) return 'out-of-range';", replace: '' }],
    tests: [
      session(
        'a log that ends before the position (5 records) is reported; nothing of it comes until rewind() says from where',
      ),
    ],
  },
  {
    name: 'out-of-range-is-read',
    breaks:
      'records of a log that was truncated are delivered before the loop has decided where to go on, and those before the old position are dropped',
    file: source('kafka/fetched-records.ts'),
    edits: [{ find: ' && !positions.isOutOfRange(name)', replace: '' }],
    tests: [
      session(
        'a log that ends before the position (0 records) is reported; nothing of it comes until rewind() says from where',
      ),
    ],
  },
  {
    name: 'deleted-unnoticed',
    breaks: 'the loss of records that retention deleted before they were read is not reported',
    file: source('kafka/read-positions.ts'),
    edits: [{ find: "logStart > expected ? 'deleted' : 'none'", replace: "logStart > expected ? 'none' : 'none'" }],
    tests: [session('a log whose records were deleted before they were read is read on behind them, and says so')],
  },
  {
    name: 'markers-reported-as-deleted',
    breaks: 'an input topic whose retention deletes transaction markers is reported as records lost unread',
    file: source('kafka/read-positions.ts'),
    edits: [{ find: 'known?.records === expected', replace: 'known?.records === -expected - 1' }],
    tests: [
      range(
        'a log of records 0 to 4 and markers 5 to 7, read to its end deleted up to 8: only markers were, and nothing is reported',
      ),
    ],
  },
  {
    name: 'resume-not-committed',
    breaks: 'after a truncation the old offset stays in the group, and the next process is out of range again',
    file: source('agent-loop.ts'),
    edits: [
      {
        find: `    await this.#committer.start();
    await this.#committer.finish();
    if (this.#committer.rollbacks === rollbacks)`,
        replace: '    if (this.#committer.rollbacks === rollbacks)',
      },
    ],
    tests: [
      range(
        'a log that ends before the position resume: the offset of an empty log is committed, so that a successor does not find the old one',
      ),
    ],
  },
  {
    name: 'purges-ignored',
    breaks:
      'at-least-once: offsets are committed although a fatal error purged their records from the queue of the producer',
    file: source('kafka/record-producer.ts'),
    edits: [
      { find: 'if (isPurged(error)) this.#onLoss(report.topic, error);', replace: 'if (isPurged(error)) return;' },
    ],
    tests: [
      atLeastOnce(
        'records sent of which one was queued when a fatal error ended the producer fail every commit until reset(), and then they are sent again',
      ),
    ],
  },
  {
    name: 'fatal-producer-ignored',
    breaks: 'at-least-once: offsets are committed although a producer with a fatal error did not take their records',
    file: source('kafka/record-producer.ts'),
    edits: [{ find: 'this.#onLoss(topic, error);', replace: "return 'queued';" }],
    tests: [
      atLeastOnce(
        'records sent of which one is sent after a fatal error has ended the producer fail every commit until reset(), and then they are sent again',
      ),
    ],
  },
];
