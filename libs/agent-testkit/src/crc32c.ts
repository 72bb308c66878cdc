/**
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4), the checksum of record batches. `node:zlib` has only
 * the other polynomial.
 */

const table = new Uint32Array(256).map((_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = (value & 1) === 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value >>> 0;
});

/** @param from the first byte of the checksum */
export function crc32c(bytes: Buffer, from = 0): number {
  let crc = 0xffffffff;
  for (let at = from; at < bytes.length; at += 1) crc = (table[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
  return ~crc >>> 0;
}
