import { describe, expect, test } from '@jest/globals';
import { Encoder } from '../src/kafka/encoder.js';

const texts = [
  '',
  'a',
  'Málaga',
  '東京',
  '🚲 42',
  'half \ud83d surrogate',
  'nul \0 inside',
  'x'.repeat(30_000),
  'é'.repeat(70_000),
];

describe('the encoder of keys and values', () => {
  test.each(texts)('text becomes the bytes that Buffer.from makes of it (%#)', (text) => {
    expect(new Encoder().bytes(text)).toEqual(Buffer.from(text));
  });

  test('bytes and null stay what they are', () => {
    const bytes = Buffer.from([0, 255]);
    expect(new Encoder().bytes(bytes)).toBe(bytes);
    expect(new Encoder().bytes(null)).toBeNull();
  });

  test('the parts of one record do not write over each other, however large they are', () => {
    const encoder = new Encoder();
    const parts = texts.map((text) => encoder.bytes(text));
    expect(parts).toEqual(texts.map((text) => Buffer.from(text)));
  });

  test('after a record, the same memory serves the next', () => {
    const encoder = new Encoder();
    const first = encoder.bytes('first');
    encoder.clear();
    const second = encoder.bytes('other');
    expect(second?.toString()).toBe('other');
    expect(first?.buffer).toBe(second?.buffer);
    expect(first?.byteOffset).toBe(second?.byteOffset);
  });

  test('also after a large one, and of what is larger than any record each gets its own', () => {
    const encoder = new Encoder();
    const [first, next] = [1_000_000, 900_000].map((length) => {
      encoder.clear();
      const parts = [encoder.bytes('é'.repeat(length)), encoder.bytes('key')];
      expect(parts).toEqual([Buffer.from('é'.repeat(length)), Buffer.from('key')]);
      return parts[0]?.buffer;
    });
    expect(first).toBe(next);
    const huge = encoder.bytes('x'.repeat(2_000_000));
    expect(huge).toHaveLength(2_000_000);
    expect(huge?.buffer).not.toBe(first);
  });
});
