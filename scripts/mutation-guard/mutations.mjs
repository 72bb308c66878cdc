/**
 * The safeguards of the delivery guarantee: each mutation removes one, and names the tests that
 * must fail.
 *
 * - `breaks`: what goes wrong in production without the safeguard.
 * - `edits`: in `file`; each `find` must occur exactly once. There are several when a safeguard is
 *   in several places.
 * - `tests`: all of them must fail. Prefer a test in memory or on librdkafka's mock cluster, which
 *   takes seconds; use a real Kafka for broker behavior.
 *
 * @typedef {{ project: string, file: string, name: string }} TestName project is Jest's display
 * name, name the full name
 * @typedef {{ name: string, breaks: string, file: string, edits: { find: string, replace: string
 * }[], tests: TestName[] }} Mutation
 */
const source = (name) => `libs/agent-runtime/src/${name}`;
const admin = (name) => `libs/kafka-admin/src/${name}`;

const quick =
  (file, project = 'agent-runtime') =>
  (name) => ({ project, file: `libs/${project}/test/${file}`, name });
const loop = quick('agent-loop.test.ts');
const loopFaults = quick('loop-faults.test.ts');
const loopOutputs = quick('loop-outputs.test.ts');
const loopEnd = quick('loop-end.test.ts');
const range = quick('log-range.test.ts');
const batches = quick('record-batch.test.ts', 'kafka-admin');
const store = quick('partition-store.test.ts');
const problems = quick('problems.test.ts');
const http = quick('http.test.ts');
const wire = quick('wire-connection.test.ts', 'kafka-admin');
const tenant = quick('one-tenant.test.ts');
const narrowing = quick('narrowing.test.ts');
const topicCache = quick('topic-cache.test.ts');
const outputTopics = quick('output-topics.test.ts');
const late = quick('kafka-session.test.ts');
const callsAtStop = quick('calls-at-stop.test.ts');
const underFault = (fault) =>
  loopFaults(`under a fault ${fault}, at every single call, commits between polls: nothing shows`);

const core = (file) => (name) => ({ project: 'ngsi-core', file: `libs/ngsi-core/test/${file}`, name });
const linear = core('linear-time.test.ts');
const amplification = core('amplification.test.ts');

const real = (name) => ({
  project: 'quick',
  file: 'test/integration/session-conformance.test.ts',
  name: `the session on a real Kafka ${name}`,
});
const session = (name) => real(`session conformance: a classic group, exactly-once ${name}`);
const atLeastOnce = (name) => real(`session conformance: a classic group, at-least-once ${name}`);

/**
 * A control test for each file, which passes under every mutation. When it fails, the run itself
 * has failed (no broker, no memory), and the other failures mean nothing.
 */
export const controls = new Map(
  [
    loop('status lag counts from the committed offset, also before the first commit'),
    loopFaults('under a fault lost while the changelog is waited for: the partitions are released without it'),
    loopOutputs('topics an illegal topic name is a reject of its tenant'),
    loopEnd('the end a session that fails ends the process with its error'),
    range('expected 5, found 5, log from 0: none'),
    batches('CRC-32C of 123456789'),
    store('PartitionStore values are any number but NaN, which would be none'),
    late('records come in order, batch by batch'),
    problems('Problems what many partitions wait for is said once, and the rest is counted'),
    http('reads health, config, log level'),
    wire('bytes what is written is read'),
    tenant('topics that are well cost one lookup each'),
    narrowing('a transaction that is committed changes nothing'),
    outputTopics('a lookup that is answered is not repeated'),
    topicCache('what is known of topics no answer changes nothing, and is asked for again soon'),
    session('a changelog that is empty is restored at once'),
    callsAtStop(
      'close() leaves a lookup that has not returned to be counted; callsReturned() waits for it, but not for good',
    ),
    linear('text of a megabyte is read within a second shown'),
    amplification('the outputs of one record of a single entity are bounded by what a record may have'),
  ].map(({ file, name }) => [file, name]),
);

/** @type {readonly Mutation[]} */
export const mutations = [
  // --- damaged bytes -----------------------------------------------------------------------------
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
  // --- a transaction that grows old --------------------------------------------------------------
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
  // --- a log that is not what it was -------------------------------------------------------------
  {
    name: 'jump-backwards-unnoticed',
    breaks:
      'after a truncation the session hands out the new log as if nothing had happened, and the loop drops it as read before',
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
    breaks: 'records of a log that nobody has decided about are handed out, and those before the old position dropped',
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
    breaks: 'records that retention deleted before they were read are lost without a word',
    file: source('kafka/read-positions.ts'),
    edits: [{ find: "logStart > expected ? 'deleted' : 'none'", replace: "logStart > expected ? 'none' : 'none'" }],
    tests: [session('a log whose records were deleted before they were read is read on behind them, and says so')],
  },
  {
    name: 'markers-reported-as-deleted',
    breaks: 'an input topic whose retention deletes transaction markers is reported as records lost unread',
    file: source('kafka/read-positions.ts'),
    edits: [{ find: "kind === 'deleted' && known?.records === expected", replace: 'known === null' }],
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
  // --- without transactions ----------------------------------------------------------------------
  {
    name: 'purges-ignored',
    breaks: 'at-least-once: offsets are committed of records that a fatal error purged from the queue of the producer',
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
    breaks: 'at-least-once: offsets are committed of records that a producer with a fatal error has not taken',
    file: source('kafka/record-producer.ts'),
    edits: [{ find: 'this.#onLoss(topic, error);', replace: "return 'queued';" }],
    tests: [
      atLeastOnce(
        'records sent of which one is sent after a fatal error has ended the producer fail every commit until reset(), and then they are sent again',
      ),
    ],
  },
  // --- one tenant must not stop the others -----------------------------------------------------
  {
    name: 'missing-topic-waited-for',
    breaks: 'with KAFNUS_TOPICS_CREATE=false, each unknown service stops all tenants for KAFNUS_TOPIC_TIMEOUT_MS',
    file: source('output-topics.ts'),
    edits: [
      {
        find: "if (state !== undefined && state.kind !== 'unavailable') {",
        replace: "if (state !== undefined && state.kind !== 'unavailable' && state.kind !== 'missing') {",
      },
    ],
    tests: [
      tenant(
        'a topic that does not exist, where creation is off unknown services one after the other: each is dead-lettered at once, and nothing is aborted',
      ),
    ],
  },
  {
    name: 'wait-unbounded',
    breaks: 'a topic that is never available stops all tenants for good',
    file: source('output-topics.ts'),
    edits: [{ find: 'if (waited < waitMs) return problem;', replace: 'if (waited >= 0) return problem;' }],
    tests: [
      tenant(
        'a topic without an answer is given up after its time, and the others go on; the next ones get less, all together',
      ),
    ],
  },
  {
    name: 'waits-not-summed',
    breaks: 'topics that are never available stop all tenants one after the other',
    file: source('output-topics.ts'),
    edits: [{ find: 'this.#budget.spend(waited, this.#now);', replace: '' }],
    tests: [
      tenant(
        'a topic without an answer is given up after its time, and the others go on; the next ones get less, all together',
      ),
    ],
  },
  {
    name: 'refused-while-cluster-away',
    breaks: 'while the cluster is away, records of healthy tenants are dead-lettered',
    file: source('output-topics.ts'),
    edits: [{ find: "if (dead?.kind !== 'writable')", replace: 'if (dead === null)' }],
    tests: [
      tenant(
        'a topic without an answer is not given up while there is no answer about the dead-letter topic either: the cluster is away',
      ),
    ],
  },
  {
    name: 'lookup-unbounded',
    breaks: 'a lookup of one topic that is never answered stops all tenants, and no rebalance is answered meanwhile',
    file: source('output-topics.ts'),
    edits: [
      {
        find: 'Promise.race([this.#ask(topic), late]);',
        replace: 'Promise.race([this.#ask(topic)]).finally(() => late);',
      },
    ],
    tests: [
      tenant(
        'a topic without an answer whose lookup hangs is waited for beside the loop, which answers the group meanwhile',
      ),
    ],
  },
  {
    name: 'outage-counts-as-wait',
    breaks: 'after an outage of the cluster, tenants whose topics get their leaders last are dead-lettered at once',
    file: source('topic-troubles.ts'),
    edits: [{ find: 'trouble.waitingSince += now - trouble.waitedAt;', replace: '' }],
    tests: [outputTopics('a lookup without an answer: an outage of the cluster, 8000 ms later, is not counted')],
  },
  {
    name: 'wait-aborts',
    breaks: 'records that were decided before one that waits for its topic wait with it',
    file: source('agent-loop.ts'),
    edits: [
      {
        find: 'await this.#committer.commitAll();\n    // Nothing stays open meanwhile.',
        replace: 'await this.#committer.finish();\n    // Nothing stays open meanwhile.',
      },
    ],
    tests: [tenant('a topic without an answer is waited for, while what was decided before is committed')],
  },
  {
    name: 'failing-topic-retried-forever',
    breaks: 'a topic with too few replicas in sync has every transaction aborted, for good',
    file: source('topic-troubles.ts'),
    edits: [
      {
        find: 'enough || hurried || trouble.penalties > 0 ? this.#penalty(trouble) : 0',
        replace: 'enough && hurried && trouble.penalties > 0 ? this.#penalty(trouble) : 0',
      },
    ],
    tests: [
      tenant('a topic whose writes fail though it looks well is tried for its time, then left alone; the others go on'),
    ],
  },
  {
    name: 'failed-lookup-kept',
    breaks: 'a lookup that fails in a way that no session should ends the process, or is never repeated',
    file: source('output-topics.ts'),
    edits: [
      {
        find: '.catch((thrown: unknown): TopicState => {',
        replace: '.catch((thrown: unknown): TopicState => {\n        throw thrown;',
      },
    ],
    tests: [
      outputTopics(
        'a lookup that rejects in the loop is one without an answer: the topic is waited for, and looked up again',
      ),
      outputTopics('a lookup that rejects beside the loop leaves what is known, and the topic is looked up again'),
    ],
  },
  {
    name: 'troubles-outlive-partitions',
    breaks: 'a short trouble of a topic, hours after another one, counts as hours: a healthy tenant is dead-lettered',
    file: source('topic-troubles.ts'),
    edits: [{ find: 'Math.max(2 * timeoutMs, minQuietMs)', replace: 'Number.POSITIVE_INFINITY' }],
    tests: [
      topicCache(
        'a topic in trouble that was waited for, or failed, hours ago has its whole time again: its partition was elsewhere',
      ),
    ],
  },
  {
    name: 'refusals-outlive-partitions',
    breaks: 'a process whose partitions were taken away after aborted transactions is never ready again',
    file: source('agent-loop.ts'),
    edits: [
      {
        find: 'this.#problems.clearPartitions(partitions);\n    this.#committer.forgetRefusals();',
        replace: 'this.#problems.clearPartitions(partitions);',
      },
    ],
    tests: [
      problems(
        'an agent with several problems the partition of transactions that were aborted goes to another process, and the problem with it',
      ),
    ],
  },
  {
    name: 'no-narrowing',
    breaks: 'one record that its topic refuses has every transaction aborted, for good',
    file: source('refusals.ts'),
    edits: [
      {
        find: 'if (isContents) return this.#narrow(batch, topics, error, true);',
        replace: 'if (isContents) return undefined;',
      },
    ],
    tests: [
      tenant(
        'a record that its topic refuses exactly-once: it is dead-lettered as record-refused, and it alone, in a few transactions',
      ),
    ],
  },
  {
    name: 'condemned-in-company',
    breaks: 'good records are dead-lettered because they were in one transaction with a refused one',
    file: source('narrowing.ts'),
    edits: [{ find: 'if (records <= 1) {', replace: 'if (records <= 2) {' }],
    tests: [narrowing('the records that are refused are found, all of them and no other')],
  },
  {
    name: 'decided-ahead-while-narrowing',
    breaks: 'at-least-once: a record is condemned for the refusal of one that was sent behind it',
    file: source('committer.ts'),
    edits: [
      {
        find: "if (batch && config.delivery === 'at-least-once') await session.abort();",
        replace: 'void config;',
      },
    ],
    tests: [
      tenant(
        'a record that its topic refuses at-least-once: a refusal of what was sent behind the commit is not held against the next one',
      ),
    ],
  },
  {
    name: 'refused-dead-letter-skipped',
    breaks: 'a dead-letter record that its topic refuses has every transaction aborted, for good',
    file: source('refused-records.ts'),
    edits: [{ find: 'if (attempt === 1) return deadRecord;', replace: 'if (attempt >= 1) return deadRecord;' }],
    tests: [
      tenant('a dead-letter record that its topic refuses for its size goes without its value, and says where that is'),
    ],
  },
  {
    name: 'topics-unbounded',
    breaks: 'memory grows with every service that somebody makes up',
    file: source('topic-cache.ts'),
    edits: [{ find: 'if (map.size >= most) {', replace: 'if (map.size > 1e9) {' }],
    tests: [
      topicCache(
        'what is known of topics made-up names push each other out, and no topic that is written to; memory is bounded',
      ),
    ],
  },
  {
    name: 'reports-of-the-last-transaction',
    breaks: 'a good record is dead-lettered because of a report that belongs to the transaction before',
    file: source('kafka/record-producer.ts'),
    edits: [
      {
        find: 'if (this.#reports !== before) quiet = -1;',
        replace: 'if (this.#reports < before) quiet = -1;\n      else return;',
      },
    ],
    tests: [session('a transaction is not blamed for what was refused of the one before, however much that was')],
  },
  // --- after an abort ----------------------------------------------------------------------------
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
    breaks: 'what was fetched before a rewind is delivered after it: a jump that looks like a gap',
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
    name: 'no-undo-of-state',
    breaks: 'the changes of state of an aborted transaction stay: its records are decided on what they did themselves',
    file: source('partitions.ts'),
    edits: [{ find: 'owned.store?.rollback();', replace: '' }],
    tests: [underFault('aborted')],
  },
  {
    name: 'undo-oldest-first',
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
    breaks: 'outputs that were decided behind an aborted commit are sent, and sent again when their records come back',
    file: source('transaction-writer.ts'),
    edits: [{ find: 'this.#isOpen = false;\n    this.#buffered = [];', replace: 'this.#isOpen = false;' }],
    tests: [underFault('aborted')],
  },
  {
    name: 'counted-before-commit',
    breaks: 'records of an aborted transaction are counted, and counted again when they come back',
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

  // --- records made to stop an agent -------------------------------------------------------------
  {
    name: 'decision-unguarded',
    breaks: 'a record that makes a decision throw ends the process, and each process after it',
    file: source('decision-guard.ts'),
    edits: [
      { find: 'return failed(error);', replace: 'if (record.offset >= 0) throw error;\n      return failed(error);' },
    ],
    tests: [
      loop(
        'an agent that throws refuses that record, unchanged and with the exception named, and goes on with the next',
      ),
    ],
  },
  {
    name: 'coordinates-backtrack',
    breaks: 'a geo:point of some kilobytes keeps the agent busy for ever',
    file: 'libs/ngsi-core/src/geometry.ts',
    edits: [{ find: String.raw`(?:\d+(?:\.\d*)?|\.\d+)`, replace: String.raw`(?:\d+\.?\d*|\.\d+)` }],
    tests: [linear('text of a megabyte is read within a second geo:point')],
  },
  {
    name: 'outputs-unbounded',
    breaks:
      'one record becomes gigabytes of outputs: the process runs out of memory at the same record again and again',
    file: 'libs/ngsi-core/src/ngsi-agent.ts',
    edits: [
      {
        find: 'return this.#limit !== undefined && this.#size > this.#limit;',
        replace: 'return this.limit !== undefined && this.size < 0;',
      },
    ],
    tests: [amplification('the outputs of one record are not made beyond it')],
  },
  {
    name: 'headers-of-any-length',
    breaks: 'thousands of outputs carry a header of a quarter of a megabyte each',
    file: 'libs/ngsi-core/src/ngsi-agent.ts',
    edits: [{ find: 'if (tooLong !== undefined) return', replace: "if (tooLong === '') return" }],
    tests: [amplification('a header that each output would carry is bounded where the message names it, too')],
  },
  {
    name: 'state-entry-unmeasured',
    breaks: 'an entry of the state that is too large for its changelog ends the process, and each process after it',
    file: source('output-topics.ts'),
    edits: [{ find: 'entryMayExceed(put.key, this.#maxBytes) ?', replace: 'entryMayExceed(put.key, Infinity) ?' }],
    tests: [loopOutputs('sizes an entry of the state that is too large is a reject, and the state does not have it')],
  },
  {
    name: 'input-unbounded',
    breaks: 'a record that was compressed a thousandfold is parsed, and the process runs out of memory',
    file: source('agent-loop.ts'),
    edits: [
      {
        find: 'boundInput(configured.decide, config.maxInputBytes)',
        replace: 'boundInput(configured.decide, Infinity)',
      },
    ],
    tests: [loopOutputs('sizes a record that is larger than what is read is a reject, and nobody looks into it')],
  },
  {
    name: 'input-headers-unmeasured',
    breaks: 'a header of tens of megabytes is lower-cased and sanitised, and the process runs out of memory',
    file: source('decision-guard.ts'),
    edits: [{ find: 'bytes += name.length + (header[name]?.length ?? 0)', replace: 'bytes += 0 * name.length' }],
    tests: [loopOutputs('sizes headers count for what is read at most, names and values')],
  },
  {
    name: 'refusals-weightless',
    breaks: 'a notification of millions of elements that are no entities is refused element by element',
    file: 'libs/ngsi-core/src/ngsi-agent.ts',
    edits: [{ find: 'refusalOverhead + refused.message.length', replace: 'refused.message.length' }],
    tests: [
      amplification(
        'the outputs of one record count reports as well: a hundred thousand of them are no smaller than rows',
      ),
    ],
  },
  {
    name: 'transaction-too-old',
    breaks: 'decisions that take seconds let the broker abort the transaction of a poll, again and again',
    file: source('agent-loop.ts'),
    edits: [{ find: 'if (writer.isFull || writer.isOld)', replace: 'if (writer.isFull)' }],
    tests: [loopOutputs('sizes slow decisions do not let a transaction become so old that the broker aborts it')],
  },
  {
    name: 'shapes-weightless',
    breaks: 'schemas of many entity types, each of them large, take hundreds of megabytes',
    file: 'libs/ngsi-core/src/connect-record.ts',
    edits: [{ find: 'weight > maxWeight', replace: 'weight > Infinity' }],
    tests: [
      amplification(
        'what is remembered of entities is bounded in bytes: many types with many large shapes take no more than few',
      ),
    ],
  },
  {
    name: 'headers-as-delivered',
    breaks: 'a header called __proto__ makes the reading of headers throw, and is lost in the dead letter',
    file: source('kafka/own-headers.ts'),
    edits: [{ find: 'return headers.map(owned);', replace: 'return headers.slice(0, 0).map(owned).concat(headers);' }],
    tests: [session('records have and keep headers of any name as own members, also of one that every object has')],
  },

  // --- after an unknown outcome ------------------------------------------------------------------
  {
    name: 'no-restore-after-unknown',
    breaks: 'a commit whose answer was lost is taken for aborted, though it was made: its records are processed twice',
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
        find: 'return `${config.groupId}-${config.instanceId}`;',
        replace: 'return `${config.groupId}-${config.instanceId}-${performance.now()}`;',
      },
    ],
    tests: [
      session(
        'an identity of a successor ends the transaction that a dead predecessor left open: readers go on at once',
      ),
    ],
  },

  // --- partitions that come and go ---------------------------------------------------------------
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
    name: 'disowned-and-still-found',
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

  // --- what is read and written ------------------------------------------------------------------
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
        replace: 'return restoreToEnd(options);',
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
      'at-least-once: an agent that is told to stop while brokers are away is killed, and does not leave its group',
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
    breaks: 'records of aborted transactions are processed: dead letters that never were, in raw_errors',
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
    breaks: 'outputs are committed without the offsets of what they were made from',
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
  // --- what Kafka and its client do not take -----------------------------------------------------
  {
    name: 'refused-time-is-written',
    breaks: 'a record whose time brokers refuse is read again for ever: its dead letter is refused as well',
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
  // --- readiness ---------------------------------------------------------------------------------
  {
    name: 'one-problem-ends-all',
    breaks: 'a process is ready while something else still keeps it from working: nobody looks at it',
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
      'whoever opens some hundred connections keeps the probes out, and the orchestrator ends a process that works',
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
    breaks: 'a scrape that takes a while is cut off by connections that say nothing',
    file: source('http-connections.ts'),
    edits: [{ find: 'if (unanswered.has(socket)) continue;\n', replace: '' }],
    tests: [http('the server whoever waits for an answer keeps the connection; of the others the oldest goes')],
  },
  // --- the end -------------------------------------------------------------------------------------------------------
  {
    name: 'recovery-outlives-stop',
    breaks: 'a process that is told to stop in a recovery waits for the cluster until it is killed',
    file: source('committer.ts'),
    edits: [{ find: 'await session.reset(stop);', replace: 'await session.reset();' }],
    tests: [
      loopEnd('the end stop() in a recovery in which reset is never answered ends it, and nothing is lost or doubled'),
    ],
  },
  {
    name: 'offsets-outlive-stop',
    breaks: 'a process that is told to stop while committed offsets are read waits for the cluster until it is killed',
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
    breaks: 'an error where a commit is acted on leaves a loop that waits for the outcome for ever',
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
