/**
 * Where a text stops being JSON.
 *
 * `JSON.parse` has the position in some of its messages only, and quotes the text around it, which
 * may contain a password. This scanner (RFC 8259) finds the offset, without the text.
 */
const spaces = /[ \t\n\r]*/y;
const stringLiteral = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const scalarLiteral = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/**
 * @returns the offset of the first character that cannot be there (the length, when the text ends
 *   too early); -1 for JSON
 */
export function jsonErrorOffset(text: string): number {
  let at = 0;
  const skip = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found === null) return false;
    at += found[0].length;
    return true;
  };
  const symbol = (wanted: string): boolean => {
    skip(spaces);
    if (text[at] !== wanted) return false;
    at++;
    return true;
  };
  const list = (end: string, item: () => boolean): boolean => {
    if (symbol(end)) return true;
    do {
      if (!item()) return false;
    } while (symbol(','));
    return symbol(end);
  };
  const value = (): boolean => {
    if (symbol('{')) return list('}', () => string() && symbol(':') && value());
    if (symbol('[')) return list(']', value);
    return text[at] === '"' ? string() : skip(scalarLiteral);
  };
  const string = (): boolean => {
    skip(spaces);
    return skip(stringLiteral);
  };
  if (!value()) return at;
  skip(spaces);
  return at === text.length ? -1 : at;
}

/** "line 3, column 7" of an offset, both counted from 1. */
export function lineAndColumn(text: string, offset: number): string {
  const before = text.slice(0, offset).split('\n');
  return `line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`;
}
