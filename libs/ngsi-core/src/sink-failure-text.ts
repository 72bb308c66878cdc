/** Text as it may stand in a log table. */

/**
 * At most `limit` UTF-16 units of a text and, when it is longer, a mark that says how much is missing. PostgreSQL's text
 * holds neither NUL (dropped) nor half a surrogate pair (replaced; the cut makes none).
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
