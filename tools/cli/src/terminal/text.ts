/** Text that comes from elsewhere, made fit for a terminal. */

const MAX_QUOTED = 60;

/**
 * One line without control characters: a value of a record must not move the cursor or recolour the screen. Line breaks
 * and tabs are shown as `\n` and `\t`.
 */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff]/g, (character) => {
    if (character === '\n') return '\\n';
    if (character === '\t') return '\\t';
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** Characters as a person counts them, surrogate pairs as one. */
export function characters(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** At most so many characters, the cut marked. */
export function clipped(text: string, width: number): string {
  if (characters(text) <= width) return text;
  return `${[...text].slice(0, Math.max(0, width - 1)).join('')}…`;
}

/** An offending value for a message: printable, in quotes, shortened. */
export function quoted(text: string): string {
  return `'${clipped(printable(text), MAX_QUOTED)}'`;
}

/** Words on lines of at most `width` characters; a longer word is broken. */
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
      const letters = [...rest];
      lines.push(letters.slice(0, width).join(''));
      rest = letters.slice(width).join('');
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
