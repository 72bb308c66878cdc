/**
 * Credentials in the messages of sinks (SPEC 7): a connection URL or a property that a driver quotes must not reach a
 * tenant's log table. When in doubt more is masked than needed. One pass over the text, whatever it holds.
 */

const MASK = '***';

/**
 * So many characters of a text are read: 32 times what is kept of a query. On texts of megabytes
 * the stack of V8's regular expressions overflows, and what follows is not shown anyway.
 */
export const LONGEST_TEXT = 256_000;
/** A bearer token is known by 16 characters. */
const SHORTEST_TOKEN = 16;

/**
 * The text with the user info of URLs and the values of properties like `password` replaced by
 * `***`. Of a text longer than {@link LONGEST_TEXT} the end is replaced by a mark that says how much
 * is missing.
 */
export function maskCredentials(text: string): string {
  if (text.length <= LONGEST_TEXT) return maskProperties(maskUrls(text));
  const end = endOfHead(text);
  return `${maskProperties(maskUrls(text.slice(0, end)))}... [truncated ${text.length - end} chars]`;
}

/**
 * Where a long text is cut. Masking may leave so little of it that its end is shown, so the cut must
 * not make anything unrecognisable: a URL whose user info goes on behind the cut has no @, and is
 * left out; so is a run of characters that is too short for a token. Values between quotes, and those
 * of properties, are masked to the end.
 */
function endOfHead(text: string): number {
  let run = LONGEST_TEXT;
  while (run > 0 && !URL_END.test(text.charAt(run - 1))) run -= 1;
  const url = text.slice(run, LONGEST_TEXT).indexOf('://');
  if (url >= 0) return run + url;
  return LONGEST_TEXT - run < SHORTEST_TOKEN ? run : LONGEST_TEXT;
}

/** What ends a URL in running text. */
const URL_END = /[\s"'<>`]/;
const AUTHORITY_END = /[\s"'<>`/?#]/;
/** How far behind the authority a password with an unescaped `/`, `?` or `#` is looked for. */
const STRAY_PASSWORD = 256;

/** `scheme://user:password@host` becomes `scheme://***@host`. */
function maskUrls(text: string): string {
  let out = '';
  let copied = 0;
  // Without an @ ahead there is nothing to mask: most text is passed over at the cost of looking for one.
  let nextAt = text.indexOf('@');
  for (let at = text.indexOf('://'); at >= 0 && nextAt >= 0; at = text.indexOf('://', at + 3)) {
    const start = at + 3;
    if (start < copied) continue;
    if (nextAt < start) nextAt = text.indexOf('@', start);
    const host = nextAt < 0 ? -1 : endOfUserInfo(text, start, nextAt);
    if (host < 0) continue;
    out += text.slice(copied, start) + MASK;
    copied = host;
  }
  return out + text.slice(copied);
}

/**
 * The @ that ends the user info of a URL, or -1. Unescaped, a password may hold any of `/?#`: behind a `:` that no port
 * follows the rest of the URL is searched as well.
 * @param nextAt the first @ at or after `start`
 */
function endOfUserInfo(text: string, start: number, nextAt: number): number {
  const end = indexWhere(text, start, text.length, AUTHORITY_END);
  if (nextAt < end) return text.lastIndexOf('@', end - 1);
  const port = /:\d+$/.test(text.slice(Math.max(start, end - 8), end));
  if (nextAt > end + STRAY_PASSWORD || port || !text.slice(start, end).includes(':')) return -1;
  const limit = indexWhere(text, end, Math.min(text.length, end + STRAY_PASSWORD), URL_END);
  return nextAt < limit ? text.lastIndexOf('@', limit - 1) : -1;
}

const KEY =
  /pass(?:word|wd|phrase|code)|pwd|secret|token|credentials?|authorization|(?:api|access|private|account|signing)[-_]?key|bearer\s+(?=[\w.~+/=-]{16})/gi;
/** Between a key and its value: `=`, `: `, `":"`, `=>`. */
const SEPARATOR = /[-_.]?(?:key|value|id)?\\*["']?\s*(=>|[:=])\s*/iy;
/** `ALTER ROLE ... PASSWORD 'x'` */
const SQL_SEPARATOR = /\s+(?=[eE]?')/y;
/**
 * With the backslashes before it, which the closing quote has as well: each level of escaping doubles them. More than 64 are no
 * quote of anybody, and looking for so long a closing quote at each place would take the square of its length.
 */
const OPENING_QUOTE = /\\{0,64}(?:''|["'])/y;
/** A quote belongs to a bare value only between letters; a backslash before a quote is the quote's. */
const BARE_VALUE = /(?:(?:basic|bearer|digest|negotiate)\s+)?(?:[^\s&"'<>\\]|\\(?!["'])|(?<=\w)["'](?=\w))+/iy;

/** `password=x`, `"password": "x"`, `PASSWORD 'x'`, `Authorization: Bearer x`: the value becomes `***`. */
function maskProperties(text: string): string {
  let out = '';
  let copied = 0;
  let bareEnd = 0;
  KEY.lastIndex = 0;
  for (let key = KEY.exec(text); key; key = KEY.exec(text)) {
    const start = startOfValue(text, key[0].toLowerCase(), key.index, KEY.lastIndex);
    if (start === undefined) continue;
    const quoted = quotedValue(text, start);
    // A bare value may hold the next key, whose value goes on where this one ends (`password= passwd='x'`): it is searched
    // again, but never measured again.
    if (!quoted && start >= bareEnd) bareEnd = start + (matchAt(BARE_VALUE, text, start)?.[0].length ?? 0);
    const value = quoted ?? { start, end: bareEnd };
    if (value.start > copied && value.end > value.start) out += text.slice(copied, value.start) + MASK;
    if (value.end > value.start) copied = Math.max(copied, value.end);
    KEY.lastIndex = Math.max(KEY.lastIndex, quoted ? value.end : value.start);
  }
  return out + text.slice(copied);
}

/** Where the value of a key begins; undefined when the word is just a word. */
function startOfValue(text: string, key: string, keyStart: number, from: number): number | undefined {
  if (key.startsWith('bearer')) return from;
  const separator = matchAt(SEPARATOR, text, from);
  if (separator) {
    // "Unexpected token: x" is prose; "token=x", "token":"x" and "access_token: x" are properties.
    const named = /["']/.test(separator[0]) || /[\w-]/.test(text.charAt(keyStart - 1));
    const prose = key === 'token' && separator[1] === ':' && !named;
    return prose ? undefined : from + separator[0].length;
  }
  const sql = key.startsWith('pass') ? matchAt(SQL_SEPARATOR, text, from) : null;
  if (!sql) return undefined;
  const start = from + sql[0].length;
  return text[start] === "'" ? start : start + 1;
}

/** What stands between the quotes at a place; undefined when there are none. */
function quotedValue(text: string, start: number): { start: number; end: number } | undefined {
  const quote = matchAt(OPENING_QUOTE, text, start)?.[0];
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
