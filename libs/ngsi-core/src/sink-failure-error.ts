/** The `error` of a log record: what went wrong, in the words of whoever knows best (SPEC 7). */
import type { FailureHeaders } from './sink-failure-headers.js';
import type { InsertStatement } from './sink-failure-sql.js';

/** How much of message and cause is compared to see whether the cause adds anything. */
const COMPARED = 2_000;

/** The exception's message, and its cause's where that adds something; never empty. */
export function exceptionText(headers: FailureHeaders): string {
  const message = headers.exceptionMessage ?? 'Unknown error';
  const cause = headers.causeMessage ?? rootCause(headers.stacktrace);
  if (!cause || message.slice(0, 2 * COMPARED).includes(cause.slice(0, COMPARED).trim())) return message;
  return `${message}\nCaused by: ${cause}`;
}

/**
 * Kafka Connect itself sends no header for the cause: it stands in the stack trace. The last `Caused by:` is the root, where
 * the database or the parser speaks for itself.
 */
function rootCause(stacktrace: string | undefined): string | undefined {
  if (stacktrace === undefined) return undefined;
  const marker = '\nCaused by: ';
  const at = stacktrace.lastIndexOf(marker);
  if (at < 0) return undefined;
  const start = at + marker.length;
  const frames = stacktrace.indexOf('\n\t', start);
  return stacktrace.slice(start, frames < 0 ? stacktrace.length : frames).trim();
}

/**
 * The PostgreSQL error in a text: `ERROR: ...` and its ` - Detail: ...`, without what the layers above made of it.
 * @param insert the statement within the text: what its values say is not an error
 */
export function postgresError(text: string, insert: InsertStatement | undefined): string | undefined {
  const start = nextError(text, 0, insert);
  if (start < 0) return undefined;
  const afterLabel = start + LABEL.length;
  // The text may begin on the next line: RAISE EXCEPTION with a line break.
  const textStart = skipBlank(text, afterLabel);
  if (textStart >= text.length) return undefined;
  const error = lineAt(text, textStart);
  const end = textStart + error.length;

  const next = nextError(text, end, insert);
  const detail = detailBetween(text, end, next < 0 ? text.length : next);
  const message = `${LABEL} ${withoutNested(error)}`;
  return detail === undefined ? message : `${message} - ${withoutNested(detail)}`;
}

const LABEL = 'ERROR:';
const DETAIL = 'Detail: ';

/** The next `ERROR:` that is a word of its own and outside the statement. */
function nextError(text: string, from: number, insert: InsertStatement | undefined): number {
  let at = text.indexOf(LABEL, from);
  while (at >= 0) {
    if (insert && at >= insert.start && at < insert.end) at = text.indexOf(LABEL, insert.end);
    else if (at > 0 && /\w/.test(text.charAt(at - 1))) at = text.indexOf(LABEL, at + LABEL.length);
    else return at;
  }
  return -1;
}

/** A line that begins with `Detail: ` (after blanks). */
function detailBetween(text: string, from: number, to: number): string | undefined {
  for (let at = text.indexOf(DETAIL, from); at >= 0 && at < to; at = text.indexOf(DETAIL, at + DETAIL.length)) {
    let before = at - 1;
    while (before >= from && (text[before] === ' ' || text[before] === '\t')) before -= 1;
    if (text[before] === '\n') return lineAt(text, at);
  }
  return undefined;
}

/** Spring repeats the whole exception behind this. */
function withoutNested(line: string): string {
  const at = line.indexOf('; nested exception is ');
  return (at < 0 ? line : line.slice(0, at)).trimEnd();
}

function lineAt(text: string, from: number): string {
  const end = text.indexOf('\n', from);
  return text.slice(from, end < 0 ? text.length : end);
}

function skipBlank(text: string, from: number): number {
  let at = from;
  while (at < text.length && /\s/.test(text.charAt(at))) at += 1;
  return at;
}
