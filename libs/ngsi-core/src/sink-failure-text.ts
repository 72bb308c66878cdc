/** Cuts text for a log table. */

/**
 * At most `limit` UTF-16 units of a text, followed by a note of what is missing. NUL is removed and
 * half surrogate pairs are replaced, since PostgreSQL's text cannot hold them; the cut makes none.
 */
export function clip(text: string, limit: number): string {
  const clean = text.includes('\0') ? text.replaceAll('\0', '') : text;
  if (clean.length <= limit) return wellFormed(clean);
  const cut = isSurrogatePair(clean, limit - 1) ? limit - 1 : limit;
  return `${wellFormed(clean.slice(0, cut))}... [truncated ${clean.length - cut} chars]`;
}

/** With the u flag a surrogate matches only outside of a pair. */
function wellFormed(text: string): string {
  return text.replace(/[\ud800-\udfff]/gu, '\ufffd');
}

function isSurrogatePair(text: string, at: number): boolean {
  const high = text.charCodeAt(at);
  const low = text.charCodeAt(at + 1);
  return high >= 0xd800 && high <= 0xdbff && low >= 0xdc00 && low <= 0xdfff;
}
