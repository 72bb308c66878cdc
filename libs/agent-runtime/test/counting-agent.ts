/**
 * An agent for the tests of the loop: it numbers the versions of each key, so that any record which
 * is lost, repeated, reordered or decided on the wrong state shows in the outputs.
 */
import type { Agent, ConfiguredAgent, InputRecord, OutputRecord, Rejection, Step } from '@kafnus/agent-runtime';
import type { RecordToWrite } from '@kafnus/local-stack';

export const inputTopic = 'raw';
export const deadLetterTopic = 'dead';
export const groupId = 'counting';
export const changelog = 'counting-versions-changelog';

/** What a value says: how it ends, and for which tenant. */
export type Kind = 'emit' | 'skip' | 'reject' | 'report' | 'twice' | 'loud' | 'heavy';

export const agent: Agent<object> = {
  name: 'counting',
  store: 'versions',
  settings: {},
  configure: (): ConfiguredAgent => ({ inputTopic, deadLetterTopic, decide: (record, state) => decide(record, state) }),
};

/** `kind:tenant:padding`, keyed by what is counted. */
export function input(key: string, kind: Kind, tenant = 'a', padding = ''): Pick<RecordToWrite, 'key' | 'value'> {
  return { key, value: `${kind}:${tenant}:${padding}` };
}

const rejection: Rejection = { code: 'no-good', message: 'it is no good', stage: 'VALUE_CONVERTER' };

function decide(record: InputRecord, state: { get(key: string): number | undefined }): Step {
  const [kind, tenant = '', padding = ''] = record.value?.toString().split(':') ?? [];
  const key = record.key?.toString() ?? '';
  if (kind === 'throw') throw new Error('the agent is broken');
  if (kind === 'skip') return { kind: 'skip', tenant, reason: 'unwanted' };
  if (kind === 'reject') return { kind: 'reject', tenant, rejections: [rejection] };
  if (kind === 'loud') {
    // A header of as many characters as the padding says.
    const headers = [{ from: `${record.partition}@${record.offset}` }, { loud: 'é'.repeat(Number(padding)) }];
    return { kind: 'emit', tenant, outputs: [{ ...output(record, key, tenant, '0'), headers }] };
  }
  if (kind === 'heavy') {
    // A key of the state of as many characters as the padding says.
    const puts = [{ key: 'é'.repeat(Number(padding)), value: 1 }];
    return { kind: 'emit', tenant, outputs: [output(record, key, tenant, '0')], puts };
  }
  const versions = kind === 'twice' ? 2 : 1;
  const before = state.get(key) ?? 0;
  const outputs = Array.from({ length: versions }, (_, index) =>
    output(record, key, tenant, `${before + index + 1}${padding}`),
  );
  const puts = [{ key, value: before + versions }];
  return kind === 'report'
    ? { kind: 'emit', tenant, outputs, puts, reports: [rejection] }
    : { kind: 'emit', tenant, outputs, puts };
}

function output(record: InputRecord, key: string, tenant: string, version: string): OutputRecord {
  const { partition, offset, timestamp } = record;
  return {
    topic: `out-${tenant}`,
    partitionHash: partition,
    key,
    value: version,
    headers: [{ from: `${partition}@${offset}` }],
    timestamp,
  };
}

/**
 * What must come of a partition: the outputs in order by topic, the dead letters' origins, and the
 * state at the end.
 */
export interface Expected {
  readonly outputs: Map<string, string[]>;
  readonly deadLetters: string[];
  readonly state: Map<string, number>;
}

/**
 * The fold of the agent over records of one partition: what exactly-once means, without any of its
 * machinery.
 * @param refuses whether the output topic refuses the record: it is dead-lettered then
 */
export function expectedOf(
  records: readonly InputRecord[],
  refuses: (record: InputRecord) => boolean = () => false,
): Expected {
  const expected: Expected = { outputs: new Map(), deadLetters: [], state: new Map() };
  for (const record of records) {
    const step = decide(record, expected.state);
    if (step.kind === 'emit' && refuses(record)) {
      expected.deadLetters.push(`${record.partition}@${record.offset}`);
      continue;
    }
    if (step.kind === 'emit') {
      for (const { topic, key, value } of step.outputs) {
        const seen = expected.outputs.get(topic) ?? [];
        seen.push(`${String(key)}=${String(value)} from ${record.partition}@${record.offset}`);
        expected.outputs.set(topic, seen);
      }
      for (const put of step.puts ?? []) expected.state.set(put.key, put.value);
    }
    if (step.kind === 'reject' || (step.kind === 'emit' && step.reports))
      expected.deadLetters.push(`${record.partition}@${record.offset}`);
  }
  return expected;
}
