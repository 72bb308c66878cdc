/** Names of files and tests in the mutations, and the control tests. */
export const source = (name) => `libs/agent-runtime/src/${name}`;
export const admin = (name) => `libs/kafka-admin/src/${name}`;

const quick =
  (file, project = 'agent-runtime') =>
  (name) => ({ project, file: `libs/${project}/test/${file}`, name });
export const loop = quick('agent-loop.test.ts');
export const loopFaults = quick('loop-faults.test.ts');
export const loopOutputs = quick('loop-outputs.test.ts');
export const loopEnd = quick('loop-end.test.ts');
export const range = quick('log-range.test.ts');
export const batches = quick('record-batch.test.ts', 'kafka-admin');
export const store = quick('partition-store.test.ts');
export const problems = quick('problems.test.ts');
export const http = quick('http.test.ts');
export const wire = quick('wire-connection.test.ts', 'kafka-admin');
export const tenant = quick('one-tenant.test.ts');
export const narrowing = quick('narrowing.test.ts');
export const topicCache = quick('topic-cache.test.ts');
export const outputTopics = quick('output-topics.test.ts');
export const late = quick('kafka-session.test.ts');
export const callsAtStop = quick('calls-at-stop.test.ts');
export const inputTopic = quick('input-topic.test.ts');
export const underFault = (fault) =>
  loopFaults(`under a fault ${fault}, at every single call, commits between polls: nothing shows`);

const core = (file) => (name) => ({ project: 'ngsi-core', file: `libs/ngsi-core/test/${file}`, name });
export const linear = core('linear-time.test.ts');
export const amplification = core('amplification.test.ts');

const lastdata = (file) => (name) => ({ project: 'lastdata', file: `services/lastdata/test/${file}`, name });
export const lastdataAgent = lastdata('agent.test.ts');
export const lastdataRekey = lastdata('rekey.test.ts');

export const real = (name) => ({
  project: 'quick',
  file: 'test/integration/session-conformance.test.ts',
  name: `the session on a real Kafka ${name}`,
});
export const session = (name) => real(`session conformance: a classic group, exactly-once ${name}`);
export const atLeastOnce = (name) => real(`session conformance: a classic group, at-least-once ${name}`);

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
    inputTopic('only a missing right turns re-keying off, and its end turns it on again'),
    lastdataAgent('reads raw_lastdata, keeps the newest, and rejects to raw_errors'),
    lastdataRekey('lastdata re-keys by default'),
    amplification('the outputs of one record of a single entity are bounded by what a record may have'),
  ].map(({ file, name }) => [file, name]),
);
