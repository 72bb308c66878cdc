/** Markdown in small pieces; prettier aligns it afterwards. */

export const code = (text) => `\`${text}\``;

export function table(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Text of the code as Markdown: outside of backticks `<agent>` would be taken for HTML, and disappear. */
export const prose = (text) => text.replace(/`[^`]*`|</g, (match) => (match === '<' ? '\\<' : match));
