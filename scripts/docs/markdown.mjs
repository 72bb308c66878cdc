/** Builds Markdown; prettier formats it afterwards. */

export const code = (text) => `\`${text}\``;

export function table(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Escapes text for Markdown: outside of backticks `<agent>` would be HTML and disappear. */
export const prose = (text) => text.replace(/`[^`]*`|</g, (match) => (match === '<' ? '\\<' : match));
