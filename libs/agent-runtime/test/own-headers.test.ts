/** Headers as the client makes them, with the value of `__proto__` as the prototype. */
import { describe, expect, test } from '@jest/globals';
import { ownHeaders, type RecordHeader } from '@kafnus/agent-runtime';

/** As the client sets a member: `__proto__` meets the setter of Object.prototype. */
function assigned(name: string, value: Buffer): RecordHeader {
  const header: Record<string, Buffer> = {};
  header[name] = value;
  return header;
}

describe('ownHeaders', () => {
  test('a list without __proto__ is handed back itself', () => {
    const headers = [assigned('a', Buffer.from('1')), assigned('constructor', Buffer.from('2'))];
    expect(ownHeaders(headers)).toBe(headers);
    expect(ownHeaders([])).toEqual([]);
  });

  test('__proto__ becomes an own member with its bytes, as often as it comes and in its place', () => {
    const headers = [
      assigned('a', Buffer.from('1')),
      assigned('__proto__', Buffer.from([0xff])),
      assigned('b', Buffer.from('2')),
      assigned('__proto__', Buffer.alloc(0)),
    ];
    expect(Object.keys(headers[1] ?? {})).toEqual([]);
    const own = ownHeaders(headers);
    expect(own.map((header) => Object.entries(header))).toEqual([
      [['a', Buffer.from('1')]],
      [['__proto__', Buffer.from([0xff])]],
      [['b', Buffer.from('2')]],
      [['__proto__', Buffer.alloc(0)]],
    ]);
    for (const header of own) expect(Object.getPrototypeOf(header)).toBe(Object.prototype);
  });

  test('what is left is safe to walk with for...in', () => {
    const walk = (headers: readonly RecordHeader[]): string[] => {
      const names: string[] = [];
      for (const header of headers) for (const name in header) names.push(`${name}=${header[name]?.toString() ?? ''}`);
      return names;
    };
    const headers = [assigned('__proto__', Buffer.from('x'))];
    expect(() => walk(headers)).toThrow();
    expect(walk(ownHeaders(headers))).toEqual(['__proto__=x']);
  });
});
