import type { IntegerTarget } from "./integers.ts";

/*
 * Quants of planes as signed bytes, for IntegerForm.read: a quad at a time, which is four weights. A word of a plane holds
 * as many quads as a byte has room for, the first one in the lowest bits of the four bytes: the order in which shaders read
 * them (`shaders/formats/shared/quants.wgsl`).
 */

/** Bits of a quant in a plane. */
export type QuantBits = 1 | 2 | 4 | 8;

const ONE_EACH = 0x0101_0101;
const SIGNS = 0x8080_8080 | 0;

/** Reads `quads` quads from `firstQuad` on, less `zero`: at most 127, and 0 for quants of 8 bits, which are signed. */
export function readQuants(
  plane: DataView,
  bits: QuantBits,
  zero: number,
  firstQuad: number,
  quads: number,
  { quants, word }: IntegerTarget,
): void {
  const mask = maskOf(bits);
  const { shift, flip } = lessBy(zero);
  for (let i = 0; i < quads; i++) {
    const quad = quadOf(plane, bits, mask, firstQuad + i);
    quants[word + i] = (quad + shift) ^ flip;
  }
}

/** The same of quants whose high bits are in a plane of their own. */
export function readSplitQuants(
  lowPlane: DataView,
  lowBits: QuantBits,
  highPlane: DataView,
  highBits: QuantBits,
  zero: number,
  firstQuad: number,
  quads: number,
  { quants, word }: IntegerTarget,
): void {
  const lowMask = maskOf(lowBits);
  const highMask = maskOf(highBits);
  const { shift, flip } = lessBy(zero);
  for (let i = 0; i < quads; i++) {
    const low = quadOf(lowPlane, lowBits, lowMask, firstQuad + i);
    const high = quadOf(highPlane, highBits, highMask, firstQuad + i);
    quants[word + i] = ((low | (high << lowBits)) + shift) ^ flip;
  }
}

/** What quants of 4 bits stand for in `table`, of 16 numbers. */
export function readFromTable(
  plane: DataView,
  table: Int8Array,
  firstQuad: number,
  quads: number,
  { quants, word }: IntegerTarget,
): void {
  const mask = maskOf(4);
  for (let i = 0; i < quads; i++) {
    const quad = quadOf(plane, 4, mask, firstQuad + i);
    quants[word + i] =
      (table[quad & 15]! & 255) |
      ((table[(quad >> 8) & 15]! & 255) << 8) |
      ((table[(quad >> 16) & 15]! & 255) << 16) |
      (table[quad >> 24]! << 24);
  }
}

/** A quad of quants from 0 on, a byte each. */
function quadOf(plane: DataView, bits: QuantBits, mask: number, quad: number): number {
  // Of a matrix of 2^30 weights the bits are more than a signed number counts.
  const bit = bits * quad;
  return (plane.getInt32((bit >>> 3) << 2, true) >> (bit & 7)) & mask;
}

function maskOf(bits: QuantBits): number {
  return Math.imul((1 << bits) - 1, ONE_EACH);
}

/**
 * What is added to four bytes below 128, and what is flipped in the sum, to subtract `zero` from each: the sums are below
 * 256, so none carries into its neighbour.
 */
export function lessBy(zero: number): { readonly shift: number; readonly flip: number } {
  return zero === 0
    ? { shift: 0, flip: 0 }
    : { shift: Math.imul(128 - zero, ONE_EACH), flip: SIGNS };
}
