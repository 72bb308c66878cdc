/** LZ4 frames made by hand; test/integration/restore.test.ts has those of a real Kafka. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decompressLz4 } from '../src/wire/lz4.js';

/** Literals, and a match `distance` bytes back; the last sequence of a block has no match. */
interface Sequence {
  readonly literals: Uint8Array;
  readonly distance: number;
  readonly length: number;
}

const plenty = 1 << 20;

/** What does not fit into the four bits of a token. */
function further(length: number): number[] {
  if (length < 15) return [];
  const bytes: number[] = [];
  let rest = length - 15;
  for (; rest >= 255; rest -= 255) bytes.push(255);
  return [...bytes, rest];
}

function blockOf(sequences: readonly Sequence[], end: Uint8Array): Buffer {
  const bytes = sequences.flatMap(({ literals, distance, length }) => [
    (Math.min(15, literals.length) << 4) | Math.min(15, length - 4),
    ...further(literals.length),
    ...literals,
    distance & 255,
    distance >> 8,
    ...further(length - 4),
  ]);
  return Buffer.from([...bytes, Math.min(15, end.length) << 4, ...further(end.length), ...end]);
}

function frameOf(blocks: readonly { readonly bytes: Buffer; readonly stored?: boolean }[], flags = 0): Buffer {
  const checksum = (flags & 16) === 0 ? 0 : 4;
  const head = Buffer.concat([Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x40 | flags, 0x40]), Buffer.alloc(flags & 8)]);
  const parts = blocks.flatMap(({ bytes, stored }) => {
    const size = Buffer.alloc(4);
    size.writeUInt32LE(bytes.length + (stored ? 0x8000_0000 : 0));
    return [size, bytes, Buffer.alloc(checksum, 1)];
  });
  return Buffer.concat([head, Buffer.from([0]), ...parts, Buffer.alloc(4)]);
}

const someBytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength });

describe('an LZ4 frame', () => {
  const sequence = fc.record({
    literals: someBytes(300),
    distance: fc.integer({ min: 1, max: 1000 }),
    length: fc.oneof(fc.integer({ min: 4, max: 40 }), fc.integer({ min: 4, max: 600 })),
  });
  const block = fc.record({
    sequences: fc.array(sequence, { maxLength: 8 }),
    end: someBytes(20),
    stored: fc.boolean(),
  });

  test('gives what a slow reading of the format gives: overlaps, long lengths, stored blocks, references to blocks before', () => {
    fc.assert(
      fc.property(fc.array(block, { maxLength: 4 }), fc.constantFrom(0, 8, 16, 24), (blocks, flags) => {
        const expected: number[] = [];
        const encoded = blocks.map(({ sequences, end, stored }) => {
          if (stored) {
            expected.push(...end);
            return { bytes: Buffer.from(end), stored };
          }
          const possible: Sequence[] = [];
          for (const given of sequences) {
            expected.push(...given.literals);
            if (expected.length === 0) continue;
            const distance = Math.min(given.distance, expected.length);
            for (let left = given.length; left > 0; left -= 1) expected.push(expected.at(-distance) ?? 0);
            possible.push({ ...given, distance });
          }
          expected.push(...end);
          return { bytes: blockOf(possible, end) };
        });
        // A stored block of no bytes would be the end mark.
        const whole = encoded.filter(({ bytes }) => bytes.length > 0);
        expect([...decompressLz4(frameOf(whole, flags), plenty)]).toEqual(expected);
      }),
    );
  });

  test.each([
    ['of other bytes', Buffer.from('not compressed at all'), 'no LZ4 frame'],
    ['that is cut', frameOf([{ bytes: Buffer.from('stored'), stored: true }]).subarray(0, 14), 'ends too early'],
    ['that is cut in a match', frameOf([{ bytes: Buffer.from([0x10, 0x61, 0x01]) }]), 'ends too early'],
    [
      'that refers to what is before its beginning',
      frameOf([{ bytes: blockOf([{ literals: Buffer.from('ab'), distance: 3, length: 4 }], Buffer.alloc(5)) }]),
      'not there',
    ],
    [
      'that is a bomb',
      frameOf([{ bytes: blockOf([{ literals: Buffer.from('a'), distance: 1, length: plenty }], Buffer.alloc(5)) }]),
      'more than 1048576 bytes',
    ],
  ])('%s is refused', (_, frame, message) => {
    expect(() => decompressLz4(frame, plenty)).toThrow(message);
  });

  test('of any bytes ends, in an error of range at worst', () => {
    const sound = frameOf([
      { bytes: blockOf([{ literals: Buffer.from('abc'), distance: 2, length: 9 }], Buffer.from('end')) },
    ]);
    const corrupt = fc.tuple(fc.nat(sound.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(corrupt, { minLength: 1, maxLength: 6 }), (changes) => {
        const bytes = Buffer.from(sound);
        for (const [at, byte] of changes) bytes[at] = byte;
        try {
          decompressLz4(bytes, plenty);
        } catch (error) {
          // Those of Node's buffers are of another realm than this test.
          expect(error).toMatchObject({ name: 'RangeError' });
        }
      }),
      { numRuns: 2000 },
    );
  });
});
