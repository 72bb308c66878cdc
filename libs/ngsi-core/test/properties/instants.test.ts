import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { epochMicros, parseInstant, zonedText } from '../../src/instant.js';

const years = { min: new Date('0000-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true };

test('what Date writes is read back', () => {
  fc.assert(
    fc.property(fc.date({ noInvalidDate: true }), (date) => {
      expect(parseInstant(date.toISOString())).toEqual({ millis: date.getTime(), micros: 0 });
    }),
    { numRuns: 2000 },
  );
});

test('forms of one moment are one moment', () => {
  fc.assert(
    fc.property(fc.date(years), fc.integer({ min: -23 * 60 - 59, max: 23 * 60 + 59 }), (date, offset) => {
      const utc = date.toISOString();
      const pad = (number: number): string => String(Math.trunc(number)).padStart(2, '0');
      const local = new Date(date.getTime() + offset * 60_000).toISOString();
      if (local.length !== utc.length) return;
      const zone = `${offset < 0 ? '-' : '+'}${pad(Math.abs(offset) / 60)}:${pad(Math.abs(offset) % 60)}`;
      const forms = [
        utc.slice(0, -1),
        utc.replace('.', ','),
        utc.toLowerCase(),
        utc.replace('Z', '000Z'),
        utc.replaceAll('-', '').replaceAll(':', ''),
        local.replace('Z', zone),
        local.replace('Z', zone.replace(':', '')),
      ];
      for (const form of forms)
        expect([form, parseInstant(form)]).toEqual([form, { millis: date.getTime(), micros: 0 }]);
    }),
    { numRuns: 1000 },
  );
});

test('the order of instants is the order of their numbers', () => {
  const instant = fc.tuple(fc.date(years), fc.integer({ min: 0, max: 999 }));
  fc.assert(
    fc.property(instant, instant, ([one, micros], [other, others]) => {
      const a = parseInstant(one.toISOString().replace('Z', `${String(micros).padStart(3, '0')}Z`));
      const b = parseInstant(other.toISOString().replace('Z', `${String(others).padStart(3, '0')}Z`));
      if (a === undefined || b === undefined) throw new Error('no date');
      // After the year 2255 two instants may have the same number, but never the wrong order.
      if (a.millis < b.millis || (a.millis === b.millis && a.micros <= b.micros))
        expect(epochMicros(a)).toBeLessThanOrEqual(epochMicros(b));
    }),
  );
});

test('any text is a date or none, and what Debezium gets of a date is that date', () => {
  const text = fc.oneof(
    fc.string(),
    fc.stringMatching(/^[+-]?\d{4,6}-?\d\d-?\d\dT?\d\d:?\d\d:?\d\d[.,]?\d{0,9}(Z|[+-]\d\d:?\d\d)?$/),
  );
  fc.assert(
    fc.property(text, (any) => {
      const instant = parseInstant(any);
      if (instant === undefined) return;
      const zoned = zonedText(any, instant);
      expect(zoned).toMatch(/^([+-]\d{6}|\d{4})-\d\d-\d\dT[012]\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/);
      expect(parseInstant(zoned)).toEqual(instant);
    }),
    { numRuns: 3000 },
  );
});
