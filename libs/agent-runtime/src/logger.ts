/** The logger of an agent, JSON lines on standard output without secrets; fields of its lines. */
import { pino, stdTimeFunctions, type DestinationStream, type Logger } from 'pino';
import type { InputRecord } from '@kafnus/agent-contract';
import { codeOf, messageOf } from '@kafnus/kafka-admin';
import type { LogLevel } from './config.js';

export interface LoggerOptions {
  readonly agent: string;
  readonly instance: string;
  readonly level: LogLevel;
  /** Where log lines go; default: standard output. */
  readonly destination?: DestinationStream;
}

/** Characters of a header's value in a line. */
const maxHeader = 200;
/** Names of secrets that could be logged by mistake, at the top of a line or one level below. */
const secretNames = [
  'password',
  'token',
  'secret',
  'authorization',
  'adminToken',
  'kafkaSaslPassword',
  'kafkaSslKey',
  'kafkaSslKeyPassword',
  '["sasl.password"]',
  '["ssl.key.password"]',
  '["ssl.key.pem"]',
];
const redacted = secretNames.flatMap((name) => [name, name.startsWith('[') ? `*${name}` : `*.${name}`]);

export function createLogger({ agent, instance, level, destination }: LoggerOptions): Logger {
  const settings = {
    level,
    base: { agent, instance },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: redacted, censor: '***' },
  };
  // Synchronously: pino's default writes in a thread of the pool, which a hanging call may hold,
  // and loses the last line of a process that kills itself.
  return pino(settings, destination ?? pino.destination({ dest: 1, sync: true }));
}

/** An error as fields of a line. Without the stack, which leads into the client library. */
export function described(error: unknown): { readonly error: string; readonly code?: string | number } {
  const code = codeOf(error);
  return { error: messageOf(error), ...(code === undefined ? {} : { code }) };
}

export function headerText(record: InputRecord, name: string): string | undefined {
  for (const header of record.headers) {
    for (const [key, value] of Object.entries(header)) {
      if (key.toLowerCase() === name) return String(value).slice(0, maxHeader);
    }
  }
  return undefined;
}
