import { describe, expect, test } from '@jest/globals';
import { quoted } from '../src/text.js';

describe('text as a JSON string', () => {
  test('every UTF-16 unit is written as JSON.stringify writes it', () => {
    const differing: number[] = [];
    for (let unit = 0; unit <= 0xffff; unit += 1) {
      const text = `a${String.fromCharCode(unit)}b`;
      if (quoted(text) !== JSON.stringify(text)) differing.push(unit);
    }
    expect(differing).toEqual([]);
  });

  test.each(['', 'urn:ngsi-ld:Station:7', '🚲', '\ud83d🚲', 'a "quoted" \\ text', `${'x'.repeat(100_000)}\n`])(
    'whole texts (%#)',
    (text) => {
      expect(quoted(text)).toBe(JSON.stringify(text));
    },
  );
});
