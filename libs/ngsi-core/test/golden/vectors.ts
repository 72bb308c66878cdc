/**
 * The records that Kafnus NGSI 1.5 sent for given inputs (kafnus-1.5.jsonl), and the comparison
 * with ours: key and value as JSON with member order, headers by name. Null and empty headers are
 * equal, and additional headers are allowed.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { OutputRecord, RecordHeader, Step } from '@kafnus/agent-contract';
import type { RawRecord } from '@kafnus/ngsi-core';

export interface Vector {
  readonly id: string;
  readonly agent: 'historic' | 'lastdata' | 'mutable' | 'errors';
  readonly in: {
    readonly topic: string;
    readonly key: string | null;
    readonly value: string | null;
    readonly headers: Readonly<Record<string, string | null | readonly (string | null)[]>>;
  };
  readonly out: readonly {
    readonly topic: string;
    readonly key: string | null;
    readonly value: string | null;
    readonly headers: Readonly<Record<string, string | null>>;
  }[];
  readonly error: string | null;
  readonly note: string;
  /** Faults of Kafnus that the vector shows. */
  readonly bugs?: readonly string[];
}

/** The settings under which the vectors were recorded. */
export const kafnusSettings = {
  naming: 'kafnus',
  topicPrefix: 'smc_',
  topicSuffix: '_processed',
  inputTopic: '',
  outputTopic: '',
  deadLetterTopic: '',
  sink: 'kafnus',
  dataModel: 'dm-by-entity-type-database',
  attributeErrors: 'report',
  tenants: '',
  defaultService: 'default',
  defaultServicepath: '/',
  maxOutputBytes: 1 << 25,
  rekey: 'auto',
  inputPartitioner: 'consistent',
  missingTimeInstant: 'reject',
} as const;

const TIMESTAMP = Date.parse('2025-05-06T07:08:09.012Z');
const RECVTIME = '2025-05-06T07:08:09.012Z';

/** The vectors of an agent. Its name is not part of their ids. */
export function vectorsOf(agent: Vector['agent']): readonly Vector[] {
  const file = fileURLToPath(new URL('kafnus-1.5.jsonl', import.meta.url));
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Vector)
    .filter((vector) => vector.agent === agent)
    .map((vector) => ({ ...vector, id: vector.id.replace(/^edge\//, '').replace(new RegExp(`/${agent}$`), '') }));
}

/** The raw record of a vector, without its null headers, which the client does not have. */
export function recordOf(vector: Vector): RawRecord & {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: Buffer | null;
} {
  const headers: RecordHeader[] = [];
  for (const [name, values] of Object.entries(vector.in.headers)) {
    for (const value of Array.isArray(values) ? (values as readonly (string | null)[]) : [values as string | null]) {
      if (value !== null) headers.push({ [name]: Buffer.from(value) });
    }
  }
  const { topic, key, value } = vector.in;
  return {
    topic,
    partition: 0,
    offset: 0,
    timestamp: TIMESTAMP,
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    headers,
  };
}

/** All differences between the records of Kafnus and ours; empty when they are the same. */
export function differences(vector: Vector, decision: Step): readonly string[] {
  const outputs: readonly OutputRecord[] = decision.kind === 'emit' ? decision.outputs : [];
  const found: string[] = [];
  const compare = (what: string, ours: unknown, theirs: unknown): void => {
    if (ours !== theirs) found.push(`${what}: ours ${String(ours)}, theirs ${String(theirs)}`);
  };
  compare('number of records', outputs.length, vector.out.length);
  vector.out.forEach((theirs, place) => {
    const ours = outputs[place];
    if (ours === undefined) return;
    compare('topic', ours.topic, theirs.topic);
    compare('key', canonical(ours.key), canonical(theirs.key));
    compare('value', canonical(ours.value), canonical(theirs.value?.replaceAll('<RECVTIME>', RECVTIME) ?? null));
    const headers: Record<string, unknown> = Object.assign({}, ...ours.headers);
    for (const [name, value] of Object.entries(theirs.headers))
      compare(`header ${name}`, headers[name] ?? '', value ?? '');
  });
  return found;
}

/** JSON text in one form; member order is kept. */
function canonical(text: string | Buffer | null): string | null {
  return text === null ? null : JSON.stringify(JSON.parse(text.toString()));
}
