import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { jsonErrorOffset } from '../src/config/json-position.js';

test('the position of JSON errors agrees with JSON.parse on whether a text is JSON', () => {
  const json = fc.json();
  const damaged = fc
    .tuple(json, fc.nat(), fc.constantFrom('', ',', '"', '}', '\\', '1', ' ', '\n', 'x', '[', '.', '-', '\u0001'))
    .map(([text, at, put]) => text.slice(0, at % (text.length + 1)) + put + text.slice((at % (text.length + 1)) + 1));
  fc.assert(
    fc.property(fc.oneof(json, damaged, fc.string()), (text) => {
      let valid = true;
      try {
        JSON.parse(text);
      } catch {
        valid = false;
      }
      const offset = jsonErrorOffset(text);
      expect(offset === -1).toBe(valid);
      expect(offset).toBeLessThanOrEqual(text.length);
    }),
    { numRuns: 2000 },
  );
});
