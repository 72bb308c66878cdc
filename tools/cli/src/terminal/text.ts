/** Text for a terminal, also when it comes from records. */

const maxQuoted = 60;

/**
 * One line without control characters, so that a value of a record cannot move the cursor or change
 * colours. Line breaks and tabs become `\n` and `\t`.
 */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff]/g, (character) => {
    if (character === '\n') return '\\n';
    if (character === '\t') return '\\t';
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** The number of code points: a surrogate pair counts as one. */
export function characters(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** At most `width` characters; a cut is marked with an ellipsis. */
export function clipped(text: string, width: number): string {
  if (characters(text) <= width) return text;
  return `${[...text].slice(0, Math.max(0, width - 1)).join('')}…`;
}

/** {@link printable}, and at most `width` characters. */
export function excerpt(text: string, width: number): string {
  return clipped(printable(text), width);
}

/** A value for an error message: printable, shortened, in quotes. */
export function quoted(text: string): string {
  return `'${excerpt(text, maxQuoted)}'`;
}

/**
 * Lines of at most `width` characters, broken between words; a word that is longer is broken
 * itself.
 */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  const flush = (): void => {
    if (line !== '') lines.push(line);
    line = '';
  };
  for (const word of text.split(' ')) {
    let rest = word;
    if (line !== '' && characters(line) + 1 + characters(rest) > width) flush();
    while (characters(rest) > width) {
      const all = [...rest];
      lines.push(all.slice(0, width).join(''));
      rest = all.slice(width).join('');
    }
    line = line === '' ? rest : `${line} ${rest}`;
  }
  flush();
  return lines;
}

/** 1234567 -> 1,234,567 */
export function grouped(count: number): string {
  return count.toLocaleString('en-US');
}

/** `1 row`, `2,000 rows`. */
export function counted(count: number, what: string): string {
  return `${grouped(count)} ${what}${count === 1 ? '' : 's'}`;
}

/** In single quotes, as bash, zsh and fish read them. */
export function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
