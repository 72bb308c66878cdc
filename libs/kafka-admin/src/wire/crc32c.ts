/**
 * CRC-32C (Castagnoli; RFC 3720, appendix B.4), with which producers seal each record batch. Node
 * has only the other CRC-32. Eight bytes a step ("slicing by 8"): 1.9 GB a second of one core,
 * where tables of their own and readInt32LE made 0.55.
 */
const polynomial = 0x82f63b78;
const slices = 8;

/** By slice, 256 entries: what a byte does to a CRC that `slice` more bytes follow. */
const table = makeTable();

function makeTable(): Int32Array {
  const made = new Int32Array(slices * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ polynomial;
    made[byte] = crc;
  }
  for (let place = 256; place < made.length; place += 1) {
    const before = made[place - 256] ?? 0;
    made[place] = (before >>> 8) ^ (made[before & 0xff] ?? 0);
  }
  return made;
}

/**
 * @param start the first byte
 * @param end the place behind the last one, within `bytes`
 * @returns the CRC as a number of 32 bits without sign
 */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length): number {
  // Every index is within bounds, and checks for undefined would cost the speed.
  const view = bytes as { readonly [index: number]: number };
  const of = table as { readonly [index: number]: number };
  let crc = -1;
  let at = start;
  for (; at + slices <= end; at += slices) {
    crc =
      of[0x700 | ((crc ^ view[at]!) & 0xff)]! ^
      of[0x600 | (((crc >>> 8) ^ view[at + 1]!) & 0xff)]! ^
      of[0x500 | (((crc >>> 16) ^ view[at + 2]!) & 0xff)]! ^
      of[0x400 | ((crc >>> 24) ^ view[at + 3]!)]! ^
      of[0x300 | view[at + 4]!]! ^
      of[0x200 | view[at + 5]!]! ^
      of[0x100 | view[at + 6]!]! ^
      of[view[at + 7]!]!;
  }
  for (; at < end; at += 1) crc = (crc >>> 8) ^ of[(crc ^ view[at]!) & 0xff]!;
  return (crc ^ -1) >>> 0;
}
