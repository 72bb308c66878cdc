/** Reads the headers of a dead letter: Kafka Connect's (KIP-298) and those of the failed record. */
import type { RecordHeader } from '@kafnus/agent-contract';

export interface FailureHeaders {
  /** The topic of the record that failed. */
  readonly topic: string | undefined;
  readonly exceptionClass: string | undefined;
  readonly exceptionMessage: string | undefined;
  /** Sent by Kafnus Connect's sinks only: Kafka Connect has just the stack trace. */
  readonly causeMessage: string | undefined;
  readonly stacktrace: string | undefined;
  readonly service: string | undefined;
  readonly servicePath: string | undefined;
  readonly dataModel: string | undefined;
  readonly entityType: string | undefined;
  readonly suffix: string | undefined;
  readonly targetTable: string | undefined;
}

const fieldNames: Readonly<Record<string, keyof FailureHeaders>> = {
  '__connect.errors.topic': 'topic',
  '__connect.errors.exception.class.name': 'exceptionClass',
  '__connect.errors.exception.message': 'exceptionMessage',
  '__connect.errors.exception.cause.message': 'causeMessage',
  '__connect.errors.exception.stacktrace': 'stacktrace',
  'fiware-service': 'service',
  'fiware-servicepath': 'servicePath',
  'fiware-datamodel': 'dataModel',
  entitytype: 'entityType',
  suffix: 'suffix',
  target_table: 'targetTable',
};
/** The prefix of the headers that Kafka Connect and the agents add. */
export const contextPrefix = '__connect.errors.';
const maxNameLength = 64;

/**
 * Reads the headers: each may be missing, empty, null, repeated, or not UTF-8 (invalid bytes are
 * replaced). Of a repeated header the last one counts: when a record is replayed and fails again,
 * the newest context is at the end.
 */
export function failureHeaders(headers: readonly RecordHeader[]): FailureHeaders {
  const found: { -readonly [K in keyof FailureHeaders]: string | undefined } = {
    topic: undefined,
    exceptionClass: undefined,
    exceptionMessage: undefined,
    causeMessage: undefined,
    stacktrace: undefined,
    service: undefined,
    servicePath: undefined,
    dataModel: undefined,
    entityType: undefined,
    suffix: undefined,
    targetTable: undefined,
  };
  for (const header of headers) {
    for (const [name, value] of Object.entries(header)) {
      const field = fieldOf(name);
      const text = field && textOf(value);
      if (field && text) found[field] = text;
    }
  }
  return found;
}

function fieldOf(name: string): keyof FailureHeaders | undefined {
  if (name.length > maxNameLength) return undefined;
  const known = name.toLowerCase();
  return Object.hasOwn(fieldNames, known) ? fieldNames[known] : undefined;
}

/**
 * The text of a header without NUL, which no table can hold.
 * @param value may be null, although the type of the client does not say so
 */
function textOf(value: unknown): string | undefined {
  const text = Buffer.isBuffer(value) ? value.toString('utf8') : value;
  return typeof text === 'string' ? text.replaceAll('\0', '') : undefined;
}
