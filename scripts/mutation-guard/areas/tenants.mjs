/** Isolation of tenants: one topic or record must not stop the others. */
import { source, problems, tenant, narrowing, topicCache, outputTopics, session } from '../tests.mjs';

/** @type {readonly import('../mutations.mjs').Mutation[]} */
export const tenants = [
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
    edits: [{ find: 'if (waited < waitMs) return problem;', replace: 'if (waited >= 0 * waitMs) return problem;' }],
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
    breaks: 'while the cluster does not answer, records of healthy tenants are dead-lettered',
    file: source('output-topics.ts'),
    edits: [
      {
        find: "if (dead?.kind !== 'writable') {\n      this.#troubles.outage",
        replace: 'if (dead === null) {\n      this.#troubles.outage',
      },
    ],
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
        find: 'this.#left() > answerMs ? answerMs : hurriedMs',
        replace: 'this.#left() > answerMs ? 2 ** 30 : hurriedMs + 2 ** 30',
      },
    ],
    tests: [
      tenant(
        'a topic without an answer whose lookup hangs is waited for beside the loop, which answers the group meanwhile',
      ),
    ],
  },
  {
    name: 'blocked-transaction-repeated',
    breaks: 'transactions that cannot end in a topic of one tenant follow each other, each under another id',
    file: source('output-topics.ts'),
    edits: [{ find: 'this.#blockedUntil = performance.now() + doubtMs;', replace: 'void doubtMs;' }],
    tests: [
      outputTopics(
        'a lookup after a transaction that cannot end a topic with fewer replicas in sync than the dead-letter topic is refused, and not before',
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
    breaks: 'records before one that waits for its topic are not committed meanwhile',
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
    breaks: 'a lookup that rejects unexpectedly ends the process, or is never repeated',
    file: source('topic-answer.ts'),
    edits: [{ find: "return { kind: 'unavailable', error:", replace: "throw { kind: 'unavailable', error:" }],
    tests: [
      outputTopics(
        'a lookup that rejects in the loop is one without an answer: the topic is waited for, and looked up again',
      ),
      outputTopics('a lookup that rejects beside the loop leaves what is known, and the topic is looked up again'),
    ],
  },
  {
    name: 'troubles-outlive-partitions',
    breaks:
      'a short failure of a topic, hours after another one, counts as one of hours: a healthy tenant is dead-lettered',
    file: source('topic-troubles.ts'),
    edits: [{ find: 'Math.max(2 * timeoutMs, minQuietMs)', replace: 'Math.max(Infinity, minQuietMs)' }],
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
    name: 'refused-with-others',
    breaks: 'good records are dead-lettered because they were in one transaction with a refused one',
    file: source('narrowing.ts'),
    edits: [{ find: 'if (records <= 1) {', replace: 'if (records <= 2) {' }],
    tests: [narrowing('the records that are refused are found, all of them and no other')],
  },
  {
    name: 'decided-ahead-while-narrowing',
    breaks: 'at-least-once: a record is dead-lettered for the refusal of a record that was sent after it',
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
    breaks: 'memory grows with every made-up service',
    file: source('topic-cache.ts'),
    edits: [{ find: 'if (map.size >= most) {', replace: 'if (map.size > 1e9 + most) {' }],
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
];
