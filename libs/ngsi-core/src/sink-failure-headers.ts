/** The headers of a dead letter, by meaning: Kafka Connect's own (KIP-298), and those of the record that failed. */
import type { RecordHeader } from '@kafnus/agent-contract';

export interface FailureHeaders {
  /** The topic of the record that failed. */
  readonly topic: string | undefined;
  readonly exceptionClass: string | undefined;
  readonly exceptionMessage: string | undefined;
  /** Sent by Kafnus Connect's sinks; Kafka Connect's context ends with the stack trace. */
  readonly causeMessage: string | undefined;
  readonly stacktrace: string | undefined;
  readonly service: string | undefined;
  readonly servicePath: string | undefined;
  readonly dataModel: string | undefined;
  readonly entityType: string | undefined;
  readonly suffix: string | undefined;
  readonly targetTable: string | undefined;
}

const FIELDS: Readonly<Record<string, keyof FailureHeaders>> = {
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
/** What Kafka Connect, and the agents, put in front of the names of their own headers. */
export const CONTEXT_PREFIX = '__connect.errors.';
const LONGEST_NAME = 64;

/**
 * Reads what is there: a header may be missing, empty, null, repeated or no UTF-8 (which is replaced). Of a repeated one
 * the last counts: a record that was replayed and failed again has its newest context at the end.
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
  if (name.length > LONGEST_NAME) return undefined;
  const known = name.toLowerCase();
  return Object.hasOwn(FIELDS, known) ? FIELDS[known] : undefined;
}

/**
 * Without NUL, which no table can hold: what consists of nothing else is empty.
 * @param value what the client delivers; null, though the contract does not know it
 */
function textOf(value: unknown): string | undefined {
  const text = Buffer.isBuffer(value) ? value.toString('utf8') : value;
  return typeof text === 'string' ? text.replaceAll('\0', '') : undefined;
}
