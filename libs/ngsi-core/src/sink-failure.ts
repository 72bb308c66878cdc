/**
 * Turns a dead letter of Kafka Connect or of an agent into one structured log record for its
 * tenant (SPEC 7). A dead letter with any content is logged; it is refused only when the tenant's
 * name is not a legal service name.
 */
import type { Sink } from './attribute.js';
import { outputTopic, serviceProblem, type TopicNames } from './naming.js';
import { parseNotification } from './notification.js';
import { errorLogTable, invalidTenant, partitionHash } from './route.js';
import { databaseOf, defaultService } from './sink-failure-database.js';
import { exceptionText, postgresError } from './sink-failure-error.js';
import { contextPrefix, failureHeaders, type FailureHeaders } from './sink-failure-headers.js';
import { maskCredentials } from './sink-failure-mask.js';
import { failedQuery } from './sink-failure-query.js';
import { findInsert } from './sink-failure-sql.js';
import { targetTable } from './sink-failure-table.js';
import { clip } from './sink-failure-text.js';
import type { OutputRecord, RecordHeader, Step } from '@kafnus/agent-contract';
import type { RawRecord } from './rejection.js';
import { tableNameProblem } from './storable.js';
import { fiwareHeaders } from './tenant.js';
import { memo } from './text.js';

/** SPEC 7: the longest texts, without the note of a cut. */
const maxErrorLength = 4_000;
const maxQueryLength = 8_000;
const maxRememberedServices = 10_000;

/** Why the errors agent refuses a dead letter. */
export const errorsRejectCodes = {
  'service-invalid':
    'The failure belongs to a tenant whose name is no legal service name (`[a-z0-9_]`, 1 to 50 characters), or whose topic would be another one’s.',
} as const;

type ErrorsRejectCode = keyof typeof errorsRejectCodes;

export interface FailureLogOptions {
  readonly names: TopicNames;
  /** `debezium`: the timestamp carries the type that the Debezium JDBC sink wants (SPEC 3). */
  readonly sink: Sink;
  /** The services to log for; undefined: all. */
  readonly tenants: ReadonlySet<string> | undefined;
}

/** Makes the decision function of the errors agent. */
export function failureLogger(options: FailureLogOptions): (record: RawRecord) => Step {
  const { names, tenants } = options;
  const writeRecord = logRecordWriter(options);
  const problemOf = memo(maxRememberedServices, (service) => ({
    text: serviceProblem(names, service) ?? (options.sink === 'debezium' ? noTable(service) : undefined),
  }));

  return (record) => {
    const failure = readFailure(names, record);
    const { db } = failure;
    const problem = problemOf(db).text;
    if (problem !== undefined) {
      const message = `Cannot log a sink failure: ${problem}`;
      const code: ErrorsRejectCode = 'service-invalid';
      return { kind: 'reject', tenant: invalidTenant, rejections: [{ code, message, stage: 'TRANSFORMATION' }] };
    }
    if (tenants && !tenants.has(db)) return { kind: 'skip', tenant: db, reason: 'tenant-not-allowed' };
    return { kind: 'emit', tenant: db, outputs: [writeRecord(failure, record.timestamp)] };
  };
}

/** The content of a log record: masked, not cut. */
export interface Failure {
  /** The tenant, not checked like a service name. */
  readonly db: string;
  readonly error: string;
  readonly query: string | undefined;
}

/** Reads a dead letter. */
export function readFailure(names: TopicNames, record: RawRecord): Failure {
  const headers = failureHeaders(record.headers);
  if (isOwnFailure(names, headers)) return ownFailure(headers, record);

  const text = exceptionText(headers);
  const insert = findInsert(text);
  const db = databaseOf(names, headers.topic, headers.service, insert?.schema);
  return {
    db,
    error: maskCredentials(postgresError(text, insert) ?? text),
    query: failedQuery(text, insert, record.value, (payload) => targetTable(headers, db, payload)),
  };
}

/** The agents put this where Kafka Connect puts a Java class: it identifies their dead letters. */
const ownExceptionPrefix = 'kafnus.rejected.';

function isOwnFailure(names: TopicNames, { topic, exceptionClass }: FailureHeaders): boolean {
  return exceptionClass?.startsWith(ownExceptionPrefix) === true || (topic !== undefined && names.inputs.has(topic));
}

/**
 * A reject or report of an agent (SPEC 6). Its message quotes what the tenant sent, so it is not
 * searched for SQL or errors of PostgreSQL. A notification that became no record has no query.
 */
function ownFailure(headers: FailureHeaders, record: RawRecord): Failure {
  const service = headers.service ?? serviceInMessage(record);
  return {
    db: service?.toLowerCase() ?? defaultService,
    error: maskCredentials(exceptionText(headers)),
    query: undefined,
  };
}

/**
 * The service in the message of a notification without headers (SPEC 2): its dead letter has only
 * Connect's headers.
 */
function serviceInMessage(record: RawRecord): string | undefined {
  const bare = record.headers.every((header) => Object.keys(header).every((name) => name.startsWith(contextPrefix)));
  if (!bare) return undefined;
  const notification = parseNotification(record.value);
  return notification.kind === 'notification' ? fiwareHeaders([], notification.message).service : undefined;
}

/** Writes a failure as a Connect record. */
function logRecordWriter({ names, sink }: FailureLogOptions): (failure: Failure, timestamp: number) => OutputRecord {
  const schema = JSON.stringify({
    type: 'struct',
    fields: [
      {
        field: 'timestamp',
        type: 'string',
        ...(sink === 'debezium' && { name: 'io.debezium.time.ZonedTimestamp' }),
        optional: false,
      },
      { field: 'error', type: 'string', optional: false },
      { field: 'query', type: 'string', optional: true },
    ],
    optional: false,
  });
  return ({ db, error, query }, timestamp) => {
    const payload = {
      timestamp: isoTimestamp(timestamp),
      error: clip(error, maxErrorLength),
      query: query === undefined ? null : clip(query, maxQueryLength),
    };
    return {
      topic: outputTopic(names, 'errors', db),
      partitionHash: partitionHash(db),
      key: null,
      value: `{"schema":${schema},"payload":${JSON.stringify(payload)}}`,
      headers: logHeaders(db),
      timestamp,
    };
  };
}

/** The model dm-postgis-errors: schema db, table `<db>_error_log` (SPEC 3 and 7). */
function logHeaders(db: string): RecordHeader[] {
  return [
    { 'fiware-service': db },
    { 'fiware-servicepath': db },
    { 'fiware-datamodel': 'dm-postgis-errors' },
    { entityType: '_error_log' },
    { target_table: tableOf(db) },
  ];
}

function tableOf(db: string): string {
  return `${db}.${errorLogTable(db)}`;
}

/** Why the stock sink could not write this service's log, and would stop for all services. */
function noTable(db: string): string | undefined {
  const problem = tableNameProblem(tableOf(db));
  return problem && `the table ${tableOf(db)} ${problem}`;
}

/** The time in ISO 8601; 1970 for a record without a valid timestamp, which is logged as well. */
function isoTimestamp(timestamp: number): string {
  const possible = timestamp >= 0 && timestamp <= 8.64e15;
  return new Date(possible ? timestamp : 0).toISOString();
}
