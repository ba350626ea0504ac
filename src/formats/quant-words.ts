import type { IntegerTarget } from "./integers.ts";

/*
 * Quants of planes as signed bytes, a word of the plane at a time: what `shaders/formats/shared/quants.wgsl` reads, for
 * IntegerForm.read. Weights come in units of 8, as there.
 */

const LOW_NIBBLES = 0x0f0f_0f0f;
const ONE_EACH = 0x0101_0101;
const SIGNS = 0x8080_8080 | 0;

/** What {@link shifted} takes to subtract `zero`, at most 128, from each of 4 bytes below 128. */
function shiftBy(zero: number): number {
  return Math.imul(128 - zero, ONE_EACH);
}

/** No byte of the sum reaches 256, so none carries into its neighbour. */
function shifted(bytes: number, shift: number): number {
  return (bytes + shift) ^ SIGNS;
}

/** Copies signed bytes. */
export function readBytes(
  plane: DataView,
  firstUnit: number,
  units: number,
  { quants, word }: IntegerTarget,
): void {
  const source = 8 * firstUnit;
  for (let i = 0; i < 2 * units; i++) quants[word + i] = plane.getInt32(source + 4 * i, true);
}

/** Quants of 4 bits, less `zero`. */
export function readNibbles(
  plane: DataView,
  firstUnit: number,
  units: number,
  zero: number,
  { quants, word }: IntegerTarget,
): void {
  const shift = shiftBy(zero);
  for (let unit = 0; unit < units; unit++) {
    const bits = plane.getInt32(4 * (firstUnit + unit), true);
    quants[word + 2 * unit] = shifted(bits & LOW_NIBBLES, shift);
    quants[word + 2 * unit + 1] = shifted((bits >> 4) & LOW_NIBBLES, shift);
  }
}
