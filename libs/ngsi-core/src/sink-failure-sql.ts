/**
 * Reads the SQL in the error messages of sinks (SPEC 7). It knows as much of PostgreSQL's lexical
 * rules as needed to find the end of an INSERT, whatever its values contain, and to rewrite its
 * literals. Messages contain what devices sent: no function throws, and each takes linear time.
 */

/** An INSERT with VALUES found in a message: the text from `start` to `end`. */
export interface InsertStatement {
  readonly start: number;
  readonly end: number;
  /** The schema of the table, unquoted, when the statement names one. */
  readonly schema: string | undefined;
  /** Whether values are placeholders (`?`, `$1`): then the statement does not have the values. */
  readonly parameterised: boolean;
}

/** A message repeats its statement at most a few times: other texts must not take more time. */
const maxAttempts = 4;

/** The first complete INSERT with VALUES of a text, including `ON CONFLICT` and `RETURNING`. */
export function findInsert(text: string): InsertStatement | undefined {
  const keyword = /\binsert\s{1,20}into\b/gi;
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const found = keyword.exec(text);
    if (!found) return undefined;
    const statement = parseInsert(text, found.index, keyword.lastIndex);
    if (statement) return statement;
  }
  return undefined;
}

/** Rewrites the contents of the literals and quoted names of a statement. */
export function mapLiterals(sql: string, rewrite: (content: string) => string): string {
  const lexer = new Lexer(sql, 0);
  let out = '';
  let copied = 0;
  while (lexer.next()) {
    if (lexer.kind !== 'string' && lexer.kind !== 'identifier') continue;
    const token = sql.slice(lexer.start, lexer.end);
    const rewritten = rewriteLiteral(token, rewrite);
    if (rewritten === token) continue;
    out += sql.slice(copied, lexer.start) + rewritten;
    copied = lexer.end;
  }
  return out + sql.slice(copied);
}

function rewriteLiteral(token: string, rewrite: (content: string) => string): string {
  const quote = token.charAt(token.length - 1);
  if (quote === '$') {
    const tag = token.slice(0, token.indexOf('$', 1) + 1);
    const content = token.slice(tag.length, -tag.length);
    const rewritten = rewrite(content);
    return rewritten.includes(tag) ? `${tag}***${tag}` : tag + rewritten + tag;
  }
  const open = token.indexOf(quote) + 1;
  const content = token.slice(open, -1).replaceAll(quote + quote, quote);
  const rewritten = rewrite(content);
  if (rewritten === content) return token;
  // In an E'' literal a backslash escapes a quote, so the rewritten text could end the literal.
  const escaped = /^[eE]/.test(token) ? '***' : rewritten.replaceAll(quote, quote + quote);
  return token.slice(0, open) + escaped + quote;
}

/** A string as an SQL literal without NUL (standard_conforming_strings: a backslash is literal). */
export function sqlString(text: string): string {
  return `'${text.replaceAll('\0', '').replaceAll("'", "''")}'`;
}

/** A name as a quoted SQL identifier. */
export function sqlIdentifier(name: string): string {
  return `"${name.replaceAll('\0', '').replaceAll('"', '""')}"`;
}

/**
 * `INSERT INTO [[catalog.]schema.]table [(columns)] VALUES (...)[, (...)] [ON CONFLICT ...]
 * [RETURNING ...]`
 */
function parseInsert(text: string, start: number, afterInto: number): InsertStatement | undefined {
  const lexer = new Lexer(text, afterInto);
  const names: string[] = [];
  do {
    if (!lexer.next() || (lexer.kind !== 'identifier' && lexer.kind !== 'word')) return undefined;
    names.push(unquoteIdentifier(lexer.text()));
    if (!lexer.next()) return undefined;
  } while (lexer.is('.') && names.length < 4);

  if (lexer.is('(') && !(lexer.skipGroup() && lexer.next())) return undefined;
  if (!lexer.isWord('values')) return undefined;

  lexer.placeholders = 0;
  let end: number;
  do {
    if (!lexer.next() || !lexer.is('(') || !lexer.skipGroup()) return undefined;
    end = lexer.end;
  } while (lexer.next() && lexer.is(','));

  if (lexer.isWord('on') || lexer.isWord('returning')) end = endOfTail(lexer, end);
  return { start, end, schema: names.at(-2), parameterised: lexer.placeholders > 0 };
}

/** Words that may follow a complete expression; any other follows the statement (`was aborted`). */
const tailWords = new Set(
  'and as between case coalesce collate conflict constraint default distinct do double else end escape excluded false from ilike in is isnull like not nothing notnull null on or precision returning set similar then time timestamp to true update using varying when where with without zone'.split(
    ' ',
  ),
);

/** Words after which an operand must follow. */
const expectsOperand = new Set(
  'and as between by conflict constraint do else from in like ilike not on or returning set then to update using when where'.split(
    ' ',
  ),
);
const operators = new Set(',=+-*/%<>|&!~^'.split(''));

/** The end of the clauses after VALUES: that of the last complete expression. */
function endOfTail(lexer: Lexer, endOfValues: number): number {
  let end = endOfValues;
  let complete = false;
  let nothing = false;
  do {
    if (lexer.kind === 'word') {
      const word = lexer.text().toLowerCase();
      if (nothing ? word !== 'returning' : complete && !tailWords.has(word)) break;
      nothing = word === 'nothing';
      complete = !expectsOperand.has(word);
    } else if (nothing) {
      break;
    } else if (lexer.is('(')) {
      if (!lexer.skipGroup()) break;
      complete = true;
    } else if (lexer.kind === 'symbol') {
      if (!operators.has(lexer.text()) && !lexer.isJoint()) break;
      complete = false;
    } else {
      if (complete) break;
      complete = true;
    }
    if (complete) end = lexer.end;
  } while (lexer.next());
  return end;
}

function unquoteIdentifier(token: string): string {
  return token.startsWith('"') ? token.slice(1, -1).replaceAll('""', '"') : token;
}

type TokenKind = 'none' | 'word' | 'identifier' | 'string' | 'number' | 'symbol';

/**
 * A cursor over the tokens of SQL text. It ends at the end of the text, at a literal that is not
 * closed, and at a comment: no driver writes one, and text after it could be misread.
 */
class Lexer {
  kind: TokenKind = 'none';
  start = 0;
  end: number;
  /** The number of `?` and `$1` so far. */
  placeholders = 0;

  readonly #sql: string;

  constructor(sql: string, from: number) {
    this.#sql = sql;
    this.end = from;
  }

  text(): string {
    return this.#sql.slice(this.start, this.end);
  }

  is(symbol: string): boolean {
    return this.kind === 'symbol' && this.#sql.charCodeAt(this.start) === symbol.charCodeAt(0);
  }

  /** A `.` between names or a `::`: not the punctuation of a sentence. */
  isJoint(): boolean {
    const before = this.#sql[this.start - 1];
    const after = this.#sql[this.end] ?? ' ';
    return this.is('.') ? !/\s/.test(after) : this.is(':') && (before === ':' || after === ':');
  }

  /** @param word in lower case */
  isWord(word: string): boolean {
    return this.kind === 'word' && this.end - this.start === word.length && this.text().toLowerCase() === word;
  }

  /** Moves from a `(` to the `)` that closes it; false when there is none, or a `;` before it. */
  skipGroup(): boolean {
    const start = this.start;
    let depth = 1;
    while (depth > 0) {
      if (!this.next() || this.is(';')) return false;
      if (this.is('(')) depth += 1;
      else if (this.is(')')) depth -= 1;
    }
    this.start = start;
    return true;
  }

  /** Moves to the next token; false at the end. */
  next(): boolean {
    const sql = this.#sql;
    let at = this.end;
    while (at < sql.length && isSpace(sql.charCodeAt(at))) at += 1;
    this.start = at;
    if (at >= sql.length) return this.#take('none', at);

    const code = sql.charCodeAt(at);
    if (code === singleQuote) return this.#takeQuoted('string', at, singleQuote, false);
    if (code === doubleQuote) return this.#takeQuoted('identifier', at, doubleQuote, false);
    if (isDigit(code)) return this.#takeNumber(at);
    if (isWordStart(code)) return this.#takeWord(at);
    if (code === dollar) return this.#takeDollar(at);
    const following = sql.charCodeAt(at + 1);
    if ((code === minus && following === minus) || (code === slash && following === star)) {
      return this.#take('none', sql.length);
    }
    if (code === questionMark) this.placeholders += 1;
    return this.#take('symbol', at + 1);
  }

  #take(kind: TokenKind, end: number): boolean {
    this.kind = kind;
    this.end = end;
    return kind !== 'none';
  }

  #takeQuoted(kind: TokenKind, open: number, quote: number, backslashes: boolean): boolean {
    const sql = this.#sql;
    for (let at = open + 1; at < sql.length; at += 1) {
      const code = sql.charCodeAt(at);
      if (backslashes && code === backslash) at += 1;
      else if (code === quote) {
        if (sql.charCodeAt(at + 1) !== quote) return this.#take(kind, at + 1);
        at += 1;
      }
    }
    return this.#take('none', sql.length);
  }

  #takeWord(from: number): boolean {
    const sql = this.#sql;
    let at = from + 1;
    while (at < sql.length && (isWordStart(sql.charCodeAt(at)) || isDigit(sql.charCodeAt(at)))) at += 1;
    // E'...', B'...', X'...', N'...' and U&'...' are literals.
    const prefix = at - from === 1 ? sql.charAt(from).toLowerCase() : '';
    if (prefix !== '' && 'ebxn'.includes(prefix) && sql.charCodeAt(at) === singleQuote) {
      return this.#takeQuoted('string', at, singleQuote, prefix === 'e');
    }
    if (prefix === 'u' && sql[at] === '&' && sql.charCodeAt(at + 1) === singleQuote) {
      return this.#takeQuoted('string', at + 1, singleQuote, false);
    }
    return this.#take('word', at);
  }

  #takeNumber(from: number): boolean {
    const sql = this.#sql;
    let at = from + 1;
    for (; at < sql.length; at += 1) {
      const code = sql.charCodeAt(at);
      const sign = (code === plus || code === minus) && /[eE]/.test(sql.charAt(at - 1));
      if (!isDigit(code) && code !== dot && code !== upperE && code !== lowerE && !sign) break;
    }
    return this.#take('number', at);
  }

  /** `$1` or `$tag$...$tag$`. */
  #takeDollar(from: number): boolean {
    const sql = this.#sql;
    let at = from + 1;
    if (isDigit(sql.charCodeAt(at))) {
      while (isDigit(sql.charCodeAt(at))) at += 1;
      this.placeholders += 1;
      return this.#take('number', at);
    }
    while (at < sql.length && (isWordStart(sql.charCodeAt(at)) || isDigit(sql.charCodeAt(at)))) at += 1;
    if (sql.charCodeAt(at) !== dollar) return this.#take('symbol', from + 1);
    const tag = sql.slice(from, at + 1);
    // No tag is longer than an identifier, and the search for a short one is cheap.
    const close = tag.length <= 65 ? sql.indexOf(tag, at + 1) : -1;
    return close < 0 ? this.#take('none', sql.length) : this.#take('string', close + tag.length);
  }
}

const singleQuote = 0x27;
const doubleQuote = 0x22;
const dollar = 0x24;
const questionMark = 0x3f;
const backslash = 0x5c;
const plus = 0x2b;
const star = 0x2a;
const minus = 0x2d;
const slash = 0x2f;
const dot = 0x2e;
const upperE = 0x45;
const lowerE = 0x65;

function isSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d);
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** PostgreSQL starts words with a-z, A-Z, an underscore, or any character beyond ASCII. */
function isWordStart(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || code === 0x5f || code >= 0x80;
}
