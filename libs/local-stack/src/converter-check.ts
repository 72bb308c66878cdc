import type { OutputRecord } from '@kafnus/agent-runtime';
import { runCommand } from './command.js';
import { prepareKafka } from './kafka-distribution.js';

/**
 * A schema of Kafka Connect. `type` is its name in Connect (int64, string, ...): a JSON schema's
 * `double` is `float64`.
 */
export interface ConnectSchema {
  readonly type: string;
  /** The logical name, `org.apache.kafka.connect.data.Timestamp` for example. */
  readonly name?: string;
  readonly version?: number;
  readonly optional: boolean;
  /** Of a struct, in their order. */
  readonly fields?: readonly { readonly field: string; readonly schema: ConnectSchema }[];
  /** Of a map. */
  readonly keys?: ConnectSchema;
  /** Of a map or an array. */
  readonly items?: ConnectSchema;
}

/**
 * What a sink would get. Structs are objects, bytes base64, dates milliseconds since the epoch,
 * decimals texts.
 */
interface ConnectData {
  /** null for a tombstone or an absent key. */
  readonly schema: ConnectSchema | null;
  readonly value: unknown;
}

/** What Kafka Connect's own JsonConverter (schemas.enable=true) makes of one record. */
export type ConverterVerdict =
  | { readonly ok: true; readonly key: ConnectData; readonly value: ConnectData }
  /** The exceptions, preceded by `key` or `value`. */
  | { readonly ok: false; readonly error: string };

/**
 * Passes records through the JsonConverter of Kafka Connect, as a sink would, validates the
 * resulting structs, and converts them back: the converter silently reads a text in the place of a
 * number as 0, and that is refused here too. All records go through one Java process, which takes
 * about a second for any number of them.
 */
export async function checkWithJsonConverter(
  records: readonly Pick<OutputRecord, 'topic' | 'key' | 'value'>[],
): Promise<ConverterVerdict[]> {
  const kafka = await prepareKafka();
  const input = records.map(({ topic, key, value }) =>
    JSON.stringify({ topic, key: base64(key), value: base64(value) }),
  );
  const output = await runCommand(
    kafka.java,
    ['-XX:TieredStopAtLevel=1', '-cp', kafka.classPath, 'kafnus.stack.ConverterCheck'],
    input.map((line) => `${line}\n`).join(''),
  );
  const verdicts = output.stdout.split('\n').filter((line) => line !== '');
  if (verdicts.length !== records.length) {
    throw new Error(`${records.length} records went in and ${verdicts.length} verdicts came out\n${output.stderr}`);
  }
  return verdicts.map(verdict);
}

function base64(bytes: string | Buffer | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString('base64');
}

/** Our own program wrote the line: one look at its outer shape is enough. */
function verdict(line: string): ConverterVerdict {
  const parsed: unknown = JSON.parse(line);
  if (!isVerdict(parsed)) throw new Error(`No verdict of ConverterCheck: ${line.slice(0, 200)}`);
  return parsed;
}

function isVerdict(value: unknown): value is ConverterVerdict {
  if (typeof value !== 'object' || value === null || !('ok' in value)) return false;
  return value.ok === true ? 'key' in value && 'value' in value : 'error' in value;
}
