/** Limits of Kafka and its client, readiness, and the stop of a process. */
import { source, admin, loopEnd, problems, http, wire, late, session } from '../tests.mjs';

/** @type {readonly import('../mutations.mjs').Mutation[]} */
export const service = [
  {
    name: 'refused-time-is-written',
    breaks:
      'a record whose timestamp brokers refuse is read again for ever, because its dead letter is refused as well',
    file: source('kafka/record-producer.ts'),
    edits: [{ find: 'const time = writableTime(timestamp);', replace: 'const time = timestamp || writableTime(1);' }],
    tests: [session('a transaction keeps key, value, headers and timestamp of what is sent')],
  },
  {
    name: 'empty-value-is-a-tombstone',
    breaks: 'an empty value becomes a null one in the dead letter: a tombstone',
    file: source('kafka/encoder.ts'),
    edits: [
      {
        find: 'content === null || content.length > 0 ? content : emptyBytes',
        replace: 'content === null || content.length >= 0 ? content : emptyBytes',
      },
    ],
    tests: [session('a transaction keeps key, value, headers and timestamp of what is sent')],
  },
  {
    name: 'one-problem-ends-all',
    breaks: 'a process is ready while another problem still stops it, so nobody notices',
    file: source('problems.ts'),
    edits: [{ find: 'this.#problems.delete(cause);', replace: 'void cause;\n    this.#problems.clear();' }],
    tests: [
      problems('an agent with several problems brokers that answer again do not end the waiting for a topic'),
      problems('an agent with several problems brokers that answer do not end a recovery'),
    ],
  },
  {
    name: 'any-commit-ends-the-waiting',
    breaks: 'a process is ready while a record waits for a topic, because others could be committed',
    file: source('problems.ts'),
    edits: [
      {
        find: 'if (offset !== undefined && partition.committed !== null && partition.committed > offset)',
        replace: 'if (offset !== undefined)',
      },
    ],
    tests: [problems('an agent with several problems a commit of other records does not end the waiting for a topic')],
  },
  {
    name: 'idle-connections-refuse-probes',
    breaks:
      'a client that opens some hundred connections blocks the probes, and the orchestrator restarts a working process',
    file: source('http.ts'),
    edits: [
      {
        find: 'limitConnections(app.server, maxConnections);',
        replace: 'void limitConnections;\n  app.server.maxConnections = maxConnections;',
      },
    ],
    tests: [
      http(
        'the server probes are answered within a second, whoever holds connections open: idle ones, and requests that do not come to an end',
      ),
    ],
  },
  {
    name: 'evicted-while-answered',
    breaks: 'idle connections cut off a scrape that takes some time',
    file: source('http-connections.ts'),
    edits: [{ find: 'if (unanswered.has(socket)) continue;\n', replace: '' }],
    tests: [http('the server whoever waits for an answer keeps the connection; of the others the oldest goes')],
  },
  {
    name: 'recovery-outlives-stop',
    breaks: 'a process that is stopped in a recovery waits for the cluster until it is killed',
    file: source('committer.ts'),
    edits: [{ find: 'await session.reset(stop);', replace: 'await session.reset();' }],
    tests: [
      loopEnd('the end stop() in a recovery in which reset is never answered ends it, and nothing is lost or doubled'),
    ],
  },
  {
    name: 'offsets-outlive-stop',
    breaks: 'a process that is stopped while committed offsets are read waits for the cluster until it is killed',
    file: source('state-restorer.ts'),
    edits: [
      {
        find: 'const positions = await session.committed(partitions, signal);',
        replace: 'const positions = await session.committed(partitions);',
      },
    ],
    tests: [
      loopEnd(
        'the end stop() in a recovery in which committed is never answered ends it, and nothing is lost or doubled',
      ),
      loopEnd('the end stop() in a revocation that waits for a recovery ends it, and the partition is given back'),
    ],
  },
  {
    name: 'failure-beside-the-loop-unheard',
    breaks: 'after an error in the handling of a commit the loop waits for its outcome for ever',
    file: source('committer.ts'),
    edits: [{ find: '.catch((error: unknown) => fail(error));', replace: '.catch(() => void fail);' }],
    tests: [loopEnd('the end an error beside the loop, where a commit is acted on, ends the process with it')],
  },
  {
    name: 'answer-for-another-rebalance',
    breaks: 'a rebalance that comes while another is being answered has no answer: the member cannot leave its group',
    file: source('kafka/rebalances.ts'),
    edits: [
      { find: 'if (index >= 0) this.#waiting.splice(index, 1);', replace: 'void index;\n    this.#waiting = [];' },
    ],
    tests: [
      late('a rebalance that comes while another one is being answered has an answer of its own: also from close()'),
    ],
  },
  {
    name: 'second-request-takes-the-place',
    breaks: 'two requests at once on our own connection: the first waits for ever, and a restore with it',
    file: admin('wire/wire-connection.ts'),
    edits: [{ find: 'if (this.#waiting !== undefined)', replace: 'if (this.#size < 0)' }],
    tests: [wire('the connection a request that has no answer yet keeps its place: another one is refused until then')],
  },
];
