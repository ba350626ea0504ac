const LOW_NIBBLES = 0x0f0f_0f0f;
const HIGH_NIBBLES = 0xf0f0_f0f0;

/** A little-endian window on the bytes of `bytes`, wherever they start. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Splits 8 bytes into a word of their low nibbles and a word of their high ones.
 *
 * Byte `i` of a word holds nibble `i` in its low half and nibble `i + 4` in its high half, so that
 * `unpack4xU8(word & 0x0f0f0f0f)` and `unpack4xU8((word >> 4) & 0x0f0f0f0f)` are the eight in order.
 *
 * @param source the byte in `from` at which the 8 bytes start
 * @param low the byte in `to` at which the word of low nibbles goes
 * @param high the byte in `to` at which the word of high nibbles goes
 */
export function splitNibbles(
  from: DataView,
  source: number,
  to: DataView,
  low: number,
  high: number,
): void {
  const first = from.getUint32(source, true);
  const second = from.getUint32(source + 4, true);
  to.setUint32(low, (first & LOW_NIBBLES) | ((second & LOW_NIBBLES) << 4), true);
  to.setUint32(high, ((first >>> 4) & LOW_NIBBLES) | (second & HIGH_NIBBLES), true);
}
