/**
 * Masks credentials in the messages of sinks (SPEC 7): a connection URL or a property that a driver
 * quotes must not reach a tenant's log table. In doubtful cases it masks more than needed. It takes
 * linear time for any text.
 */

const mask = '***';

/**
 * The longest text that is read: 32 times the length of a stored query. Regular expressions of V8
 * overflow their stack on texts of megabytes, and the rest of the text is not stored anyway.
 */
export const maxMaskedLength = 256_000;
/** A bearer token is known by 16 characters. */
const minTokenLength = 16;

/**
 * Replaces the user info of URLs and the values of properties such as `password` by `***`. The
 * part of a text after {@link maxMaskedLength} is replaced by a note of its length.
 */
export function maskCredentials(text: string): string {
  if (text.length <= maxMaskedLength) return maskProperties(maskUrls(text));
  const end = endOfHead(text);
  return `${maskProperties(maskUrls(text.slice(0, end)))}... [truncated ${text.length - end} chars]`;
}

/**
 * Where a long text is cut. The text before the cut may be stored, so a credential that crosses
 * the cut must still be recognised. A URL whose user info crosses it has no @, so the cut moves
 * before it; the same is done for a run of characters that has become too short for a token. Quoted
 * values and those of properties are masked to the end without that.
 */
function endOfHead(text: string): number {
  let run = maxMaskedLength;
  while (run > 0 && !urlEnd.test(text.charAt(run - 1))) run -= 1;
  const url = text.slice(run, maxMaskedLength).indexOf('://');
  if (url >= 0) return run + url;
  return maxMaskedLength - run < minTokenLength ? run : maxMaskedLength;
}

/** The characters that end a URL in a text. */
const urlEnd = /[\s"'<>`]/;
const authorityEnd = /[\s"'<>`/?#]/;
/** How far after the authority a password with an unescaped `/`, `?` or `#` is searched. */
const maxPasswordDistance = 256;

/** `scheme://user:password@host` becomes `scheme://***@host`. */
function maskUrls(text: string): string {
  let out = '';
  let copied = 0;
  // A URL without a following @ has nothing to mask.
  let nextAt = text.indexOf('@');
  for (let at = text.indexOf('://'); at >= 0 && nextAt >= 0; at = text.indexOf('://', at + 3)) {
    const start = at + 3;
    if (start < copied) continue;
    if (nextAt < start) nextAt = text.indexOf('@', start);
    const host = nextAt < 0 ? -1 : endOfUserInfo(text, start, nextAt);
    if (host < 0) continue;
    out += text.slice(copied, start) + mask;
    copied = host;
  }
  return out + text.slice(copied);
}

/**
 * The @ that ends the user info of a URL, or -1. A password may contain an unescaped `/`, `?` or
 * `#`: after a `:` without a port, the rest of the URL is searched as well.
 * @param nextAt the first @ at or after `start`
 */
function endOfUserInfo(text: string, start: number, nextAt: number): number {
  const end = indexWhere(text, start, text.length, authorityEnd);
  if (nextAt < end) return text.lastIndexOf('@', end - 1);
  const port = /:\d+$/.test(text.slice(Math.max(start, end - 8), end));
  if (nextAt > end + maxPasswordDistance || port || !text.slice(start, end).includes(':')) return -1;
  const limit = indexWhere(text, end, Math.min(text.length, end + maxPasswordDistance), urlEnd);
  return nextAt < limit ? text.lastIndexOf('@', limit - 1) : -1;
}

const credentialKey =
  /pass(?:word|wd|phrase|code)|pwd|secret|token|credentials?|authorization|(?:api|access|private|account|signing)[-_]?key|bearer\s+(?=[\w.~+/=-]{16})/gi;
/** Between a key and its value: `=`, `: `, `":"`, `=>`. */
const separatorPattern = /[-_.]?(?:key|value|id)?\\*["']?\s*(=>|[:=])\s*/iy;
/** `ALTER ROLE ... PASSWORD 'x'` */
const sqlSeparator = /\s+(?=[eE]?')/y;
/**
 * A quote with the backslashes before it, which the closing quote has as well. Each level of
 * escaping doubles them. The limit of 64 keeps the search for the closing quote linear.
 */
const openingQuote = /\\{0,64}(?:''|["'])/y;
/** A value without quotes; it contains a quote only between word characters. */
const bareValue = /(?:(?:basic|bearer|digest|negotiate)\s+)?(?:[^\s&"'<>\\]|\\(?!["'])|(?<=\w)["'](?=\w))+/iy;

/**
 * `password=x`, `"password": "x"`, `PASSWORD 'x'`, `Authorization: Bearer x`: the value becomes
 * `***`.
 */
function maskProperties(text: string): string {
  let out = '';
  let copied = 0;
  let bareEnd = 0;
  credentialKey.lastIndex = 0;
  for (let key = credentialKey.exec(text); key; key = credentialKey.exec(text)) {
    const start = startOfValue(text, key[0].toLowerCase(), key.index, credentialKey.lastIndex);
    if (start === undefined) continue;
    const quoted = quotedValue(text, start);
    // A bare value may contain the next key, whose value reaches further (`password= passwd='x'`).
    // So the search for keys continues within the value, but its end is not computed again.
    if (!quoted && start >= bareEnd) bareEnd = start + (matchAt(bareValue, text, start)?.[0].length ?? 0);
    const value = quoted ?? { start, end: bareEnd };
    if (value.start > copied && value.end > value.start) out += text.slice(copied, value.start) + mask;
    if (value.end > value.start) copied = Math.max(copied, value.end);
    credentialKey.lastIndex = Math.max(credentialKey.lastIndex, quoted ? value.end : value.start);
  }
  return out + text.slice(copied);
}

/** Where the value of a key begins; undefined when the word has no value. */
function startOfValue(text: string, key: string, keyStart: number, from: number): number | undefined {
  if (key.startsWith('bearer')) return from;
  const separator = matchAt(separatorPattern, text, from);
  if (separator) {
    // "Unexpected token: x" is not a property; "token=x", "token":"x", "access_token: x" are.
    const named = /["']/.test(separator[0]) || /[\w-]/.test(text.charAt(keyStart - 1));
    const prose = key === 'token' && separator[1] === ':' && !named;
    return prose ? undefined : from + separator[0].length;
  }
  const sql = key.startsWith('pass') ? matchAt(sqlSeparator, text, from) : null;
  if (!sql) return undefined;
  const start = from + sql[0].length;
  return text[start] === "'" ? start : start + 1;
}

/** What stands between the quotes at a place; undefined when there are none. */
function quotedValue(text: string, start: number): { start: number; end: number } | undefined {
  const quote = matchAt(openingQuote, text, start)?.[0];
  if (quote === undefined) return undefined;
  const open = start + quote.length;
  if (quote === "''" && /^(?:[\s,;)&}\]]|$)/.test(text.slice(open, open + 1))) return { start: open, end: open };
  let at = open;
  for (; at < text.length && text[at] !== '\n'; at += 1) {
    if (text.startsWith(quote, at)) {
      if (quote !== "'" || text[at + 1] !== "'") break;
      at += 1;
    } else if (text[at] === '\\' && quote.length === 1) at += 1;
  }
  return { start: open, end: Math.min(at, text.length) };
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function indexWhere(text: string, from: number, to: number, wanted: RegExp): number {
  let at = from;
  while (at < to && !wanted.test(text.charAt(at))) at += 1;
  return at;
}
