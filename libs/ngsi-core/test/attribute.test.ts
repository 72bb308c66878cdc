import { describe, expect, test } from '@jest/globals';
import { cellConverter, columnTypes, type Cell, type Sink } from '../src/attribute.js';

const convert: Readonly<Record<Sink, (attribute: unknown) => Cell>> = {
  kafnus: cellConverter(columnTypes.kafnus),
  debezium: cellConverter(columnTypes.debezium),
};

/** A cell as `type json`, with the code of its problem. */
function told(attribute: unknown, sink: Sink = 'kafnus'): string {
  const { type, json, problem } = convert[sink](attribute);
  const name = (Object.keys(columnTypes[sink]) as (keyof (typeof columnTypes)[Sink])[]).find(
    (key) => columnTypes[sink][key] === type,
  );
  return `${name} ${json}${problem ? ` (${problem.code})` : ''}`;
}

describe('the table of SPEC 3', () => {
  test.each<[unknown, string]>([
    [{ type: 'Number', value: 5 }, 'double 5'],
    [{ type: 'Number', value: -0 }, 'double 0'],
    [{ type: 'Number', value: 1e21 }, 'double 1e+21'],
    [{ type: 'Number', value: 0.1 + 0.2 }, 'double 0.30000000000000004'],
    [{ type: 'Number', value: '12,5' }, 'string "12,5"'],
    [{ type: 'Number', value: Infinity }, 'double null (number-invalid)'],
    [{ type: 'Boolean', value: false }, 'boolean false'],
    [{ type: 'Boolean', value: 0 }, 'double 0'],
    [{ type: 'Text', value: 'a"b\n\ud800' }, 'string "a\\"b\\n\\ud800"'],
    [{ type: 'Text', value: { a: [1] } }, 'string "{\\"a\\":[1]}"'],
    [{ type: 'DateTime', value: '2025-01-02' }, 'timestamp 1735776000000'],
    [{ type: 'dateTIME', value: '1969-12-31T23:59:59.9999Z' }, 'timestamp -1'],
    [{ type: 'ISO8601', value: '2025-01-02' }, 'timestamp 1735776000000'],
    [{ type: 'DateTime', value: 'now' }, 'timestamp null (date-invalid)'],
    [{ type: 'DateTime', value: 1735776000 }, 'timestamp null (date-invalid)'],
    [{ type: 'DateTime ', value: '2025-01-02' }, 'string "2025-01-02"'],
    [{ type: 'geo:point', value: '1,2' }, 'geometry {"wkb":"AQEAAAAAAAAAAAAAQAAAAAAAAPA/","srid":4326}'],
    [{ type: 'geo:point', value: '91,2' }, 'geometry null (geometry-invalid)'],
    [{ type: 'Geo:Point', value: '1,2' }, 'string "1,2"'],
    [{ type: 'geo:other', value: '1,2' }, 'string "1,2"'],
    [{ type: 'json', value: 'text' }, 'string "\\"text\\""'],
    [{ type: 'jsonb', value: [1, null] }, 'string "[1,null]"'],
    [{ type: 'JSON', value: 'text' }, 'string "text"'],
    [{ value: 'no type' }, 'string "no type"'],
    [{ type: 5, value: 'x' }, 'string "x"'],
    [{ type: ['DateTime'], value: '2025-01-02' }, 'string "2025-01-02"'],
  ])('%j is %s', (attribute, wanted) => expect(told(attribute)).toBe(wanted));

  test.each<[unknown, string]>([
    ['DateTime', 'timestamp null'],
    ['iso8601', 'timestamp null'],
    ['Number', 'double null'],
    ['integer', 'double null'],
    ['FLOAT', 'double null'],
    ['Boolean', 'boolean null'],
    ['geo:json', 'geometry null'],
    ['geo:box', 'geometry null'],
    ['json', 'string null'],
    ['Text', 'string null'],
    [undefined, 'string null'],
  ])('a null of type %s is %s', (type, wanted) => {
    expect(told({ type, value: null })).toBe(wanted);
    expect(told({ type })).toBe(wanted);
  });

  test('Debezium has types of its own for JSON text', () => {
    expect(told({ type: 'StructuredValue', value: {} }, 'debezium')).toBe('json "{}"');
    expect(told({ type: 'json', value: null }, 'debezium')).toBe('json null');
    expect(told({ type: 'Text', value: 'x' }, 'debezium')).toBe('string "x"');
  });
});

describe('what is no attribute', () => {
  test.each<[unknown]>([
    ['on'],
    [true],
    [5],
    [['a']],
    [{ Type: 'Text', Value: 'x' }],
    [{ type: 'Point', coordinates: [1, 2] }],
  ])('%j is reported', (attribute) => expect(told(attribute)).toBe('string null (attribute-not-normalized)'));

  test('null has nothing to report, nor has metadata without value', () => {
    expect(told(null)).toBe('string null');
    expect(told({ type: 'Text', metadata: {} })).toBe('string null');
  });
});

test('nesting deeper than the stack is reported, not thrown', () => {
  const value: unknown = JSON.parse(`${'['.repeat(200_000)}${']'.repeat(200_000)}`);
  expect(told({ type: 'json', value })).toBe('string null (nesting-too-deep)');
  expect(told({ type: 'Text', value })).toBe('string null (nesting-too-deep)');
});

test('a report shows the value, shortened', () => {
  expect(convert.kafnus({ type: 'DateTime', value: 'x'.repeat(500) }).problem?.message).toMatch(
    /^"x{80}"… \(500 characters\) is no ISO 8601 date/,
  );
});
