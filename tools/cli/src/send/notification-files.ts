/**
 * Reads NGSIv2 notifications from files: one JSON document (a notification or an array of them), or
 * one notification per line.
 */
import { jsonErrorOffset, lineAndColumn } from '@kafnus/agent-runtime';
import { isObject } from '@kafnus/ngsi-core';
import { excerpt } from '../terminal/text.js';

/** A notification, or why the file has none at this position. */
export type FileEntry =
  | { readonly kind: 'notification'; readonly key: string; readonly value: string }
  | { readonly kind: 'problem'; readonly message: string };

const newline = 0x0a;
const maxShown = 60;

/**
 * Reads a file as a stream. When its first line is JSON, every line is a notification, and only one
 * line is held in memory. Otherwise the file is one document.
 * @param name for messages of the form `name:line: problem`
 */
export async function* readNotifications(
  name: string,
  chunks: AsyncIterable<Buffer | string>,
): AsyncGenerator<FileEntry> {
  const held: Line[] = [];
  let byLine = false;
  for await (const line of linesOf(chunks)) {
    if (line.bytes.length === 0 || line.bytes.toString('latin1').trim() === '') continue;
    byLine ||= held.length === 0 && isJson(line);
    if (byLine) yield* lineEntries(name, line);
    else held.push(line);
  }
  if (byLine) return;
  if (held.length === 0) yield { kind: 'problem', message: `${name}: the file is empty` };
  // When only the first line is malformed, the others are notifications all the same.
  else if (isLines(held)) for (const line of held) yield* lineEntries(name, line);
  else yield* documentEntries(name, held);
}

interface Line {
  /** From 1. */
  readonly number: number;
  readonly bytes: Buffer;
}

async function* linesOf(chunks: AsyncIterable<Buffer | string>): AsyncGenerator<Line> {
  let parts: Buffer[] = [];
  let number = 0;
  const line = (): Line => ({ number: (number += 1), bytes: withoutMark(Buffer.concat(parts), number) });
  for await (const chunk of chunks) {
    let rest = Buffer.from(chunk);
    for (let end = rest.indexOf(newline); end >= 0; end = rest.indexOf(newline)) {
      parts.push(rest.subarray(0, end));
      yield line();
      parts = [];
      rest = rest.subarray(end + 1);
    }
    if (rest.length > 0) parts.push(rest);
  }
  if (parts.length > 0) yield line();
}

/** Removes the byte order mark of some editors, which is not JSON. */
function withoutMark(bytes: Buffer, number: number): Buffer {
  return number === 1 && bytes.subarray(0, 3).toString('hex') === 'efbbbf' ? bytes.subarray(3) : bytes;
}

function isJson({ bytes }: Line): boolean {
  const text = bytes.toString();
  return /^\s*[[{]/.test(text) && parsed(text) !== undefined;
}

/**
 * Whether the lines are separate notifications: together they are no document, and some of them are
 * JSON.
 */
function isLines(lines: readonly Line[]): boolean {
  const [first, ...others] = lines;
  if (first === undefined || !/^\s*\{/.test(first.bytes.toString()) || !others.some(isJson)) return false;
  return parsed(lines.map(({ bytes }) => bytes.toString()).join('\n')) === undefined;
}

function* lineEntries(name: string, { number, bytes }: Line): Generator<FileEntry> {
  yield* entries(`${name}:${number}`, bytes, () => '');
}

function* documentEntries(name: string, lines: readonly Line[]): Generator<FileEntry> {
  const first = lines[0]?.number ?? 1;
  const bytes = Buffer.concat(lines.flatMap((line) => [line.bytes, Buffer.from('\n')]));
  const blankAware = (offset: number, text: string): string => {
    const row = text.slice(0, offset).split('\n').length - 1;
    const line = lines[Math.min(row, lines.length - 1)]?.number ?? first;
    const column = offset - (text.lastIndexOf('\n', offset - 1) + 1) + 1;
    return `:${line}:${column}`;
  };
  yield* entries(name, bytes, blankAware);
}

/** @param position of a syntax error within the text, as `:line:column` */
function* entries(
  where: string,
  bytes: Buffer,
  position: (offset: number, text: string) => string,
): Generator<FileEntry> {
  const problem = (message: string, at = where): FileEntry => ({ kind: 'problem', message: `${at}: ${message}` });
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    yield problem('not UTF-8 text');
    return;
  }
  const found = parsed(text);
  if (found === undefined) {
    const offset = Math.max(0, jsonErrorOffset(text));
    const place = position(offset, text);
    const what = place === '' ? `not JSON at ${lineAndColumn(text, offset).replace(/^line 1, /, '')}` : 'not JSON';
    yield problem(`${what}, near ${excerpt(text.slice(Math.max(0, offset - 10)), maxShown)}`, where + place);
    return;
  }
  const { value } = found;
  if (!Array.isArray(value)) yield entry(where, value, text.trim());
  else if (value.length === 0) yield problem('an empty array has no notifications');
  else for (const [index, each] of value.entries()) yield entry(`${where}[${index}]`, each, JSON.stringify(each));
}

function parsed(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

function entry(where: string, parsed: unknown, value: string): FileEntry {
  const problem = (message: string): FileEntry => ({ kind: 'problem', message: `${where}: ${message}` });
  if (!isObject(parsed)) return problem(`not a notification but ${excerpt(value, maxShown)}`);
  const { data } = parsed;
  if (data === undefined && typeof parsed['id'] === 'string') {
    return problem('an entity, not a notification: write {"data": [<entity>]}');
  }
  if (!Array.isArray(data)) return problem('not a notification: it has no array "data"');
  if (data.length === 0) return problem('a notification without entities: "data" is empty');
  for (const [index, entity] of data.entries()) {
    const id = isObject(entity) ? entity['id'] : undefined;
    if (typeof id !== 'string' || id === '') {
      return problem(`data[${index}] has no string "id": ${excerpt(JSON.stringify(entity), maxShown)}`);
    }
  }
  const first: unknown = data[0];
  const key = isObject(first) ? first['id'] : undefined;
  return { kind: 'notification', key: typeof key === 'string' ? key : '', value };
}
