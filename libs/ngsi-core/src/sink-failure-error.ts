/** Finds the `error` of a log record: the error of the database, or the exception (SPEC 7). */
import type { FailureHeaders } from './sink-failure-headers.js';
import type { InsertStatement } from './sink-failure-sql.js';

/** How many characters are compared to find out whether the message contains the cause. */
const comparedLength = 2_000;

/** The exception's message, and that of its cause if it is not a part of it; never empty. */
export function exceptionText(headers: FailureHeaders): string {
  const message = headers.exceptionMessage ?? 'Unknown error';
  const cause = headers.causeMessage ?? rootCause(headers.stacktrace);
  if (!cause || message.slice(0, 2 * comparedLength).includes(cause.slice(0, comparedLength).trim())) return message;
  return `${message}\nCaused by: ${cause}`;
}

/**
 * Kafka Connect has no header for the cause, but the stack trace contains it. The last `Caused by:`
 * is the root: the error of the database or the parser.
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
 * The PostgreSQL error in a text, `ERROR: ...` and its ` - Detail: ...`, without the texts of the
 * layers above.
 * @param insert the statement within the text: its values are not searched
 */
export function postgresError(text: string, insert: InsertStatement | undefined): string | undefined {
  const start = nextError(text, 0, insert);
  if (start < 0) return undefined;
  const afterLabel = start + errorLabel.length;
  // The text may begin on the next line: RAISE EXCEPTION with a line break.
  const textStart = skipBlank(text, afterLabel);
  if (textStart >= text.length) return undefined;
  const error = lineAt(text, textStart);
  const end = textStart + error.length;

  const next = nextError(text, end, insert);
  const detail = detailBetween(text, end, next < 0 ? text.length : next);
  const message = `${errorLabel} ${withoutNested(error)}`;
  return detail === undefined ? message : `${message} - ${withoutNested(detail)}`;
}

const errorLabel = 'ERROR:';
const detailLabel = 'Detail: ';

/** The next `ERROR:` that is a whole word and outside the statement. */
function nextError(text: string, from: number, insert: InsertStatement | undefined): number {
  let at = text.indexOf(errorLabel, from);
  while (at >= 0) {
    if (insert && at >= insert.start && at < insert.end) at = text.indexOf(errorLabel, insert.end);
    else if (at > 0 && /\w/.test(text.charAt(at - 1))) at = text.indexOf(errorLabel, at + errorLabel.length);
    else return at;
  }
  return -1;
}

/** A line that begins with `Detail: ` (after blanks). */
function detailBetween(text: string, from: number, to: number): string | undefined {
  for (
    let at = text.indexOf(detailLabel, from);
    at >= 0 && at < to;
    at = text.indexOf(detailLabel, at + detailLabel.length)
  ) {
    let before = at - 1;
    while (before >= from && (text[before] === ' ' || text[before] === '\t')) before -= 1;
    if (text[before] === '\n') return lineAt(text, at);
  }
  return undefined;
}

/** Spring repeats the whole exception after this text. */
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
